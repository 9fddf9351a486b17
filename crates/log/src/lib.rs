//! The append-only partition log under the embedded Kafka-compatible broker.
//!
//! It stores record batches (message format 2) as they were received, makes them durable by group
//! commit, and gives them back by offset or time. It knows idempotent producers and transactions
//! as far as a partition has to. Requests, groups, coordinators and the settings of topics belong
//! to `throughline-broker`.
//!
//! # What holds
//! - Readers see offsets below the high watermark, and those are durable under the flush policy.
//! - After a failed sync nothing in the folder is written or acknowledged until the next open.
//! - A refused append leaves nothing behind; a full disk refuses appends and nothing else.
//! - After a crash the log ends behind the last whole batch. Everything acknowledged is before it.
//! - On a damaged disk what is cut is kept: an open never destroys a batch that is whole.
//! - An idle folder costs nothing: one thread waits, nothing polls.
//!
//! # The folder
//! ```text
//! lock                            held by the process whose id it contains
//! layout                          number of this layout, 1
//! sync-failed                     a sync has failed; the next open writes the tails again
//! deleted/<n>/                    partitions on their way out
//! damaged/*.damaged               what was cut off a log and may have been acknowledged
//! partitions/<topic>-<partition>/
//!   <base offset>.log             record batches, one after the other
//!   <base offset>.index           offset to position, sparse
//!   <base offset>.timeindex       time to offset, sparse
//!   <base offset>.aborted         aborted transactions whose marker is in a closed segment
//!   checkpoint                    where recovery begins to read, and the producers there
//!   extent                        the log start, and how far compaction has come
//!   <base>-<end>.cleaned .swap .swap-aborted    a compaction under way
//!   *.tmp                         a small file under way
//! ```
//! Numbers are big-endian, base offsets have 20 digits. `layout`, `.aborted`, `checkpoint` and
//! `extent` end with the CRC-32C of what is before it and are replaced as a whole. Indexes are
//! rebuilt when they are missing or do not fit; without a valid checkpoint the whole log is read.
//!
//! # Limits
//! One process, one folder, one file system. What clients append is decoded once, to refuse what no
//! consumer could read.
//!
//! A process that is killed in the moment between a failed sync and its mark (`sync-failed`) leaves
//! a page cache that the next open believes. What that sync was for was not acknowledged, but the
//! next open takes it for durable; a power cut later can take it away.

mod aborted;
mod batch;
mod buffers;
mod checkpoint;
mod codec;
mod compaction;
mod dir;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
mod fetch;
mod files;
mod folder;
mod index;
mod options;
mod partition;
mod producers;
mod records;
mod scanner;
mod segment;
mod small_file;
mod table;

pub use dir::LogDir;
pub use error::{AppendError, BatchFault, InvalidTopic, IoFault, LogError, OpenError, ReadError};
pub use fetch::{
    AbortedTxn, Appended, CleanReport, Ends, Fetched, Isolation, Origin, ProducerInfo, ReadLimit,
    Status, TimedOffset,
};
pub use files::{FileLayer, LockError, LogFile, StdFiles};
pub use options::{FlushPolicy, LogOptions, PartitionConfig, TopicPartition};
pub use partition::Partition;
