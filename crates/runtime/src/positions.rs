//! A producer's source position on the log: `positions.<producer>`, one compacted partition.
//!
//! Each producer has a topic of its own, so that reading the position never waits for another
//! producer's open transaction.

use std::ops::ControlFlow;

use throughline_avro::{Cursor, DecodeError, Schema, put_long, put_str, put_union_branch};
use throughline_bus::{Bus, Entry, Isolation, Partitions, TransactionalProducer};
use throughline_document::Store;
use throughline_event::{
    Micros, Offset, PartitionId, Position, Record, Role, TopicName, TopicPartition, WorkerName,
};

use crate::target::Target;
use crate::{Host, WorkerError, read};

/// The schema of the values.
const VALUE_SCHEMA: &str = include_str!("../../../schemas/throughline/position.avsc");
/// The schema of the keys.
const KEY_SCHEMA: &str = include_str!("../../../schemas/throughline/position-key.avsc");

/// The last committed transaction of a producer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The producer's own position.
    pub(crate) position: Option<Position>,
    /// The last document version that was given out.
    pub(crate) version: i64,
}

impl Committed {
    /// The datum of the value.
    fn to_datum(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_union_branch(&mut out, usize::from(self.position.is_some()));
        if let Some(position) = &self.position {
            put_str(&mut out, position.as_str());
        }
        put_long(&mut out, self.version);
        out
    }

    fn from_datum(datum: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(datum);
        let position = match cursor.union_branch(2)? {
            0 => None,
            _ => Some(Position::new(cursor.str()?)),
        };
        Ok(Self { position, version: cursor.long()? })
    }
}

/// What a topic of positions holds: the newest one, if there is any, and where it ends.
#[derive(Debug)]
pub(crate) struct Newest(pub(crate) Option<Committed>, pub(crate) Offset);

/// A record of the topic that is none of its producer's.
#[derive(Debug, thiserror::Error)]
#[error("TL0612: the record is not a position of {worker}")]
struct NotAPosition {
    worker: WorkerName,
}

/// Reads the position; nothing when a drain came before it could be read. The producer's
/// transactions must be initialised before, which ends those of an older instance, or what that one
/// still commits would be missed.
///
/// # Errors
/// When the position could not be read for [`throughline_bus::READ_PATIENCE`].
pub(crate) fn read(host: &Host, producer: &WorkerName) -> Result<Option<Newest>, WorkerError> {
    let at = partition(producer);
    let mut newest = None;
    let what = (producer, "the source's position");
    let read = read::to_end(host, what, &at, Offset(0), |entry| {
        match entry {
            Entry::Record(record) => {
                newest = take(&record, &at, producer)?.or(newest.take());
            }
            Entry::Undecodable(bad) => read::undecodable(&bad),
        }
        Ok(())
    })?;
    Ok(read.map(|end| Newest(newest, end)))
}

/// Refuses a position that something was published behind: `newest` is the version of what the store
/// did not know. Each transaction holds a position, so the topic has lost its end. From an older one
/// appended rows would join their documents twice, and documents would be dropped as too old.
pub(crate) fn check(
    store: &mut Store,
    worker: &WorkerName,
    (committed, end): (Option<&Committed>, Offset),
    newest: i64,
) -> Result<(), WorkerError> {
    let partition = partition(worker);
    let reached = store.next_offset(&partition);
    let behind = |version: i64| end < reached || version < newest;
    // One that lets the source be read from its beginning is never behind.
    if committed.is_some_and(|known| known.position.is_some() && behind(known.version)) {
        // The next start finds nothing new: it has to know that there was more.
        let reached = reached.max(end.next());
        store.transaction()?.commit(&[(partition.clone(), reached)])?;
        return Err(WorkerError::PositionBehind { worker: worker.clone(), partition, end });
    }
    Ok(store.transaction()?.commit(&[(partition, end)])?)
}

/// Where the positions of a producer stand.
pub(crate) fn partition(producer: &WorkerName) -> TopicPartition {
    TopicPartition { topic: TopicName::positions(producer), partition: PartitionId(0) }
}

/// The position in a record of its producer; others are passed over.
fn take(
    record: &Record<'_>,
    at: &TopicPartition,
    producer: &WorkerName,
) -> Result<Option<Committed>, WorkerError> {
    let named = |schema: &Schema, name| schema.record().is_some_and(|record| record.name == name);
    let key = record.key.filter(|key| named(key.schema, "throughline.PositionKey"));
    let key = key.is_some_and(|key| Cursor::new(key.bytes).str() == Ok(producer.as_str()));
    let value = record.value.filter(|value| named(value.schema, "throughline.Position"));
    match value {
        Some(value) if key => match Committed::from_datum(value.bytes) {
            Ok(committed) => Ok(Some(committed)),
            Err(error) => Err(WorkerError::DamagedRecord {
                partition: at.clone(),
                offset: record.offset,
                fix: "start the version that wrote it, or restore the topic".to_owned(),
                source: error.into(),
            }),
        },
        None if key && record.value.is_none() => Ok(None),
        _ => {
            let problem = NotAPosition { worker: producer.clone() };
            read::passed_over("TL0612", at, record.offset, &problem);
            Ok(None)
        }
    }
}

/// The version and the time of the newest position that can be read.
///
/// # Errors
/// When the topic cannot be read.
pub fn newest(bus: &Bus, producer: &WorkerName) -> Result<Option<(i64, Micros)>, WorkerError> {
    let at = partition(producer);
    if !bus.topics()?.iter().any(|known| known.topic == at.topic) {
        return Ok(None);
    }
    let mut newest = None;
    bus.read_to_end(&at, Offset(0), Isolation::ReadCommitted, |entry| {
        if let Entry::Record(record) = entry
            && let Ok(Some(committed)) = take(&record, &at, producer)
        {
            newest = Some((committed.version, record.timestamp));
        }
        ControlFlow::Continue(())
    })?;
    Ok(newest)
}

/// The topic of a producer's position.
pub(crate) fn target(bus: &Bus, producer: &WorkerName) -> Result<Target, WorkerError> {
    let (key, value) = schemas();
    let topic = TopicName::positions(producer);
    Ok(Target::prepare(bus, &topic, Partitions::Exactly(1), (&key, &value))?)
}

/// Writes the position of an open transaction.
pub(crate) fn send(
    producer: &mut TransactionalProducer,
    target: &Target,
    worker: &WorkerName,
    committed: &Committed,
) -> Result<(), WorkerError> {
    let mut key = Vec::new();
    put_str(&mut key, worker.as_str());
    let value = committed.to_datum();
    Ok(producer.send(&target.outgoing_to(PartitionId(0), &key, Some(&value)))?)
}

/// Lets a producer read its source from the beginning again at its next start. What did not change
/// is not published again. One that runs is fenced.
///
/// # Errors
/// When the bus refuses it.
pub fn begin_anew(bus: &Bus, worker: &WorkerName) -> Result<(), WorkerError> {
    let target = target(bus, worker)?;
    let mut producer = bus.producer(&worker.in_role(Role::Producer))?;
    producer.begin()?;
    // Versions go on behind those of the topics and of the state store.
    send(&mut producer, &target, worker, &Committed::default())?;
    producer.commit()?;
    Ok(())
}

/// The two schemas, parsed.
pub(crate) fn schemas() -> (Schema, Schema) {
    let parse = |text| Schema::parse(text).expect("the position's schemas are valid");
    (parse(KEY_SCHEMA), parse(VALUE_SCHEMA))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_as_it_was_written() {
        for position in [None, Some(Position::new("{\"line\":7}"))] {
            let committed = Committed { position, version: 42 };
            assert_eq!(Committed::from_datum(&committed.to_datum()).unwrap(), committed);
        }
        assert!(Committed::from_datum(&[]).is_err());
        schemas();
    }
}
