use super::*;
use crate::{Cursor, DecodeError, MAX_DEPTH, Schema};

fn schema(text: &str) -> Schema {
    Schema::parse(text).unwrap()
}

fn datum(schema: &Schema, json: &str) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::new();
    json_to_datum(schema.root(), &serde_json::from_str(json).unwrap(), &mut out).map(|()| out)
}

fn json(schema: &Schema, datum: &[u8]) -> Result<String, DecodeError> {
    let mut out = Vec::new();
    let mut cursor = Cursor::new(datum);
    write_json(schema.root(), &mut cursor, &mut out)?;
    cursor.finish()?;
    Ok(String::from_utf8(out).unwrap())
}

/// Writes `input`, shows it again.
fn check(schema_text: &str, input: &str, expected: &str) {
    let schema = schema(schema_text);
    let datum = datum(&schema, input).unwrap_or_else(|error| panic!("{input}: {error}"));
    assert_eq!(json(&schema, &datum).unwrap(), expected, "{schema_text} {input}");
}

fn refused(schema_text: &str, input: &str) -> String {
    datum(&schema(schema_text), input).unwrap_err().to_string()
}

const ORDER: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"number","type":"string"},
    {"name":"note","type":["null","string"],"default":null},
    {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
        {"name":"sku","type":"string"},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
        {"name":"unit","type":"string","default":"C62"}]}}},
    {"name":"titles","type":{"type":"map","values":"string"},"default":{}},
    {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["sale","return"]},
        "default":"sale"}]}"#;

#[test]
fn record_is_filled_with_defaults_and_shown_readably() {
    check(
        ORDER,
        r#"{"lines":[{"price":"1.5","sku":"A-1"},{"sku":"B","price":2,"unit":"KGM"}],
            "number":"10-\"7\"\n"}"#,
        concat!(
            r#"{"number":"10-\"7\"\n","note":null,"lines":[{"sku":"A-1","price":"1.50","unit":"C62"},"#,
            r#"{"sku":"B","price":"2.00","unit":"KGM"}],"titles":{},"kind":"sale"}"#
        ),
    );
}

#[test]
fn scalars_are_shown_as_the_table_says() {
    let timestamp = r#"{"type":"long","logicalType":"timestamp-micros"}"#;
    for (schema, input, expected) in [
        (r#""long""#, "9223372036854775807", "9223372036854775807"),
        (r#""int""#, "-2147483648", "-2147483648"),
        (r#""double""#, "0.1", "0.1"),
        (r#""double""#, "1e300", "1e+300"),
        (r#""float""#, "0.1", "0.1"),
        (r#""string""#, r#""\u0000\u001f é \/ \\""#, r#""\u0000\u001f é / \\""#),
        (r#""bytes""#, r#""""#, r#""""#),
        (r#""bytes""#, r#""AA==""#, r#""AA==""#),
        (r#""bytes""#, r#""+/8=""#, r#""+/8=""#),
        (r#""bytes""#, r#""Zm9v""#, r#""Zm9v""#),
        (r#"{"type":"fixed","name":"F","size":2}"#, r#""//8=""#, r#""//8=""#),
        (
            r#"{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}"#,
            r#""550E8400-e29b-41d4-a716-446655440000""#,
            r#""550e8400-e29b-41d4-a716-446655440000""#,
        ),
        (
            r#"{"type":"string","logicalType":"uuid"}"#,
            r#""550e8400-e29b-41d4-a716-446655440000""#,
            r#""550e8400-e29b-41d4-a716-446655440000""#,
        ),
        (
            r#"{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":9,"scale":3}"#,
            r#""-1.25""#,
            r#""-1.250""#,
        ),
        (r#"{"type":"int","logicalType":"date"}"#, r#""2026-11-23""#, r#""2026-11-23""#),
        (r#"{"type":"int","logicalType":"date"}"#, "0", r#""1970-01-01""#),
        (r#"{"type":"int","logicalType":"date"}"#, "2147483647", "2147483647"),
        (r#"{"type":"int","logicalType":"time-millis"}"#, r#""18:05:00.25""#, r#""18:05:00.25""#),
        (r#"{"type":"long","logicalType":"time-micros"}"#, "-1", "-1"),
        (timestamp, r#""2026-11-23T19:05:00.250+01:00""#, r#""2026-11-23T18:05:00.25Z""#),
        (timestamp, "0", r#""1970-01-01T00:00:00Z""#),
        (timestamp, "9223372036854775807", "9223372036854775807"),
        (
            r#"{"type":"long","logicalType":"local-timestamp-millis"}"#,
            r#""2026-11-23T18:05:00""#,
            r#""2026-11-23T18:05:00""#,
        ),
    ] {
        check(schema, input, expected);
    }
}

#[test]
fn not_a_number_and_infinities_are_null() {
    let mut out = Vec::new();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        out.clear();
        crate::put_double(&mut out, value);
        assert_eq!(json(&schema(r#""double""#), &out).unwrap(), "null");
        out.clear();
        crate::put_float(&mut out, value as f32);
        assert_eq!(json(&schema(r#""float""#), &out).unwrap(), "null");
    }
}

#[test]
fn union_takes_the_first_branch_that_fits() {
    let text = r#"["null","int","long","double","boolean",
        {"type":"enum","name":"E","symbols":["on"]},"string",{"type":"array","items":"int"},
        {"type":"record","name":"A","fields":[{"name":"a","type":"int"}]},
        {"type":"record","name":"B","fields":[{"name":"a","type":"string"},
            {"name":"b","type":"int","default":0}]},
        {"type":"map","values":"int"}]"#;
    let schema = schema(text);
    for (input, branch) in [
        ("null", 0),
        ("1", 1),
        ("3000000000", 2),
        ("1.5", 3),
        ("1e30", 3),
        ("true", 4),
        (r#""on""#, 5),
        (r#""off""#, 6),
        ("[1]", 7),
        (r#"{"a":1}"#, 8),
        (r#"{"a":"x"}"#, 9),
        (r#"{"a":"x","b":1}"#, 9),
        (r#"{"c":1}"#, 10),
    ] {
        let datum = datum(&schema, input).unwrap();
        assert_eq!(datum[0], branch * 2, "{input}");
    }
    assert!(json(&schema, &[22]).is_err(), "a branch that is not there");
}

#[test]
fn union_that_fits_nothing_says_what_was_expected() {
    assert_eq!(
        refused(r#"["null","long"]"#, "true"),
        "at $: expected null or a long, found a boolean"
    );
    let text = r#"{"type":"record","name":"R","fields":[{"name":"x","type":["null",
        {"type":"array","items":{"type":"record","name":"I","fields":[
            {"name":"n","type":"int"}]}}]}]}"#;
    assert_eq!(
        refused(text, r#"{"x":[{"n":1},{"n":"2"}]}"#),
        "at $.x[1].n: expected an int, found text",
        "with one likely branch the error is that branch's own"
    );
}

#[test]
fn values_inside_deep_unions_are_tried_a_bounded_number_of_times() {
    let text = r#"{"type":"record","name":"A","fields":[{"name":"n","type":["null","A",
        {"type":"record","name":"B","fields":[{"name":"n","type":["null","A","B"]},
            {"name":"z","type":"int","default":0}]}]}]}"#;
    let deep = format!("{}true{}", r#"{"n":"#.repeat(60), "}".repeat(60));
    assert!(refused(text, &deep).contains("found a boolean"));
}

#[test]
fn errors_name_the_place_and_never_the_value() {
    for (input, expected) in [
        ("[]", "at $: expected a record, found an array"),
        (
            r#"{"lines":[]}"#,
            "at $.number: expected a string, the field is missing and has no default",
        ),
        (r#"{"number":"1","lines":[],"nots":null}"#, "at $.nots: the schema has no such field"),
        (r#"{"number":1,"lines":[]}"#, "at $.number: expected a string, found a number"),
        (
            r#"{"number":"1","lines":[{"sku":"a","price":"secret"}]}"#,
            "at $.lines[0].price: expected digits with an optional sign and point, found other text",
        ),
        (
            r#"{"number":"1","lines":[{"sku":"a","price":"0.001"}]}"#,
            "at $.lines[0].price: expected a decimal of at most 9 digits, 2 of them after the point",
        ),
        (
            r#"{"number":"1","lines":[],"titles":{"de":1}}"#,
            r#"at $.titles["de"]: expected a string, found a number"#,
        ),
        (
            r#"{"number":"1","lines":[],"kind":"gift"}"#,
            "at $.kind: expected one of the enum's symbols, found other text",
        ),
    ] {
        assert_eq!(refused(ORDER, input), expected);
    }
}

#[test]
fn scalars_that_do_not_fit_are_refused() {
    for (schema, input, expected) in [
        (r#""int""#, "2147483648", "expected an int, found a number that does not fit it"),
        (
            r#""long""#,
            "9223372036854775808",
            "expected a long, found a number that does not fit it",
        ),
        (r#""long""#, "1.0", "expected a long, found a number that does not fit it"),
        (r#""long""#, r#""1""#, "expected a long, found text"),
        (r#""float""#, "1e39", "expected a float, found a number that does not fit it"),
        (r#""double""#, "1e999", "expected a double, found a number that does not fit it"),
        (r#""bytes""#, r#""AA""#, "expected base64, found other text"),
        (r#""bytes""#, r#""AB==""#, "expected base64, found other text"),
        (r#""bytes""#, r#""A===""#, "expected base64, found other text"),
        (r#""bytes""#, r#""AA=A""#, "expected base64, found other text"),
        (r#"{"type":"fixed","name":"F","size":2}"#, r#""AA==""#, "expected 2 bytes, found 1"),
        (
            r#"{"type":"string","logicalType":"uuid"}"#,
            r#""550e8400e29b41d4a716446655440000""#,
            "expected a UUID, found other text",
        ),
        (
            r#"{"type":"fixed","name":"F","size":1,"logicalType":"decimal","precision":2,"scale":0}"#,
            r#""128""#,
            "expected a decimal of at most 2 digits, 0 of them after the point",
        ),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":2,"scale":0}"#,
            "true",
            "expected a decimal, found a boolean",
        ),
        (
            r#"{"type":"int","logicalType":"date"}"#,
            r#""2026-02-30""#,
            "expected a date YYYY-MM-DD, found other text",
        ),
        (
            r#"{"type":"long","logicalType":"timestamp-millis"}"#,
            r#""2026-11-23T18:05:00.1234Z""#,
            "expected an RFC 3339 timestamp with its offset, no finer than the field, found other text",
        ),
    ] {
        assert_eq!(refused(schema, input), format!("at $: {expected}"), "{schema} {input}");
    }
}

#[test]
fn failed_value_leaves_the_buffer_as_it_was() {
    let mut out = b"kept".to_vec();
    let value = serde_json::json!({"number": "1", "lines": [{"sku": "a"}]});
    json_to_datum(schema(ORDER).root(), &value, &mut out).unwrap_err();
    assert_eq!(out, b"kept");
}

#[test]
fn defaults_are_read_by_the_rules_of_schemas() {
    let schema = schema(
        r#"{"type":"record","name":"R","fields":[
            {"name":"bytes","type":"bytes","default":"\u00ffA"},
            {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"},"default":5},
            {"name":"maybe","type":["string","null"],"default":"x"},
            {"name":"none","type":"int"},
            {"name":"inner","type":{"type":"record","name":"I","fields":[
                {"name":"deep","type":"int","default":7}]},"default":{}}]}"#,
    );
    let fields = &schema.record().unwrap().fields;
    for (index, expected) in [(0, &[4, 0xff, b'A'][..]), (1, &[10]), (2, &[0, 2, b'x']), (4, &[14])]
    {
        let mut out = Vec::new();
        default_to_datum(&fields[index], &mut out).unwrap();
        assert_eq!(out, expected, "{}", fields[index].name);
    }
    let error = default_to_datum(&fields[3], &mut Vec::new()).unwrap_err();
    assert_eq!(error.problem, JsonProblem::Missing { expected: "an int" });
}

#[test]
fn defaults_that_multiply_are_filled_a_bounded_number_of_times() {
    let mut inner = r#"{"type":"record","name":"R0","fields":[]}"#.to_owned();
    for level in 1..=17 {
        inner = format!(
            r#"{{"type":"record","name":"R{level}","fields":[{{"name":"a","default":[{{}},{{}}],
                "type":{{"type":"array","items":{inner}}}}}]}}"#
        );
    }
    let schema = schema(&inner);
    let error = json_to_datum(schema.root(), &serde_json::json!({}), &mut Vec::new()).unwrap_err();
    assert_eq!(error.problem, JsonProblem::Defaults { limit: 1 << 16 });
}

#[test]
fn nesting_is_bounded_in_both_directions() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"n","type":["null","R"]}]}"#;
    let schema = schema(text);
    let mut value = serde_json::Value::Null;
    for _ in 0..MAX_DEPTH {
        value = serde_json::json!({ "n": value });
    }
    let error = json_to_datum(schema.root(), &value, &mut Vec::new()).unwrap_err();
    assert_eq!(error.problem, JsonProblem::Depth);
    let mut deep = vec![2; MAX_DEPTH];
    deep.push(0);
    assert!(matches!(json(&schema, &deep), Err(DecodeError::Depth { .. })));
}

#[test]
fn dropped_schema_is_an_error_in_both_directions() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"n","type":["null","R"]}]}"#;
    let node = schema(text).record().unwrap().fields[0].node.clone();
    let error = write_json(&node, &mut Cursor::new(&[2, 0]), &mut Vec::new()).unwrap_err();
    assert_eq!(error, DecodeError::SchemaDropped { offset: 1 });
    let value = serde_json::json!({ "n": null });
    let error = json_to_datum(&node, &value, &mut Vec::new()).unwrap_err();
    assert_eq!(error.problem, JsonProblem::SchemaDropped);
}

#[test]
fn arrays_of_items_without_bytes_cannot_blow_up_the_text() {
    let schema = schema(r#"{"type":"array","items":{"type":"array","items":"null"}}"#);
    let mut datum = Vec::new();
    crate::put_block(&mut datum, 1_000);
    for _ in 0..1_000 {
        crate::put_block(&mut datum, 1_000);
        crate::put_block_end(&mut datum);
    }
    crate::put_block_end(&mut datum);
    assert!(matches!(json(&schema, &datum), Err(DecodeError::Length { .. })));
}

#[test]
fn overlong_decimal_is_an_error_at_its_first_byte() {
    let schema = schema(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#);
    let mut datum = Vec::new();
    crate::put_bytes(&mut datum, &[1; 1_000]);
    assert!(matches!(json(&schema, &datum), Err(DecodeError::Decimal { offset: 2, .. })));
}
