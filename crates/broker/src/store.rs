//! Internal state kept in a partition: append a record and wait until it is durable; read
//! everything back at start.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use throughline_log::{AppendError, Isolation, LogError, Origin, Partition, ReadError, ReadLimit};

use crate::{
    batch::{self, Batch, BatchError, KeyValue, Producer},
    blocking::Stopped,
};

/// Bytes read at a time at start.
const SCAN_BYTES: usize = 1024 * 1024;

/// Why internal state could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("could not append to an internal topic")]
    Append(#[from] AppendError),
    #[error("could not change an internal topic")]
    Log(#[from] LogError),
    #[error("could not read an internal topic")]
    Read(#[from] ReadError),
    #[error("could not read a record of an internal topic")]
    Batch(#[from] BatchError),
    #[error("the record is larger than a batch may be")]
    TooLarge,
    #[error("could not begin to change an internal topic")]
    Stopped(#[from] Stopped),
}

/// Milliseconds since 1970, UTC.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Appends `records`, as part of `producer`'s transaction if there is one, and returns the offset
/// to wait for with [`Partition::durable`].
pub(crate) fn append(
    partition: &Partition,
    records: &[KeyValue],
    producer: Option<Producer>,
) -> Result<i64, StoreError> {
    let now = now_ms();
    let batch = batch::encode(records, now, producer).ok_or(StoreError::TooLarge)?;
    Ok(partition.append(batch, Origin::Coordinator, now)?.last_offset + 1)
}

/// Appends one record and returns when it is durable.
pub(crate) async fn put(
    partition: &Partition,
    key: Bytes,
    value: Option<Bytes>,
) -> Result<(), StoreError> {
    let end = append(partition, &[(Some(key), value)], None)?;
    Ok(partition.durable(end).await?)
}

/// Shows every stored batch to `visit`, oldest first.
pub(crate) fn scan(
    partition: &Arc<Partition>,
    mut visit: impl FnMut(&Batch) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let limit = ReadLimit { max_bytes: SCAN_BYTES, isolation: Isolation::ReadUncommitted };
    let mut from = partition.ends().log_start;
    loop {
        let mut stored = partition.read(from, limit)?.records;
        let before = from;
        while let Some(batch) = Batch::next(&mut stored) {
            from = batch.next_offset.max(from);
            visit(&batch)?;
        }
        if from == before {
            return Ok(());
        }
    }
}

/// The protocol's error for a failed append.
pub(crate) fn append_error(error: &AppendError) -> ResponseError {
    match error {
        AppendError::Corrupt { .. } => ResponseError::CorruptMessage,
        AppendError::Invalid { .. } | AppendError::MissingKey { .. } => {
            ResponseError::InvalidRecord
        }
        AppendError::TooLarge { .. } => ResponseError::MessageTooLarge,
        AppendError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ResponseError::InvalidProducerEpoch,
        AppendError::CoordinatorFenced { .. } => ResponseError::TransactionCoordinatorFenced,
        AppendError::InvalidTxnState { .. } => ResponseError::InvalidTxnState,
        AppendError::DiskFull { .. } | AppendError::Failed { .. } | AppendError::Io { .. } => {
            ResponseError::KafkaStorageError
        }
        AppendError::Closed { .. } => ResponseError::UnknownTopicOrPartition,
    }
}

/// The protocol's error for a failed read.
pub(crate) fn read_error(error: &ReadError) -> ResponseError {
    match error {
        ReadError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        ReadError::Damaged { .. } => ResponseError::CorruptMessage,
        ReadError::Io { .. } => ResponseError::KafkaStorageError,
        ReadError::Closed { .. } => ResponseError::UnknownTopicOrPartition,
    }
}

impl StoreError {
    /// What a coordinator answers: clients retry these against the same coordinator.
    pub(crate) fn coordinator_error(&self) -> ResponseError {
        match self {
            StoreError::Append(AppendError::InvalidProducerEpoch { .. }) => {
                ResponseError::InvalidProducerEpoch
            }
            StoreError::TooLarge => ResponseError::InvalidCommitOffsetSize,
            _ => ResponseError::CoordinatorNotAvailable,
        }
    }
}
