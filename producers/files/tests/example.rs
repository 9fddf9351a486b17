use serde_json::json;

use crate::support::settings;

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
