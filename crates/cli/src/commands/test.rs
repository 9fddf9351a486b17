//! `test`: the fixtures of packs, in and out.

use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};
use throughline_config::Report;
use throughline_config::pack::{self, Pack};
use throughline_event::{EntityName, suggest};
use throughline_processor_normalizer::{FixtureError, Fixtures, Spec};

use crate::args::Global;
use crate::catalog::BuiltIn;
use crate::exit::{Exit, Fail, Failure};
use crate::output::{self, Format};
use crate::{flow, packs};

/// One fixture and its outcome.
struct Outcome {
    name: String,
    result: Tested,
}

enum Tested {
    /// It gave what it says.
    Passed,
    /// What differs.
    Failed(String),
    /// It says now what it gave.
    Updated,
}

pub(crate) fn run(global: &Global, pack: Option<&str>, update: bool) -> Result<Exit, Failure> {
    let mut outcomes = Vec::new();
    let mut places = Vec::new();
    let mut test = |pack: &Pack, spec: Spec| -> Result<(), Failure> {
        if update && pack.files().folder().is_none() {
            let text = format!(
                "TL9021: the pack `{}` is part of the program, so its fixtures cannot be written; \
                 copy its folder and name the copy",
                pack.name
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        places.push(pack.files().place());
        outcomes.extend(fixtures(pack, spec, update)?);
        Ok(())
    };
    match pack {
        Some(name) => {
            let files = packs::find(name)?;
            let loaded = pack::load(files, &BuiltIn)
                .or_else(|report| super::refuse(&report, global.output))?;
            // Also of the mappings without a fixture.
            let wrong = flow::check_mappings(&loaded);
            if !wrong.is_empty() {
                return super::refuse(&Report::new(wrong), global.output);
            }
            let spec =
                flow::test_spec(&loaded).or_else(|report| super::refuse(&report, global.output))?;
            test(&loaded, spec)?;
        }
        None => {
            let flow = super::load(global)?;
            for system in flow.config.systems.values() {
                let spec = flow::spec(&flow.config, system)
                    .or_else(|report| super::refuse(&report, global.output))?;
                test(&system.pack, spec)?;
            }
        }
    }
    report(global, &outcomes, &places)
}

fn fixtures(pack: &Pack, spec: Spec, update: bool) -> Result<Vec<Outcome>, Failure> {
    let entities: Vec<EntityName> = spec.pack.entities.iter().map(|e| e.name.clone()).collect();
    let mut outcomes = stray(pack, &entities)?;
    for entity in entities {
        let folder = format!("fixtures/{entity}");
        for file in pack.files().list(&folder).exit(Exit::Data)? {
            let path = format!("{folder}/{file}");
            let bytes = pack.files().read(&path).exit(Exit::Data)?.unwrap_or_default();
            let name = format!("{}/{path}", pack.files().place());
            let result = match one(&spec, &entity, &bytes).exit(Exit::Config)? {
                Ran::Not(why) => Tested::Failed(why),
                Ran::Gave { differs: None, .. } => Tested::Passed,
                Ran::Gave { differs: Some(_), case } if update => {
                    let place = pack.files().folder().map(|folder| folder.join(&path));
                    write(&place.expect("it was looked at before"), &case)?;
                    Tested::Updated
                }
                Ran::Gave { differs: Some(text), .. } => Tested::Failed(text),
            };
            outcomes.push(Outcome { name, result });
        }
    }
    Ok(outcomes)
}

/// What nothing would run: tests that never ran would look like tests that passed.
fn stray(pack: &Pack, mapped: &[EntityName]) -> Result<Vec<Outcome>, Failure> {
    let failed = |path: &str, why: String| Outcome {
        name: format!("{}/{path}", pack.files().place()),
        result: Tested::Failed(format!("  {}", format_args!("TL9029: {why}"))),
    };
    let mut outcomes = Vec::new();
    for folder in pack.files().folders("fixtures").exit(Exit::Data)? {
        if mapped.iter().any(|entity| entity.as_str() == folder) {
            continue;
        }
        let why = if pack.entities.keys().any(|entity| entity.as_str() == folder) {
            format!("the entity `{folder}` has no mapping that could be run")
        } else {
            let known = mapped.iter().map(EntityName::as_str);
            let fix = suggest::instead_of(&folder, known, "entities of the pack");
            format!("the pack has no entity `{folder}`; {fix}")
        };
        outcomes.push(failed(&format!("fixtures/{folder}"), why));
    }
    for file in pack.files().list("fixtures").exit(Exit::Data)? {
        if file.ends_with(".json") && file != "settings.json" {
            let why = "a fixture stands in the folder of its entity: `fixtures/ENTITY/CASE.json`";
            outcomes.push(failed(&format!("fixtures/{file}"), why.to_owned()));
        }
    }
    Ok(outcomes)
}

/// What came of one fixture.
enum Ran {
    /// It cannot be run.
    Not(String),
    /// What differs, and the fixture as it would be right.
    Gave { differs: Option<String>, case: Map<String, Value> },
}

fn one(spec: &Spec, entity: &EntityName, bytes: &[u8]) -> Result<Ran, anyhow::Error> {
    let mut case: Map<String, Value> = match serde_json::from_slice(bytes) {
        Ok(case) => case,
        Err(error) => return Ok(Ran::Not(format!("not a JSON object: {error}"))),
    };
    let mut spec = spec.clone();
    if let Some(settings) = case.get("settings").and_then(Value::as_object) {
        spec.settings.extend(settings.clone());
    }
    let fixtures = Fixtures::load(spec)?;
    let actual = match fixtures.run_case(entity, &case) {
        Ok(actual) => actual,
        Err(error @ (FixtureError::Entity { .. } | FixtureError::Document { .. })) => {
            return Ok(Ran::Not(throughline_runtime::chain(&error)));
        }
        Err(error) => return Err(error.into()),
    };
    let differs = RESULTS.into_iter().find_map(|name| {
        let given = actual.get(name);
        let expected = case.get(name);
        let shown = |value: Option<&Value>| value.cloned().unwrap_or_default();
        (given != expected).then(|| difference(&shown(expected), &shown(given)))
    });
    let bare = !RESULTS.iter().any(|name| case.contains_key(*name));
    let hint = "  it says nothing yet; `throughline test --update` writes what it gives";
    let differs = differs.map(|text| if bare { text + hint } else { text });
    case.retain(|name, _| !RESULTS.contains(&name.as_str()));
    case.extend(actual);
    Ok(Ran::Gave { differs, case })
}

/// What a fixture gives: one of the two.
const RESULTS: [&str; 2] = ["records", "error"];

fn write(path: &Path, case: &Map<String, Value>) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(case).exit(Exit::Internal)? + "\n";
    std::fs::write(path, text).with_context(|| format!("{}", path.display())).exit(Exit::Data)
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

fn report(global: &Global, outcomes: &[Outcome], places: &[String]) -> Result<Exit, Failure> {
    let failed = outcomes.iter().filter(|o| matches!(o.result, Tested::Failed(_))).count();
    let updated = outcomes.iter().filter(|o| matches!(o.result, Tested::Updated)).count();
    if global.output == Format::Json {
        let row = |outcome: &Outcome| {
            let difference = match &outcome.result {
                Tested::Failed(text) => Some(text),
                Tested::Passed | Tested::Updated => None,
            };
            let updated = matches!(outcome.result, Tested::Updated);
            json!({"fixture": outcome.name, "difference": difference, "updated": updated})
        };
        output::line(&Value::from_iter(outcomes.iter().map(row)).to_string())?;
    } else {
        for Outcome { name, result } in outcomes {
            match result {
                Tested::Passed => output::line(&format!("ok      {name}"))?,
                Tested::Updated => output::line(&format!("written {name}"))?,
                Tested::Failed(text) => {
                    output::line(&format!("FAILED  {name}\n{}", text.trim_end()))?;
                }
            }
        }
        let passed = outcomes.len() - failed - updated;
        let written = if updated > 0 { format!("{updated} written, ") } else { String::new() };
        output::line(&format!("{written}{passed} passed, {failed} failed"))?;
    }
    // A run that tested nothing proves nothing.
    if outcomes.is_empty() {
        for place in places {
            output::note(&format!(
                "there are no fixtures: write {place}/fixtures/ENTITY/CASE.json, `{{\"after\": \
                 {{...}}}}`, and let `throughline test --update` write what it gives"
            ));
        }
    }
    Ok(if failed > 0 || outcomes.is_empty() { Exit::Findings } else { Exit::Ok })
}
