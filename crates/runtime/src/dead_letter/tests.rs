use throughline_event::TopicName;

use super::*;

fn letter() -> DeadLetter {
    DeadLetter {
        id: "cdc.shop.order-0@7".to_owned(),
        worker: WorkerName::new("shop").unwrap(),
        stage: DeadLetterStage::Process,
        code: "TL2001".to_owned(),
        kind: "mapping".to_owned(),
        reason: "totals do not sum up".to_owned(),
        place: "cdc.shop.order-0 offset 7".to_owned(),
        program: Some("sunrise/order@abc".to_owned()),
        line: Some(12),
        parked: true,
        failed_at: Micros(5),
        input: Some(Input {
            partition: TopicPartition {
                topic: TopicName::new("cdc.shop.order").unwrap(),
                partition: PartitionId(0),
            },
            offset: Offset(7),
            timestamp: Micros(4),
        }),
        key: Some(Part { schema: Some(SchemaId(3)), bytes: vec![2, b'1'] }),
        value: Some(Part { schema: None, bytes: vec![0xff] }),
    }
}

#[test]
fn a_dead_letter_reads_back_as_it_was_written() {
    let schema = Schema::parse(VALUE_SCHEMA).unwrap();
    let full = letter();
    let bare =
        DeadLetter { program: None, line: None, input: None, key: None, value: None, ..letter() };
    for letter in [full, bare] {
        let datum = letter.to_datum();
        assert_eq!(DeadLetter::from_datum(&schema, &datum).unwrap(), letter);
        for cut in 0..datum.len() {
            assert!(DeadLetter::from_datum(&schema, &datum[..cut]).is_err());
        }
    }
}

#[test]
fn the_datum_fits_its_schema() {
    let schema = Schema::parse(VALUE_SCHEMA).unwrap();
    let mut json = Vec::new();
    let datum = letter().to_datum();
    let mut cursor = throughline_avro::Cursor::new(&datum);
    throughline_avro::write_json(schema.root(), &mut cursor, &mut json).unwrap();
    assert_eq!(cursor.remaining(), 0);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["offset"], 7);
    assert_eq!(json["reason"], "totals do not sum up");
}

#[test]
fn records_of_another_schema_are_refused() {
    let schema = Schema::parse("\"string\"").unwrap();
    assert!(matches!(
        DeadLetter::from_datum(&schema, &letter().to_datum()),
        Err(DeadLetterError::OtherSchema)
    ));
}
