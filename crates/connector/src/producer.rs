//! Producers: they follow one source system's own change log.

use std::future::Future;
use std::path::{Path, PathBuf};

use throughline_avro::Schema;
use throughline_event::{EntityName, Micros, Position, SystemName, WorkerName};

use crate::{BoxError, ConnectError, ConnectorOptions};

/// What a producer is given when it starts.
#[derive(Debug, Clone)]
pub struct ProducerContext {
    /// The producer's own name.
    pub name: WorkerName,
    /// The system it follows.
    pub system: SystemName,
    /// Relative paths in options are relative to this folder, that of the configuration file.
    pub base: PathBuf,
}

impl ProducerContext {
    /// A path of the options, as it is told in messages: without `./` in the middle.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join(path).components().collect()
    }
}

/// How many partitions a raw topic may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionRule {
    /// One: the canonical key is a natural key that can move between source keys.
    One,
    /// As many as the operator likes.
    Any,
}

/// One entity a producer publishes, to `cdc.<system>.<entity>`.
#[derive(Debug, Clone)]
pub struct CapturedEntity {
    /// Its name.
    pub name: EntityName,
    /// The record of its key.
    pub key: Schema,
    /// The record of a whole document.
    pub document: Schema,
    /// Top-level fields that do not count as a change.
    pub ignore: Vec<String>,
    /// Its partitions.
    pub partitions: PartitionRule,
}

/// One version of something that is read as a whole: a file that may be replaced by a better one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Its name, the same for all versions: `orders.csv`.
    pub source: String,
    /// Tells this version from the others, also after a restart.
    pub version: u64,
}

/// A row or document that cannot be published: it goes to the dead letters with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The entity it was for.
    pub entity: EntityName,
    /// Stable code, `TL1003`.
    pub code: &'static str,
    /// Where it stands: `orders.csv line 12 column 4`.
    pub place: String,
    /// What is wrong with it and what to do.
    pub reason: String,
    /// The input as it was, bounded in size, with dropped columns removed; in UTF-8 when its
    /// encoding is another one.
    pub input: Vec<u8>,
    /// What it was read from, when a later version of that can mend it: its dead letter is resolved
    /// by the [`Item::ReadWhole`] of another version.
    pub reading: Option<Reading>,
}

/// One thing read from the source, in source order. `entity` is a place in
/// [`Producer::entities`]; keys, documents and rows are Avro datums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A whole document as it is now.
    Document {
        /// The entity.
        entity: usize,
        /// Its key.
        key: Vec<u8>,
        /// The document.
        document: Vec<u8>,
        /// Which sweep it belongs to, so that two dumps of one entity do not delete each other's keys.
        scope: Option<String>,
        /// When it was changed at the source, if the source tells, else when it was seen.
        changed_at: Micros,
        /// The source position, for people.
        place: String,
        /// Whether it is part of an initial or requested re-read.
        snapshot: bool,
    },
    /// Rows that join the grouped document of this key, behind the rows it already has.
    Rows {
        /// The entity.
        entity: usize,
        /// The key of the document.
        key: Vec<u8>,
        /// Row datums in source order.
        rows: Vec<Vec<u8>>,
        /// As in `Document`.
        changed_at: Micros,
        /// As in `Document`.
        place: String,
        /// As in `Document`.
        snapshot: bool,
    },
    /// The key is gone.
    Gone {
        /// The entity.
        entity: usize,
        /// Its key.
        key: Vec<u8>,
        /// As in `Document`.
        changed_at: Micros,
        /// As in `Document`.
        place: String,
    },
    /// The key stands in the dump, but what stands there cannot be published; the [`Rejection`] says
    /// why. Nothing is published: the sweep counts the key as seen, so that a row that cannot be read
    /// does not delete what it was before.
    Kept {
        /// The entity.
        entity: usize,
        /// Its key.
        key: Vec<u8>,
        /// The scope of the `SweepBegin`.
        scope: String,
    },
    /// A full dump of an entity begins: every key of this scope that is not seen before its
    /// `SweepEnd` is gone.
    SweepBegin {
        /// The entity.
        entity: usize,
        /// The dump's family, the same for each replacement of the same file.
        scope: String,
        /// Which version of it, as in [`Reading`].
        version: u64,
    },
    /// The dump is complete; keys that were not seen are deleted.
    SweepEnd {
        /// The entity.
        entity: usize,
        /// The scope of the `SweepBegin`.
        scope: String,
        /// When the dump was made.
        changed_at: Micros,
        /// As in `Document`.
        place: String,
    },
    /// The dump was given up: nothing is deleted.
    SweepCancel {
        /// The entity.
        entity: usize,
        /// The scope of the `SweepBegin`.
        scope: String,
    },
    /// Something that cannot be published.
    Rejected(Rejection),
    /// This version was read to its end: dead letters that came from other versions of the same
    /// source are resolved.
    ReadWhole {
        /// The entity.
        entity: usize,
        /// What was read.
        reading: Reading,
    },
}

/// What one [`Producer::capture`] read; published in one Kafka transaction with the position.
#[derive(Debug, Default)]
pub struct CaptureBatch {
    /// What was read, in source order. May be empty beside a position that moved.
    pub items: Vec<Item>,
    /// The position after the last item; nothing when it did not move.
    pub position: Option<Position>,
    /// What keeps some of the source from being read; the rest goes on. All of it with every batch,
    /// also what an earlier look found and this one did not come to: what is not here any more is
    /// taken to be over. The producer looks again by itself.
    pub waiting: Vec<CaptureError>,
}

/// Whether more can be read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Captured {
    /// There may be more: call again at once.
    More,
    /// The producer is at the end of its source: call again after this time, or when drained.
    Idle(std::time::Duration),
}

/// Why a capture failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The source may answer later; the runtime waits and calls again.
    #[error("{code}: {source_name} is not readable")]
    Unavailable {
        /// Stable code.
        code: &'static str,
        /// What was read, for people.
        source_name: String,
        /// The cause.
        #[source]
        cause: BoxError,
    },
    /// Going on would lose or corrupt data: the worker stops until a person acts.
    #[error("{code}: {problem}; {fix}")]
    Halt {
        /// Stable code.
        code: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do.
        fix: String,
    },
}

/// Follows one source system.
///
/// The runtime calls `resume` once with the position of the last committed transaction, then
/// `capture` again and again. It publishes each batch and its position in one Kafka transaction and
/// then calls `committed`. After a crash the same position is resumed: `capture` must read the same
/// again, and needs no memory of its own to be exactly once.
pub trait Producer: Send + Sized + 'static {
    /// The name in `kind:`.
    const KIND: &'static str;
    /// What the operator writes.
    type Options: ConnectorOptions;

    /// Reaches the source.
    fn connect(
        settings: <Self::Options as ConnectorOptions>::Settings,
        cx: ProducerContext,
    ) -> impl Future<Output = Result<Self, ConnectError>> + Send;

    /// What it will publish, as far as the options alone say it: no I/O. Nothing where only the
    /// source knows.
    ///
    /// # Errors
    /// When the options describe documents that have no schema.
    fn declared(
        _settings: &<Self::Options as ConnectorOptions>::Settings,
        _system: &SystemName,
    ) -> Result<Vec<CapturedEntity>, ConnectError> {
        Ok(Vec::new())
    }

    /// What it publishes; does not change while it runs.
    fn entities(&self) -> &[CapturedEntity];

    /// What an operator may expect in the source and is not there, as `connect` or the last look saw
    /// it: a file that no name fits. It keeps nothing from being read, and is read when it comes.
    fn missing(&self) -> Vec<String> {
        Vec::new()
    }

    /// Starts behind this position, or from the beginning.
    fn resume(&mut self, position: Option<Position>) -> Result<(), CaptureError>;

    /// Reads at most about `budget` bytes of documents into an empty batch. Returns at once when
    /// there is nothing to read.
    fn capture(
        &mut self,
        batch: &mut CaptureBatch,
        budget: usize,
    ) -> impl Future<Output = Result<Captured, CaptureError>> + Send;

    /// The batch with this position is durable on the log.
    fn committed(&mut self, position: &Position);
}
