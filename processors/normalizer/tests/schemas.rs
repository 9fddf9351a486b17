//! The canonical schemas: readable by Avro's own parser, the same shared types in every file, and
//! shaped so that they can grow without breaking a reader.

use std::collections::BTreeMap;

use serde_json::Value;
use throughline_processor_normalizer::canonical_entities;

/// All schema texts with their names.
fn texts() -> Vec<(String, Value)> {
    let both = canonical_entities().iter().flat_map(|entity| {
        [
            (entity.name.to_string(), entity.value.text()),
            (format!("{}-key", entity.name), entity.key.text()),
        ]
    });
    both.map(|(name, text)| (name, serde_json::from_str(text).unwrap())).collect()
}

/// Every record type in a schema, outermost first.
fn records<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| records(branch, found)),
        Value::Object(schema_object) => {
            if schema_object["type"] == "record" {
                found.push(schema);
                let fields = schema["fields"].as_array().unwrap();
                fields.iter().for_each(|field| records(&field["type"], found));
            }
            for inner in ["items", "values"] {
                if let Some(inner) = schema_object.get(inner) {
                    records(inner, found);
                }
            }
        }
        _ => {}
    }
}

fn all_records(schema: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    records(schema, &mut found);
    found
}

#[test]
fn there_are_ten_entities_and_avro_can_read_all_of_them() {
    assert_eq!(canonical_entities().len(), 10);
    for (name, schema) in texts() {
        apache_avro::Schema::parse(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(schema["namespace"], "throughline.canonical", "{name}");
    }
}

#[test]
fn every_file_in_the_folder_belongs_to_an_entity() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/canonical");
    let known: Vec<_> = texts().into_iter().map(|(name, _)| format!("{name}.avsc")).collect();
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name} is not used");
    }
}

#[test]
fn shared_types_are_the_same_everywhere() {
    let texts = texts();
    let mut known: BTreeMap<&str, (&Value, &str)> = BTreeMap::new();
    for (file, schema) in &texts {
        for record in all_records(schema) {
            let name = record["name"].as_str().unwrap();
            let (first, first_file) = known.entry(name).or_insert((record, file));
            // A root carries the namespace; inside another type it is inherited.
            for part in ["doc", "fields"] {
                assert_eq!(record[part], first[part], "{name} in {file} and {first_file}");
            }
        }
    }
    for shared in ["Meta", "Ref", "Money", "Quantity", "Address", "OrderKey", "CustomerRef"] {
        assert!(known.contains_key(shared), "{shared}");
    }
}

#[test]
fn every_type_and_field_says_what_it_is() {
    for (file, schema) in texts() {
        for record in all_records(&schema) {
            let name = &record["name"];
            assert!(record["doc"].as_str().is_some_and(|doc| doc.ends_with('.')), "{file} {name}");
            for field in record["fields"].as_array().unwrap() {
                let doc = field["doc"].as_str().unwrap_or_default();
                assert!(doc.ends_with('.'), "{file} {name}.{}", field["name"]);
            }
        }
    }
}

#[test]
fn optional_fields_are_null_first_with_a_default_of_null_and_lists_are_empty() {
    for (file, schema) in texts() {
        for record in all_records(&schema) {
            for field in record["fields"].as_array().unwrap() {
                let place = format!("{file} {}.{}", record["name"], field["name"]);
                let default = field.get("default");
                match &field["type"] {
                    Value::Array(branches) => {
                        assert_eq!(branches.len(), 2, "{place}");
                        assert_eq!(branches[0], "null", "{place}");
                        assert_eq!(default, Some(&Value::Null), "{place}");
                    }
                    kind if kind["type"] == "array" => {
                        assert_eq!(default, Some(&serde_json::json!([])), "{place}");
                    }
                    kind if kind["type"] == "map" => {
                        assert_eq!(default, Some(&serde_json::json!({})), "{place}");
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_record_begins_with_meta_and_ends_with_refs_and_traits() {
    for entity in canonical_entities() {
        let names: Vec<_> =
            entity.value.record().unwrap().fields.iter().map(|field| &field.name).collect();
        assert_eq!(names[0], "meta", "{}", entity.name);
        assert_eq!(names[names.len() - 2..], ["refs", "traits"], "{}", entity.name);
    }
}

#[test]
fn every_field_of_a_key_is_a_field_of_the_record_of_the_same_type() {
    for entity in canonical_entities() {
        let value: Value = serde_json::from_str(entity.value.text()).unwrap();
        let key: Value = serde_json::from_str(entity.key.text()).unwrap();
        for field in key["fields"].as_array().unwrap() {
            let same = value["fields"]
                .as_array()
                .unwrap()
                .iter()
                .find(|known| known["name"] == field["name"]);
            let same = same.unwrap_or_else(|| panic!("{}: {}", entity.name, field["name"]));
            assert_eq!(same["type"], field["type"], "{}: {}", entity.name, field["name"]);
        }
    }
}
