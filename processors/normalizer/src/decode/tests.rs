use chrono::DateTime;
use serde_json::json;
use throughline_avro::{Schema, json_to_datum, put_double};
use vrl::value::Value as VrlValue;

use super::*;
use crate::value::{Arena, to_vrl};

/// A plan with the shapes that it reads into.
#[derive(Debug)]
struct Reader {
    plan: DocumentPlan,
    vocabulary: Vocabulary,
}

impl Reader {
    fn new(
        writer: &Schema,
        reader: &Schema,
        reads: &dyn Fn(&str) -> bool,
    ) -> Result<Self, PlanError> {
        let mut words = VocabularyBuilder::new();
        add_shapes(reader.root(), reads, &mut words);
        let vocabulary = words.build();
        let plan = DocumentPlan::new(writer.root(), reader.root(), reads, &vocabulary)?;
        Ok(Self { plan, vocabulary })
    }

    fn of(schema: &Schema) -> Self {
        Self::new(schema, schema, &|_| true).unwrap()
    }

    fn read(&self, datum: &[u8]) -> Result<VrlValue, DocumentError> {
        let arena = Arena::default();
        self.plan.read(datum, arena.scope(&self.vocabulary)).map(to_vrl)
    }
}

fn schema(fields: &str) -> Schema {
    let text = format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#);
    Schema::parse(&text).unwrap()
}

fn read_as(writer: &Schema, reader: &Schema, json: serde_json::Value) -> VrlValue {
    let mut datum = Vec::new();
    json_to_datum(writer.root(), &json, &mut datum).unwrap();
    Reader::new(writer, reader, &|_| true).unwrap().read(&datum).unwrap()
}

/// The value of field `a` of type `kind`.
fn value(kind: &str, json: serde_json::Value) -> VrlValue {
    let schema = schema(&format!(r#"{{"name": "a", "type": {kind}}}"#));
    let document = read_as(&schema, &schema, json!({ "a": json }));
    document.as_object().unwrap()["a"].clone()
}

#[test]
fn numbers_with_a_fraction_are_text() {
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 50, "scale": 2}"#;
    for (json, text) in [
        (json!("12.30"), "12.30"),
        (json!("-0.05"), "-0.05"),
        (json!("0"), "0.00"),
        (
            json!("123456789012345678901234567890123456789012.34"),
            "123456789012345678901234567890123456789012.34",
        ),
    ] {
        assert_eq!(value(decimal, json), VrlValue::from(text));
    }
    let fixed = r#"{"type": "fixed", "name": "F", "size": 8, "logicalType": "decimal", "precision": 10, "scale": 1}"#;
    assert_eq!(value(fixed, json!("-1.5")), VrlValue::from("-1.5"));
    assert_eq!(value("\"double\"", json!(0.1)), VrlValue::from("0.1"));
    assert_eq!(value("\"double\"", json!(1e21)), VrlValue::from("1000000000000000000000"));
    assert_eq!(value("\"float\"", json!(0.1)), VrlValue::from("0.1"));
}

#[test]
fn a_number_that_is_not_finite_is_refused() {
    let schema = schema(r#"{"name": "a", "type": "double"}"#);
    let plan = Reader::of(&schema);
    for number in [f64::NAN, f64::INFINITY] {
        let mut datum = Vec::new();
        put_double(&mut datum, number);
        assert_eq!(plan.read(&datum), Err(DocumentError::NotFinite));
    }
}

#[test]
fn times_with_a_zone_are_timestamps_and_others_are_text() {
    let long = |logical: &str| format!(r#"{{"type": "long", "logicalType": "{logical}"}}"#);
    let time = DateTime::from_timestamp_millis(1_795_428_000_123).map(VrlValue::Timestamp).unwrap();
    let text = "2026-11-23T10:00:00.123Z";
    for logical in ["timestamp-millis", "timestamp-micros", "timestamp-nanos"] {
        assert_eq!(value(&long(logical), json!(text)), time, "{logical}");
    }
    let local = "2026-11-23T10:00:00.123";
    assert_eq!(value(&long("local-timestamp-micros"), json!(local)), VrlValue::from(local));
    let date = r#"{"type": "int", "logicalType": "date"}"#;
    assert_eq!(value(date, json!("2026-11-23")), VrlValue::from("2026-11-23"));
}

#[test]
fn a_time_beyond_the_calendar_is_refused() {
    let schema =
        schema(r#"{"name": "a", "type": {"type": "long", "logicalType": "timestamp-millis"}}"#);
    let mut datum = Vec::new();
    json_to_datum(schema.root(), &json!({"a": i64::MAX}), &mut datum).unwrap();
    let plan = Reader::of(&schema);
    assert_eq!(plan.read(&datum), Err(DocumentError::Time));
}

#[test]
fn unions_are_the_bare_value_and_nested_values_stay_what_they_are() {
    assert_eq!(value(r#"["null", "string"]"#, json!(null)), VrlValue::Null);
    assert_eq!(value(r#"["null", "string"]"#, json!("x")), VrlValue::from("x"));
    assert_eq!(value(r#"["null", "long", "string"]"#, json!(3)), VrlValue::Integer(3));
    let list = r#"{"type": "array", "items": {"type": "map", "values": "boolean"}}"#;
    assert_eq!(value(list, json!([{"a": true}, {}])), VrlValue::from(json!([{"a": true}, {}])));
    let symbols = r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#;
    assert_eq!(value(symbols, json!("B")), VrlValue::from("B"));
}

#[test]
fn fields_that_the_mapping_does_not_read_are_not_there() {
    let schema = schema(r#"{"name": "a", "type": "string"}, {"name": "b", "type": "long"}"#);
    let mut datum = Vec::new();
    json_to_datum(schema.root(), &json!({"a": "x", "b": 1}), &mut datum).unwrap();
    let plan = Reader::new(&schema, &schema, &|name| name == "b").unwrap();
    assert_eq!(plan.read(&datum).unwrap(), VrlValue::from(json!({"b": 1})));
}

#[test]
fn an_older_document_is_read_with_the_defaults_of_the_packs_schema() {
    let old = schema(r#"{"name": "gone", "type": "string"}, {"name": "a", "type": "int"}"#);
    let new = schema(
        r#"{"name": "a", "type": ["null", "long"]}, {"name": "b", "type": ["null", "string"], "default": null},
           {"name": "c", "type": "string", "default": "x"}"#,
    );
    let document = read_as(&old, &new, json!({"gone": "g", "a": 4}));
    assert_eq!(document, VrlValue::from(json!({"a": 4, "b": null, "c": "x"})));
}

#[test]
fn a_document_of_another_shape_is_refused_by_name() {
    let reader = schema(r#"{"name": "a", "type": "long"}"#);
    for (writer, message) in [
        (
            r#"{"name": "a", "type": "string"}"#,
            "field a is a string, the pack's schema says a long",
        ),
        (r#"{"name": "b", "type": "string"}"#, "field a is missing and has no default"),
        (
            r#"{"name": "a", "type": {"type": "long", "logicalType": "timestamp-millis"}}"#,
            "field a is a long, the pack's schema says a long",
        ),
    ] {
        let writer = schema(writer);
        let error = Reader::new(&writer, &reader, &|_| true).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let text = Schema::parse("\"string\"").unwrap();
    let error = Reader::new(&text, &reader, &|_| true).unwrap_err();
    assert_eq!(error, PlanError::NotARecord);
}

#[test]
fn a_record_inside_itself_is_refused() {
    let nested = schema(r#"{"name": "a", "type": ["null", "R"], "default": null}"#);
    let error = Reader::new(&nested, &nested, &|_| true).unwrap_err();
    assert_eq!(error, PlanError::Recursive { field: "a".to_owned() });
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_a_document_or_an_error(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
    ) {
        let schema = schema(
            r#"{"name": "a", "type": ["null", "string"]}, {"name": "b", "type": {"type": "array",
               "items": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}},
               {"name": "c", "type": {"type": "map", "values": "double"}}, {"name": "d", "type":
               {"type": "long", "logicalType": "timestamp-nanos"}}"#,
        );
        let plan = Reader::of(&schema);
        let first = plan.read(&bytes);
        proptest::prop_assert_eq!(plan.read(&bytes), first);
    }
}
