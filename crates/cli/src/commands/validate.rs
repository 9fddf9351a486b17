//! `validate`: everything that is wrong with a configuration; no I/O beyond its files.

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

pub(crate) fn run(global: &Global) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    for (processor, file, construct, line) in flow.run_by_vrl() {
        tracing::warn!(
            processor = %processor,
            place = format!("{file}:{line}"),
            "the mapping runs on VRL's own interpreter, several times slower, because of {construct}"
        );
    }
    let counts = (flow.producers.len(), flow.processors.len(), flow.sinks.len());
    match global.output {
        Format::Json => output::line("[]")?,
        Format::Text => output::line(&format!(
            "{} is valid: {} producers, {} processors, {} sinks",
            global.config.display(),
            counts.0,
            counts.1,
            counts.2
        ))?,
    }
    Ok(Exit::Ok)
}
