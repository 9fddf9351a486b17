use serde_json::{Value, json};

use crate::support::settings;

#[test]
fn the_example_in_the_folder_is_valid() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.yaml"));
    let mut options = yaml(&text.unwrap());
    let fields = options.as_object_mut().unwrap();
    assert_eq!(fields.remove("kind"), Some(json!("files")));
    assert_eq!(fields.remove("system"), Some(json!("shop")));
    assert!(settings(options).is_ok());
}

/// Enough YAML for the example: indented maps, and flow style, which is read as JSON.
fn yaml(text: &str) -> Value {
    let mut lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|line| (line.len() - line.trim_start().len(), line.trim()))
        .peekable();
    block(&mut lines, 0)
}

fn block<'t>(
    lines: &mut std::iter::Peekable<impl Iterator<Item = (usize, &'t str)>>,
    indent: usize,
) -> Value {
    let mut map = serde_json::Map::new();
    while let Some(&(depth, line)) = lines.peek() {
        if depth < indent {
            break;
        }
        assert_eq!(depth, indent, "{line}");
        lines.next();
        let (key, value) = line.split_once(':').unwrap();
        let value = match value.trim() {
            "" => block(lines, indent + 2),
            value => serde_json::from_str(value).unwrap_or_else(|_| json!(value)),
        };
        map.insert(key.trim_matches('"').to_owned(), value);
    }
    Value::Object(map)
}

#[test]
fn every_mistake_in_the_options_is_reported_with_its_place() {
    let violations = settings(json!({"folder": "", "poll": "1ms",
        "quarantine": {"percent": 101, "rows": 0},
        "entities": {"A": {"path": "x", "format": "csv", "mode": "append", "key": []},
        "order": {"path": "../x", "format": "json", "mode": "append", "encoding": "ebcdic",
            "key": ["a", "a", "b", "nothing"], "ignore": ["gone"], "max_delete_percent": 101,
            "max_row": "1B", "columns": {
            "a": {"type": "int"}, "b": {"nullable": true}, "1c": {}, "d": {"empty": "x"},
            "e": {"field": "d"}, "f": {"type": "long", "empty": ""}}},
        "line": {"path": "l.csv", "format": "csv", "mode": "append", "delimiter": "€",
            "quote": "\n", "key": ["a"], "header": false, "drop": ["x"], "columns":
            {"a": {"type": "json"}}},
        "same": {"path": "l.csv", "format": "csv", "mode": "append", "delimiter": "|",
            "quote": "|", "encoding": "shift_jis", "key": ["a"], "columns": {}},
        "doc": {"path": "l.csv", "format": "csv", "mode": "append", "group": "rows", "key": ["x"],
            "columns": {"a": {}}, "document_schema": "\"string\""}}}));
    let violations = violations.err().unwrap();
    let paths: Vec<String> = violations.iter().map(|v| v.path.to_string()).collect();
    assert!(violations.iter().all(|v| v.code == "TL1001" && !v.fix.is_empty()));
    assert_eq!(
        paths,
        [
            "folder",
            "poll",
            "quarantine.percent",
            "quarantine.rows",
            "entities.A",
            "entities.order.path",
            "entities.order.encoding",
            "entities.order.columns.a.type",
            "entities.order.columns.1c.field",
            "entities.order.columns.d.empty",
            "entities.order.columns.e",
            "entities.order.columns.f.empty",
            "entities.order.key[0]",
            "entities.order.key[1]",
            "entities.order.key[2]",
            "entities.order.key[3]",
            "entities.order.ignore[0]",
            "entities.order.mode",
            "entities.order.max_delete_percent",
            "entities.order.max_row",
            "entities.line.columns.a.type",
            "entities.line.delimiter",
            "entities.line.quote",
            "entities.line.drop",
            "entities.same.columns",
            "entities.same.key[0]",
            "entities.same.delimiter",
            "entities.same.quote",
            "entities.same.quote",
            "entities.doc.document_schema",
            "entities.doc.document_schema",
            "entities.doc.group",
            "entities.doc.columns",
        ]
    );
}

#[test]
fn an_unknown_option_is_refused() {
    let violations = settings(json!({"foldr": "x", "entities": {}})).err().unwrap();
    assert!(violations.iter().next().unwrap().message.contains("foldr"));
}
