//! Documents that were published with an earlier schema, as the schema of now has them.

use std::sync::Arc;

use serde_json::Value;
use throughline_avro::{Cursor, Node, Schema, json_to_datum, write_json};
use throughline_connector::BoxError;

/// The type of the documents in an envelope's schema.
pub(super) fn document(envelope: &Schema) -> Option<Arc<Node>> {
    let (_, after) = envelope.record()?.field("after")?;
    let Node::Union(branches) = &*after.node else { return None };
    branches.iter().find(|branch| matches!(***branch, Node::Record(_))).cloned()
}

/// A document with the fields of another schema, by their names: those that it lacks are null or
/// their default, those that are gone are left out.
///
/// # Errors
/// A field without both, or a value that the field's new type does not have; names the field.
pub(super) fn converted(from: &Node, to: &Node, datum: &[u8]) -> Result<Vec<u8>, BoxError> {
    let mut text = Vec::new();
    write_json(from, &mut Cursor::new(datum), &mut text)?;
    let mut document: Value = serde_json::from_slice(&text)?;
    fit(to, &mut document);
    let mut out = Vec::with_capacity(datum.len());
    json_to_datum(to, &document, &mut out)?;
    Ok(out)
}

/// Leaves out what the type does not have, and gives null to what may be null.
fn fit(node: &Node, value: &mut Value) {
    match (node, value) {
        (Node::Record(record), Value::Object(fields)) => {
            fields.retain(|name, _| record.field(name).is_some());
            for field in &record.fields {
                let nullable = matches!(&*field.node, Node::Union(branches)
                    if branches.iter().any(|branch| matches!(**branch, Node::Null)));
                if nullable && field.default.is_none() {
                    fields.entry(field.name.clone()).or_insert(Value::Null);
                }
                if let Some(value) = fields.get_mut(&field.name) {
                    fit(&field.node, value);
                }
            }
        }
        (Node::Array(items), Value::Array(values)) => {
            values.iter_mut().for_each(|value| fit(items, value));
        }
        (Node::Union(branches), value) => {
            let of = |branch: &&Arc<Node>| matches!(***branch, Node::Record(_) | Node::Array(_));
            if let Some(branch) = branches.iter().find(of) {
                fit(branch, value);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &str) -> Schema {
        let text = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        Schema::parse(&text).unwrap()
    }

    fn shown(from: &str, to: &str, document: &str) -> Result<String, String> {
        let (from, to) = (schema(from), schema(to));
        let mut datum = Vec::new();
        json_to_datum(from.root(), &serde_json::from_str(document).unwrap(), &mut datum).unwrap();
        let datum = converted(from.root(), to.root(), &datum).map_err(|error| error.to_string())?;
        let mut text = Vec::new();
        write_json(to.root(), &mut Cursor::new(&datum), &mut text).unwrap();
        Ok(String::from_utf8(text).unwrap())
    }

    const A: &str = r#"{"name":"a","type":"string"}"#;
    const B: &str = r#"{"name":"b","type":"string"}"#;

    #[test]
    fn fields_keep_their_values_by_name_wherever_they_stand() {
        let (both, turned) = (format!("{A},{B}"), format!("{B},{A}"));
        assert_eq!(shown(&both, &turned, r#"{"a":"1","b":"2"}"#).unwrap(), r#"{"b":"2","a":"1"}"#);
        assert_eq!(shown(&both, A, r#"{"a":"1","b":"2"}"#).unwrap(), r#"{"a":"1"}"#);
        let more = format!(r#"{{"name":"n","type":["null","long"]}},{A}"#);
        assert_eq!(shown(A, &more, r#"{"a":"1"}"#).unwrap(), r#"{"n":null,"a":"1"}"#);
        let rows = |of: &str| {
            format!(
                r#"{{"name":"rows","type":{{"type":"array","items":
                {{"type":"record","name":"Row","fields":[{of}]}}}}}}"#
            )
        };
        let document = r#"{"rows":[{"a":"1","b":"2"}]}"#;
        assert_eq!(shown(&rows(&both), &rows(B), document).unwrap(), r#"{"rows":[{"b":"2"}]}"#);
    }

    #[test]
    fn a_value_that_the_new_type_does_not_have_is_an_error_that_names_the_field() {
        let long = r#"{"name":"a","type":"long"}"#;
        let error = shown(A, long, r#"{"a":"7"}"#).unwrap_err();
        assert!(error.contains("$.a"), "{error}");
        let error = shown(A, &format!("{A},{B}"), r#"{"a":"7"}"#).unwrap_err();
        assert!(error.contains('b'), "{error}");
    }
}
