use serde_json::json;

use crate::support::settings;

#[test]
fn the_example_in_the_folder_is_valid() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.yaml"))
        .unwrap();
    // Its values are scalars and flow maps, so each line is read as JSON behind its key.
    let mut options = serde_json::Map::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once(": ").unwrap();
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        options.insert(key.to_owned(), value);
    }
    assert_eq!(options.remove("kind"), Some(json!("files")));
    assert!(options.remove("topics").is_some());
    assert!(settings(options.into()).is_ok());
}

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
