//! What reading asks for and gives back.

use bytes::Bytes;

/// Which transactions a reader sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Everything below the high watermark.
    #[default]
    ReadUncommitted,
    /// Only below the last stable offset, with the list of aborted transactions to skip.
    ReadCommitted,
}

/// How much one read returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Whole batches up to this many bytes; the first batch is returned even when it is larger.
    pub max_bytes: usize,
    /// Which transactions are visible.
    pub isolation: Isolation,
}

/// Offsets of a partition, as readers and waiters see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The next offset to be written.
    pub log_end: i64,
    /// End of what is durable; readers see only offsets below it.
    pub high_watermark: i64,
    /// End of what is durable and not part of an undecided transaction.
    pub last_stable_offset: i64,
    /// First offset that can be read.
    pub log_start: i64,
    /// Whether the partition still accepts writes.
    pub status: Status,
}

/// Whether a partition accepts writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Reads and writes.
    Open,
    /// Reads only: a sync failed in this data folder.
    Failed,
    /// Neither: deleted, or the folder was closed.
    Closed,
}

/// A transaction that was aborted; a reader skips this producer's transactional batches from
/// `first_offset` until its abort marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// The producer.
    pub producer_id: i64,
    /// First offset of the transaction in this partition.
    pub first_offset: i64,
}

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Whole batches, as stored. The first may begin before the offset asked for. Empty at the end.
    pub records: Bytes,
    /// See [`Ends::high_watermark`].
    pub high_watermark: i64,
    /// See [`Ends::last_stable_offset`].
    pub last_stable_offset: i64,
    /// See [`Ends::log_start`].
    pub log_start: i64,
    /// Aborted transactions that overlap the records, in order of their first offset; only for
    /// [`Isolation::ReadCommitted`].
    pub aborted: Vec<AbortedTxn>,
}

/// The result of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// When the log set the time of the records (`LogAppendTime`), that time in milliseconds;
    /// otherwise -1, as in a Produce response.
    pub log_append_time: i64,
    /// First offset that can be read.
    pub log_start: i64,
    /// The batch had been appended before; the offsets are those of the first time.
    pub duplicate: bool,
}

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOffset {
    /// Its offset.
    pub offset: i64,
    /// Its time in milliseconds since 1970, UTC.
    pub timestamp: i64,
}

/// An idempotent producer's state, for DescribeProducers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Producer id.
    pub producer_id: i64,
    /// Newest epoch seen.
    pub epoch: i16,
    /// Sequence of the last record, or -1.
    pub last_sequence: i32,
    /// Time of the last batch, in milliseconds.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that ended the last transaction, or -1.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub open_transaction: Option<i64>,
}

/// What one call of [`crate::Partition::clean`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanReport {
    /// Segments removed by retention or below the log start.
    pub segments_deleted: usize,
    /// Bytes removed by retention or below the log start.
    pub bytes_deleted: u64,
    /// Passes over the log that compaction needed; 0 when it did not run.
    pub passes: usize,
    /// Records that compaction looked at in the last pass.
    pub records_read: u64,
    /// Records that compaction removed.
    pub records_removed: u64,
    /// Bytes that compaction freed.
    pub bytes_compacted: u64,
    /// Producers that were forgotten.
    pub producers_expired: usize,
}

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's Produce request: every check applies, control batches are refused.
    Client,
    /// The broker itself: group offsets and transaction state (no sequence numbers, no size
    /// limit) and COMMIT or ABORT markers.
    Coordinator,
}
