use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;

/// Options as a connector declares them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct Options {
    /// Where.
    #[schemars(example = "./exports")]
    folder: String,
    #[serde(default)]
    enabled: bool,
    roll: Option<ByteSize>,
    every: Option<Span>,
    format: Option<Format>,
    token: Option<SecretRef>,
    #[schemars(length(min = 1))]
    topics: Option<Vec<String>>,
    #[schemars(range(min = 1, max = 64))]
    writers: Option<u8>,
    target: Option<Target>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Text.
    Jsonl,
    /// Columns.
    Parquet,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the schema is used")]
enum Target {
    Name(TargetName),
    Map(TargetMap),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TargetName {
    Local,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct TargetMap {
    host: String,
    port: u16,
}

fn check(value: &Value) -> Vec<Violation> {
    let schema = serde_json::to_value(schemars::schema_for!(Options)).unwrap();
    let mut found = Violations::new();
    Shape::new(schema).unwrap().check(value, &mut found);
    found.into_iter().collect()
}

/// The only mistake of a value, as `code path message; fix`.
fn only(value: Value) -> String {
    let found = check(&value);
    assert_eq!(found.len(), 1, "{found:#?}");
    let Violation { code, path, message, fix } = &found[0];
    format!("{code} {path} {message}; {fix}")
}

#[test]
fn a_value_of_the_right_shape_has_no_mistake() {
    let full = json!({
        "folder": "./x", "enabled": true, "roll": "8MiB", "every": "5m", "format": "jsonl",
        "token": "${env:TOKEN}", "topics": ["a"], "writers": 4, "target": {"host": "h", "port": 1}
    });
    assert_eq!(check(&full), []);
    assert_eq!(check(&json!({"folder": "./x", "roll": null, "target": "local"})), []);
}

#[test]
fn each_mistake_is_said_with_its_fix() {
    for (value, said) in [
        (json!({}), "TL0111  `folder` is missing; add it, for example `folder: ./exports`"),
        (
            json!({"folder": "x", "foldr": 1}),
            "TL0110 foldr unknown key `foldr`; did you mean `folder`?",
        ),
        (
            json!({"folder": 7}),
            "TL0112 folder this must be a text, and is the number `7`; write a text; `\"7\"` in quotes is one",
        ),
        (
            json!({"folder": "x", "enabled": "yes"}),
            "TL0112 enabled this must be `true` or `false`, and is the text `yes`; write `true`",
        ),
        (
            json!({"folder": "x", "roll": "8M"}),
            "TL0114 roll `M` is not a unit; write a whole number and one of B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, for example 8MiB",
        ),
        (
            json!({"folder": "x", "roll": 8}),
            "TL0114 roll `8` has no unit; write a whole number and one of B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, for example 8MiB",
        ),
        (
            json!({"folder": "x", "every": "5 min"}),
            "TL0114 every ` min` is not a unit; write a whole number and one of ms, s, m, h or d, for example 5m",
        ),
        (
            json!({"folder": "x", "format": "paquet"}),
            "TL0113 format the text `paquet` is not allowed here; did you mean `parquet`?",
        ),
        (
            json!({"folder": "x", "topics": "a"}),
            "TL0112 topics this must be a list, and is the text `a`; write a list: `[a]`",
        ),
        (
            json!({"folder": "x", "topics": []}),
            "TL0115 topics this must not be empty; add at least one entry",
        ),
        (
            json!({"folder": "x", "topics": ["a", 2]}),
            "TL0112 topics[1] this must be a text, and is the number `2`; write a text; `\"2\"` in quotes is one",
        ),
        (
            json!({"folder": "x", "writers": 65}),
            "TL0115 writers this must be at most 64; write 64 or less",
        ),
        (json!({"folder": "x", "target": {"host": "h", "prt": 1}}), ""),
        (
            json!({"folder": "x", "target": "remote"}),
            "TL0113 target the text `remote` is not allowed here; allowed: local",
        ),
        (
            json!({"folder": "x", "target": 5}),
            "TL0112 target this must be `local` or a map, and is the number `5`; write `local` or a map",
        ),
        (json!([]), "TL0112  this must be a map, and is a list; write a map"),
    ] {
        if said.is_empty() {
            let found = check(&value);
            let codes: Vec<_> = found.iter().map(|f| (f.code, f.path.to_string())).collect();
            assert_eq!(codes.len(), 2, "{found:?}");
            assert!(codes.contains(&(codes::UNKNOWN_KEY, "target.prt".into())));
            assert!(codes.contains(&(codes::MISSING_KEY, "target".into())));
        } else {
            assert_eq!(only(value), said);
        }
    }
}

#[test]
fn a_secret_written_out_is_refused_and_never_repeated() {
    for literal in [json!("hunter2"), json!(48151623), json!(["hunter2"])] {
        let said = only(json!({"folder": "x", "token": literal}));
        assert!(said.starts_with("TL0130 token "), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("4815"), "{said}");
    }
}

#[test]
fn long_values_are_cut() {
    let said = only(json!({"folder": "x", "format": "ö".repeat(500)}));
    assert!(said.len() < 200, "{said}");
}

#[test]
fn the_pattern_of_names_is_the_rule_of_the_event_crate() {
    let schema = json!({"pattern": NAME_PATTERN});
    let shape = Shape::new(schema).unwrap();
    let long = "a".repeat(80);
    for name in
        ["a", "shop", "erp-eu", "3pl", &long, "", "-a", "a-", "A", "a.b", "a_b", &"a".repeat(81)]
    {
        let mut found = Violations::new();
        shape.check(&json!(name), &mut found);
        assert_eq!(found.is_empty(), throughline_event::WorkerName::new(name).is_ok(), "{name:?}");
    }
}

#[test]
fn a_schema_that_is_none_is_refused() {
    assert!(Shape::new(json!({"type": 5})).is_err());
}
