//! Sinks: they write canonical records to one target system.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use throughline_event::{Offset, Record, RecordBatch, TopicName, TopicPartition, WorkerName};

use crate::{BoxError, ConnectError, ConnectorOptions};

/// What a sink is given when it starts.
#[derive(Debug, Clone)]
pub struct SinkContext {
    /// The worker's own name.
    pub name: WorkerName,
    /// The topics it will be given.
    pub topics: Vec<TopicName>,
    /// Relative paths in options are relative to this folder, that of the configuration file.
    pub base: PathBuf,
}

impl SinkContext {
    /// A path of the options, as it is told in messages: without `./` in the middle.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join(path).components().collect()
    }
}

/// Which record an error is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordPosition {
    /// Its partition.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: Offset,
}

impl std::fmt::Display for RecordPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} offset {}", self.partition, self.offset)
    }
}

/// What a target holds of a partition, for somebody who lets its worker go on elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The next offset that it needs: the worker goes on there, whatever is committed.
    pub next: Offset,
    /// What is removed so that it is filled anew, `target/canonical.order/0-*.jsonl`.
    pub remove: String,
}

/// How far the target holds each partition: the next offset it needs. The only thing offsets are
/// committed from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "offsets are committed from the receipt"]
pub struct Receipt {
    /// Next offset per partition; a partition that is missing has nothing new that is durable.
    pub next: Vec<(TopicPartition, Offset)>,
}

/// What the runtime does about a failed delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Wait, then deliver the same batch again.
    Retry {
        /// How long, when the target says so.
        after: Option<Duration>,
    },
    /// Take this record out, park its key, deliver the rest.
    DeadLetter {
        /// Which record; one of the batch.
        position: RecordPosition,
        /// Stable code.
        code: &'static str,
        /// The target's own reason.
        reason: String,
    },
    /// Stop the worker until a person acts.
    Halt,
}

/// Why a batch was not delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The target may take it later.
    #[error("{code}: {target} is not writable; {fix}")]
    Unavailable {
        /// Stable code.
        code: &'static str,
        /// What was written to.
        target: String,
        /// What to look at.
        fix: String,
        /// When the target wants to be asked again.
        retry_after: Option<Duration>,
        /// The cause.
        #[source]
        cause: BoxError,
    },
    /// The target refuses this record.
    #[error("{code}: record at {position} was refused: {reason}")]
    Refused {
        /// Stable code.
        code: &'static str,
        /// Which record; one of the batch.
        position: RecordPosition,
        /// The target's own reason.
        reason: String,
    },
    /// Going on would lose or corrupt data.
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

impl DeliverError {
    /// The one question an error answers.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Unavailable { retry_after, .. } => Disposition::Retry { after: *retry_after },
            Self::Refused { code, position, reason } => {
                Disposition::DeadLetter { position: position.clone(), code, reason: reason.clone() }
            }
            Self::Halt { .. } => Disposition::Halt,
        }
    }
}

/// Writes batches of canonical records to one target system.
///
/// Batches of one partition arrive in offset order. A batch may arrive again after a failure or a
/// restart, whole or from any of its records on, so writes must be idempotent. `deliver` either
/// takes the whole batch or returns an error and may have taken any part of it.
pub trait Sink: Send + Sized + 'static {
    /// The name in `kind:`.
    const KIND: &'static str;
    /// What the operator writes.
    type Options: ConnectorOptions;

    /// Reaches the target.
    fn connect(
        settings: <Self::Options as ConnectorOptions>::Settings,
        cx: SinkContext,
    ) -> impl Future<Output = Result<Self, ConnectError>> + Send;

    /// Tells whether [`Sink::connect`] would work, also while the worker itself runs. What is at
    /// the target stays as it is.
    fn check(
        settings: <Self::Options as ConnectorOptions>::Settings,
        cx: SinkContext,
    ) -> impl Future<Output = Result<(), ConnectError>> + Send {
        async move { Self::connect(settings, cx).await.map(drop) }
    }

    /// Tells what the target holds of a partition, where it keeps a place of its own. It is looked at
    /// and stays as it is, also while the worker itself runs.
    fn holds(
        _settings: <Self::Options as ConnectorOptions>::Settings,
        _cx: SinkContext,
        _partition: &TopicPartition,
    ) -> impl Future<Output = Result<Option<Holding>, DeliverError>> + Send {
        async { Ok(None) }
    }

    /// These partitions are now delivered by this worker. Returns where the target itself says to
    /// go on, for those it knows; the others go on at the committed offset. A target that keeps
    /// offsets beside the data is exactly once by this.
    fn assigned(
        &mut self,
        partitions: &[TopicPartition],
    ) -> impl Future<Output = Result<Receipt, DeliverError>> + Send;

    /// Whether the target shows that it was delivered records of an assigned partition before. Where
    /// offsets are committed and it does not, it is not the target that was written: emptied, new, or
    /// not mounted. Targets that cannot tell say yes.
    fn has_seen(&self, _partition: &TopicPartition) -> bool {
        true
    }

    /// These partitions are no longer delivered by this worker: forget what is not durable.
    fn revoked(&mut self, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send;

    /// Takes a batch. The receipt says what is durable at the target by now, of this and of earlier
    /// batches.
    fn deliver(
        &mut self,
        batch: &RecordBatch,
    ) -> impl Future<Output = Result<Receipt, DeliverError>> + Send;

    /// Takes a record that it refused before, when the worker starts: what it was refused for may be
    /// mended. None of the records that were delivered since is of its key. Returns whether the
    /// target holds it now, durably; not when it will be delivered again in its order anyway. May be
    /// called again with a record that is held already.
    fn retry(
        &mut self,
        record: &Record<'_>,
    ) -> impl Future<Output = Result<bool, DeliverError>> + Send;

    /// How long the worker may wait for more records before it calls `flush`; nothing when all that
    /// was delivered is durable.
    fn flush_due(&self) -> Option<Duration>;

    /// Makes durable what was delivered and is due, or everything when `all` (drain).
    fn flush(&mut self, all: bool) -> impl Future<Output = Result<Receipt, DeliverError>> + Send;
}
