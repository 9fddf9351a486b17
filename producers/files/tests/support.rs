//! A folder, a producer on it, and a small model of what the runtime makes of its items.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use throughline_avro::{Cursor, Schema, write_json};
use throughline_connector::{
    CaptureBatch, CaptureError, Captured, Item, Producer, ProducerContext, Reading, Rejection,
    options_from_json,
};
use throughline_event::{Path as OptionPath, Position, SystemName, Violations, WorkerName};
use throughline_producer_files::{FilesProducer, Settings};

/// The producer never waits for anything but the disk, so one poll is enough.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a capture waited"),
    }
}

pub(crate) fn settings(options: Value) -> Result<Settings, Violations> {
    let mut violations = Violations::new();
    let found = options_from_json::<throughline_producer_files::FilesOptions>(
        options,
        &OptionPath::root(),
        &mut violations,
    );
    found.ok_or(violations)
}

/// A watched folder.
pub(crate) struct Folder {
    dir: TempDir,
    options: Value,
    ticks: std::cell::Cell<u64>,
}

impl Folder {
    /// Watches the files of the entities.
    pub(crate) fn new(entities: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = json!({"folder": ".", "poll": "1h", "entities": entities});
        Self { dir, options, ticks: std::cell::Cell::new(0) }
    }

    pub(crate) fn set(&mut self, path: &[&str], value: Value) {
        let mut at = &mut self.options;
        for key in path {
            at = &mut at[*key];
        }
        *at = value;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Puts a whole file in place, last changed long ago, so that it counts as complete.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let temporary = self.path(".new");
        fs::write(&temporary, content).unwrap();
        self.age(&temporary);
        fs::rename(temporary, self.path(name)).unwrap();
    }

    /// Overwrites a file in place.
    pub(crate) fn overwrite(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
        self.age(&self.path(name));
    }

    fn age(&self, path: &Path) {
        self.ticks.set(self.ticks.get() + 1);
        let ago = Duration::from_secs(1_000_000 - self.ticks.get());
        File::options()
            .append(true)
            .open(path)
            .unwrap()
            .set_modified(SystemTime::now() - ago)
            .unwrap();
    }

    pub(crate) fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn producer(&self, position: Option<Position>) -> FilesProducer {
        let cx = ProducerContext {
            name: WorkerName::new("shop-files").unwrap(),
            system: SystemName::new("shop").unwrap(),
            base: self.root().to_owned(),
        };
        let settings = settings(self.options.clone()).unwrap();
        let mut producer = now(FilesProducer::connect(settings, cx)).unwrap();
        producer.resume(position).unwrap();
        producer
    }
}

/// What was published.
#[derive(Default)]
pub(crate) struct Log {
    pub items: Vec<Item>,
    /// The versions of files that were read to their ends.
    pub whole: Vec<Reading>,
    pub position: Option<Position>,
    /// What was said at the end of files that are set aside, by entity.
    pub aside: Vec<String>,
}

impl Log {
    /// Reads all there is, in batches of about `budget` bytes. Files may be set aside.
    pub(crate) fn drain(&mut self, producer: &mut FilesProducer, budget: usize) {
        self.try_drain(producer, budget).unwrap();
    }

    pub(crate) fn try_drain(
        &mut self,
        producer: &mut FilesProducer,
        budget: usize,
    ) -> Result<(), CaptureError> {
        loop {
            let mut batch = CaptureBatch::default();
            let captured = now(producer.capture(&mut batch, budget))?;
            let set_aside = |error: &CaptureError| error.to_string().starts_with("TL1033");
            let (aside, waiting): (Vec<_>, Vec<_>) =
                std::mem::take(&mut batch.waiting).into_iter().partition(set_aside);
            self.aside = aside.iter().map(ToString::to_string).collect();
            self.take(batch);
            if let Captured::Idle(_) = captured {
                return waiting.into_iter().next().map_or(Ok(()), Err);
            }
        }
    }

    pub(crate) fn take(&mut self, batch: CaptureBatch) {
        assert!(batch.items.is_empty() || batch.position.is_some(), "items without a position");
        for item in batch.items {
            match item {
                Item::ReadWhole { reading, .. } => self.whole.push(reading),
                item => self.items.push(item),
            }
        }
        self.position = batch.position.or(self.position.take());
    }

    pub(crate) fn rejected(&self) -> Vec<&Rejection> {
        self.items
            .iter()
            .filter_map(|item| match item {
                Item::Rejected(rejection) => Some(rejection),
                _ => None,
            })
            .collect()
    }

    /// Code and place of what was rejected.
    pub(crate) fn places(&self) -> Vec<(&'static str, String)> {
        self.rejected().iter().map(|r| (r.code, r.place.clone())).collect()
    }
}

/// Reads a folder from a position to its end.
pub(crate) fn read(folder: &Folder, position: Option<Position>) -> Log {
    let mut log = Log { position: position.clone(), ..Log::default() };
    log.drain(&mut folder.producer(position), 1 << 20);
    log
}

/// What the topics hold: documents by key, and how often each was written.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Model {
    pub documents: BTreeMap<Vec<u8>, Document>,
    pub writes: usize,
    seen: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

#[derive(Debug, PartialEq, Clone, Default)]
pub(crate) struct Document {
    pub datum: Vec<u8>,
    pub rows: Vec<Vec<u8>>,
    scope: Option<String>,
}

impl Model {
    pub(crate) fn of(log: &Log) -> Self {
        let mut model = Self::default();
        for item in &log.items {
            model.apply(item);
        }
        model
    }

    pub(crate) fn apply(&mut self, item: &Item) {
        match item.clone() {
            Item::Document { key, document, scope, .. } => {
                if let Some(seen) = scope.as_ref().and_then(|scope| self.seen.get_mut(scope)) {
                    seen.insert(key.clone());
                }
                let new = Document { datum: document, rows: Vec::new(), scope };
                if self.documents.get(&key) != Some(&new) {
                    self.writes += 1;
                    self.documents.insert(key, new);
                }
            }
            Item::Rows { key, rows, .. } => {
                self.writes += rows.len();
                self.documents.entry(key).or_default().rows.extend(rows);
            }
            Item::Gone { key, .. } => {
                self.documents.remove(&key);
            }
            Item::Kept { key, scope, .. } => {
                self.seen.get_mut(&scope).unwrap().insert(key);
            }
            Item::SweepBegin { scope, .. } => {
                self.seen.insert(scope, BTreeSet::new());
            }
            Item::SweepEnd { scope, .. } => {
                let seen = self.seen.remove(&scope).expect("a sweep that ends has begun");
                let scope = Some(scope);
                let before = self.documents.len();
                self.documents.retain(|key, doc| doc.scope != scope || seen.contains(key));
                self.writes += before - self.documents.len();
            }
            Item::SweepCancel { scope, .. } => {
                self.seen.remove(&scope).expect("a sweep that is canceled has begun");
            }
            Item::Rejected(_) | Item::ReadWhole { .. } => {}
        }
    }
}

pub(crate) fn to_json(schema: &Schema, datum: &[u8]) -> Value {
    let mut cursor = Cursor::new(datum);
    let mut out = Vec::new();
    write_json(schema.root(), &mut cursor, &mut out).unwrap();
    cursor.finish().unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// Keys and documents as JSON, of the entity at a place.
pub(crate) fn documents(folder: &Folder, entity: usize, log: &Log) -> Vec<(Value, Value)> {
    let producer = folder.producer(None);
    let schemas = &producer.entities()[entity];
    log.items
        .iter()
        .filter_map(|item| match item {
            Item::Document { entity: e, key, document, .. } if *e == entity => {
                Some((to_json(&schemas.key, key), to_json(&schemas.document, document)))
            }
            _ => None,
        })
        .collect()
}

/// Stock rows: `sku` and `stock`.
pub(crate) fn stock(mode: &str) -> Value {
    json!({"stock": {"path": "stock*.csv", "format": "csv", "mode": mode, "key": ["sku"],
        "columns": {"sku": {}, "stock": {"type": "long"}}}})
}

/// Order lines grouped by order.
pub(crate) fn orders(mode: &str) -> Value {
    json!({"order": {"path": "orders*.csv", "format": "csv", "mode": mode, "key": ["number"],
        "group": "rows", "columns": {"number": {}, "lineitems.variant.sku": {"field": "sku"},
        "price": {"type": "decimal"}}}})
}

pub(crate) const ORDERS: &str = "number,lineitems.variant.sku,price\n";
