//! The shipped packs: every fixture of every mapping.

use std::path::Path;

use serde_json::{Map, Value, json};
use throughline_avro::Schema;
use throughline_event::EntityName;
use throughline_processor_normalizer::{Fixtures, Spec};

use crate::shipped::{self, folder};

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn spec(name: &str, settings: Value) -> Spec {
    let Value::Object(settings) = settings else { panic!("{settings} is no object") };
    shipped::spec(name, "shop", settings).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn sunrise() -> Spec {
    spec("sunrise", json!({ "currency": "EUR" }))
}

pub(crate) fn retail() -> Spec {
    spec("retail-export", json!({ "currency": "GBP" }))
}

/// Runs every file under `fixtures/<entity>/`; with `UPDATE_FIXTURES=1` rewrites what they expect.
fn check_fixtures(spec: Spec, pack: &str) {
    let entities: Vec<EntityName> =
        spec.pack.entities.iter().map(|entity| entity.name.clone()).collect();
    let fixtures = Fixtures::load(spec).unwrap_or_else(|errors| panic!("{errors}"));
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut run = 0;
    for entity in entities {
        let folder = folder(pack).join("fixtures").join(entity.as_str());
        let files = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for file in files {
            let path = file.unwrap().path();
            let mut case: Map<String, Value> = serde_json::from_str(&read(&path)).unwrap();
            let found = fixtures.run_case(&entity, &case).unwrap();
            if update {
                case.retain(|name, _| !matches!(name.as_str(), "records" | "error"));
                case.extend(found);
                let text = serde_json::to_string_pretty(&case).unwrap() + "\n";
                std::fs::write(&path, text).unwrap();
            } else {
                for name in ["records", "error"] {
                    assert_eq!(found.get(name), case.get(name), "{}", path.display());
                }
            }
            run += 1;
        }
    }
    assert!(run > 0, "{pack} has no fixtures");
}

#[test]
fn every_fixture_of_sunrise_gives_what_it_says() {
    check_fixtures(sunrise(), "sunrise");
}

#[test]
fn every_fixture_of_the_retail_export_gives_what_it_says() {
    check_fixtures(retail(), "retail-export");
}

#[test]
fn passwords_and_dates_of_birth_never_leave_the_producer() {
    let folder = folder("sunrise");
    let raw = read(&folder.join("data/customers.json"));
    assert!(raw.contains("password") && raw.contains("dateOfBirth"), "the export has both");
    let capture = read(&folder.join("capture.yaml"));
    assert!(capture.contains("drop: [password, dateOfBirth]"));
    for part in ["schemas", "mappings", "fixtures/customer"] {
        for file in std::fs::read_dir(folder.join(part)).unwrap() {
            let path = file.unwrap().path();
            // Comments may say that they were dropped.
            let text = read(&path);
            let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            for word in ["password", "p@ss", "birth"] {
                let found = code.clone().any(|line| line.to_lowercase().contains(word));
                assert!(!found, "{} mentions {word}", path.display());
            }
        }
    }
}

#[test]
fn the_schemas_of_the_packs_have_the_columns_that_are_captured() {
    for (pack, spec) in [("sunrise", sunrise()), ("retail-export", retail())] {
        let capture = read(&folder(pack).join("capture.yaml"));
        for entity in &spec.pack.entities {
            let document = entity.document.text();
            let (_, section) = capture.split_once(&format!("\n  {}:\n", entity.name)).unwrap();
            let columns =
                section.lines().take_while(|line| line.starts_with("    ") || line.is_empty());
            for line in columns.filter(|line| line.starts_with("      ")) {
                let (column, options) = line.trim().split_once(':').unwrap();
                let field = options
                    .split_once("field: ")
                    .map_or(column, |(_, rest)| rest.split([',', '}']).next().unwrap());
                let named = format!("{{\"name\": \"{field}\"");
                assert!(document.contains(&named), "{pack} {}: {field}", entity.name);
            }
        }
    }
}

#[test]
fn a_fixture_that_is_none_of_the_packs_is_refused() {
    let name = |name: &str| EntityName::new(name).unwrap();
    let fixtures = Fixtures::load(sunrise()).unwrap();
    let document = json!({ "sku": "A", "quantityOnStock": 1, "supplyChannel": "" });
    let error = fixtures.run(&name("price"), None, Some(&document)).unwrap_err();
    assert!(error.to_string().starts_with("TL2040"), "{error}");
    let error = fixtures.run(&name("order"), None, Some(&document)).unwrap_err();
    assert!(error.to_string().starts_with("TL2041"), "{error}");
    let mut broken = sunrise();
    broken.pack.entities[0].document = Schema::parse("\"string\"").unwrap();
    let Err(error) = Fixtures::load(broken) else { panic!("a text is no document") };
    assert!(error.to_string().starts_with("TL2042"), "{error}");
}
