//! `schemas`: what the registry holds.

use std::path::Path;

use serde_json::{Value, json};
use throughline_avro::Schema;
use throughline_bus::Bus;
use throughline_event::suggest;

use crate::args::{Global, Schemas};
use crate::exit::{Exit, Fail, Failure};
use crate::output::{self, Format};
use crate::running;

pub(crate) fn run(global: &Global, what: &Schemas) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    match what {
        Schemas::List => list(global, &bus),
        Schemas::Show { subject, version } => show(&bus, subject, *version),
        Schemas::Compatibility { subject, file, set } => {
            known(&bus, subject)?;
            match (file, set) {
                (Some(file), _) => fits(global, &bus, subject, file),
                (None, Some(level)) => set_rule(global, &bus, subject, &level.to_uppercase()),
                (None, None) => rule(global, &bus, subject),
            }
        }
    }
}

/// Refuses a subject that does not exist, and proposes the one that was meant.
fn known(bus: &Bus, subject: &str) -> Result<(), Failure> {
    let subjects = bus.subjects().exit(Exit::Unavailable)?;
    if subjects.iter().any(|known| known == subject) {
        return Ok(());
    }
    // The name of a topic is the usual slip.
    let value = format!("{subject}-value");
    let fix = if subjects.contains(&value) {
        format!("did you mean `{value}`?")
    } else {
        let names = subjects.iter().map(String::as_str);
        suggest::instead_of(subject, names, "subjects")
    };
    Err(Failure::new(Exit::Data, format!("TL9019: there is no subject `{subject}`; {fix}")))
}

fn show(bus: &Bus, subject: &str, version: Option<u32>) -> Result<Exit, Failure> {
    known(bus, subject)?;
    let text = bus.version(subject, version).exit(Exit::Data)?.text;
    // Registries keep the text as it came; for people it is laid out.
    let schema: Result<Value, _> = serde_json::from_str(&text);
    let shown = schema.and_then(|schema| serde_json::to_string_pretty(&schema));
    output::line(&shown.unwrap_or(text))?;
    Ok(Exit::Ok)
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
    output::rows(global, &rows, json)
}

fn fits(global: &Global, bus: &Bus, subject: &str, file: &Path) -> Result<Exit, Failure> {
    let text = std::fs::read_to_string(file).exit(Exit::Data)?;
    let schema = Schema::parse(&text).exit(Exit::Data)?;
    let compatible = bus.compatible(subject, &schema).exit(Exit::Unavailable)?;
    let difference = bus.difference(subject, &schema).exit(Exit::Unavailable)?;
    let told = difference.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    let verdict = if compatible { "compatible" } else { "not compatible" };
    let text = format!("{} is {verdict} with {subject}{told}", file.display());
    answer(global, &text, &json!({"compatible": compatible, "difference": difference}))?;
    Ok(if compatible { Exit::Ok } else { Exit::Findings })
}

fn rule(global: &Global, bus: &Bus, subject: &str) -> Result<Exit, Failure> {
    let own = bus.rule(Some(subject)).exit(Exit::Unavailable)?;
    let text = match &own {
        Some(level) => format!("{subject}: {level}"),
        None => {
            let all = bus.rule(None).exit(Exit::Unavailable)?;
            let all = all.unwrap_or_else(|| "the registry's own".to_owned());
            format!("{subject}: {all}, as for all subjects without a rule of their own")
        }
    };
    answer(global, &text, &json!({"subject": subject, "compatibility": own}))?;
    Ok(Exit::Ok)
}

fn set_rule(global: &Global, bus: &Bus, subject: &str, level: &str) -> Result<Exit, Failure> {
    bus.set_rule(subject, level).exit(Exit::Unavailable)?;
    let next = if level == "NONE" {
        "; consumers are no longer protected from a change: set it back when the worker has started"
    } else {
        ""
    };
    let text = format!("{subject}: {level}{next}");
    answer(global, &text, &json!({"subject": subject, "compatibility": level}))?;
    Ok(Exit::Ok)
}

fn answer(global: &Global, text: &str, json: &Value) -> Result<(), Failure> {
    match global.output {
        Format::Text => output::line(text),
        Format::Json => output::line(&json.to_string()),
    }
}
