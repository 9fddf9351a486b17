//! One partition: append, read, wait, clean.

use bytes::Bytes;
use tokio::sync::watch;

use crate::error::{AppendError, LogError, ReadError};
use crate::fetch::{
    Appended, CleanReport, Ends, Fetched, Origin, ProducerInfo, ReadLimit, TimedOffset,
};
use crate::options::{PartitionConfig, TopicPartition};

/// One partition of a topic.
#[derive(Debug)]
pub struct Partition {
    id: TopicPartition,
    ends: watch::Sender<Ends>,
}

impl Partition {
    /// Which partition this is.
    #[must_use]
    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> PartitionConfig {
        PartitionConfig::default()
    }

    /// Replaces the settings; they apply from the next append or clean.
    pub fn set_config(&self, _config: PartitionConfig) {}

    /// Appends one or more v2 record batches as received. Checks magic, length, CRC-32C, counts,
    /// and the producer's id, epoch and sequence; sets base offset and leader epoch, which the CRC
    /// does not cover. A duplicate of one of the producer's last five batches gives the first
    /// offsets again. Returns when the page cache has the bytes: see [`Partition::durable`].
    ///
    /// # Errors
    /// See [`AppendError`]; nothing is stored then, not even the first of several batches.
    pub fn append(
        &self,
        _batches: Bytes,
        _origin: Origin,
        _now_ms: i64,
    ) -> Result<Appended, AppendError> {
        Err(AppendError::Closed { partition: self.id.clone() })
    }

    /// Waits until every offset below `upto` is durable under the flush policy.
    ///
    /// # Errors
    /// [`AppendError::Failed`] when a sync failed: the records must not be acknowledged.
    /// [`AppendError::Closed`] when the partition was deleted meanwhile.
    pub async fn durable(&self, _upto: i64) -> Result<(), AppendError> {
        Err(AppendError::Closed { partition: self.id.clone() })
    }

    /// The ends now and every change; woken when the high watermark, the log start, the last
    /// stable offset or the status changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Ends> {
        self.ends.subscribe()
    }

    /// The ends now.
    #[must_use]
    pub fn ends(&self) -> Ends {
        *self.ends.borrow()
    }

    /// Reads whole batches beginning with the one that holds `from`.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`] outside of log start..=log end.
    pub fn read(&self, _from: i64, _limit: ReadLimit) -> Result<Fetched, ReadError> {
        Err(ReadError::Closed { partition: self.id.clone() })
    }

    /// The first record at or after a time, in offset order, as ListOffsets by timestamp.
    ///
    /// # Errors
    /// When the stored bytes cannot be read.
    pub fn offset_for_time(&self, _timestamp: i64) -> Result<Option<TimedOffset>, ReadError> {
        Ok(None)
    }

    /// The record with the largest time; `None` for an empty partition.
    ///
    /// # Errors
    /// When the stored bytes cannot be read.
    pub fn max_timestamp(&self) -> Result<Option<TimedOffset>, ReadError> {
        Ok(None)
    }

    /// Moves the log start to `before` (-1: the high watermark), durably, and returns it. Never
    /// moves it back. The space is freed by [`Partition::clean`].
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] beyond the high watermark.
    pub fn delete_records(&self, _before: i64) -> Result<i64, LogError> {
        Err(LogError::Missing { partition: self.id.clone() })
    }

    /// Idempotent producers and their open transactions, by producer id.
    #[must_use]
    pub fn producers(&self) -> Vec<ProducerInfo> {
        Vec::new()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// Applies retention and compaction once, and forgets idle producers. Call it regularly from
    /// a thread that may block; a second call at the same time returns at once.
    ///
    /// # Errors
    /// When files cannot be read or written; the log stays as it was and the next call tries again.
    pub fn clean(&self, _now_ms: i64) -> Result<CleanReport, LogError> {
        Ok(CleanReport::default())
    }
}
