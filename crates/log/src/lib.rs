//! The append-only partition log under the embedded Kafka-compatible broker.

mod aborted;
mod batch;
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
