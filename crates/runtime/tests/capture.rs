//! Producers: what cannot be published, and what a start waits for.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;
use throughline_avro::{Schema, put_str};
use throughline_bus::{Cleanup, Entry, Isolation, Outgoing, Partitions, READ_PATIENCE, TopicSpec};
use throughline_connector::{
    CaptureBatch, CaptureError, Captured, CapturedEntity, ConnectError, ConnectorOptions, Item,
    PartitionRule, Producer, ProducerContext,
};
use throughline_event::{
    EntityName, Micros, Offset, PartitionId, Path, Position, SystemName, TopicName, TopicPartition,
    Violations, WorkerName,
};
use throughline_runtime::{ProducerRegistry, Shutdown, Worker};

use crate::support::{Flow, PATIENCE, WORKER, run_until};

/// Gives one document for each size, once. A size of 0 is a part of the source that waits.
struct Scripted {
    sizes: Vec<usize>,
    waits: bool,
    entities: Vec<CapturedEntity>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScriptedOptions {
    sizes: Vec<usize>,
}

impl ConnectorOptions for ScriptedOptions {
    type Settings = Vec<usize>;

    fn validate(self, _: &Path, _: &mut Violations) -> Option<Vec<usize>> {
        Some(self.sizes)
    }
}

impl Producer for Scripted {
    const KIND: &'static str = "scripted";
    type Options = ScriptedOptions;

    async fn connect(sizes: Vec<usize>, _: ProducerContext) -> Result<Self, ConnectError> {
        let record = |name: &str, fields: &str| {
            let text = format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#);
            Schema::parse(&text).unwrap()
        };
        let id = r#"{"name":"id","type":"string"}"#;
        let entities = vec![CapturedEntity {
            name: EntityName::new("thing").unwrap(),
            key: record("ThingKey", id),
            document: record("Thing", &format!(r#"{id},{{"name":"text","type":"string"}}"#)),
            ignore: Vec::new(),
            partitions: PartitionRule::One,
        }];
        Ok(Self { sizes, waits: false, entities })
    }

    fn entities(&self) -> &[CapturedEntity] {
        &self.entities
    }

    fn resume(&mut self, _: Option<Position>) -> Result<(), CaptureError> {
        Ok(())
    }

    async fn capture(
        &mut self,
        batch: &mut CaptureBatch,
        _: usize,
    ) -> Result<Captured, CaptureError> {
        for (at, size) in std::mem::take(&mut self.sizes).into_iter().enumerate() {
            if size == 0 {
                self.waits = true;
                continue;
            }
            let mut key = Vec::new();
            put_str(&mut key, &format!("k{at}"));
            let mut document = key.clone();
            put_str(&mut document, &"x".repeat(size));
            batch.items.push(Item::Document {
                entity: 0,
                key,
                document,
                scope: None,
                changed_at: Micros(0),
                place: format!("line {}", at + 1),
                snapshot: false,
            });
            batch.position = Some(Position::new("read"));
        }
        if self.waits {
            let (problem, fix) = ("a file shrank".to_owned(), "put it back".to_owned());
            batch.waiting.push(CaptureError::Halt { code: "TL9998", problem, fix });
        }
        Ok(Captured::Idle(Duration::from_secs(1)))
    }

    fn committed(&mut self, _: &Position) {}
}

pub(crate) fn name() -> WorkerName {
    WorkerName::new(WORKER).unwrap()
}

pub(crate) fn worker(flow: &Flow, shutdown: &Shutdown, sizes: &[usize]) -> Worker {
    let (system, base) = (SystemName::new("test").unwrap(), std::env::temp_dir());
    let cx = ProducerContext { name: name(), system, base };
    let kinds = ProducerRegistry::new().with::<Scripted>();
    let options = serde_json::json!({ "sizes": sizes });
    kinds.get("scripted").unwrap().worker(options, cx, flow.host(shutdown))
}

/// How many records the raw topic holds.
pub(crate) fn published(flow: &Flow) -> usize {
    let topic = TopicName::new("cdc.test.thing").unwrap();
    if flow.bus().topic(&topic).is_err() {
        return 0;
    }
    let (at, mut count) = (TopicPartition { topic, partition: PartitionId(0) }, 0);
    let count_records = |entry: Entry<'_>| {
        count += usize::from(matches!(entry, Entry::Record(_)));
        ControlFlow::Continue(())
    };
    flow.bus().read_to_end(&at, Offset(0), Isolation::ReadCommitted, count_records).unwrap();
    count
}

#[test]
fn a_document_that_is_too_large_is_a_dead_letter_and_the_others_flow() {
    let flow = Flow::start();
    let run = |sizes: &[usize], count| {
        let shutdown = Shutdown::new();
        let worker = worker(&flow, &shutdown, sizes);
        run_until(worker, &shutdown, "the others flow", || published(&flow) == count);
    };
    run(&[10, 1_500_000, 20], 2);
    let letters = flow.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let (letter, value) = (&letters[0], letters[0].value.as_ref());
    assert_eq!((letter.code.as_str(), letter.place.as_str()), ("TL0514", "line 2"));
    assert!(letter.reason.contains("cdc.test.thing"), "{letter:?}");
    assert!(value.is_none_or(|value| value.bytes.is_empty()), "the document is in its letter");

    // The next document of the key is compared with what was published, which was nothing.
    run(&[10, 30, 20], 3);
    run(&[10, 30, 21], 4);
}

#[test]
fn a_start_that_waits_for_what_it_reads_says_so_and_ends_with_a_drain() {
    for (topic, what) in [
        (TopicName::positions(&name()), "the source's position"),
        (TopicName::new("cdc.test.thing").unwrap(), "what it has published"),
        (TopicName::dead(&name()), "its dead letters"),
    ] {
        waits(&topic, what);
    }
}

fn waits(topic: &TopicName, what: &str) {
    let flow = Flow::start();
    let spec = TopicSpec::new(topic.clone(), Partitions::Exactly(1), Cleanup::Compact);
    flow.bus().ensure_topic(&spec).unwrap();
    let mut other = flow.bus().producer("other").unwrap();
    other.begin().unwrap();
    let (headers, timestamp) = (&[][..], None);
    let (partition, value) = (Some(PartitionId(0)), None);
    let id = flow.bus().register("other-key", &Schema::parse("\"string\"").unwrap()).unwrap();
    let key = Some((id, &b"\x02a"[..]));
    other.send(&Outgoing { topic, partition, key, value, headers, timestamp }).unwrap();
    flow.until("the record is written", || flow.bus().describe(topic).unwrap()[0].end > Offset(0));

    let shutdown = Shutdown::new();
    let worker = worker(&flow, &shutdown, &[10]);
    let health = worker.health.clone();
    let waits = || {
        let problem = health.workers().into_iter().find_map(|worker| worker.problem);
        let told = format!("waits for {what}: ");
        problem.is_some_and(|text| text.starts_with(&told) && text.contains("TL0517"))
    };
    let began = Instant::now();
    run_until(worker, &shutdown, what, waits);
    assert!(began.elapsed() < READ_PATIENCE.min(PATIENCE), "the drain had to wait");
    other.abort().unwrap();
}

#[test]
fn a_part_of_the_source_that_waits_is_named_and_the_others_flow() {
    let flow = Flow::start();
    let shutdown = Shutdown::new();
    let worker = worker(&flow, &shutdown, &[0, 10]);
    let health = worker.health.clone();
    let told = || {
        let workers = health.workers();
        let waits = |text: &String| text.contains("a part of its source: TL9998");
        workers.iter().any(|w| !w.ready && w.problem.as_ref().is_some_and(waits))
    };
    run_until(worker, &shutdown, "it says so", || told() && published(&flow) == 1);
}
