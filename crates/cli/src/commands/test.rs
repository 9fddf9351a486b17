//! `test`: the fixtures of packs, in and out.

use serde_json::{Map, Value, json};
use throughline_config::pack::{self, Pack};
use throughline_event::EntityName;
use throughline_processor_normalizer::{FixtureError, Fixtures, Spec};

use crate::args::Global;
use crate::catalog::BuiltIn;
use crate::exit::{Exit, Fail, Failure};
use crate::output::{self, Format};
use crate::{flow, packs};

/// One fixture and its outcome.
struct Outcome {
    name: String,
    difference: Option<String>,
}

pub(crate) fn run(global: &Global, pack: Option<&str>) -> Result<Exit, Failure> {
    let mut outcomes = Vec::new();
    match pack {
        Some(name) => {
            let files = packs::find(name)?;
            let loaded = pack::load(files, &BuiltIn)
                .or_else(|report| super::refuse(&report, global.output))?;
            let spec =
                flow::test_spec(&loaded).or_else(|report| super::refuse(&report, global.output))?;
            outcomes.extend(fixtures(&loaded, spec)?);
        }
        None => {
            let flow = super::load(global)?;
            for system in flow.config.systems.values() {
                let spec = flow::spec(&flow.config, system)
                    .or_else(|report| super::refuse(&report, global.output))?;
                outcomes.extend(fixtures(&system.pack, spec)?);
            }
        }
    }
    report(global, &outcomes)
}

fn fixtures(pack: &Pack, spec: Spec) -> Result<Vec<Outcome>, Failure> {
    let entities: Vec<EntityName> = spec.pack.entities.iter().map(|e| e.name.clone()).collect();
    let mut outcomes = Vec::new();
    for entity in entities {
        let folder = format!("fixtures/{entity}");
        for file in pack.files().list(&folder).exit(Exit::Data)? {
            let path = format!("{folder}/{file}");
            let bytes = pack.files().read(&path).exit(Exit::Data)?.unwrap_or_default();
            let difference = one(&spec, &entity, &bytes).exit(Exit::Config)?;
            outcomes.push(Outcome { name: format!("{}/{path}", pack.name), difference });
        }
    }
    Ok(outcomes)
}

/// Runs a fixture; what comes back is the difference between expected and actual.
fn one(spec: &Spec, entity: &EntityName, bytes: &[u8]) -> Result<Option<String>, anyhow::Error> {
    let case: Map<String, Value> = match serde_json::from_slice(bytes) {
        Ok(case) => case,
        Err(error) => return Ok(Some(format!("not a JSON object: {error}"))),
    };
    let mut spec = spec.clone();
    if let Some(settings) = case.get("settings").and_then(Value::as_object) {
        spec.settings.extend(settings.clone());
    }
    let fixtures = Fixtures::load(spec)?;
    let actual = match fixtures.run_case(entity, &case) {
        Ok(actual) => actual,
        Err(error @ (FixtureError::Entity { .. } | FixtureError::Document { .. })) => {
            return Ok(Some(throughline_runtime::chain(&error)));
        }
        Err(error) => return Err(error.into()),
    };
    let expected = |name: &str| case.get(name).cloned().unwrap_or(Value::Null);
    let differs = actual.iter().find(|(name, value)| expected(name) != **value);
    Ok(differs.map(|(name, value)| difference(&expected(name), value)))
}

/// The lines that differ, `-` expected and `+` actual.
fn difference(expected: &Value, actual: &Value) -> String {
    let lines = |value: &Value| -> Vec<String> {
        serde_json::to_string_pretty(value).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    let (expected, actual) = (lines(expected), lines(actual));
    let mut text = String::new();
    for at in 0..expected.len().max(actual.len()) {
        let (old, new) = (expected.get(at), actual.get(at));
        if old != new {
            old.iter().for_each(|line| text.push_str(&format!("  - {line}\n")));
            new.iter().for_each(|line| text.push_str(&format!("  + {line}\n")));
        }
    }
    text
}

fn report(global: &Global, outcomes: &[Outcome]) -> Result<Exit, Failure> {
    let failed = outcomes.iter().filter(|outcome| outcome.difference.is_some()).count();
    if global.output == Format::Json {
        let row = |o: &Outcome| json!({"fixture": o.name, "difference": o.difference});
        output::line(&Value::from_iter(outcomes.iter().map(row)).to_string())?;
    } else {
        for Outcome { name, difference } in outcomes {
            match difference {
                None => output::line(&format!("ok      {name}"))?,
                Some(text) => output::line(&format!("FAILED  {name}\n{}", text.trim_end()))?,
            }
        }
        output::line(&format!("{} passed, {failed} failed", outcomes.len() - failed))?;
    }
    // A run that tested nothing proves nothing.
    if outcomes.is_empty() {
        output::note("there are no fixtures: write fixtures/ENTITY/CASE.json, see docs/packs.md");
    }
    Ok(if failed > 0 || outcomes.is_empty() { Exit::Findings } else { Exit::Ok })
}
