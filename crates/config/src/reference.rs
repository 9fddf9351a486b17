//! The reference of the file: its JSON Schema for editors, and a page for people.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use throughline_event::Role;

use crate::{Catalog, file};

/// The name under which the schema stands beside a configuration, so that editors find it.
pub const SCHEMA_FILE: &str = "throughline.schema.json";

/// A keyword beside `properties`: keys that `throughline.yaml` need not have because the pack of the
/// system must.
pub const REQUIRED_IN_PACK: &str = "x-required-in-pack";

/// The JSON Schema of `throughline.yaml`, with the options of every kind of connector.
pub fn schema(catalog: &dyn Catalog) -> Value {
    let mut schema = file::schema();
    for role in Role::ALL {
        let pointer = format!("/properties/{}/additionalProperties", role.section());
        let Some(worker) = schema.pointer_mut(&pointer) else { continue };
        let kinds = catalog.kinds(role);
        let alternatives: Vec<Value> = kinds
            .iter()
            .map(|kind| with_options(worker, kind, catalog.options_schema(role, kind)))
            .collect();
        if !alternatives.is_empty() {
            *worker = json!({"oneOf": alternatives});
        }
    }
    schema
}

/// What every worker of a role has, together with the options of one kind.
fn with_options(worker: &Value, kind: &str, options: Option<Value>) -> Value {
    let mut options = options.map_or_else(|| json!({"additionalProperties": false}), resolved);
    let list = |schema: &Value, key: &str| {
        schema.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let mut all: Map<String, Value> = properties(worker)
        .chain(properties(&options))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    all.insert("kind".into(), json!({"const": kind, "description": "The kind."}));
    let required = [list(worker, "required"), list(&options, "required")].concat();
    if let Some(map) = options.as_object_mut() {
        map.remove("$schema");
        map.insert("type".into(), "object".into());
        map.insert("properties".into(), Value::Object(all));
        map.insert("required".into(), Value::Array(required));
    }
    options
}

/// The deepest nesting of definitions; options are far flatter, and one that contains itself ends
/// here, as a value without a shape.
const DEPTH: usize = 16;

/// A schema with every `$ref` replaced by the definition it names, so that it can be made a part of
/// another one.
fn resolved(mut schema: Value) -> Value {
    let definitions = schema.as_object_mut().and_then(|map| map.remove("$defs"));
    resolve(&mut schema, &definitions.unwrap_or_default(), 0);
    schema
}

fn resolve(schema: &mut Value, definitions: &Value, depth: usize) {
    if let Value::Array(items) = schema {
        items.iter_mut().for_each(|item| resolve(item, definitions, depth));
    }
    let Value::Object(map) = schema else { return };
    if let Some(Value::String(reference)) = map.remove("$ref") {
        let name = reference.trim_start_matches("#/$defs/");
        let definition = definitions.get(name).and_then(Value::as_object);
        for (key, value) in definition.filter(|_| depth < DEPTH).into_iter().flatten() {
            // What is said at the place of use counts before what is said at the definition.
            map.entry(key.clone()).or_insert_with(|| value.clone());
        }
        return resolve(schema, definitions, depth + 1);
    }
    map.values_mut().for_each(|value| resolve(value, definitions, depth));
}

/// The page `docs/reference/config.md`.
pub fn page(catalog: &dyn Catalog) -> String {
    let schema = file::schema();
    let mut page = String::from(
        "# throughline.yaml\n\n\
         <!-- Written by `cargo xtask gen` from the comments in crates/config/src/file.rs and those on \
         the options of each connector. -->\n\n",
    );
    page += text(&schema, "description");
    page += "\n\nUnknown keys are errors. Sizes and durations carry their unit (`8MiB`, `250ms`); a \
             number without a unit is a count. Relative paths start at the folder of the file. A \
             secret is written as `${env:NAME}` or `${file:path}`, never as its value. Editors \
             complete and check the file by its schema: `throughline init` writes it beside the file \
             and names it in the first line, `# yaml-language-server: \
             $schema=throughline.schema.json`; `throughline reference schema` prints it.\n";
    table(&mut page, &schema, "");
    for (key, property) in properties(&schema) {
        if key == "bus" {
            page += "\n## bus\n";
            tables(&mut page, map_of(property), "bus.");
        } else if key == "systems" {
            page += "\n## systems\n";
            let entry = property.get("additionalProperties").unwrap_or(&Value::Null);
            table(&mut page, entry, "systems.NAME.");
        } else if let Some(role) = Role::ALL.into_iter().find(|role| role.section() == key) {
            workers(&mut page, role, property, catalog);
        }
    }
    page
}

fn workers(page: &mut String, role: Role, property: &Value, catalog: &dyn Catalog) {
    let section = role.section();
    let _ = writeln!(page, "\n## {section}");
    let entry = property.get("additionalProperties").unwrap_or(&Value::Null);
    table(page, entry, &format!("{section}.NAME."));
    for kind in catalog.kinds(role) {
        let _ = writeln!(page, "\n### {section}: kind `{kind}`");
        let options = catalog.options_schema(role, &kind).map_or(Value::Null, resolved);
        if let Some(description) = options.get("description").and_then(Value::as_str) {
            let _ = writeln!(page, "\n{description}");
        }
        tables(page, &options, "");
    }
}

/// A map, and the maps inside it.
fn tables(page: &mut String, schema: &Value, prefix: &str) {
    table(page, schema, prefix);
    for (key, property) in properties(schema) {
        let map = map_of(property);
        tables(page, map, &format!("{prefix}{key}."));
        if let Some(entry) = map.get("additionalProperties") {
            tables(page, entry, &format!("{prefix}{key}.NAME."));
        }
    }
}

/// One row per key of a map.
fn table(page: &mut String, schema: &Value, prefix: &str) {
    let rows: Vec<String> =
        properties(schema).map(|(key, property)| row(schema, prefix, key, property)).collect();
    if !rows.is_empty() {
        *page += "\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n";
        page.extend(rows);
    }
}

fn row(schema: &Value, prefix: &str, key: &str, property: &Value) -> String {
    let lists = |keyword: &str| {
        let names = schema.get(keyword).and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|name| name == key))
    };
    let default = match property.get("default").filter(|default| !is_nothing(default)) {
        Some(default) => {
            format!("`{}`", default.as_str().map_or_else(|| default.to_string(), str::to_owned))
        }
        None if lists("required") => "required".to_owned(),
        None if lists(REQUIRED_IN_PACK) => "required in the pack".to_owned(),
        None => String::new(),
    };
    let mut meaning = text(property, "description").replace('\n', " ");
    for choice in alternatives(property).iter().filter(|choice| choice.get("const").is_some()) {
        let described = text(choice, "description");
        if !described.is_empty() {
            meaning += &format!(" {}: {}", kind(choice), described.replace('\n', " "));
        }
    }
    format!(
        "| `{prefix}{key}` | {} | {default} | {} |\n",
        kind(property),
        meaning.replace('|', "\\|")
    )
}

/// A default that says no more than that the key is optional.
fn is_nothing(default: &Value) -> bool {
    match default {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The type of a value in words.
fn kind(property: &Value) -> String {
    use throughline_event::{ByteSize, SecretRef, Span};
    let constants: Vec<String> = property
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .chain(property.get("const"))
        .filter_map(Value::as_str)
        .map(|value| format!("`{value}`"))
        .collect();
    if !constants.is_empty() {
        return constants.join(", ");
    }
    match property.get("pattern").and_then(Value::as_str) {
        Some(ByteSize::PATTERN) => return "size".into(),
        Some(Span::PATTERN) => return "duration".into(),
        Some(SecretRef::PATTERN) => return "secret".into(),
        _ => {}
    }
    let nested: Vec<String> =
        alternatives(property).into_iter().map(kind).filter(|kind| !kind.is_empty()).collect();
    if !nested.is_empty() {
        return nested.join(", ");
    }
    let word = |name: &str| match name {
        "string" => "text",
        "integer" => "count",
        "number" => "number",
        "boolean" => "`true`, `false`",
        "array" => "list",
        "object" => "map",
        _ => "",
    };
    match property.get("type") {
        Some(Value::String(name)) => word(name).to_owned(),
        Some(Value::Array(names)) => {
            let words = names.iter().filter_map(Value::as_str).map(word);
            words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

/// The alternatives of a schema, those inside of alternatives included.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let direct = ["anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array());
    let inner = |one| match alternatives(one) {
        none if none.is_empty() => vec![one],
        inner => inner,
    };
    direct.flatten().flat_map(inner).collect()
}

/// The map among the alternatives of a schema, or the schema itself.
fn map_of(schema: &Value) -> &Value {
    alternatives(schema).into_iter().find(|one| one.get("properties").is_some()).unwrap_or(schema)
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}
