//! The processor as the runtime drives it: topics, headers, deletes, parking, determinism.

use std::sync::Arc;

use serde_json::{Value, json};
use throughline_avro::{Cursor, Schema, json_to_datum, write_json};
use throughline_connector::{Outputs, ProcessError, Processor, Produced};
use throughline_event::{
    Datum, EntityName, Envelope, EnvelopeSchema, Headers, Micros, Offset, Op, PartitionId, Record,
    Source, SystemName, TopicName, Version,
};
use throughline_processor_normalizer::{
    Arena, Engine, LoadErrors, Normalizer, Pack, PackEntity, Spec,
};

use crate::{packs, shipped};

const DOCUMENT: &str = r#"{"type": "record", "name": "Stock", "fields": [
    {"name": "id", "type": "string"},
    {"name": "sku", "type": "string"},
    {"name": "pieces", "type": "long"},
    {"name": "places", "type": {"type": "array", "items": "string"}}
]}"#;

/// One record for each place.
const MAPPING: &str = r#"sku = .sku
pieces = .pieces
{
  "inventory": each(.places) -> |_index, place| {
    { "sku": sku, "location": place, "on_hand": pieces, "available": pieces }
  }
}
"#;

fn spec(mapping: &str) -> Spec {
    let name = |name: &str| EntityName::new(name).unwrap();
    let entity = PackEntity {
        name: name("stock-row"),
        file: "mappings/stock-row.vrl".to_owned(),
        mapping: mapping.to_owned(),
        document: Schema::parse(DOCUMENT).unwrap(),
        canonical: vec![name("inventory")],
    };
    Spec {
        pack: Pack { name: "erp".to_owned(), entities: vec![entity] },
        system: SystemName::new("erp-eu").unwrap(),
        settings: serde_json::Map::new(),
        owned: [name("inventory")].into(),
    }
}

fn normalizer(mapping: &str) -> Normalizer {
    Normalizer::load(spec(mapping)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn stock(pieces: i64, places: &[&str]) -> Value {
    json!({"id": "7", "sku": "A-1", "pieces": pieces, "places": places})
}

fn datum(document: Option<&Value>) -> Option<Vec<u8>> {
    let schema = Schema::parse(DOCUMENT).unwrap();
    document.map(|document| {
        let mut bytes = Vec::new();
        json_to_datum(schema.root(), document, &mut bytes).unwrap();
        bytes
    })
}

/// A change event on the raw topic.
struct Event {
    topic: TopicName,
    schema: Arc<Schema>,
    bytes: Vec<u8>,
    headers: Headers,
}

impl Event {
    fn new(before: Option<&Value>, after: Option<&Value>) -> Self {
        let topic = TopicName::new("cdc.erp-eu.stock-row").unwrap();
        let document = Schema::parse(DOCUMENT).unwrap();
        let envelope = EnvelopeSchema::for_topic(&topic, &document).unwrap();
        let source = Source {
            connector: "files".to_owned(),
            system: SystemName::new("erp-eu").unwrap(),
            changed_at: Micros(1_795_428_000_000_001),
            snapshot: true,
            entity: "stock-row".to_owned(),
            position: "stock.csv line 7".to_owned(),
            version: Version(42),
            actor: Some("clerk".to_owned()),
        };
        let (before, after) = (datum(before), datum(after));
        let op = if after.is_some() { Op::Update } else { Op::Delete };
        let captured_at = Micros(1_795_428_000_500_000);
        let mut bytes = Vec::new();
        let parts = (before.as_deref(), after.as_deref());
        Envelope { before: parts.0, after: parts.1, source: &source, op, captured_at }
            .write(&mut bytes);
        Self { topic, schema: Arc::new(envelope.schema().clone()), bytes, headers: Vec::new() }
    }

    fn record(&self) -> Record<'_> {
        Record {
            topic: &self.topic,
            partition: PartitionId(0),
            offset: Offset(3),
            timestamp: Micros(9),
            key: None,
            value: Some(Datum { schema: &self.schema, bytes: &self.bytes }),
            headers: &self.headers,
        }
    }
}

fn run(normalizer: &Normalizer, event: &Event) -> Result<Vec<Produced>, ProcessError> {
    let mut out = Outputs::default();
    normalizer.process(&event.record(), None, &mut out)?;
    Ok(out.records)
}

fn decoded(schema: &Schema, datum: &[u8]) -> Value {
    let (mut cursor, mut text) = (Cursor::new(datum), Vec::new());
    write_json(schema.root(), &mut cursor, &mut text).unwrap();
    cursor.finish().unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// `op sku@location pieces`, or `tombstone location`, for each record.
fn short(normalizer: &Normalizer, records: &[Produced]) -> Vec<String> {
    let show = |produced: &Produced| {
        let output = &normalizer.outputs()[produced.output.0];
        let key = decoded(&output.key, &produced.key);
        let place = key["location"].as_str().unwrap();
        match &produced.value {
            None => format!("tombstone {place}"),
            Some(value) => {
                let value = decoded(&output.value, value);
                let op = value["meta"]["op"].as_str().unwrap();
                format!("{op} {place} {}", value["on_hand"])
            }
        }
    };
    records.iter().map(show).collect()
}

#[track_caller]
fn check(before: Option<Value>, after: Option<Value>, expected: &[&str]) {
    let normalizer = normalizer(MAPPING);
    let event = Event::new(before.as_ref(), after.as_ref());
    let found = run(&normalizer, &event).unwrap();
    assert_eq!(short(&normalizer, &found), expected);
}

#[test]
fn a_new_document_is_upserts() {
    check(None, Some(stock(5, &["a", "b"])), &["upsert a 5", "upsert b 5"]);
}

#[test]
fn only_what_changed_is_written() {
    check(Some(stock(5, &["a", "b"])), Some(stock(5, &["a", "b"])), &[]);
    check(Some(stock(5, &["a"])), Some(stock(5, &["a", "b"])), &["upsert b 5"]);
    check(Some(stock(5, &["a"])), Some(stock(6, &["a"])), &["upsert a 6"]);
}

#[test]
fn a_key_that_is_gone_is_deleted_with_its_last_values_and_a_tombstone() {
    check(Some(stock(5, &["a", "b"])), Some(stock(5, &["b"])), &["delete a 5", "tombstone a"]);
    check(Some(stock(5, &["a"])), None, &["delete a 5", "tombstone a"]);
    check(
        Some(stock(5, &["a"])),
        Some(stock(6, &["b"])),
        &["delete a 5", "tombstone a", "upsert b 6"],
    );
}

#[test]
fn a_raw_tombstone_is_nothing() {
    let normalizer = normalizer(MAPPING);
    let event = Event::new(None, None);
    let record = Record { value: None, ..event.record() };
    let mut out = Outputs::default();
    normalizer.process(&record, None, &mut out).unwrap();
    assert!(out.records.is_empty());
    assert_eq!(normalizer.before(&record).unwrap(), None);
}

#[test]
fn meta_says_where_a_record_comes_from() {
    let normalizer = normalizer(MAPPING);
    let mut event = Event::new(None, Some(&stock(5, &["a"])));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    event.headers = vec![("traceparent".to_owned(), trace.as_bytes().to_vec())];
    let found = run(&normalizer, &event).unwrap();
    let meta = &decoded(&normalizer.outputs()[0].value, found[0].value.as_ref().unwrap())["meta"];
    let id = meta["event_id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    let mapping = meta["mapping"].as_str().unwrap();
    assert!(mapping.starts_with("erp/stock-row@") && mapping.len() == "erp/stock-row@".len() + 12);
    let expected = json!({
        "event_id": id, "op": "upsert", "system": "erp-eu", "source_entity": "stock-row",
        "version": 42, "position": "stock.csv line 7", "occurred_at": "2026-11-23T10:00:00.000001Z",
        "captured_at": "2026-11-23T10:00:00.5Z", "snapshot": true, "actor": "clerk",
        "action_id": null, "mapping": mapping, "trace": trace
    });
    assert_eq!(*meta, expected);
    let header = |name: &str| {
        let found = found[0].headers.iter().find(|(known, _)| known == name);
        String::from_utf8(found.unwrap().1.clone()).unwrap()
    };
    assert_eq!(header("version"), "42");
    assert_eq!(header("event_id"), id);
    assert_eq!(header("traceparent"), trace);
}

#[test]
fn a_delete_and_its_tombstone_carry_the_version_and_the_same_event_id() {
    let normalizer = normalizer(MAPPING);
    let found = run(&normalizer, &Event::new(Some(&stock(5, &["a"])), None)).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].key, found[1].key);
    assert_eq!(found[0].headers, found[1].headers);
    assert_eq!(found[1].headers[0], ("version".to_owned(), b"42".to_vec()));
}

#[test]
fn event_ids_differ_by_key_and_are_the_same_for_every_attempt() {
    let ids = || {
        let normalizer = normalizer(MAPPING);
        let found = run(&normalizer, &Event::new(None, Some(&stock(5, &["a", "b"])))).unwrap();
        found.iter().map(|produced| produced.headers[1].1.clone()).collect::<Vec<_>>()
    };
    let first = ids();
    assert_ne!(first[0], first[1]);
    assert_eq!(first, ids());
}

#[test]
fn an_event_stands_for_the_parked_ones_before_it() {
    let normalizer = normalizer(MAPPING);
    // The event that moved the stock from a to b is parked; this one moves it on from b to c.
    let event = Event::new(Some(&stock(5, &["b"])), Some(&stock(5, &["c"])));
    let parked = datum(Some(&stock(5, &["a"])));
    let mut out = Outputs::default();
    normalizer.process(&event.record(), Some(parked.as_deref()), &mut out).unwrap();
    let moved = ["delete a 5", "tombstone a", "upsert c 5"];
    assert_eq!(short(&normalizer, &out.records), moved);
    // The parked event was the first of its key: nothing is there to delete.
    let mut out = Outputs::default();
    normalizer.process(&event.record(), Some(None), &mut out).unwrap();
    assert_eq!(short(&normalizer, &out.records), ["upsert c 5"]);
    let before = normalizer.before(&event.record()).unwrap();
    assert_eq!(before, datum(Some(&stock(5, &["b"]))).as_deref());
}

#[test]
fn records_that_the_system_does_not_own_are_observed() {
    let owned = normalizer(MAPPING);
    assert_eq!(owned.outputs()[0].topic.as_str(), "canonical.inventory");
    assert_eq!(owned.inputs()[0].topic.as_str(), "cdc.erp-eu.stock-row");
    let mut spec = spec(MAPPING);
    spec.owned.clear();
    let observing = Normalizer::load(spec).unwrap();
    assert_eq!(observing.outputs()[0].topic.as_str(), "observed.erp-eu.inventory");
}

#[track_caller]
fn check_refused(mapping: &str, code: &str, kind: &str, reason: &str, line: Option<u32>) {
    let normalizer = normalizer(mapping);
    let mut out = Outputs::default();
    let event = Event::new(None, Some(&stock(5, &["a", "a"])));
    let error = normalizer.process(&event.record(), None, &mut out).unwrap_err();
    assert_eq!((error.code, error.kind, error.line), (code, kind, line), "{error}");
    assert!(error.reason.contains(reason), "{error}");
    assert!(error.program.starts_with("erp/stock-row@"), "{error:?}");
    assert!(out.records.is_empty(), "a record that is refused gives nothing else");
}

#[test]
fn two_records_with_one_key_are_refused() {
    check_refused(MAPPING, "TL2024", "mapping", "two inventory records", None);
}

#[test]
fn a_mapping_that_fails_says_its_line_and_its_reason() {
    check_refused("\nif .pieces > 0 { abort \"no\" }\n{}", "TL2022", "mapping", "no", Some(2));
    let text = "\nx = to_money!(.sku, \"EUR\")\n{}";
    check_refused(text, "TL2022", "mapping", "not a decimal number", Some(2));
}

#[test]
fn a_value_whose_type_was_not_known_is_checked_when_it_is_written() {
    let record = r#"v = get!({"a": "x"}, ["a"])
{"inventory": {"sku": .sku, "location": "a", "on_hand": v, "available": 1}}"#;
    check_refused(
        record,
        "TL2023",
        "mapping",
        "inventory.on_hand: expected a whole number, found string",
        None,
    );
    check_refused(
        r#"v = get!({"a": "x"}, ["a"])
{"inventory": v}"#,
        "TL2023",
        "mapping",
        "inventory is string",
        None,
    );
}

#[test]
fn a_broken_invariant_is_named_with_both_sides() {
    let record = r#"{"inventory": {"sku": .sku, "location": "a", "on_hand": 3, "available": 1}}"#;
    check_refused(record, "TL2030", "invariant", "stock_equation: on_hand is 3, but", None);
}

#[test]
fn bytes_that_are_no_change_event_are_refused_without_a_panic() {
    let normalizer = normalizer(MAPPING);
    let event = Event::new(Some(&stock(5, &["a"])), Some(&stock(6, &["a"])));
    for cut in 0..event.bytes.len() {
        let mut short = Event::new(None, None);
        short.bytes = event.bytes[..cut].to_vec();
        let error = run(&normalizer, &short).unwrap_err();
        assert_eq!((error.code, error.kind), ("TL2020", "decode"), "{error}");
    }
    for at in 0..event.bytes.len() {
        for bit in 0..8 {
            let mut flipped = Event::new(None, None);
            flipped.bytes = event.bytes.clone();
            flipped.bytes[at] ^= 1 << bit;
            drop(run(&normalizer, &flipped));
        }
    }
}

#[test]
fn a_document_of_another_shape_is_refused_by_the_name_of_the_field() {
    let normalizer = normalizer(MAPPING);
    let topic = TopicName::new("cdc.erp-eu.stock-row").unwrap();
    let other = Schema::parse(&DOCUMENT.replace("\"long\"", "\"string\"")).unwrap();
    let envelope = EnvelopeSchema::for_topic(&topic, &other).unwrap();
    let mut event = Event::new(None, Some(&stock(5, &["a"])));
    event.schema = Arc::new(envelope.schema().clone());
    let error = run(&normalizer, &event).unwrap_err();
    assert_eq!(error.code, "TL2021");
    assert!(error.reason.contains("field pieces is a string"), "{error}");
    event.schema = Arc::new(other);
    assert_eq!(run(&normalizer, &event).unwrap_err().code, "TL2021");
}

#[test]
fn a_topic_that_is_not_read_is_refused() {
    let normalizer = normalizer(MAPPING);
    let mut event = Event::new(None, Some(&stock(5, &["a"])));
    event.topic = TopicName::new("cdc.erp-eu.other").unwrap();
    assert_eq!(run(&normalizer, &event).unwrap_err().code, "TL2019");
    assert_eq!(normalizer.before(&event.record()).unwrap_err().code, "TL2019");
}

#[test]
fn all_mistakes_of_all_mappings_are_reported_when_the_pack_is_loaded() {
    let mut spec = spec("{ \"inventory\": { \"sku\": .skuu } }");
    let mut second = spec.pack.entities[0].clone();
    second.name = EntityName::new("other").unwrap();
    second.file = "mappings/other.vrl".to_owned();
    second.mapping = "x = now()\n{}".to_owned();
    second.canonical = vec![EntityName::new("inventry").unwrap()];
    spec.pack.entities.push(second);
    let LoadErrors { errors } = Normalizer::load(spec).unwrap_err();
    let codes: Vec<_> = errors.iter().map(|error| (error.file.as_str(), error.code)).collect();
    let first = "mappings/stock-row.vrl";
    assert!(codes.contains(&(first, "TL2002")), "{codes:?}");
    assert!(codes.contains(&("mappings/other.vrl", "TL2011")), "{codes:?}");
    assert!(codes.contains(&("mappings/other.vrl", "TL2010")), "{codes:?}");
}

/// Everything the Sunrise fixtures give, as one text.
fn everything() -> String {
    let spec = packs::sunrise();
    let entities: Vec<_> = spec.pack.entities.iter().map(|entity| entity.name.clone()).collect();
    let fixtures = throughline_processor_normalizer::Fixtures::load(spec).unwrap();
    let mut text = String::new();
    for entity in entities {
        let folder = shipped::folder("sunrise").join("fixtures").join(entity.as_str());
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for file in files {
            let case: Value =
                serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            let found = fixtures.run_case(&entity, case.as_object().unwrap()).unwrap();
            text.push_str(&serde_json::to_string(&found).unwrap());
        }
    }
    text
}

#[test]
fn the_same_input_gives_the_same_output_in_every_thread_and_under_every_hash_seed() {
    // Every hash map that a thread makes has a seed of its own, so eight threads are eight seeds.
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(everything)).collect();
    let first = everything();
    assert!(first.contains("canonical.order") && first.contains("totals_sum"));
    for thread in threads {
        assert_eq!(thread.join().unwrap(), first);
    }
}

#[test]
fn one_normalizer_serves_many_threads_with_the_same_bytes() {
    let normalizer = normalizer(MAPPING);
    let event = Event::new(Some(&stock(5, &["a", "b"])), Some(&stock(6, &["b", "c"])));
    let expected = run(&normalizer, &event).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(run(&normalizer, &event).unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn the_three_stages_give_what_the_whole_gives() {
    let normalizer = normalizer(MAPPING);
    let event = Event::new(None, Some(&stock(5, &["a", "b"])));
    let stages = normalizer.stages(&event.record()).unwrap().unwrap();
    let arena = Arena::default();
    let document = stages.decode(&arena).unwrap().unwrap();
    let mut out = Outputs::default();
    stages.encode(stages.map(document, &arena).unwrap(), &mut out).unwrap();
    assert_eq!(out.records, run(&normalizer, &event).unwrap());
}

#[test]
fn the_normalizer_says_what_runs_a_mapping_and_why() {
    let compiled = normalizer(MAPPING);
    let found: Vec<_> = compiled.engines().collect();
    assert_eq!(found, [("mappings/stock-row.vrl", &Engine::Compiled)]);
    let by_vrl =
        normalizer(&MAPPING.replace("sku = .sku", "parts = split(.sku, \"-\")\nsku = .sku"));
    let (_, engine) = by_vrl.engines().next().unwrap();
    assert_eq!(*engine, Engine::Vrl { construct: "function `split`".to_owned(), line: 1 });
}

#[test]
fn a_mapping_that_vrl_runs_gives_the_same_records_and_refusals() {
    let abort = MAPPING.replace("{\n  \"inv", "if pieces < 0 { abort \"no \" + sku }\n{\n  \"inv");
    let by_vrl = normalizer(&abort.replace("sku = .sku", "sku = join!(split(.sku, \"-\"), \"-\")"));
    let compiled = normalizer(&abort);
    assert!(by_vrl.engines().all(|(_, engine)| *engine != Engine::Compiled));
    let change = Event::new(Some(&stock(5, &["a", "b"])), Some(&stock(6, &["b", "c"])));
    let keys = |records: Vec<Produced>| -> Vec<_> {
        // The mapping's hash is another, the rest is not.
        records.into_iter().map(|r| (r.key, r.value.map(|value| value.len()), r.headers)).collect()
    };
    let (first, second) = (run(&compiled, &change).unwrap(), run(&by_vrl, &change).unwrap());
    assert_eq!(keys(first), keys(second));
    let refused = Event::new(None, Some(&stock(-1, &["a"])));
    let reasons = [&compiled, &by_vrl].map(|normalizer| {
        let error = run(normalizer, &refused).unwrap_err();
        (error.code, error.kind, error.reason, error.line)
    });
    assert_eq!(reasons[0], reasons[1]);
    assert_eq!(reasons[0].2, "no A-1");
}

#[test]
fn a_document_that_costs_too_much_is_refused_with_the_entity_and_the_mapping() {
    let doubled = "sku = .sku * 1000000000000000000";
    let mapping = MAPPING.replace("sku = .sku", doubled);
    let reason = "erp/stock-row: mapping mappings/stock-row.vrl was stopped: its values take more";
    check_refused(&mapping, "TL2025", "mapping", reason, None);
    // Small as a value, and without end as a record.
    let record = "{ \"sku\": sku, \"location\": \"a\", \"on_hand\": 1, \"available\": 1 }";
    let many = "list = append(list, list);".repeat(5);
    let mapping =
        format!("sku = .sku * 1000000\nlist = [{record}]\n{many}\n{{ \"inventory\": list }}");
    let reason = "was stopped: the records of this document take more than 64 MiB";
    check_refused(&mapping, "TL2025", "mapping", reason, None);
}

#[test]
fn what_cannot_be_counted_is_refused_when_the_mapping_is_loaded() {
    let errors = |mapping: &str| Normalizer::load(spec(mapping)).unwrap_err().errors;
    let by_vrl = MAPPING.replace("sku = .sku", "sku = join!(split(.sku * 2, \"-\"), \"-\")");
    let errors = errors(&by_vrl);
    assert!(errors.len() == 1 && errors[0].code == "TL2013", "{errors:?}");
    assert!(Normalizer::load(spec(&MAPPING.replace("sku = .sku", "sku = .sku * 2"))).is_ok());
}
