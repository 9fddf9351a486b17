use std::fmt::Write as _;

use serde_json::Value;

use super::{Form, Incompatibility, IncompatibilityKind, Schema, check, parse, print};

/// What the Java library answered; the file names its version.
const JAVA: &str = include_str!("../../tests/fixtures/compatibility.json");

fn pairs() -> Vec<Value> {
    let file: Value = serde_json::from_str(JAVA).unwrap();
    file["pairs"].as_array().unwrap().clone()
}

fn parsed(text: &str) -> Schema {
    parse(text, &[]).unwrap()
}

/// Verdict and findings in the fixture's words.
fn ours(pair: &Value) -> (&'static str, Vec<Incompatibility>) {
    let read = |side: &str| parse(&pair[side].to_string(), &[]);
    let (Ok(reader), Ok(writer)) = (read("reader"), read("writer")) else {
        return ("invalid", Vec::new());
    };
    let found = check(&reader, &writer);
    if found.iter().any(|one| one.kind == IncompatibilityKind::AmbiguousAlias) {
        return ("invalid", Vec::new());
    }
    (if found.is_empty() { "compatible" } else { "incompatible" }, found)
}

#[test]
fn every_verdict_is_the_one_of_the_java_library() {
    let pairs = pairs();
    assert!(pairs.len() >= 44, "the fixture lost its pairs");
    let mut wrong = String::new();
    for pair in &pairs {
        let (verdict, found) = ours(pair);
        if pair["verdict"] != verdict {
            writeln!(
                wrong,
                "{}: {} there, {verdict} here: {found:?}",
                pair["name"], pair["verdict"]
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_finding_is_the_one_of_the_java_library() {
    for pair in pairs() {
        let (_, found) = ours(&pair);
        let there = pair["incompatibilities"].as_array().cloned().unwrap_or_default();
        let there: Vec<_> = there
            .iter()
            .map(|one| (one["type"].as_str().unwrap(), one["location"].as_str().unwrap()))
            .collect();
        let here: Vec<_> =
            found.iter().map(|one| (one.kind.as_str(), one.location.as_str())).collect();
        // Java restarts its path inside a union; here it is whole.
        let same = there.len() == here.len()
            && there.iter().zip(&here).all(|(there, here)| {
                there.0 == here.0
                    && (there.1 == here.1 || there.1 == "/" || here.1.ends_with(there.1))
            });
        assert!(same, "{}: {there:?} there, {here:?} here", pair["name"]);
    }
}

#[test]
fn every_text_is_the_one_of_the_java_library() {
    let mut compared = 0;
    for pair in pairs() {
        for (side, text) in [("reader", "readerText"), ("writer", "writerText")] {
            let Some(there) = pair[text].as_str() else { continue };
            let here = print(&parsed(&pair[side].to_string()), Form::Canonical);
            assert_eq!(here, there, "{} of {}", side, pair["name"]);
            compared += 1;
        }
    }
    assert!(compared > 300, "only {compared} texts in the fixture");
}

#[test]
fn a_printed_schema_prints_the_same_when_it_is_read_again() {
    for pair in pairs() {
        let Ok(schema) = parse(&pair["reader"].to_string(), &[]) else { continue };
        for form in [Form::Canonical, Form::Normalized] {
            let text = print(&schema, form);
            assert_eq!(print(&parsed(&text), form), text, "{}", pair["name"]);
        }
    }
}

#[test]
fn normalizing_sorts_properties_and_keeps_their_values() {
    let text = r#"{"z":{"b":1,"a":2},"type":"int","c":3}"#;
    let sorted = r#"{"type":"int","c":3,"z":{"a":2,"b":1}}"#;
    assert_eq!(print(&parsed(text), Form::Normalized), sorted);
    assert_eq!(print(&parsed(text), Form::Canonical), r#"{"type":"int","z":{"b":1,"a":2},"c":3}"#);
}

#[test]
fn referenced_types_are_resolved_and_printed_by_name() {
    let money =
        r#"{"type":"record","name":"Money","namespace":"x","fields":[{"name":"v","type":"long"}]}"#;
    let price = r#"{"type":"record","name":"Price","namespace":"x","fields":[{"name":"m","type":"Money"}]}"#;
    let order = r#"{"type":"record","name":"Order","namespace":"x","fields":[{"name":"p","type":"x.Price"},{"name":"t","type":"Money"}]}"#;
    let schema = parse(order, &[money, price]).unwrap();
    assert_eq!(
        print(&schema, Form::Canonical),
        r#"{"type":"record","name":"Order","namespace":"x","fields":[{"name":"p","type":"Price"},{"name":"t","type":"Money"}]}"#
    );
    let changed = money.replace("long", "string");
    let other = parse(order, &[&changed, price]).unwrap();
    let found = check(&schema, &other);
    assert_eq!(found[0].location, "/fields/0/type/fields/0/type/fields/0/type");
}

#[test]
fn an_invalid_schema_is_located() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","Missing"]}]}"#;
    let error = parse(text, &[]).unwrap_err();
    assert_eq!(error.to_string(), "'Missing' is not a defined name at '/fields/0/type/1'");
    let error = parse("{", &[]).unwrap_err();
    assert!(error.reason.starts_with("not a JSON document"), "{error}");
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(5000), "}".repeat(5000));
    assert!(parse(&deep, &[]).is_err());
}

/// `levels` records, each mentioning the previous one `times` times.
fn tower(levels: usize, times: usize, leaf: &str) -> String {
    let mut fields = vec![format!(
        r#"{{"name":"f","type":{{"type":"record","name":"L0","fields":[{{"name":"v","type":"{leaf}"}}]}}}}"#
    )];
    for level in 1..levels {
        let inner: Vec<_> = (0..times)
            .map(|index| format!(r#"{{"name":"g{index}","type":"L{}"}}"#, level - 1))
            .collect();
        fields.push(format!(
            r#"{{"name":"f{level}","type":{{"type":"record","name":"L{level}","fields":[{}]}}}}"#,
            inner.join(",")
        ));
    }
    let top = format!(r#"{{"name":"top","type":"L{}"}}"#, levels - 1);
    fields.push(top);
    format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","))
}

#[test]
fn shared_parts_do_not_multiply_the_findings() {
    let found = check(&parsed(&tower(60, 2, "int")), &parsed(&tower(60, 2, "string")));
    assert!(!found.is_empty() && found.len() <= 200, "{} findings", found.len());
}

#[test]
fn a_tower_of_names_is_too_complex_and_never_compatible_by_default() {
    // The outermost record is compared first through its field `top`, before the lower ones.
    let wrap = |leaf: &str| {
        let text = tower(2000, 1, leaf);
        let value: Value = serde_json::from_str(&text).unwrap();
        let fields = value["fields"].as_array().unwrap();
        let definitions = fields[..fields.len() - 1].to_vec();
        let union: Vec<_> = definitions.iter().map(|field| field["type"].clone()).collect();
        // A reader that wants only the top level: the definitions sit in a dropped field.
        let writer = serde_json::json!({"type": "record", "name": "R", "fields": [
            {"name": "all", "type": union}, {"name": "top", "type": "L1999"}]});
        writer.to_string()
    };
    let mut reader = parsed(&wrap("int"));
    let writer = parsed(&wrap("string"));
    if let super::Kind::Record { fields, .. } = &mut reader.nodes[reader.root.0].kind {
        fields.remove(0);
    }
    let found = check(&reader, &writer);
    assert!(found.iter().any(|one| one.kind == IncompatibilityKind::TooComplex), "{found:?}");
}

#[test]
fn two_large_unions_are_compared_within_bounds() {
    let union = |count: usize| {
        let branches: Vec<_> = (0..count)
            .map(|index| format!(r#"{{"type":"record","name":"B{index}","fields":[]}}"#))
            .collect();
        format!("[{}]", branches.join(","))
    };
    assert!(check(&parsed(&union(300)), &parsed(&union(300))).is_empty());
    let found = check(&parsed(&union(1000)), &parsed(&union(1000)));
    assert_eq!(found.last().map(|one| one.kind), Some(IncompatibilityKind::TooComplex));
}
