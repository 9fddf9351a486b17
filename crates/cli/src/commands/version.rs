//! `version`: what this build is and holds.

use serde_json::json;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::{connectors, packs};

pub(crate) fn run(global: &Global) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let producers: Vec<_> = connectors::producers().iter().map(|kind| kind.kind).collect();
    let sinks: Vec<_> = connectors::sinks().iter().map(|kind| kind.kind).collect();
    match global.output {
        Format::Json => output::line(
            &json!({"version": version, "producers": producers, "sinks": sinks, "packs": packs::names()})
                .to_string(),
        )?,
        Format::Text => output::line(&format!("throughline {version}"))?,
    }
    Ok(Exit::Ok)
}
