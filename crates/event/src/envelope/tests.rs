use throughline_avro::put_str;

use super::*;
use crate::{SystemName, Version};

fn document() -> Schema {
    Schema::parse(
        r#"{"type":"record","name":"Order","namespace":"shop","fields":[
        {"name":"number","type":"string"},
        {"name":"rows","type":{"type":"array","items":
            {"type":"record","name":"Row","fields":[{"name":"sku","type":"string"}]}}}]}"#,
    )
    .unwrap()
}

fn source() -> Source {
    Source {
        connector: "files".to_owned(),
        system: SystemName::new("shop").unwrap(),
        changed_at: Micros(1_500),
        snapshot: true,
        entity: "order".to_owned(),
        position: "orders.csv line 2".to_owned(),
        version: Version(7),
        actor: Some("throughline".to_owned()),
    }
}

fn order(number: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_str(&mut out, number);
    out.extend_from_slice(&[2, 2, b'a', 0]); // one row with sku "a"
    out
}

#[test]
fn what_is_written_is_found_again() {
    let topic = TopicName::new("cdc.my-shop.order").unwrap();
    let schema = EnvelopeSchema::for_topic(&topic, &document()).unwrap();
    let (old, new) = (order("1"), order("2"));
    for (before, after, op) in [
        (None, Some(new.as_slice()), Op::Create),
        (Some(old.as_slice()), Some(new.as_slice()), Op::Update),
        (Some(old.as_slice()), None, Op::Delete),
    ] {
        let source = source();
        let mut datum = Vec::new();
        let captured_at = Micros(2_000_001);
        Envelope { before, after, source: &source, op, captured_at }.write(&mut datum);
        let expected = EnvelopeView {
            before,
            after,
            op,
            captured_at,
            changed_at: Micros(1_500),
            snapshot: true,
            position: "orders.csv line 2",
            version: 7,
            actor: Some("throughline"),
        };
        assert_eq!(schema.view(&datum).unwrap(), expected);
        for cut in 0..datum.len() {
            assert!(schema.view(&datum[..cut]).is_err(), "cut at {cut}");
        }
    }
}

#[test]
fn the_schema_is_debeziums_envelope_in_the_topics_namespace() {
    let topic = TopicName::new("cdc.my-shop.order").unwrap();
    let schema = EnvelopeSchema::for_topic(&topic, &document()).unwrap();
    assert_eq!(schema.schema().record().unwrap().name, "cdc.my_shop.order.Envelope");
    let names: Vec<_> =
        schema.schema().record().unwrap().fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"]
    );
    let key = Schema::parse(
        r#"{"type":"record","name":"K","fields":[{"name":"number","type":"string"}]}"#,
    );
    let key = key_schema(&topic, &key.unwrap()).unwrap();
    assert_eq!(key.record().unwrap().name, "cdc.my_shop.order.Key");
}

#[test]
fn other_schemas_are_refused_with_what_is_missing() {
    for (text, missing) in [
        ("\"string\"", "a record"),
        (
            r#"{"type":"record","name":"E","fields":[{"name":"after","type":["null","long"]}]}"#,
            "before",
        ),
    ] {
        let error = EnvelopeSchema::new(Schema::parse(text).unwrap()).unwrap_err();
        assert!(
            matches!(error, EnvelopeError::NotAnEnvelope { missing: m } if m == missing),
            "{error}"
        );
    }
    let topic = TopicName::new("t").unwrap();
    let error = EnvelopeSchema::for_topic(&topic, &Schema::parse("\"long\"").unwrap());
    assert!(matches!(error, Err(EnvelopeError::NotARecord { .. })));
}
