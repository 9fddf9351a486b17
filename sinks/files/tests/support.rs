//! A folder, a sink on it, and records for it.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use tempfile::TempDir;
use throughline_avro::{Schema, json_to_datum};
use throughline_connector::{ConnectError, Sink, SinkContext, options_from_json};
use throughline_event::{
    Datum, Micros, Offset, PartitionId, Path, Record, RecordBatch, TopicName, TopicPartition,
    Violations, WorkerName,
};
use throughline_sink_files::{FilesOptions, FilesSink, Settings};

/// The sink never waits for anything but the disk, so one poll is enough.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the sink waited"),
    }
}

pub(crate) fn settings(options: Value) -> Result<Settings, Violations> {
    let mut violations = Violations::new();
    let found = options_from_json::<FilesOptions>(options, &Path::root(), &mut violations);
    found.ok_or(violations)
}

pub(crate) fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new(topic).unwrap(), partition: PartitionId(partition) }
}

/// A canonical record of few fields; `more` is a later version of it.
pub(crate) fn value_schema(more: bool) -> Arc<Schema> {
    let mut fields = json!([
        {"name": "meta", "type": {"type": "record", "name": "Meta", "fields": [
            {"name": "op", "type": "string"}]}},
        {"name": "sku", "type": "string"},
        {"name": "on_hand", "type": "long"}]);
    if more {
        let field = json!({"name": "more", "type": ["null", "string"], "default": null});
        fields.as_array_mut().unwrap().push(field);
    }
    let schema = json!({"type": "record", "name": "Inventory", "fields": fields});
    Arc::new(Schema::parse(&schema.to_string()).unwrap())
}

pub(crate) fn key_schema() -> Arc<Schema> {
    let schema = json!({"type": "record", "name": "Key", "fields": [
        {"name": "sku", "type": "string"}]});
    Arc::new(Schema::parse(&schema.to_string()).unwrap())
}

/// Builds batches with schemas that stay the same objects, as the bus's cache has them.
pub(crate) struct Records {
    key: Arc<Schema>,
    values: [Arc<Schema>; 2],
    pub batch: RecordBatch,
}

impl Records {
    pub(crate) fn new() -> Self {
        let values = [value_schema(false), value_schema(true)];
        Self { key: key_schema(), values, batch: RecordBatch::new() }
    }

    pub(crate) fn push(
        &mut self,
        at: &TopicPartition,
        offset: i64,
        sku: &str,
        value: Option<Value>,
    ) {
        let mut key = Vec::new();
        json_to_datum(self.key.root(), &json!({"sku": sku}), &mut key).unwrap();
        let schema =
            &self.values[usize::from(value.as_ref().is_some_and(|v| v.get("more").is_some()))];
        let mut datum = Vec::new();
        if let Some(value) = &value {
            json_to_datum(schema.root(), value, &mut datum).unwrap();
        }
        self.batch.push(Record {
            topic: &at.topic,
            partition: at.partition,
            offset: Offset(offset),
            timestamp: Micros(0),
            key: Some(Datum { schema: &self.key, bytes: &key }),
            value: value.map(|_| Datum { schema, bytes: &datum }),
            headers: &[],
        });
    }

    pub(crate) fn upsert(&mut self, at: &TopicPartition, offset: i64, sku: &str, on_hand: i64) {
        let value = json!({"meta": {"op": "upsert"}, "sku": sku, "on_hand": on_hand});
        self.push(at, offset, sku, Some(value));
    }

    pub(crate) fn delete(&mut self, at: &TopicPartition, offset: i64, sku: &str) {
        let value = json!({"meta": {"op": "delete"}, "sku": sku, "on_hand": 0});
        self.push(at, offset, sku, Some(value));
    }
}

/// A target folder.
pub(crate) struct Folder {
    dir: TempDir,
    format: &'static str,
    roll: Value,
}

impl Folder {
    pub(crate) fn new(format: &'static str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), format, roll: json!({"max_age": "1h"}) }
    }

    pub(crate) fn roll(mut self, roll: Value) -> Self {
        self.roll = roll;
        self
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    pub(crate) fn topic(&self, topic: &str) -> PathBuf {
        self.path().join(topic)
    }

    pub(crate) fn connect(&self) -> Result<FilesSink, ConnectError> {
        let options = json!({"folder": "out", "format": self.format, "roll": self.roll});
        let cx = SinkContext {
            name: WorkerName::new("lake").unwrap(),
            topics: Vec::new(),
            base: self.dir.path().to_owned(),
        };
        now(FilesSink::connect(settings(options).unwrap(), cx))
    }

    /// Looks at a folder below the base, which is no worker's yet.
    pub(crate) fn check(&self, folder: &str) -> Result<(), ConnectError> {
        let options = json!({"folder": folder, "format": self.format, "roll": self.roll});
        let cx = SinkContext {
            name: WorkerName::new("lake").unwrap(),
            topics: Vec::new(),
            base: self.dir.path().to_owned(),
        };
        now(FilesSink::check(settings(options).unwrap(), cx))
    }

    /// Names of a topic's files, those that are being written too, without the marks.
    pub(crate) fn names(&self, topic: &str) -> Vec<String> {
        let Ok(listing) = fs::read_dir(self.topic(topic)) else { return Vec::new() };
        let mut names: Vec<String> =
            listing.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.ends_with(".delivered"));
        names.sort();
        names
    }

    /// The lines of all files of a partition, in order.
    pub(crate) fn lines(&self, at: &TopicPartition) -> Vec<Value> {
        let prefix = format!("{}-", at.partition);
        let mut lines = Vec::new();
        for name in self.names(at.topic.as_str()).iter().filter(|name| name.starts_with(&prefix)) {
            let text = fs::read_to_string(self.topic(at.topic.as_str()).join(name)).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        lines
    }
}
