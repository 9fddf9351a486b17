//! `schemas`: what the registry holds.

use std::path::Path;

use serde_json::json;
use throughline_avro::Schema;
use throughline_bus::Bus;

use crate::args::{Global, Schemas};
use crate::exit::{Exit, Fail, Failure};
use crate::output::{self, Format};
use crate::running;

pub(crate) fn run(global: &Global, what: &Schemas) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    match what {
        Schemas::List => list(global, &bus),
        Schemas::Show { subject, version } => {
            let found = bus.version(subject, *version).exit(Exit::Data)?;
            output::line(&found.text)?;
            Ok(Exit::Ok)
        }
        Schemas::Compatibility { subject, file } => compatibility(global, &bus, subject, file),
    }
}

fn list(global: &Global, bus: &Bus) -> Result<Exit, Failure> {
    let mut rows = vec![["subject", "versions"].map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for subject in bus.subjects().exit(Exit::Unavailable)? {
        let versions = bus.versions(&subject).exit(Exit::Unavailable)?;
        let text: Vec<String> = versions.iter().map(u32::to_string).collect();
        json.push(json!({"subject": subject, "versions": versions}));
        rows.push(vec![subject, text.join(", ")]);
    }
    super::topics::answer(global, &rows, json)
}

fn compatibility(global: &Global, bus: &Bus, subject: &str, file: &Path) -> Result<Exit, Failure> {
    let text = std::fs::read_to_string(file).exit(Exit::Data)?;
    let schema = Schema::parse(&text).exit(Exit::Data)?;
    let compatible = bus.compatible(subject, &schema).exit(Exit::Unavailable)?;
    let verdict = if compatible { "compatible" } else { "not compatible" };
    match global.output {
        Format::Text => output::line(&format!("{} is {verdict} with {subject}", file.display()))?,
        Format::Json => output::line(&json!({"compatible": compatible}).to_string())?,
    }
    Ok(if compatible { Exit::Ok } else { Exit::Findings })
}
