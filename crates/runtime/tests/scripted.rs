//! A producer that gives what a test tells it, once.

use std::ops::ControlFlow;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use throughline_avro::{Schema, put_str};
use throughline_bus::{Entry, Isolation};
use throughline_connector::{
    CaptureBatch, CaptureError, Captured, CapturedEntity, ConnectError, ConnectorOptions, Item,
    PartitionRule, Producer, ProducerContext, Reading, Rejection,
};
use throughline_event::{
    EntityName, Micros, Offset, PartitionId, Path, Position, SystemName, TopicName, TopicPartition,
    Violations, WorkerName,
};
use throughline_runtime::{ProducerRegistry, Shutdown, Worker};

use crate::support::{Flow, WORKER, run_until};

/// The entities, by their numbers in a [`Step`].
const ENTITIES: [&str; 2] = ["other", "thing"];
pub(crate) const OTHER: usize = 0;
pub(crate) const THING: usize = 1;

/// The scope of full dumps.
pub(crate) const DUMP: &str = "dump";

/// Something that a source shows.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Step {
    /// A key of an entity, and the text of its document.
    Document(usize, String, String),
    /// A full dump of the things begins.
    SweepBegin,
    /// A key that stands in it.
    Shown(String),
    /// The dump of this scope ends: [`DUMP`], or one that was not begun.
    SweepEnd(String),
    /// A key that is gone.
    Gone(usize, String),
    /// A bad line of a version of a file.
    Bad { file: String, version: u64, line: u64 },
    /// A version of a file was read to its end.
    Whole { file: String, version: u64 },
    /// A part of the source cannot be read, from now on.
    Waits,
}

/// What the source shows.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    /// The text stands before the id, behind a column that is new.
    pub(crate) moved: bool,
}

impl ConnectorOptions for Script {
    type Settings = Self;

    fn validate(self, _: &Path, _: &mut Violations) -> Option<Self> {
        Some(self)
    }
}

struct Scripted {
    script: Script,
    waits: bool,
    entities: Vec<CapturedEntity>,
}

impl Producer for Scripted {
    const KIND: &'static str = "scripted";
    type Options = Script;

    async fn connect(script: Script, _: ProducerContext) -> Result<Self, ConnectError> {
        let record = |fields: &str| {
            let text = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
            Schema::parse(&text).unwrap()
        };
        let (id, text) = (r#"{"name":"id","type":"string"}"#, r#"{"name":"text","type":"string"}"#);
        let new = r#"{"name":"new","type":["null","string"],"default":null}"#;
        let moved = format!("{new},{text},{id}");
        let document = if script.moved { moved } else { format!("{id},{text}") };
        let entity = |name: &str| CapturedEntity {
            name: EntityName::new(name).unwrap(),
            key: record(id),
            document: record(&document),
            ignore: Vec::new(),
            partitions: PartitionRule::One,
        };
        Ok(Self { script, waits: false, entities: ENTITIES.map(entity).to_vec() })
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
        for (at, step) in std::mem::take(&mut self.script.steps).into_iter().enumerate() {
            let item = self.item(step, format!("line {}", at + 1));
            batch.position = item.as_ref().map(|_| Position::new("read")).or(batch.position.take());
            batch.items.extend(item);
        }
        if self.waits {
            let (problem, fix) = ("a file shrank".to_owned(), "put it back".to_owned());
            batch.waiting.push(CaptureError::Halt { code: "TL9998", problem, fix });
        }
        Ok(Captured::Idle(Duration::from_secs(1)))
    }

    fn committed(&mut self, _: &Position) {}
}

impl Scripted {
    fn item(&mut self, step: Step, place: String) -> Option<Item> {
        let datum = |text: &str| {
            let mut datum = Vec::new();
            put_str(&mut datum, text);
            datum
        };
        let changed_at = Micros(0);
        Some(match step {
            Step::Document(entity, id, text) => {
                let (key, text) = (datum(&id), datum(&text));
                let document = if self.script.moved {
                    [&[0][..], &text, &key].concat()
                } else {
                    [&key[..], &text].concat()
                };
                let (scope, snapshot) = (None, false);
                Item::Document { entity, key, document, scope, changed_at, place, snapshot }
            }
            Step::SweepBegin => {
                Item::SweepBegin { entity: THING, scope: DUMP.to_owned(), version: 1 }
            }
            Step::Shown(id) => {
                let (entity, key, scope) = (THING, datum(&id), Some(DUMP.to_owned()));
                let (document, snapshot) = ([&key[..], &datum("shown")].concat(), false);
                Item::Document { entity, key, document, scope, changed_at, place, snapshot }
            }
            Step::SweepEnd(scope) => Item::SweepEnd { entity: THING, scope, changed_at, place },
            Step::Gone(entity, id) => Item::Gone { entity, key: datum(&id), changed_at, place },
            Step::Bad { file, version, line } => Item::Rejected(Rejection {
                entity: self.entities[THING].name.clone(),
                code: "TL9999",
                place: format!("{file} line {line}"),
                reason: "it is bad".to_owned(),
                input: Vec::new(),
                reading: Some(Reading { source: file, version }),
            }),
            Step::Whole { file, version } => {
                Item::ReadWhole { entity: THING, reading: Reading { source: file, version } }
            }
            Step::Waits => {
                self.waits = true;
                return None;
            }
        })
    }
}

pub(crate) fn name() -> WorkerName {
    WorkerName::new(WORKER).unwrap()
}

pub(crate) fn worker(flow: &Flow, shutdown: &Shutdown, script: &Script) -> Worker {
    let (system, base) = (SystemName::new("test").unwrap(), std::env::temp_dir());
    let cx = ProducerContext { name: name(), system, base };
    let kinds = ProducerRegistry::new().with::<Scripted>();
    let options = serde_json::to_value(script).unwrap();
    kinds.get("scripted").unwrap().worker(options, cx, flow.host(shutdown))
}

/// One document for each size, with keys of their own.
pub(crate) fn documents(sizes: &[usize]) -> Script {
    let document = |(at, size)| Step::Document(THING, format!("k{at}"), "x".repeat(size));
    let steps = sizes.iter().copied().enumerate().map(document).collect();
    Script { steps, moved: false }
}

/// The partition that the things are published to.
pub(crate) fn things() -> TopicPartition {
    let topic = TopicName::new("cdc.test.thing").unwrap();
    TopicPartition { topic, partition: PartitionId(0) }
}

/// How many records it holds.
pub(crate) fn published(flow: &Flow) -> usize {
    let (at, mut count) = (things(), 0);
    if flow.bus().topic(&at.topic).is_err() {
        return 0;
    }
    let count_records = |entry: Entry<'_>| {
        count += usize::from(matches!(entry, Entry::Record(_)));
        ControlFlow::Continue(())
    };
    flow.bus().read_to_end(&at, Offset(0), Isolation::ReadCommitted, count_records).unwrap();
    count
}

/// Runs the producer until so many things are published.
pub(crate) fn run(flow: &Flow, script: &Script, count: usize) {
    let shutdown = Shutdown::new();
    let worker = worker(flow, &shutdown, script);
    run_until(worker, &shutdown, &format!("{count} records"), || published(flow) == count);
}
