//! Where the registry keeps its records.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use crate::error::LogFailure;

/// A boxed future, so that [`SchemaLog`] can be used as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One record of the `_schemas` topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRecord {
    /// Its place in the log; offsets rise, and compaction leaves gaps.
    pub offset: i64,
    /// The record's key; a record without one is an empty key.
    pub key: Vec<u8>,
    /// The record's value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// An ordered, durable list of records: the `_schemas` topic.
///
/// The topic has one partition and is compacted, never deleted by age. One registry at a time
/// appends to it.
pub trait SchemaLog: Send + Sync + 'static {
    /// Appends one record and returns its offset once it is durable.
    ///
    /// After a failure the record may or may not be there; the registry reads on to find out.
    fn append(
        &self,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<i64, LogFailure>>;

    /// Every record from offset `from` on, in order, up to the end at the time of the call.
    ///
    /// `from` may be the end, where the answer is an empty list, or lie in a gap. It is asked before
    /// every write, so it should be cheap there.
    fn read(&self, from: i64) -> BoxFuture<'_, Result<Vec<SchemaRecord>, LogFailure>>;
}

/// A log in memory, for tests and examples: it is as durable as the process.
#[derive(Debug, Default)]
pub struct MemorySchemaLog {
    records: Mutex<Vec<SchemaRecord>>,
}

impl MemorySchemaLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of everything in it.
    #[must_use]
    pub fn records(&self) -> Vec<SchemaRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the newest record of each key and drops tombstones, as Kafka's cleaner does.
    pub fn compact(&self) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let newest: std::collections::HashMap<Vec<u8>, i64> =
            records.iter().map(|record| (record.key.clone(), record.offset)).collect();
        // The last record stays, as it would in the active segment: the next offset is its.
        let last = records.last().map(|record| record.offset);
        records.retain(|record| {
            let newest = newest.get(&record.key) == Some(&record.offset);
            newest && (record.value.is_some() || Some(record.offset) == last)
        });
    }
}

impl SchemaLog for MemorySchemaLog {
    fn append(
        &self,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<i64, LogFailure>> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = records.last().map_or(0, |last| last.offset + 1);
        records.push(SchemaRecord { offset, key, value });
        Box::pin(std::future::ready(Ok(offset)))
    }

    fn read(&self, from: i64) -> BoxFuture<'_, Result<Vec<SchemaRecord>, LogFailure>> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let read = records.iter().filter(|record| record.offset >= from).cloned().collect();
        Box::pin(std::future::ready(Ok(read)))
    }
}
