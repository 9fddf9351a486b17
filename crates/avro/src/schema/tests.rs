use super::*;

fn parse(text: &str) -> Schema {
    Schema::parse(text).unwrap()
}

fn refusal(text: &str) -> SchemaError {
    Schema::parse(text).unwrap_err()
}

#[test]
fn fields_are_found_with_their_index_default_and_documentation() {
    let schema = parse(
        r#"{"type": "record", "name": "Price", "namespace": "shop", "fields": [
            {"name": "sku", "type": "string", "doc": "article"},
            {"name": "amount", "type": ["null", "long"], "default": null}]}"#,
    );
    let record = schema.record().unwrap();
    assert_eq!(record.name, "shop.Price");
    let (index, sku) = record.field("sku").unwrap();
    assert_eq!((index, sku.doc.as_str(), &sku.default), (0, "article", &None));
    let (index, amount) = record.field("amount").unwrap();
    assert_eq!((index, &amount.default), (1, &Some(serde_json::Value::Null)));
    assert!(record.field("Sku").is_none());
    assert!(parse(r#""string""#).record().is_none());
}

#[test]
fn equal_texts_are_equal_schemas() {
    let text = r#"{"type": "array", "items": "long"}"#;
    assert_eq!(parse(text), parse(text));
    assert_ne!(parse(text), parse(r#"{"type":"array","items":"long"}"#));
    assert_eq!(parse(text).text(), text);
}

#[test]
fn named_types_are_shared_by_later_references_in_any_namespace() {
    let schema = parse(
        r#"{"type": "record", "name": "a.Order", "fields": [
            {"name": "total", "type": {"type": "record", "name": "Money", "fields": [
                {"name": "steps", "type": "long"}]}},
            {"name": "tax", "type": "Money"},
            {"name": "paid", "type": ["null", "a.Money"]},
            {"name": "kind", "type": {"type": "enum", "name": "b.Kind", "symbols": ["X"]}},
            {"name": "other", "type": "b.Kind"},
            {"name": "rate", "type": {"type": "fixed", "name": "Rate", "size": 4,
                "logicalType": "decimal", "precision": 8, "scale": 2}},
            {"name": "rate2", "type": "Rate"},
            {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 16,
                "logicalType": "uuid"}},
            {"name": "id2", "type": "Id"}]}"#,
    );
    let fields = &schema.record().unwrap().fields;
    assert!(Arc::ptr_eq(&fields[0].node, &fields[1].node));
    let Node::Union(branches) = &*fields[2].node else { panic!("{:?}", fields[2].node) };
    assert!(Arc::ptr_eq(&fields[0].node, &branches[1]));
    assert!(matches!(&*fields[4].node, Node::Enum(symbols) if symbols == &["X"]));
    assert_eq!(fields[6].node.logical(), Some(Logical::Decimal { precision: 8, scale: 2 }));
    assert!(matches!(&*fields[8].node, Node::Fixed(16, Some(Logical::Uuid))));
}

#[test]
fn logical_types_keep_their_meaning_and_unknown_ones_are_plain() {
    for (text, expected) in [
        (r#"{"type":"int","logicalType":"date"}"#, Some(Logical::Date)),
        (r#"{"type":"int","logicalType":"time-millis"}"#, Some(Logical::TimeMillis)),
        (r#"{"type":"long","logicalType":"time-micros"}"#, Some(Logical::TimeMicros)),
        (r#"{"type":"long","logicalType":"timestamp-millis"}"#, Some(Logical::TimestampMillis)),
        (r#"{"type":"long","logicalType":"timestamp-micros"}"#, Some(Logical::TimestampMicros)),
        (r#"{"type":"long","logicalType":"timestamp-nanos"}"#, Some(Logical::TimestampNanos)),
        (
            r#"{"type":"long","logicalType":"local-timestamp-millis"}"#,
            Some(Logical::LocalTimestampMillis),
        ),
        (
            r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
            Some(Logical::LocalTimestampMicros),
        ),
        (
            r#"{"type":"long","logicalType":"local-timestamp-nanos"}"#,
            Some(Logical::LocalTimestampNanos),
        ),
        (r#"{"type":"string","logicalType":"uuid"}"#, Some(Logical::Uuid)),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
            Some(Logical::Decimal { precision: 9, scale: 2 }),
        ),
        (r#"{"type":"string","connect.name":"io.debezium.data.Json"}"#, None),
        (r#"{"type":"int","logicalType":"timestamp-micros"}"#, None),
        (r#"{"type":"bytes","logicalType":"big-decimal"}"#, None),
        (r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration"}"#, None),
    ] {
        assert_eq!(parse(text).root().logical(), expected, "{text}");
    }
}

#[test]
fn record_inside_itself_is_a_weak_reference() {
    let schema = parse(
        r#"{"type": "record", "name": "Category", "fields": [
            {"name": "children", "type": {"type": "array", "items": "Category"}}]}"#,
    );
    let record = schema.record().unwrap();
    let Node::Array(item) = &*record.fields[0].node else { panic!() };
    let Node::Recursive(weak) = &**item else { panic!("{item:?}") };
    assert!(Arc::ptr_eq(&weak.upgrade().unwrap(), record));
    let weak = weak.clone();
    drop(schema);
    assert!(weak.upgrade().is_none(), "a schema is freed with its last owner");
}

#[test]
fn record_without_end_is_refused() {
    let text = r#"{"type": "record", "name": "s.A", "fields": [
        {"name": "b", "type": {"type": "record", "name": "B", "fields": [
            {"name": "a", "type": "A"}]}}]}"#;
    assert!(matches!(refusal(text), SchemaError::Endless { name } if name == "s.A"));
}

#[test]
fn text_that_is_no_schema_is_refused() {
    assert!(matches!(refusal("{"), SchemaError::Json(_)));
    assert!(matches!(refusal(r#"{"type": "strnig"}"#), SchemaError::Avro(_)));
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(500), "}".repeat(500));
    assert!(matches!(refusal(&deep), SchemaError::Json(_)));
}

#[test]
fn types_nested_deeper_than_any_datum_are_refused() {
    // Named types nest without nesting the text.
    let chain = |levels: usize| {
        let mut branches = vec![r#"{"type":"record","name":"R0","fields":[]}"#.to_owned()];
        for level in 1..levels {
            let inner = level - 1;
            branches.push(format!(
                r#"{{"type":"record","name":"R{level}","fields":[
                    {{"name":"f","type":"R{inner}"}}]}}"#
            ));
        }
        format!("[{}]", branches.join(","))
    };
    assert!(Schema::parse(&chain(128)).is_ok());
    assert!(matches!(refusal(&chain(130)), SchemaError::TooDeep { limit: 128 }));
}

#[test]
fn types_that_multiply_when_written_out_are_refused() {
    let mut branches = vec![r#"{"type":"record","name":"R0","fields":[]}"#.to_owned()];
    for level in 1..40 {
        let inner = level - 1;
        branches.push(format!(
            r#"{{"type":"record","name":"R{level}","fields":[
                {{"name":"a","type":"R{inner}"}}, {{"name":"b","type":"R{inner}"}}]}}"#
        ));
    }
    let text = format!("[{}]", branches.join(","));
    assert!(matches!(refusal(&text), SchemaError::TooLarge { .. }));
}

#[test]
fn decimals_beyond_the_supported_precision_are_refused() {
    let text = r#"{"type":"bytes","logicalType":"decimal","precision":1001,"scale":0}"#;
    assert!(matches!(refusal(text), SchemaError::Precision { precision: 1001, .. }));
}

#[test]
fn canonical_text_is_what_java_avro_writes() {
    let text = r#" { "fields" : [
            { "default": null, "type": [ "null", { "type": "string" } ], "name": "a", "x": 1 },
            { "name": "b", "order": "ascending", "doc": "d", "type": { "type": "record",
              "name": "other.B", "fields": [ { "name": "c", "type": "other.B2",
              "aliases": ["old"], "default": "X" } ] } },
            { "name": "e", "type": "shop.E", "order": "descending" } ],
          "connect.version": 2, "aliases": ["Old"], "doc": "text", "namespace": "shop",
          "name": "R", "type": "record" }"#;
    let schema: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        canonical::text(&schema),
        concat!(
            r#"{"type":"record","name":"R","namespace":"shop","doc":"text","fields":["#,
            r#"{"name":"a","type":["null","string"],"default":null,"x":1},"#,
            r#"{"name":"b","type":{"type":"record","name":"B","namespace":"other","fields":["#,
            r#"{"name":"c","type":"B2","default":"X","aliases":["old"]}]},"doc":"d"},"#,
            r#"{"name":"e","type":"E","order":"descending"}],"connect.version":2,"#,
            r#""aliases":["Old"]}"#
        )
    );
}

#[test]
fn canonical_text_is_stable_and_means_the_same() {
    for text in [
        r#"{"type":{"type":"array","items":{"type":"int","logicalType":"date"}}}"#,
        r#"{"type":"enum","symbols":["A"],"default":"A","name":"n.E","doc":"x"}"#,
        r#"{"logicalType":"decimal","type":"fixed","size":4,"name":"F","precision":3,"scale":1}"#,
        r#"["null",{"type":"map","values":{"type":"string"}}]"#,
    ] {
        let schema = parse(text);
        let again = parse(schema.canonical_text());
        assert_eq!(again.canonical_text(), schema.canonical_text());
        assert_eq!(format!("{:?}", again.root()), format!("{:?}", schema.root()));
    }
}

#[test]
fn debezium_envelope_is_understood() {
    let schema = parse(
        r#"{"type":"record","name":"Envelope","namespace":"shop.orders","connect.version":2,"fields":[
        {"name":"before","default":null,"type":["null",{"type":"record","name":"Value","fields":[
          {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2,
            "connect.name":"org.apache.kafka.connect.data.Decimal",
            "connect.parameters":{"scale":"2","connect.decimal.precision":"12"}}},
          {"name":"local_ts","type":{"type":"long","logicalType":"local-timestamp-micros"}}]}]},
        {"name":"after","type":["null","Value"],"default":null},
        {"name":"snapshot","default":"false","type":[{"type":"string","connect.version":1,
          "connect.default":"false"},"null"]},
        {"name":"op","type":"string"}]}"#,
    );
    let record = schema.record().unwrap();
    let Node::Union(after) = &*record.field("after").unwrap().1.node else { panic!() };
    assert!(matches!(&*after[1], Node::Record(value) if value.name == "shop.orders.Value"));
}
