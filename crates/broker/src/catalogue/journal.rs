//! The records of the catalogue's partition.
//!
//! Key: one byte for the kind, then the topic's name. Value: a version, then the fields in Kafka's
//! primitive types; null deletes. The partition is compacted, the last record of a key counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use rand::Rng;
use throughline_log::Partition;
use uuid::Uuid;

use crate::{
    batch::BatchError,
    store::{self, StoreError},
    topic_config::TopicConfig,
    wire::{Malformed, reader::Reader, writer::Writer},
};

const TOPIC: u8 = b'T';
const CLUSTER: u8 = b'C';
const PRODUCER_IDS: u8 = b'P';
const VERSION: i16 = 1;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Topic(String, Option<TopicEntry>),
    Cluster(String),
    ProducerIds(i64),
}

/// A topic as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicEntry {
    pub(super) id: Uuid,
    pub(super) partitions: i32,
    pub(super) config: TopicConfig,
}

/// Everything that was stored.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) topics: BTreeMap<String, TopicEntry>,
    /// Topics whose last record deletes them; compaction forgets them after a while.
    pub(super) deleted: BTreeSet<String>,
    pub(super) cluster_id: Option<String>,
    pub(super) producer_ids: i64,
}

impl Entry {
    pub(super) fn encode(&self) -> (Bytes, Option<Bytes>) {
        let key = |kind: u8, name: &str| Bytes::from([&[kind], name.as_bytes()].concat());
        let mut value = Writer::versioned(VERSION);
        match self {
            Entry::Topic(name, None) => (key(TOPIC, name), None),
            Entry::Topic(name, Some(topic)) => {
                value.raw(topic.id.as_bytes());
                value.i32(topic.partitions);
                let overrides = topic.config.overrides();
                value.count(overrides.len());
                for (name, setting) in overrides {
                    value.string(name);
                    value.string(setting);
                }
                (key(TOPIC, name), Some(value.finish()))
            }
            Entry::Cluster(id) => {
                value.string(id);
                (key(CLUSTER, ""), Some(value.finish()))
            }
            Entry::ProducerIds(end) => {
                value.i64(*end);
                (key(PRODUCER_IDS, ""), Some(value.finish()))
            }
        }
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Entry, Malformed> {
        let (kind, name) = key.split_first().ok_or(Malformed::Truncated)?;
        let name = std::str::from_utf8(name).map_err(|_| Malformed::Utf8)?.to_owned();
        let Some(value) = value else { return Ok(Entry::Topic(name, None)) };
        let mut reader = Reader::new(value);
        let version = reader.i16()?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        match *kind {
            TOPIC => {
                let id: [u8; 16] = reader.take(16)?.try_into().map_err(|_| Malformed::Truncated)?;
                let partitions = reader.i32()?;
                let mut config = TopicConfig::default();
                for _ in 0..reader.i32()? {
                    let (name, value) = (reader.string(false)?, reader.string(false)?);
                    if let Err(error) = config.set(name, Some(value)) {
                        tracing::warn!(%error, "a stored topic setting is not known any more");
                    }
                }
                let id = Uuid::from_bytes(id);
                Ok(Entry::Topic(name, Some(TopicEntry { id, partitions, config })))
            }
            CLUSTER => Ok(Entry::Cluster(reader.string(false)?.to_owned())),
            PRODUCER_IDS => Ok(Entry::ProducerIds(reader.i64()?)),
            other => Err(Malformed::Kind(other)),
        }
    }
}

/// Reads everything that was stored.
pub(super) fn load(journal: &Arc<Partition>) -> Result<State, StoreError> {
    let mut state = State::default();
    store::scan(journal, |batch| {
        for record in batch.records()? {
            let key = record.key.unwrap_or_default();
            let entry = Entry::decode(&key, record.value.as_deref())
                .map_err(|source| BatchError::Malformed { base_offset: record.offset, source })?;
            match entry {
                Entry::Topic(name, Some(topic)) => {
                    state.deleted.remove(&name);
                    state.topics.insert(name, topic);
                }
                Entry::Topic(name, None) => {
                    state.topics.remove(&name);
                    state.deleted.insert(name);
                }
                Entry::Cluster(id) => state.cluster_id = Some(id),
                Entry::ProducerIds(end) => state.producer_ids = end,
            }
        }
        Ok(())
    })?;
    Ok(state)
}

/// A random topic id.
pub(super) fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::rng().random()).into_uuid()
}

/// A cluster id of 22 characters, as long as Kafka's.
pub(super) fn random_cluster_id() -> String {
    let mut rng = rand::rng();
    (0..22).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back_as_they_were_written() {
        let mut config = TopicConfig::default();
        config.set("retention.ms", Some("1000")).unwrap();
        let topic = TopicEntry { id: random_uuid(), partitions: 6, config };
        for entry in [
            Entry::Topic("orders".into(), Some(topic)),
            Entry::Topic("orders".into(), None),
            Entry::Cluster(random_cluster_id()),
            Entry::ProducerIds(4000),
        ] {
            let (key, value) = entry.encode();
            assert_eq!(Entry::decode(&key, value.as_deref()), Ok(entry));
        }
    }

    #[test]
    fn damaged_entries_are_refused_without_a_panic() {
        assert!(Entry::decode(b"", Some(b"")).is_err());
        let (key, value) = Entry::Cluster("c".into()).encode();
        let value = value.unwrap();
        for cut in 0..value.len() {
            assert!(Entry::decode(&key, Some(&value[..cut])).is_err());
        }
        assert_eq!(Entry::decode(&key, Some(&[0, 9, 0, 0])), Err(Malformed::Version(9)));
        assert_eq!(Entry::decode(b"?", Some(&value)), Err(Malformed::Kind(b'?')));
        assert_eq!(Entry::decode(b"T\xff", Some(&value)), Err(Malformed::Utf8));
    }
}
