//! The text that Java Avro's `Schema.toString` writes for a schema.
//!
//! Works on the JSON, because apache-avro's tree has lost the order of custom attributes.

use serde_json::{Map, Value};

/// The canonical text of a schema that was already validated.
pub(super) fn text(schema: &Value) -> String {
    canonical(schema, "").to_string()
}

fn canonical(schema: &Value, namespace: &str) -> Value {
    match schema {
        Value::String(name) => Value::String(short_name(name, namespace)),
        Value::Array(branches) => {
            branches.iter().map(|branch| canonical(branch, namespace)).collect()
        }
        Value::Object(object) => complex(object, namespace),
        other => other.clone(),
    }
}

fn complex(object: &Map<String, Value>, namespace: &str) -> Value {
    let Some(Value::String(kind)) = object.get("type") else {
        // `{"type": {...}}`: the inner type is the type.
        return object.get("type").map_or(Value::Null, |inner| canonical(inner, namespace));
    };
    let mut out = Map::new();
    out.insert("type".into(), Value::String(short_name(kind, namespace)));
    let (own, known): (String, &[&str]) = match kind.as_str() {
        "record" | "error" => (named(object, namespace, &mut out), &["doc", "fields"]),
        "enum" => (named(object, namespace, &mut out), &["doc", "symbols", "default"]),
        "fixed" => (named(object, namespace, &mut out), &["doc", "size"]),
        "array" => (namespace.to_owned(), &["items"]),
        "map" => (namespace.to_owned(), &["values"]),
        _ => (namespace.to_owned(), &[]),
    };
    for &key in known {
        if let Some(value) = object.get(key) {
            let value = match key {
                "fields" => {
                    value.as_array().into_iter().flatten().map(|f| field(f, &own)).collect()
                }
                "items" | "values" => canonical(value, &own),
                _ => value.clone(),
            };
            out.insert(key.into(), value);
        }
    }
    copy_rest(object, &["name", "namespace"], &mut out);
    match out.len() {
        1 => out.remove("type").unwrap_or_default(),
        _ => Value::Object(out),
    }
}

/// Writes a definition's name and, where it differs from the enclosing one, its namespace.
/// Returns the namespace that holds inside.
fn named(object: &Map<String, Value>, enclosing: &str, out: &mut Map<String, Value>) -> String {
    let name = object.get("name").and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = name.rsplit_once('.').unwrap_or_else(|| {
        (object.get("namespace").and_then(Value::as_str).unwrap_or(enclosing), name)
    });
    out.insert("name".into(), name.into());
    if namespace != enclosing {
        out.insert("namespace".into(), namespace.into());
    }
    namespace.to_owned()
}

fn field(field: &Value, namespace: &str) -> Value {
    let Value::Object(object) = field else { return field.clone() };
    let mut out = Map::new();
    for key in ["name", "type", "doc", "default", "order", "aliases"] {
        match object.get(key) {
            Some(schema) if key == "type" => out.insert(key.into(), canonical(schema, namespace)),
            Some(order) if key == "order" && order == "ascending" => None,
            Some(value) => out.insert(key.into(), value.clone()),
            None => None,
        };
    }
    copy_rest(object, &["order"], &mut out);
    Value::Object(out)
}

/// Custom attributes in the order they were written, then aliases.
fn copy_rest(object: &Map<String, Value>, handled: &[&str], out: &mut Map<String, Value>) {
    for (key, value) in object {
        if key != "aliases" && !handled.contains(&key.as_str()) && !out.contains_key(key) {
            out.insert(key.clone(), value.clone());
        }
    }
    if let (Some(aliases), false) = (object.get("aliases"), out.contains_key("aliases")) {
        out.insert("aliases".into(), aliases.clone());
    }
}

/// A reference without the namespace it stands in.
fn short_name(name: &str, namespace: &str) -> String {
    match name.rsplit_once('.') {
        Some((own, short)) if own == namespace => short.to_owned(),
        _ => name.to_owned(),
    }
}
