//! The records of `__transaction_state`, byte for byte as Kafka writes them.
//!
//! Written in version 0, read in versions 0 and 1.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{
    batch::Producer,
    store,
    wire::{Malformed, reader::Reader, writer::Writer},
};

const KEY: i16 = 0;
const VALUE: i16 = 0;
const FLEXIBLE_VALUE: i16 = 1;

/// Where a transactional id stands, with Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Status {
    /// A producer, no transaction yet.
    Empty = 0,
    /// Partitions were added.
    Ongoing = 1,
    /// Decided: the markers are being written.
    PrepareCommit = 2,
    PrepareAbort = 3,
    /// Every marker is durable.
    CompleteCommit = 4,
    CompleteAbort = 5,
}

impl Status {
    /// The name that tools show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Empty => "Empty",
            Status::Ongoing => "Ongoing",
            Status::PrepareCommit => "PrepareCommit",
            Status::PrepareAbort => "PrepareAbort",
            Status::CompleteCommit => "CompleteCommit",
            Status::CompleteAbort => "CompleteAbort",
        }
    }

    /// The status called `name`.
    pub(crate) fn by_name(name: &str) -> Option<Status> {
        (0..=5).filter_map(Status::from_code).find(|status| status.name() == name)
    }

    fn from_code(code: i8) -> Option<Status> {
        Some(match code {
            0 => Status::Empty,
            1 => Status::Ongoing,
            2 => Status::PrepareCommit,
            3 => Status::PrepareAbort,
            4 => Status::CompleteCommit,
            5 => Status::CompleteAbort,
            _ => return None,
        })
    }
}

/// A partition of a transaction.
pub(crate) type Target = (String, i32);

/// The state of one transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) producer: Producer,
    /// Milliseconds after which an open transaction is aborted.
    pub(crate) timeout_ms: i32,
    pub(crate) status: Status,
    pub(crate) partitions: BTreeSet<Target>,
    /// Milliseconds since 1970.
    pub(crate) updated_ms: i64,
    /// Milliseconds since 1970 of the first partition, or -1.
    pub(crate) started_ms: i64,
}

/// The key of a transactional id.
pub(crate) fn key(transactional_id: &str) -> Bytes {
    let mut key = Writer::versioned(KEY);
    key.string(transactional_id);
    key.finish()
}

/// The transactional id of a key.
pub(crate) fn decode_key(bytes: &[u8]) -> Result<String, Malformed> {
    let mut reader = Reader::new(bytes);
    match reader.i16()? {
        KEY => Ok(reader.string(false)?.to_owned()),
        other => Err(Malformed::Version(other)),
    }
}

impl Entry {
    /// Now, and later than every time stored before, whatever the clock says.
    pub(crate) fn next_ms(&self) -> i64 {
        store::now_ms().max(self.updated_ms.saturating_add(1))
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut value = Writer::versioned(VALUE);
        value.i64(self.producer.id);
        value.i16(self.producer.epoch);
        value.i32(self.timeout_ms);
        value.i8(self.status as i8);
        if self.partitions.is_empty() {
            value.i32(-1);
        } else {
            let topics: BTreeSet<&str> = self.partitions.iter().map(|(t, _)| t.as_str()).collect();
            value.count(topics.len());
            for topic in topics {
                value.string(topic);
                let indexes = self.partitions.iter().filter(|(name, _)| name == topic);
                value.count(indexes.clone().count());
                indexes.for_each(|(_, index)| value.i32(*index));
            }
        }
        value.i64(self.updated_ms);
        value.i64(self.started_ms);
        value.finish()
    }

    /// Reads a value; `None` for a transactional id that Kafka marked dead.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Entry>, Malformed> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if !(VALUE..=FLEXIBLE_VALUE).contains(&version) {
            return Err(Malformed::Version(version));
        }
        let flexible = version >= FLEXIBLE_VALUE;
        let producer = Producer { id: reader.i64()?, epoch: reader.i16()? };
        let timeout_ms = reader.i32()?;
        let Some(status) = Status::from_code(reader.i8()?) else { return Ok(None) };
        let mut partitions = BTreeSet::new();
        for _ in 0..reader.long_length(flexible)?.unwrap_or(0) {
            let topic = reader.string(flexible)?.to_owned();
            for _ in 0..reader.long_length(flexible)?.unwrap_or(0) {
                partitions.insert((topic.clone(), reader.i32()?));
            }
            if flexible {
                reader.skip_tags()?;
            }
        }
        let (updated_ms, started_ms) = (reader.i64()?, reader.i64()?);
        Ok(Some(Entry { producer, timeout_ms, status, partitions, updated_ms, started_ms }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ongoing() -> Entry {
        Entry {
            producer: Producer { id: 7, epoch: 2 },
            timeout_ms: 60_000,
            status: Status::Ongoing,
            partitions: [("a".into(), 0), ("a".into(), 3), ("b".into(), 1)].into(),
            updated_ms: 20,
            started_ms: 10,
        }
    }

    #[test]
    fn entries_read_back_as_they_were_written() {
        assert_eq!(Entry::decode(&ongoing().encode()), Ok(Some(ongoing())));
        let empty = Entry { status: Status::Empty, partitions: BTreeSet::new(), ..ongoing() };
        assert_eq!(Entry::decode(&empty.encode()), Ok(Some(empty)));
        assert_eq!(decode_key(&key("orders")), Ok("orders".into()));
    }

    #[test]
    fn an_entry_is_written_byte_for_byte_as_kafka_does() {
        let entry = Entry { partitions: [("t".into(), 5)].into(), ..ongoing() };
        let expected = b"\0\0\0\0\0\0\0\0\0\x07\0\x02\0\0\xea\x60\x01\0\0\0\x01\0\x01t\0\0\0\x01\
            \0\0\0\x05\0\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\x0a";
        assert_eq!(&entry.encode()[..], expected);
    }

    #[test]
    fn damaged_entries_are_refused_and_dead_ids_passed_over() {
        let whole = ongoing().encode();
        for cut in 0..whole.len() {
            assert!(Entry::decode(&whole[..cut]).is_err());
        }
        let mut dead = whole.to_vec();
        dead[16] = 6;
        assert_eq!(Entry::decode(&dead), Ok(None));
        assert_eq!(decode_key(b"\0\x01\0\x01t"), Err(Malformed::Version(1)));
        dead[1] = 2;
        assert_eq!(Entry::decode(&dead), Err(Malformed::Version(2)));
    }

    #[test]
    fn every_status_is_found_by_its_name() {
        for code in 0..=5 {
            let status = Status::from_code(code).unwrap();
            assert_eq!((status as i8, Status::by_name(status.name())), (code, Some(status)));
        }
        assert_eq!(Status::by_name("Dead"), None);
    }
}
