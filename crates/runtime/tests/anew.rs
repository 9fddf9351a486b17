//! A producer that reads its source from the beginning again: rows join documents that begin empty.

use std::ops::ControlFlow;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use throughline_avro::{Schema, put_str};
use throughline_bus::{Entry, Isolation};
use throughline_connector::{
    CaptureBatch, CaptureError, Captured, CapturedEntity, ConnectError, ConnectorOptions, Item,
    PartitionRule, Producer, ProducerContext,
};
use throughline_event::{
    EntityName, Micros, Offset, PartitionId, Path, Position, SystemName, TopicName, TopicPartition,
    Violations,
};
use throughline_runtime::{ProducerRegistry, Shutdown, positions};

use crate::scripted::{name, published};
use crate::support::{Flow, run_until};

/// Gives a row at a time, from its position on.
struct Lines {
    told: Telling,
    entities: Vec<CapturedEntity>,
    next: usize,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Telling {
    /// The key and the text of each row.
    rows: Vec<(String, String)>,
    /// Fails instead of giving this row, once it was reached, again and again.
    fails_at: Option<usize>,
    /// At the end it is said that a part of the source waits.
    waits: bool,
}

impl ConnectorOptions for Telling {
    type Settings = Self;

    fn validate(self, _: &Path, _: &mut Violations) -> Option<Self> {
        Some(self)
    }
}

fn halt(code: &'static str) -> CaptureError {
    CaptureError::Halt { code, problem: "it is so".to_owned(), fix: "mend it".to_owned() }
}

impl Producer for Lines {
    const KIND: &'static str = "lines";
    type Options = Telling;

    async fn connect(told: Telling, _: ProducerContext) -> Result<Self, ConnectError> {
        let schema = |text: &str| Schema::parse(text).unwrap();
        let id = r#"{"name":"id","type":"string"}"#;
        let row = r#"{"type":"record","name":"Row","fields":[{"name":"text","type":"string"}]}"#;
        let rows = format!(r#"{{"name":"rows","type":{{"type":"array","items":{row}}}}}"#);
        let entity = CapturedEntity {
            name: EntityName::new("thing").unwrap(),
            key: schema(&format!(r#"{{"type":"record","name":"K","fields":[{id}]}}"#)),
            document: schema(&format!(r#"{{"type":"record","name":"D","fields":[{id},{rows}]}}"#)),
            ignore: Vec::new(),
            partitions: PartitionRule::One,
        };
        Ok(Self { told, entities: vec![entity], next: 0 })
    }

    fn entities(&self) -> &[CapturedEntity] {
        &self.entities
    }

    fn resume(&mut self, position: Option<Position>) -> Result<(), CaptureError> {
        self.next = position.map_or(0, |position| position.as_str().parse().unwrap());
        Ok(())
    }

    async fn capture(
        &mut self,
        batch: &mut CaptureBatch,
        _: usize,
    ) -> Result<Captured, CaptureError> {
        if self.told.fails_at == Some(self.next) {
            return Err(halt("TL9998"));
        }
        let Some((id, text)) = self.told.rows.get(self.next) else {
            if self.told.waits {
                batch.waiting.push(halt("TL9997"));
            }
            return Ok(Captured::Idle(Duration::from_secs(1)));
        };
        self.next += 1;
        let (mut key, mut row) = (Vec::new(), Vec::new());
        put_str(&mut key, id);
        put_str(&mut row, text);
        batch.items.push(Item::Rows {
            entity: 0,
            key,
            rows: vec![row],
            changed_at: Micros(0),
            place: format!("row {}", self.next),
            snapshot: false,
        });
        batch.position = Some(Position::new(self.next.to_string()));
        Ok(Captured::More)
    }

    fn committed(&mut self, _: &Position) {}
}

/// Runs the producer on rows `k=text` until the condition holds.
fn run(
    flow: &Flow,
    rows: &[&str],
    fails_at: Option<usize>,
    waits: bool,
    done: impl Fn(&str) -> bool,
) {
    let shutdown = Shutdown::new();
    let (system, base) = (SystemName::new("test").unwrap(), std::env::temp_dir());
    let cx = ProducerContext { name: name(), system, base };
    let rows: Vec<_> = rows.iter().map(|row| row.split_once('=').unwrap()).collect();
    let options = serde_json::json!({ "rows": rows, "fails_at": fails_at, "waits": waits });
    let kinds = ProducerRegistry::new().with::<Lines>();
    let worker = kinds.get("lines").unwrap().worker(options, cx, flow.host(&shutdown));
    let health = worker.health.clone();
    run_until(worker, &shutdown, &format!("{rows:?}"), || {
        let workers = health.workers();
        let told = workers.iter().find_map(|worker| worker.problem.clone());
        let read = workers.iter().any(|worker| worker.caught_up);
        done(&told.unwrap_or_else(|| if read { "read" } else { "" }.to_owned()))
    });
}

/// Reads all of the rows; then so many records were published.
fn read(flow: &Flow, rows: &[&str], count: usize) {
    run(flow, rows, None, false, |told| told == "read");
    assert_eq!(published(flow), count, "{rows:?}");
}

/// The rows of the newest document of each key, as text in which they follow each other.
fn newest(flow: &Flow, texts: &[&str]) -> Vec<bool> {
    let topic = TopicName::new("cdc.test.thing").unwrap();
    let at = TopicPartition { topic, partition: PartitionId(0) };
    let mut values = std::collections::BTreeMap::new();
    flow.bus()
        .read_to_end(&at, Offset(0), Isolation::ReadCommitted, |entry| {
            if let Entry::Record(record) = entry {
                let value = record.value.unwrap();
                let view =
                    throughline_event::EnvelopeSchema::new((**value.schema).clone()).unwrap();
                let after = view.view(value.bytes).unwrap().after.unwrap().to_vec();
                values.insert(record.key.unwrap().bytes.to_vec(), after);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let wanted = texts.iter().map(|text| {
        let (key, rows) = text.split_once('=').unwrap();
        let mut document = Vec::new();
        put_str(&mut document, key);
        let rows: Vec<Vec<u8>> = rows
            .split('+')
            .map(|text| {
                let mut row = Vec::new();
                put_str(&mut row, text);
                row
            })
            .collect();
        (document.clone(), throughline_document::group::build(&document, &rows))
    });
    wanted.map(|(key, document)| values.get(&key) == Some(&document)).collect()
}

const ROWS: [&str; 5] = ["a=1", "b=1", "a=2", "c=1", "b=2"];

#[test]
fn what_is_read_again_and_is_the_same_is_not_published_and_rows_join_once() {
    let flow = Flow::start();
    read(&flow, &ROWS, 5);
    for lost in [false, true] {
        positions::begin_anew(flow.bus(), &name()).unwrap();
        if lost {
            std::fs::remove_file(flow.state().join("shop.sqlite")).unwrap();
        }
        read(&flow, &ROWS, 5);
    }
    // What comes behind the re-read joins what there is.
    read(&flow, &[&ROWS[..], &["a=3"]].concat(), 6);
    assert_eq!(newest(&flow, &["a=1+2+3", "b=1+2", "c=1"]), [true; 3]);

    // Another source: a row more, a row other, a key that is not there any more, a new one.
    positions::begin_anew(flow.bus(), &name()).unwrap();
    read(&flow, &["a=1", "a=2", "a=3", "b=1", "b=x", "d=1"], 8);
    let expected = ["a=1+2+3", "b=1+x", "c=1", "d=1"];
    assert_eq!(newest(&flow, &expected), [true; 4]);
    assert!(!flow.state().join("shop.sqlite.anew").exists());
}

#[test]
fn a_re_read_that_ends_in_the_middle_begins_anew() {
    let flow = Flow::start();
    read(&flow, &ROWS, 5);
    positions::begin_anew(flow.bus(), &name()).unwrap();
    for (at, lost) in [(3, false), (4, true)] {
        run(&flow, &ROWS, Some(at), false, |told| told.contains("TL9998"));
        assert_eq!(published(&flow), 5);
        if lost {
            std::fs::remove_file(flow.state().join("shop.sqlite")).unwrap();
        }
    }
    read(&flow, &ROWS, 5);
    assert_eq!(newest(&flow, &["a=1+2", "b=1+2", "c=1"]), [true; 3]);
}

#[test]
fn a_re_read_waits_for_a_part_that_would_be_read_onto_its_documents_later() {
    let flow = Flow::start();
    read(&flow, &ROWS, 5);
    positions::begin_anew(flow.bus(), &name()).unwrap();
    run(&flow, &ROWS[..3], None, true, |told| told.contains("TL9997"));
    read(&flow, &ROWS, 5);
    assert_eq!(newest(&flow, &["a=1+2", "b=1+2", "c=1"]), [true; 3]);
}
