//! A state store that is made anew from what was published.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use throughline_avro::{Schema, put_str};
use throughline_connector::{
    CaptureBatch, CaptureError, Captured, CapturedEntity, ConnectError, ConnectorOptions, Item,
    PartitionRule, Producer, ProducerContext,
};
use throughline_event::{EntityName, Micros, Path, Position, SystemName, Violations};
use throughline_runtime::{ProducerRegistry, Shutdown};

use crate::capture::{name, published};
use crate::support::{Flow, run_until};

/// Gives what it is told once: an entity, a key, and its text, or that it is gone.
struct Told(Vec<(usize, String, Option<String>)>, Vec<CapturedEntity>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Telling {
    items: Vec<(usize, String, Option<String>)>,
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
        let entity = |name: &str| CapturedEntity {
            name: EntityName::new(name).unwrap(),
            key: record(id),
            document: record(&format!("{id},{text}")),
            ignore: Vec::new(),
            partitions: PartitionRule::One,
        };
        Ok(Self(told.items, vec![entity("other"), entity("thing")]))
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
        for (entity, id, text) in self.0.drain(..) {
            let (mut key, changed_at, place) = (Vec::new(), Micros(0), id.clone());
            put_str(&mut key, &id);
            let Some(text) = text else {
                batch.items.push(Item::Gone { entity, key, changed_at, place });
                continue;
            };
            let mut document = key.clone();
            put_str(&mut document, &text);
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

fn tell(flow: &Flow, items: &[(usize, &str, Option<&str>)], count: usize) {
    let shutdown = Shutdown::new();
    let (system, base) = (SystemName::new("test").unwrap(), std::env::temp_dir());
    let cx = ProducerContext { name: name(), system, base };
    let kinds = ProducerRegistry::new().with::<Told>();
    let options = serde_json::json!({ "items": items });
    let worker = kinds.get("told").unwrap().worker(options, cx, flow.host(&shutdown));
    run_until(worker, &shutdown, &format!("{count} records"), || published(flow) == count);
}

#[test]
fn a_key_that_was_created_again_is_known_to_a_store_that_is_made_anew() {
    let flow = Flow::start();
    // The other entity is read first, and its versions are higher than all of the key's.
    let again = [(1, "a", Some("x")), (1, "a", None), (1, "a", Some("y"))];
    let higher = [(0, "b", Some("1")), (0, "b", Some("2")), (0, "b", Some("3"))];
    tell(&flow, &[again, higher].concat(), 4);
    std::fs::remove_file(flow.state().join("shop.sqlite")).unwrap();
    tell(&flow, &[(1, "a", Some("y")), (1, "c", Some("z"))], 5);
}
