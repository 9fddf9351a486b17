//! The log for code in the same process, such as the schema registry.

use std::sync::Arc;

use bytes::Bytes;
use throughline_log::{Ends, Isolation, Origin, Partition, ReadLimit};
use tokio::sync::watch;

use crate::{
    batch::{self, Batch, KeyValue, Marker},
    catalogue::CatalogueError,
    core::Core,
    error::LocalError,
    store,
    topic_config::TopicConfig,
};

/// Bytes read at a time.
const READ_BYTES: usize = 1024 * 1024;

/// One record as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRecord {
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970, UTC.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// The broker's log without a socket in between. Clients on the network see the same records.
/// Cheap to clone; after the broker's shutdown every call fails.
#[derive(Debug, Clone)]
pub struct LocalLog {
    core: Arc<Core>,
}

impl LocalLog {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Creates a topic; durable when this returns. `configs` are Kafka's names and values.
    ///
    /// # Errors
    /// [`LocalError::TopicExists`], [`LocalError::TopicRefused`] when name, size or a setting is
    /// not allowed, [`LocalError::Storage`] when it could not be stored.
    pub async fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), LocalError> {
        let refused = |error: &dyn std::error::Error| LocalError::TopicRefused {
            topic: name.to_owned(),
            reason: error.to_string(),
        };
        let mut config = TopicConfig::default();
        for (setting, value) in configs {
            config.set(setting, Some(value)).map_err(|error| refused(&error))?;
        }
        match self.core.catalogue.create(name, partitions, config).await {
            Ok(_) => Ok(()),
            Err(CatalogueError::Exists) => Err(LocalError::TopicExists { topic: name.to_owned() }),
            Err(CatalogueError::Store(source)) => {
                Err(LocalError::Storage { topic: name.to_owned(), source: source.into() })
            }
            Err(error) => Err(refused(&error)),
        }
    }

    /// How many partitions a topic has; `None` if it does not exist.
    pub fn partitions(&self, topic: &str) -> Option<usize> {
        self.core.catalogue.topic(topic).map(|topic| topic.partitions.len())
    }

    fn partition(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, LocalError> {
        let unknown = || LocalError::UnknownPartition { topic: topic.to_owned(), partition };
        self.core.catalogue.partition(topic, partition).ok_or_else(unknown)
    }

    /// Appends the records as one batch and returns the offset of the last one. They are durable
    /// under the flush policy when this returns.
    ///
    /// # Errors
    /// [`LocalError::UnknownPartition`], [`LocalError::BatchSize`] when there are no records or too
    /// many bytes, [`LocalError::Append`] when the log refuses them or could not make them durable.
    pub async fn append(
        &self,
        topic: &str,
        partition: i32,
        records: Vec<KeyValue>,
    ) -> Result<i64, LocalError> {
        let log = self.partition(topic, partition)?;
        let failed = |source| LocalError::Append { topic: topic.to_owned(), partition, source };
        let now = store::now_ms();
        let batch = batch::encode(&records, now, None).ok_or(LocalError::BatchSize)?;
        let appended = log.append(batch, Origin::Client, now).map_err(failed)?;
        log.durable(appended.last_offset + 1).await.map_err(failed)?;
        Ok(appended.last_offset)
    }

    /// Reads committed records from offset `from` on, some at a time; empty at the end. An offset
    /// before the start of the log reads from its start.
    ///
    /// # Errors
    /// [`LocalError::UnknownPartition`], [`LocalError::Read`] for an offset beyond the end, damaged
    /// files, or a batch that a client has compressed.
    pub fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> Result<Vec<LocalRecord>, LocalError> {
        let log = self.partition(topic, partition)?;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| LocalError::Read {
            topic: topic.to_owned(),
            partition,
            offset: from,
            source,
        };
        let limit = ReadLimit { max_bytes: READ_BYTES, isolation: Isolation::ReadCommitted };
        let mut next = from.max(log.ends().log_start);
        loop {
            let fetched = log.read(next, limit).map_err(|error| failed(error.into()))?;
            if fetched.records.is_empty() {
                return Ok(Vec::new());
            }
            let (mut stored, mut aborted) = (fetched.records, fetched.aborted);
            let mut records = Vec::new();
            while let Some(batch) = Batch::next(&mut stored) {
                next = batch.next_offset.max(next);
                let ours = |id: i64, first: i64| {
                    batch.producer.is_some_and(|producer| producer.id == id)
                        && first <= batch.base_offset
                };
                if batch.control() {
                    if batch.marker() == Some(Marker::Abort) {
                        let known =
                            aborted.iter().position(|a| ours(a.producer_id, a.first_offset));
                        known.map(|index| aborted.remove(index));
                    }
                    continue;
                }
                let skipped = batch.transactional()
                    && aborted.iter().any(|a| ours(a.producer_id, a.first_offset));
                if skipped {
                    continue;
                }
                let read = batch.records().map_err(|error| failed(error.into()))?;
                records.extend(read.into_iter().filter(|record| record.offset >= from).map(
                    |record| LocalRecord {
                        offset: record.offset,
                        timestamp_ms: record.timestamp_ms,
                        key: record.key,
                        value: record.value,
                    },
                ));
            }
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// The ends of a partition now, and every change.
    ///
    /// # Errors
    /// [`LocalError::UnknownPartition`].
    pub fn watch(&self, topic: &str, partition: i32) -> Result<watch::Receiver<Ends>, LocalError> {
        Ok(self.partition(topic, partition)?.watch())
    }
}
