//! What can be set: for the whole data folder ([`LogOptions`]) and per partition
//! ([`PartitionConfig`]).

use std::fmt;
use std::sync::Arc;

use crate::error::InvalidTopic;

/// A topic's name and a partition number, valid as Kafka defines them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    topic: Arc<str>,
    partition: i32,
}

impl TopicPartition {
    /// Checks the name by Kafka's rule: 1 to 249 of `a-z A-Z 0-9 . _ -`, not `.` or `..`; the
    /// partition must not be negative.
    ///
    /// # Errors
    /// [`InvalidTopic`] with the offending name and number.
    pub fn new(topic: &str, partition: i32) -> Result<Self, InvalidTopic> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let valid = (1..=249).contains(&topic.len())
            && topic != "."
            && topic != ".."
            && topic.bytes().all(legal)
            && partition >= 0;
        if valid {
            Ok(Self { topic: topic.into(), partition })
        } else {
            Err(InvalidTopic { topic: topic.chars().take(260).collect(), partition })
        }
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// When appended records count as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushPolicy {
    /// After `fdatasync`: an acknowledged record survives a power cut.
    #[default]
    EveryAck,
    /// As soon as the operating system has them: an acknowledged record survives `kill -9`, not a
    /// power cut.
    PageCache,
}

/// Settings of a data folder.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// When appends count as durable.
    pub flush: FlushPolicy,
    /// Bytes of log between two index entries: smaller finds an offset with less reading, larger
    /// writes less.
    pub index_interval_bytes: u32,
    /// Appends are refused while the file system has less free space than this, so that
    /// checkpoints and compaction still work.
    pub min_free_bytes: u64,
    /// A recovery checkpoint is written after this many bytes of a partition, so that a start
    /// after a crash reads no more than that per partition.
    pub checkpoint_bytes: u64,
    /// Memory for the offset map of one compaction pass. More keys than fit take more passes.
    pub compaction_bytes: usize,
    /// The state of an idempotent producer is forgotten when it has not written for so long, in
    /// milliseconds.
    pub producer_expiry_ms: i64,
    /// Durability is only reached by calling [`crate::LogDir::sync_now`]: makes seeded fault tests
    /// repeatable.
    #[cfg(feature = "faults")]
    pub manual_sync: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            flush: FlushPolicy::EveryAck,
            index_interval_bytes: 4 << 10,
            min_free_bytes: 128 << 20,
            checkpoint_bytes: 64 << 20,
            compaction_bytes: 32 << 20,
            producer_expiry_ms: 24 * 60 * 60 * 1000,
            #[cfg(feature = "faults")]
            manual_sync: false,
        }
    }
}

/// Settings of one partition, named as Kafka's topic configuration. Not stored by the log: the
/// owner sets them after each open with [`crate::Partition::set_config`].
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionConfig {
    /// `segment.bytes`: a segment is closed before it would grow beyond this.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment is closed when its first batch is older than this.
    pub segment_ms: i64,
    /// `retention.ms`; `None` keeps records forever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`; `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// `cleanup.policy` contains `compact`.
    pub compact: bool,
    /// `cleanup.policy` contains `delete`.
    pub delete: bool,
    /// `delete.retention.ms`: how long tombstones stay readable after the first compaction.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: records younger than this are not compacted.
    pub min_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: compaction runs when this share of the log is new.
    pub min_cleanable_dirty_ratio: f64,
    /// `max.message.bytes`: the largest batch accepted from a client.
    pub max_message_bytes: u32,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// When an append counts as durable; `None` is the policy of the folder.
    pub flush: Option<FlushPolicy>,
}

impl Default for PartitionConfig {
    /// Kafka's defaults, except for `segment.bytes`: 256 MiB, so that retention frees space sooner.
    fn default() -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        Self {
            segment_bytes: 256 << 20,
            segment_ms: 7 * DAY_MS,
            retention_ms: Some(7 * DAY_MS),
            retention_bytes: None,
            compact: false,
            delete: true,
            delete_retention_ms: DAY_MS,
            min_compaction_lag_ms: 0,
            min_cleanable_dirty_ratio: 0.5,
            max_message_bytes: 1_048_588,
            log_append_time: false,
            flush: None,
        }
    }
}
