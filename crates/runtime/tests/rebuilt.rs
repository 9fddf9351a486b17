//! A state store that is made anew from what was published.

use std::ops::ControlFlow;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use throughline_avro::{Cursor, Schema, put_str, write_json};
use throughline_bus::{Entry, Isolation};
use throughline_connector::{
    CaptureBatch, CaptureError, Captured, CapturedEntity, ConnectError, ConnectorOptions, Item,
    PartitionRule, Producer, ProducerContext,
};
use throughline_event::{
    EntityName, Micros, Offset, PartitionId, Path, Position, SystemName, TopicName, TopicPartition,
    Violations,
};
use throughline_runtime::{ProducerRegistry, Shutdown};

use crate::capture::{name, published};
use crate::support::{Flow, run_until};

/// Gives what it is told once: an entity, a key, and its text, or that it is gone.
struct Told(Telling, Vec<CapturedEntity>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Telling {
    items: Vec<(usize, String, Option<String>)>,
    /// The text stands before the id, behind a column that is new.
    moved: bool,
}

impl ConnectorOptions for Telling {
    type Settings = Self;

    fn validate(self, _: &Path, _: &mut Violations) -> Option<Self> {
        Some(self)
    }
}

impl Producer for Told {
    const KIND: &'static str = "told";
    type Options = Telling;

    async fn connect(told: Telling, _: ProducerContext) -> Result<Self, ConnectError> {
        let record = |fields: &str| {
            Schema::parse(&format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#))
                .unwrap()
        };
        let (id, text) = (r#"{"name":"id","type":"string"}"#, r#"{"name":"text","type":"string"}"#);
        let new = r#"{"name":"new","type":["null","string"],"default":null}"#;
        let entity = |name: &str| CapturedEntity {
            name: EntityName::new(name).unwrap(),
            key: record(id),
            document: record(&if told.moved {
                format!("{new},{text},{id}")
            } else {
                format!("{id},{text}")
            }),
            ignore: Vec::new(),
            partitions: PartitionRule::One,
        };
        let entities = vec![entity("other"), entity("thing")];
        Ok(Self(told, entities))
    }

    fn entities(&self) -> &[CapturedEntity] {
        &self.1
    }

    fn resume(&mut self, _: Option<Position>) -> Result<(), CaptureError> {
        Ok(())
    }

    async fn capture(
        &mut self,
        batch: &mut CaptureBatch,
        _: usize,
    ) -> Result<Captured, CaptureError> {
        for (entity, id, text) in self.0.items.drain(..) {
            let (mut key, changed_at, place) = (Vec::new(), Micros(0), id.clone());
            put_str(&mut key, &id);
            let Some(text) = text else {
                batch.items.push(Item::Gone { entity, key, changed_at, place });
                continue;
            };
            let mut document = if self.0.moved { vec![0] } else { key.clone() };
            put_str(&mut document, &text);
            if self.0.moved {
                put_str(&mut document, &id);
            }
            let (scope, snapshot) = (None, false);
            batch.items.push(Item::Document {
                entity,
                key,
                document,
                scope,
                changed_at,
                place,
                snapshot,
            });
            batch.position = Some(Position::new("told"));
        }
        Ok(Captured::Idle(Duration::from_secs(1)))
    }

    fn committed(&mut self, _: &Position) {}
}

fn tell(flow: &Flow, moved: bool, items: &[(usize, &str, Option<&str>)], count: usize) {
    let shutdown = Shutdown::new();
    let (system, base) = (SystemName::new("test").unwrap(), std::env::temp_dir());
    let cx = ProducerContext { name: name(), system, base };
    let kinds = ProducerRegistry::new().with::<Told>();
    let options = serde_json::json!({ "items": items, "moved": moved });
    let worker = kinds.get("told").unwrap().worker(options, cx, flow.host(&shutdown));
    run_until(worker, &shutdown, &format!("{count} records"), || published(flow) == count);
}

#[test]
fn a_key_that_was_created_again_is_known_to_a_store_that_is_made_anew() {
    let flow = Flow::start();
    // The other entity is read first, and its versions are higher than all of the key's.
    let again = [(1, "a", Some("x")), (1, "a", None), (1, "a", Some("y"))];
    let higher = [(0, "b", Some("1")), (0, "b", Some("2")), (0, "b", Some("3"))];
    tell(&flow, false, &[again, higher].concat(), 4);
    std::fs::remove_file(flow.state().join("shop.sqlite")).unwrap();
    tell(&flow, false, &[(1, "a", Some("y")), (1, "c", Some("z"))], 5);
}

#[test]
fn what_was_published_keeps_its_meaning_when_columns_are_moved_and_added() {
    let flow = Flow::start();
    tell(&flow, false, &[(1, "a", Some("x")), (1, "b", Some("x")), (1, "c", Some("x"))], 3);
    // One that is the same but for the new column, one that changed, and one that is gone.
    tell(&flow, true, &[(1, "a", Some("x")), (1, "b", Some("y")), (1, "c", None)], 6);
    let topic = TopicName::new("cdc.test.thing").unwrap();
    let (at, mut before) = (TopicPartition { topic, partition: PartitionId(0) }, Vec::new());
    let look = |entry: Entry<'_>| {
        let Entry::Record(record) = entry else { panic!("a record that cannot be read") };
        let Some(value) = record.value else { return ControlFlow::Continue(()) };
        let mut text = Vec::new();
        write_json(value.schema.root(), &mut Cursor::new(value.bytes), &mut text).unwrap();
        let event: serde_json::Value = serde_json::from_slice(&text).unwrap();
        before.push(event["before"].clone());
        ControlFlow::Continue(())
    };
    flow.bus().read_to_end(&at, Offset(0), Isolation::ReadCommitted, look).unwrap();
    let was = |id: &str| serde_json::json!({"new": null, "text": "x", "id": id});
    assert_eq!(before[3..], [was("b"), was("c")]);
}
