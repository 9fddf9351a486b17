use super::*;

const OPTIONS: &str = r#"{
    "folder": "in",
    "entities": {
        "stock": {
            "path": "stock*.csv", "format": "csv", "mode": "replace", "key": ["sku"],
            "columns": {"sku": {}, "pieces": {"type": "long", "nullable": true}}
        }
    }
}"#;

fn fingerprint_of(options: &str) -> u64 {
    let options: FilesOptions = serde_json::from_str(options).unwrap();
    let mut violations = Violations::default();
    settings(options, &Path::default(), &mut violations).unwrap().entities[0].fingerprint
}

#[test]
fn the_fingerprint_is_the_same_in_every_version() {
    // It is kept in positions: another number here makes every operator's files be read again.
    assert_eq!(fingerprint_of(OPTIONS), 0xcf6e_1345_3095_54c3);
}

#[test]
fn the_fingerprint_follows_what_is_read_of_a_file_and_not_where_it_lies() {
    let first = fingerprint_of(OPTIONS);
    for (from, to) in [("long", "string"), ("[\"sku\"]", "[\"sku\"], \"encoding\": \"latin1\"")] {
        assert_ne!(fingerprint_of(&OPTIONS.replace(from, to)), first, "{to}");
    }
    assert_ne!(fingerprint_of(&OPTIONS.replacen('{', "{\"quarantine\": {\"rows\": 7},", 1)), first);
    assert_eq!(fingerprint_of(&OPTIONS.replace("\"in\"", "\"elsewhere\"")), first);
}

#[test]
fn a_column_with_a_mistake_is_the_only_mistake() {
    let options = OPTIONS.replace(r#""sku": {}, "pieces""#, r#""sku""#).replace("long", "int");
    let mut violations = Violations::default();
    let options: FilesOptions = serde_json::from_str(&options).unwrap();
    assert!(settings(options, &Path::default(), &mut violations).is_none());
    let told: Vec<_> = violations.iter().map(|told| told.path.to_string()).collect();
    assert_eq!(told, ["entities.stock.columns.sku.type"]);
}
