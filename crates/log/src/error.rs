//! Everything that can go wrong, by operation.

use std::io;
use std::path::{Path, PathBuf};

use crate::options::TopicPartition;

/// What was attempted on which path, and the system's answer.
#[derive(Debug, thiserror::Error)]
#[error(
    "TL0204: could not {action} {}; check the disk and who may write to the folder",
    path.display()
)]
pub struct IoFault {
    /// What was attempted.
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

/// Adds the attempt to an [`io::Result`].
pub(crate) trait Attempt<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, IoFault>;
}

impl<T> Attempt<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, IoFault> {
        self.map_err(|source| IoFault { action, path: path.to_owned(), source })
    }
}

/// A topic name or partition number that Kafka does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "TL0201: topic {topic:?} partition {partition} is not a valid name; use 1 to 249 of a-z, A-Z, \
     0-9, '.', '_' and '-', and a partition of 0 or more"
)]
pub struct InvalidTopic {
    /// The name as given, cut to 260 characters.
    pub topic: String,
    /// The partition as given.
    pub partition: i32,
}

/// Why a data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the folder.
    #[error(
        "TL0202: data folder {} is used by process {}; stop that process or choose another folder",
        folder.display(), pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
    )]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// The process that holds it, when its lock file says so.
        pid: Option<u32>,
    },
    /// The folder was written by a newer version.
    #[error(
        "TL0203: data folder {} has layout {found}, this version reads up to {known}; use the \
         version that wrote it or a newer one",
        folder.display()
    )]
    Layout {
        /// The data folder.
        folder: PathBuf,
        /// The layout found.
        found: u32,
        /// The newest layout known here.
        known: u32,
    },
    /// A partition ends before records that were durable when its checkpoint was written.
    #[error(
        "TL0210: partition {partition} ends at offset {end} in {}, and its checkpoint has seen \
         {synced} synced: records are lost or damaged; nothing was removed, restore the folder of \
         the partition from a copy, or remove its file checkpoint to go on with what is left",
        path.display()
    )]
    Lost {
        /// The partition.
        partition: TopicPartition,
        /// The segment in which whole batches end.
        path: PathBuf,
        /// First offset that cannot be read.
        end: i64,
        /// First offset that need not be there.
        synced: i64,
    },
    /// The file system refused something.
    #[error(transparent)]
    Io(#[from] IoFault),
}

/// Why the records were not appended, or why they are not durable.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The bytes are not whole, well-formed v2 record batches (Kafka: `CORRUPT_MESSAGE`).
    #[error("batch at byte {at} of the request was refused: {reason}")]
    Corrupt {
        /// Position of the batch in the request.
        at: usize,
        /// What is wrong with it.
        reason: BatchFault,
    },
    /// Well-formed, but not allowed here (Kafka: `INVALID_RECORD`).
    #[error("batch was refused: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: BatchFault,
    },
    /// Compaction needs a key in every record (Kafka: `INVALID_RECORD`).
    #[error("a compacted topic cannot accept records without a key")]
    MissingKey {
        /// Positions of such records in their batch; a few thousand at most.
        records: Vec<i32>,
    },
    /// A batch is larger than `max.message.bytes` (Kafka: `MESSAGE_TOO_LARGE`).
    #[error("batch of {bytes} bytes is larger than max.message.bytes {limit}")]
    TooLarge {
        /// Size of the batch.
        bytes: usize,
        /// The limit.
        limit: u32,
    },
    /// A gap in the producer's sequence (Kafka: `OUT_OF_ORDER_SEQUENCE_NUMBER`).
    #[error("producer {producer_id} sent sequence {found}, expected {expected}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// The sequence that would have continued.
        expected: i32,
        /// The sequence received.
        found: i32,
    },
    /// A newer instance of the producer has written (Kafka: `INVALID_PRODUCER_EPOCH`).
    #[error("producer {producer_id} is fenced: epoch {found} is older than {current}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// The newest epoch seen.
        current: i16,
        /// The epoch received.
        found: i16,
    },
    /// A marker from a coordinator that has been replaced (Kafka:
    /// `TRANSACTION_COORDINATOR_FENCED`).
    #[error(
        "marker for producer {producer_id} has coordinator epoch {found}, older than {current}"
    )]
    CoordinatorFenced {
        /// The producer.
        producer_id: i64,
        /// The newest coordinator epoch seen.
        current: i32,
        /// The epoch received.
        found: i32,
    },
    /// A plain batch inside an open transaction of the same producer (Kafka:
    /// `INVALID_TXN_STATE`).
    #[error("producer {producer_id} has an open transaction and sent a batch outside of it")]
    InvalidTxnState {
        /// The producer.
        producer_id: i64,
    },
    /// The file system is full; reading goes on and writing resumes by itself when there is room
    /// (Kafka: `KAFKA_STORAGE_ERROR`, which clients retry).
    #[error(
        "TL0205: disk is full: {available} bytes free at {}, {reserved} are kept in reserve; free \
         some space, writing then resumes by itself",
        folder.display()
    )]
    DiskFull {
        /// The data folder.
        folder: PathBuf,
        /// Free bytes seen last.
        available: u64,
        /// `min_free_bytes`.
        reserved: u64,
    },
    /// A write or sync failed; the whole folder refuses writes until it is opened again, because
    /// nobody can tell which pages the system has dropped (Kafka: `KAFKA_STORAGE_ERROR`).
    #[error(
        "TL0206: data folder {} refuses writes after a failed {action} in {partition}; check the \
         disk and restart, recovery keeps everything that was acknowledged",
        folder.display()
    )]
    Failed {
        /// The data folder.
        folder: PathBuf,
        /// Where it happened.
        partition: TopicPartition,
        /// What failed.
        action: &'static str,
    },
    /// This one write failed and was taken back; the partition still accepts writes.
    #[error(transparent)]
    Io(#[from] IoFault),
    /// The partition was deleted or the folder closed meanwhile (Kafka:
    /// `UNKNOWN_TOPIC_OR_PARTITION`).
    #[error("partition {partition} is closed")]
    Closed {
        /// The partition.
        partition: TopicPartition,
    },
}

impl AppendError {
    /// Whether the same append can succeed later without a change by the client.
    #[must_use]
    pub fn retriable(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::Io(_) | Self::Failed { .. })
    }
}

/// What is wrong with a record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchFault {
    /// Nothing was sent.
    #[error("no batch")]
    Empty,
    /// The bytes end inside a batch.
    #[error("batch is cut short")]
    CutShort,
    /// A length that no batch can have.
    #[error("batch length is impossible")]
    Length,
    /// Message format 0 or 1, or something else.
    #[error("record batch format is not version 2")]
    Magic,
    /// The checksum does not match the bytes.
    #[error("checksum does not match")]
    Checksum,
    /// Record count and last offset delta do not fit together.
    #[error("record count does not match the offsets")]
    Count,
    /// A compression codec that does not exist.
    #[error("compression codec is unknown")]
    Codec,
    /// The records cannot be decompressed or told apart.
    #[error("records cannot be decoded")]
    Records,
    /// Producer id, epoch and sequence do not fit together.
    #[error("producer id, epoch and sequence do not fit together")]
    Producer,
    /// Only coordinators write control batches.
    #[error("clients cannot write control batches")]
    Control,
    /// A control batch that is not one commit or abort marker.
    #[error("control batch is not a transaction marker")]
    Marker,
    /// The partition's offsets are used up.
    #[error("offset is out of range")]
    Offset,
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is before the log start or beyond the log end.
    #[error("offset {offset} is outside of {log_start}..={high_watermark}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// First offset there is.
        log_start: i64,
        /// End of what can be read.
        high_watermark: i64,
    },
    /// The stored bytes are damaged.
    #[error("TL0207: {} is damaged at byte {position}; restore it or delete the records before it", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        position: u64,
    },
    /// The file system refused something.
    #[error(transparent)]
    Io(#[from] IoFault),
    /// The partition was deleted or the folder closed meanwhile.
    #[error("partition {partition} is closed")]
    Closed {
        /// The partition.
        partition: TopicPartition,
    },
}

/// Why a change to the set of partitions or to their stored extent did not happen.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The partition is already there.
    #[error("partition {partition} already exists")]
    Exists {
        /// The partition.
        partition: TopicPartition,
    },
    /// The partition is not there.
    #[error("partition {partition} does not exist")]
    Missing {
        /// The partition.
        partition: TopicPartition,
    },
    /// `delete_records` beyond the high watermark.
    #[error("offset {offset} is beyond the high watermark {high_watermark}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// End of what can be deleted.
        high_watermark: i64,
    },
    /// The folder refuses writes after a failed sync, or the partition is closed.
    #[error(transparent)]
    Refused(#[from] AppendError),
    /// The stored bytes could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file system refused something.
    #[error(transparent)]
    Io(#[from] IoFault),
}
