//! What a producer will publish against what the pack's mappings were written for.
//!
//! A mapping is compiled against the Avro schema of its entity, and the producer makes the schema of
//! its documents from the columns that the pack declares. Where the two differ, every record would
//! become a dead letter, so the difference is told before anything runs. Names of records, comments,
//! defaults and the order of fields do not matter to a mapping and may differ.

use serde_json::Value;
use throughline_avro::{Node, Schema};
use throughline_config::codes;
use throughline_config::pack::Pack;
use throughline_event::{EntityName, Path, SystemName, Violations};
use throughline_runtime::ProducerKind;

/// One field that differs.
struct Difference {
    field: String,
    message: String,
    fix: Fix,
}

/// What to do in the pack's schema, or against it.
enum Fix {
    /// It lacks the field.
    Add,
    /// No column gives the field.
    Remove,
    /// It has another type.
    Change,
}

/// Adds every difference, with its path in the options.
pub(super) fn check(
    kind: &ProducerKind,
    system: &SystemName,
    options: &Value,
    pack: &Pack,
    found: &mut Violations,
) {
    let declared = match (kind.declared)(options.clone(), system) {
        Ok(declared) => declared,
        Err(error) => {
            let fix = "correct the columns or the document_schema";
            return found.add(codes::CAPTURE_SCHEMA, "entities", error.to_string(), fix);
        }
    };
    for captured in declared {
        // A schema that cannot be read is told where the mapping is compiled.
        let Some(entity) = pack.entities.get(&captured.name) else { continue };
        let Ok(expected) = Schema::parse(&entity.schema.text) else { continue };
        let mut differences = Vec::new();
        let file = &entity.schema.path;
        compare(captured.document.root(), expected.root(), "", file, &mut differences);
        let published = serde_json::from_str(captured.document.text()).unwrap_or_default();
        for Difference { field, message, fix } in differences {
            let path = place(&captured.name, options, &field);
            let avro = find(&published, &field).map(|field| match &fix {
                Fix::Add => text(field),
                _ => text(&field["type"]),
            });
            let fix = match fix {
                Fix::Add => {
                    let avro = avro.unwrap_or_default();
                    format!("add `{field}` to {file} as `{avro}`, or remove the column")
                }
                Fix::Remove => format!("declare a column for `{field}`, or remove it from {file}"),
                Fix::Change => {
                    let avro = avro.unwrap_or_default();
                    format!("change the column's type, or write `\"type\": {avro}` in {file}")
                }
            };
            found.add(codes::CAPTURE_SCHEMA, path, message, fix);
        }
    }
}

/// A field of a record, by the names that lead to it, as the schema's text has it.
fn find<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = fields(schema)?.iter().find(|field| field["name"] == name)?;
    match rest {
        Some(rest) => find(&field["type"], rest),
        None => Some(field),
    }
}

/// The fields of the record that a type is, holds, or may be.
fn fields(schema: &Value) -> Option<&Vec<Value>> {
    match schema {
        Value::Array(branches) => branches.iter().find_map(fields),
        Value::Object(kind) => {
            let inner =
                || ["type", "items", "values"].into_iter().find_map(|k| fields(kind.get(k)?));
            kind.get("fields").and_then(Value::as_array).or_else(inner)
        }
        _ => None,
    }
}

/// JSON as a person writes a schema: a space after `:` and `,`, the name and the type first.
fn text(value: &Value) -> String {
    let list = |texts: Vec<String>| texts.join(", ");
    match value {
        Value::Array(items) => format!("[{}]", list(items.iter().map(text).collect())),
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| match key.as_str() {
                "name" => 0,
                "type" => 1,
                _ => 2,
            });
            let entry = |(key, value): (&String, &Value)| format!("\"{key}\": {}", text(value));
            format!("{{{}}}", list(entries.into_iter().map(entry).collect()))
        }
        plain => plain.to_string(),
    }
}

/// The column that gives a field, or the entity where no column does.
fn place(entity: &EntityName, options: &Value, field: &str) -> Path {
    let at = Path::from(["entities", entity.as_str()]);
    let columns =
        options.pointer(&format!("/entities/{entity}/columns")).and_then(Value::as_object);
    let name = field.rsplit('.').next().unwrap_or(field);
    let gives = |(column, options): &(&String, &Value)| {
        options.get("field").and_then(Value::as_str).unwrap_or(column) == name
    };
    match columns.into_iter().flatten().find(gives) {
        Some((column, _)) => at.key("columns").key(column),
        None => at,
    }
}

fn compare(found: &Node, expected: &Node, at: &str, file: &str, out: &mut Vec<Difference>) {
    match (found, expected) {
        (Node::Record(found), Node::Record(expected)) => {
            let below = |name: &str| {
                if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
            };
            for field in &found.fields {
                let path = below(&field.name);
                match expected.field(&field.name) {
                    Some((_, known)) => compare(&field.node, &known.node, &path, file, out),
                    None => out.push(Difference {
                        message: format!(
                            "the producer publishes `{path}`, and {file} has no such field"
                        ),
                        fix: Fix::Add,
                        field: path,
                    }),
                }
            }
            for field in &expected.fields {
                if found.field(&field.name).is_none() {
                    let path = below(&field.name);
                    out.push(Difference {
                        message: format!("{file} has the field `{path}`, and no column gives it"),
                        fix: Fix::Remove,
                        field: path,
                    });
                }
            }
        }
        (Node::Array(found), Node::Array(expected)) | (Node::Map(found), Node::Map(expected)) => {
            compare(found, expected, at, file, out);
        }
        _ => {
            let (found, expected) = (found.type_text(), expected.type_text());
            if found != expected {
                out.push(Difference {
                    field: at.to_owned(),
                    message: format!(
                        "the producer publishes `{at}` as {found}, and {file} says {expected}"
                    ),
                    fix: Fix::Change,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    /// A pack of one entity in a folder, loaded through a configuration that uses it.
    fn findings(columns: &str, fields: &str) -> Vec<throughline_config::Finding> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "pack/system.yaml",
            "name: pack\ntitle: Pack\nversion: \"1\"\nentities: {row: {schema: row.avsc}}\n",
        );
        write(
            "pack/row.avsc",
            &format!(
                r#"{{"type": "record", "name": "R", "namespace": "x", "fields": [{fields}]}}"#
            ),
        );
        let capture = "files:\n  row:\n    path: rows.csv\n    format: csv\n    mode: append\n    key: [id]\n    columns:\n";
        write("pack/capture.yaml", &format!("{capture}{columns}"));
        write(
            "throughline.yaml",
            "systems: {shop: {pack: ./pack}}\n\
             producers: {in: {kind: files, system: shop, folder: .}}\n",
        );
        match crate::flow::load(&folder.path().join("throughline.yaml")) {
            Ok(_) => vec![],
            Err(report) => report.findings().to_vec(),
        }
    }

    const ID: &str = r#"{"name": "id", "type": "string"}"#;

    #[test]
    fn columns_that_give_the_packs_fields_are_right_in_any_order() {
        let stock = r#"{"name": "on_hand", "type": ["long", "null"], "doc": "Pieces."}"#;
        let columns =
            "      id: {type: string}\n      Stock: {field: on_hand, type: long, nullable: true}\n";
        assert_eq!(findings(columns, &format!("{stock}, {ID}")), []);
    }

    #[test]
    fn every_difference_is_told_with_its_line() {
        let columns = "      id: {type: string}\n      Stock: {field: on_hand, type: string}\n      extra: {type: string}\n";
        let fields = format!(
            r#"{ID}, {{"name": "on_hand", "type": "long"}}, {{"name": "gone", "type": "string"}}"#
        );
        let found = findings(columns, &fields);
        let told: Vec<(usize, &str, String)> =
            found.iter().map(|f| (f.mark.line, f.code, f.path.to_string())).collect();
        let code = "TL0142";
        assert_eq!(
            told,
            [
                (2, code, "files.row".to_owned()),
                (9, code, "files.row.columns.Stock".to_owned()),
                (10, code, "files.row.columns.extra".to_owned()),
            ]
        );
        assert!(found[0].message.contains("no column gives it"), "{}", found[0].message);
        assert!(found[1].message.contains("as string, and row.avsc says long"), "{:?}", found[1]);
        assert!(found[2].fix.contains("add `extra` to row.avsc"), "{:?}", found[2]);
        assert!(found.iter().all(|finding| finding.file.ends_with("pack/capture.yaml")));
    }

    #[test]
    fn a_fix_is_avro_that_can_be_copied() {
        let columns = "      id: {type: string}\n      Day: {field: day, type: date, nullable: true}\n      extra: {type: string, nullable: true}\n";
        let found = findings(columns, &format!(r#"{ID}, {{"name": "day", "type": "string"}}"#));
        let fixes: Vec<&str> = found.iter().map(|finding| finding.fix.as_str()).collect();
        let (day, extra) = (
            r#"write `"type": ["null", {"type": "int", "logicalType": "date"}]` in row.avsc"#,
            r#"to row.avsc as `{"name": "extra", "type": ["null", "string"], "default": null}`"#,
        );
        assert!(fixes[0].contains(day) && fixes[1].contains(extra), "{fixes:?}");
        let written = columns.replace("type: string, nullable: true", "type: string");
        let fields = format!(
            r#"{ID}, {{"name": "day", "type": ["null", {{"type": "int", "logicalType": "date"}}]}},
               {{"name": "extra", "type": "string"}}"#
        );
        assert_eq!(findings(&written, &fields), []);
    }

    #[test]
    fn rows_of_a_group_are_compared_inside_their_array() {
        let columns = "      id: {type: string}\n      n: {type: long}\n    group: rows\n";
        let row = |kind: &str| {
            format!(
                r#"{ID}, {{"name": "rows", "type": {{"type": "array", "items": {{"type": "record", "name": "Row", "fields": [{ID}, {{"name": "n", "type": "{kind}"}}]}}}}}}"#
            )
        };
        assert_eq!(findings(columns, &row("long")), []);
        let found = findings(columns, &row("int"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("`rows.n` as long, and row.avsc says int"), "{found:?}");
    }
}
