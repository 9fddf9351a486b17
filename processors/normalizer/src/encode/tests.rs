use serde_json::json;
use throughline_avro::{Cursor, Schema, json_to_datum, write_json};
use throughline_event::SystemName;

use vrl::value::Value as VrlValue;

use super::*;
use crate::value::{Arena, from_vrl};

const SCHEMA: &str = r#"{"type": "record", "name": "R", "fields": [
    {"name": "zeta", "type": "string"},
    {"name": "alpha", "type": ["null", "long"], "default": null},
    {"name": "system", "type": "string"},
    {"name": "state", "type": "string", "default": "unknown"},
    {"name": "small", "type": "int", "default": 7},
    {"name": "yes", "type": "boolean", "default": true},
    {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": null},
    {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields": [
        {"name": "id", "type": "string"}, {"name": "n", "type": "long"}]}}, "default": []},
    {"name": "traits", "type": {"type": "map", "values": "string"}, "default": {}}
]}"#;

fn encode(value: serde_json::Value) -> Result<serde_json::Value, Box<EncodeError>> {
    let schema = Schema::parse(SCHEMA).unwrap();
    let bytes = write(&schema, value)?;
    let (mut cursor, mut text) = (Cursor::new(&bytes), Vec::new());
    write_json(schema.root(), &mut cursor, &mut text).unwrap();
    cursor.finish().unwrap();
    Ok(serde_json::from_slice(&text).unwrap())
}

/// The bytes of a record. Objects of a known shape and any others must give the same.
fn write(schema: &Schema, value: serde_json::Value) -> Result<Vec<u8>, Box<EncodeError>> {
    let system = SystemName::new("shop").unwrap();
    let value = object(value);
    let mut words = VocabularyBuilder::new();
    let fields = &schema.record().unwrap().fields;
    let mut record = RecordEncoder::new(fields, &system, &mut words).unwrap();
    let node = crate::program::constant(&value, &mut words);
    let vocabulary = words.build();
    record.prepare(&vocabulary);
    let arena = Arena::default();
    let scope = arena.scope(&vocabulary);
    let [known, unknown] = [node.run(Value::Null, scope).unwrap(), from_vrl(&value, scope)];
    let [known, unknown] = [known, unknown].map(|value| {
        let mut bytes = Vec::new();
        record.write(value.as_object().unwrap(), &mut bytes).map(|()| bytes)
    });
    assert_eq!(known, unknown);
    known
}

/// A VRL value from JSON; text of the form `@micros` is a timestamp.
fn object(value: serde_json::Value) -> VrlValue {
    match value {
        serde_json::Value::Object(entries) => {
            VrlValue::Object(entries.into_iter().map(|(k, v)| (k.into(), object(v))).collect())
        }
        serde_json::Value::Array(items) => VrlValue::Array(items.into_iter().map(object).collect()),
        serde_json::Value::String(text) if text.starts_with('@') => {
            let micros = text[1..].parse().unwrap();
            VrlValue::Timestamp(chrono::DateTime::from_timestamp_micros(micros).unwrap())
        }
        other => VrlValue::from(other),
    }
}

fn check_refused(value: serde_json::Value, expected: &str) {
    assert_eq!(encode(value).unwrap_err().to_string(), expected);
}

#[test]
fn missing_fields_are_null_or_their_default_and_system_is_the_instance() {
    let expected = json!({
        "zeta": "z", "alpha": null, "system": "shop", "state": "unknown", "small": 7, "yes": true,
        "at": null, "items": [], "traits": {}
    });
    assert_eq!(encode(json!({"zeta": "z"})).unwrap(), expected);
    let nulls = json!({
        "zeta": "z", "alpha": null, "system": null, "state": null, "items": null, "traits": null
    });
    assert_eq!(encode(nulls).unwrap(), expected);
}

#[test]
fn given_fields_are_written_as_they_are() {
    let value = json!({
        "zeta": "ä", "alpha": -3, "system": "other", "state": "a word of its own", "small": -1,
        "yes": false, "at": "@1795428000000001", "items": [{"id": "1", "n": 2}, {"n": 3, "id": "2"}],
        "traits": {"b": "1", "a": "2", "c": null}
    });
    let expected = json!({
        "zeta": "ä", "alpha": -3, "system": "other", "state": "a word of its own", "small": -1,
        "yes": false, "at": "2026-11-23T10:00:00.000001Z",
        "items": [{"id": "1", "n": 2}, {"id": "2", "n": 3}], "traits": {"a": "2", "b": "1"}
    });
    assert_eq!(encode(value).unwrap(), expected);
}

#[test]
fn what_does_not_fit_is_refused_with_its_path() {
    check_refused(json!({}), "zeta: the field is required");
    check_refused(json!({"zeta": null}), "zeta: the field is required");
    check_refused(json!({"zeta": 5}), "zeta: expected text, found integer");
    check_refused(
        json!({"zeta": "z", "alpha": "1"}),
        "alpha: expected a whole number, found string",
    );
    check_refused(
        json!({"zeta": "z", "small": 3_000_000_000_i64}),
        "small: the number does not fit an int",
    );
    check_refused(json!({"zeta": "z", "at": 5}), "at: expected a timestamp, found integer");
    check_refused(json!({"zeta": "z", "yes": "x"}), "yes: expected a boolean, found string");
    check_refused(json!({"zeta": "z", "items": {}}), "items: expected a list, found map");
    check_refused(
        json!({"zeta": "z", "items": [{"id": "1", "n": 1}, {"id": "2"}]}),
        "items[1].n: the field is required",
    );
    check_refused(
        json!({"zeta": "z", "traits": {"a": 1}}),
        "traits.a: expected text, found integer",
    );
    for extra in ["a", "m", "zz"] {
        check_refused(
            json!({"zeta": "z", extra: 1}),
            &format!("{extra}: the schema has no such field"),
        );
    }
    check_refused(
        json!({"zeta": "z", "items": [{"id": "1", "n": 1, "o": 1}]}),
        "items[0].o: the schema has no such field",
    );
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let encoder = Encoder::String;
    let error = encoder.write(Value::Bytes(&&[0xff][..]), &mut Vec::new()).unwrap_err();
    assert_eq!(error.problem, Problem::Utf8);
}

#[test]
fn all_canonical_records_can_be_written() {
    let system = SystemName::new("shop").unwrap();
    for entity in crate::canonical_entities() {
        let fields = &entity.value.record().unwrap().fields;
        assert!(
            RecordEncoder::new(fields, &system, &mut VocabularyBuilder::new()).is_some(),
            "{}",
            entity.name
        );
    }
}

#[test]
fn types_that_canonical_schemas_do_not_use_have_no_writer() {
    for node in
        ["\"double\"", "\"bytes\"", r#"["null", "string", "long"]"#, r#"["string", "long"]"#]
    {
        let schema = Schema::parse(node).unwrap();
        let system = SystemName::new("shop").unwrap();
        let writer = Encoder::new(schema.root(), &system, &mut VocabularyBuilder::new());
        assert!(writer.is_none(), "{node}");
    }
}

proptest::proptest! {
    /// The codec of the shared crate, which is itself held to Avro's own library, is the oracle.
    #[test]
    fn bytes_are_those_of_the_shared_codec(
        text in ".{0,20}",
        alpha in proptest::option::of(proptest::num::i64::ANY),
        small in proptest::num::i32::ANY,
        yes in proptest::bool::ANY,
        items in proptest::collection::vec((".{0,5}", proptest::num::i64::ANY), 0..4),
        traits in proptest::collection::btree_map(".{0,5}", ".{0,5}", 0..4),
    ) {
        proptest::prop_assume!(!text.starts_with('@'));
        proptest::prop_assume!(items.iter().all(|(id, _)| !id.starts_with('@')));
        proptest::prop_assume!(traits.values().all(|value| !value.starts_with('@')));
        let items: Vec<_> = items.iter().map(|(id, n)| json!({"id": id, "n": n})).collect();
        let value = json!({
            "zeta": text, "alpha": alpha, "system": "shop", "state": "s", "small": small, "yes": yes,
            "at": null, "items": items, "traits": traits
        });
        let schema = Schema::parse(SCHEMA).unwrap();
        let mut expected = Vec::new();
        json_to_datum(schema.root(), &value, &mut expected).unwrap();
        proptest::prop_assert_eq!(write(&schema, value).unwrap(), expected);
    }
}
