//! `validate`: everything that is wrong with a configuration; no I/O beyond its files.

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

pub(crate) fn run(global: &Global) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
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
