//! The Avro schemas of an entity, made from its columns.

use serde_json::{Value, json};
use throughline_avro::{Schema, SchemaError};
use throughline_event::SystemName;

use crate::settings::{EntitySettings, Shape};

/// What an entity's records look like.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub key: Schema,
    pub document: Schema,
}

impl Layout {
    pub(crate) fn new(system: &SystemName, entity: &EntitySettings) -> Result<Self, SchemaError> {
        let namespace = namespace(system);
        let name = camel(entity.name.as_str());
        let (fields, document) =
            match &entity.shape {
                Shape::Columns(columns) => {
                    let fields: Vec<Value> = columns.iter().map(|column| {
                    let kind = column.kind.avro();
                    if column.nullable {
                        json!({"name": column.field, "type": ["null", kind], "default": null})
                    } else {
                        json!({"name": column.field, "type": kind})
                    }
                }).collect();
                    (fields, None)
                }
                Shape::Document(schema) => {
                    let text: Value =
                        serde_json::from_str(schema.text()).map_err(SchemaError::Json)?;
                    let fields = text["fields"].as_array().cloned().unwrap_or_default();
                    (fields, Some(schema.clone()))
                }
            };
        let of_key = |name: &String| fields.iter().find(|field| field["name"] == name.as_str());
        let key_fields: Vec<Value> = entity
            .key
            .iter()
            .filter_map(of_key)
            .map(|field| json!({"name": field["name"], "type": field["type"]}))
            .collect();
        let key = record(&format!("{name}Key"), &namespace, key_fields.clone());
        let document = match document {
            Some(schema) => schema,
            None if entity.grouped => {
                let row = record(&format!("{name}Row"), &namespace, fields);
                let mut all = key_fields;
                all.push(json!({"name": "rows", "type": {"type": "array", "items": row}}));
                Schema::parse(&record(&name, &namespace, all).to_string())?
            }
            None => Schema::parse(&record(&name, &namespace, fields).to_string())?,
        };
        Ok(Self { key: Schema::parse(&key.to_string())?, document })
    }
}

fn record(name: &str, namespace: &str, fields: Vec<Value>) -> Value {
    json!({"type": "record", "name": name, "namespace": namespace, "fields": fields})
}

/// Avro names allow no hyphens and no digit in front.
fn namespace(system: &SystemName) -> String {
    let name = system.as_str().replace('-', "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// `stock-row` becomes `StockRow`.
fn camel(name: &str) -> String {
    let words = name.split('-').filter(|word| !word.is_empty());
    let camel: String = words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect();
    if camel.starts_with(|c: char| c.is_ascii_digit()) { format!("_{camel}") } else { camel }
}
