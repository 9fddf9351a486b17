//! The append-only partition log under the embedded Kafka-compatible broker.

pub mod dir;
pub mod error;
pub mod fetch;
pub mod files;
pub mod options;
pub mod partition;

pub use dir::LogDir;
pub use error::{AppendError, BatchFault, InvalidTopic, LogError, OpenError, ReadError};
pub use fetch::{
    AbortedTxn, Appended, CleanReport, Ends, Fetched, Isolation, Origin, ProducerInfo, ReadLimit,
    Status, TimedOffset,
};
pub use files::{FileLayer, LockError, LogFile, StdFiles};
pub use options::{FlushPolicy, LogOptions, PartitionConfig, TopicPartition};
pub use partition::Partition;
