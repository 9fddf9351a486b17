use serde_json::json;

use crate::support::settings;

#[test]
fn every_mistake_in_the_options_is_reported_with_its_place() {
    let violations = settings(json!({"folder": "", "format": "jsonl",
        "roll": {"max_age": "2h", "max_bytes": "1B", "max_records": 0}}));
    let violations = violations.err().unwrap();
    let paths: Vec<String> = violations.iter().map(|v| v.path.to_string()).collect();
    assert!(violations.iter().all(|v| v.code == "TL3001" && !v.fix.is_empty()));
    assert_eq!(paths, ["folder", "roll.max_age", "roll.max_bytes", "roll.max_records"]);
    let unknown = settings(json!({"folder": "x", "format": "csv"})).err().unwrap();
    assert!(unknown.iter().next().unwrap().message.contains("csv"));
}
