//! `validate`: everything that is wrong with a configuration; no I/O beyond its files.

use throughline_event::Role;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

pub(crate) fn run(global: &Global) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    for (processor, file, construct, line) in flow.run_by_vrl() {
        output::note(&format!(
            "{file}:{line}: {construct} makes the mapping of {processor} run on VRL's own \
             interpreter, several times slower; its records are the same"
        ));
    }
    let counted = |count: usize, role: Role| match count {
        1 => format!("1 {role}"),
        count => format!("{count} {role}s"),
    };
    let counts = [
        counted(flow.producers.len(), Role::Producer),
        counted(flow.processors.len(), Role::Processor),
        counted(flow.sinks.len(), Role::Sink),
    ];
    match global.output {
        Format::Json => output::line("[]")?,
        Format::Text => {
            output::line(&format!("{} is valid: {}", global.config.display(), counts.join(", ")))?
        }
    }
    Ok(Exit::Ok)
}
