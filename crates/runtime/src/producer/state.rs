//! The producer's state store: opened, and caught up from the producer's own topics.

use std::sync::Arc;

use throughline_avro::{Node, Schema};
use throughline_bus::{BusError, Entry, Unreadable};
use throughline_connector::BoxError;
use throughline_document::{Differ, Store};
use throughline_event::{
    EnvelopeError, EnvelopeSchema, Offset, PartitionId, Record, TopicPartition, WorkerName,
};

use super::columns;
use super::publish::{Published, Publisher, READING_HEADER, SCOPE_HEADER, SOURCE_HEADER};
use crate::dead_letter::read::id_of;
use crate::{Host, WorkerError, read};

/// What follows "waits for" while a start reads what was published.
const WHAT: &str = "what it has published";

/// Opens the store of a producer, a file below the state folder.
pub(super) fn open(host: &Host, producer: &WorkerName) -> Result<Store, WorkerError> {
    let what = "create the state folder";
    std::fs::create_dir_all(&host.state).map_err(|source| WorkerError::Io { what, source })?;
    let store = Store::open_or_rebuild(host.state.join(format!("{producer}.sqlite")))?;
    store.limit_cache(host.state_bytes)?;
    Ok(store)
}

/// Applies what the topics hold and the store does not know yet; returns the newest version among
/// that, and nothing when a drain came before all was read.
pub(super) fn catch_up(
    store: &mut Store,
    publisher: &Publisher,
    host: &Host,
    worker: &WorkerName,
) -> Result<Option<i64>, WorkerError> {
    let mut newest = 0;
    for published in publisher.entities() {
        for partition in (0..published.target.partitions).map(PartitionId) {
            let at = TopicPartition { topic: published.target.topic.clone(), partition };
            let from = store.next_offset(&at);
            let mut written = None;
            let mut differ = store.transaction()?;
            // Of this partition: a tombstone has the version of what stands before it here.
            let mut reached = 0;
            let next = read::to_end(host, (worker, WHAT), &at, from, |entry| {
                apply(&mut differ, published, &at, entry, &mut written, &mut reached)
            })?;
            let Some(next) = next else { return Ok(None) };
            newest = newest.max(reached);
            differ.commit(&[(at, next)])?;
        }
    }
    let letters = catch_up_letters(store, publisher, host, worker)?;
    Ok(letters.map(|()| newest))
}

/// Applies the dead letters.
fn catch_up_letters(
    store: &mut Store,
    publisher: &Publisher,
    host: &Host,
    worker: &WorkerName,
) -> Result<Option<()>, WorkerError> {
    let at = TopicPartition { topic: publisher.dead().clone(), partition: PartitionId(0) };
    let mut from = store.next_offset(&at);
    loop {
        let mut differ = store.transaction()?;
        let read =
            read::to_end(host, (worker, "its dead letters"), &at, from, |entry| match entry {
                Entry::Record(record) => letter(&mut differ, &at, &record),
                Entry::Undecodable(bad) => {
                    read::undecodable(&bad);
                    Ok(())
                }
            });
        match read {
            // The topic is another one than that which was known. Nothing is derived from letters.
            Err(WorkerError::Bus(BusError::BeyondEnd { .. })) if from > Offset(0) => {
                from = Offset(0);
            }
            Ok(Some(next)) => {
                differ.commit(&[(at, next)])?;
                return Ok(Some(()));
            }
            Ok(None) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

fn letter(
    differ: &mut Differ<'_>,
    at: &TopicPartition,
    record: &Record<'_>,
) -> Result<(), WorkerError> {
    let id = match id_of(record) {
        Ok(id) => id,
        Err(error) => {
            read::passed_over(error.code(), at, record.offset, &error);
            return Ok(());
        }
    };
    let header = |wanted: &str| {
        let found = record.headers.iter().find(|(name, _)| name == wanted);
        found.and_then(|(_, text)| std::str::from_utf8(text).ok())
    };
    let reading = header(READING_HEADER).and_then(|text| text.parse().ok());
    match (record.value, header(SOURCE_HEADER), reading) {
        (None, ..) => differ.letter_resolved(&id)?,
        (Some(_), Some(source), Some(reading)) => differ.letter(&id, source, reading)?,
        // One that nothing but a person can resolve.
        (Some(_), ..) => {}
    }
    Ok(())
}

/// The schema that the last record was written with.
struct Written {
    envelope: EnvelopeSchema,
    /// The types of its documents and of those of now, where they are not the same.
    other: Option<(Arc<Node>, Arc<Node>)>,
}

impl Written {
    fn new(schema: &Schema, now: &Schema) -> Result<Self, EnvelopeError> {
        let envelope = EnvelopeSchema::new(schema.clone())?;
        let same = schema.canonical_text() == now.canonical_text();
        let types = || columns::document(schema).zip(columns::document(now));
        Ok(Self { envelope, other: if same { None } else { types() } })
    }
}

/// One record of the producer's own topic.
fn apply(
    differ: &mut Differ<'_>,
    published: &Published,
    at: &TopicPartition,
    entry: Entry<'_>,
    written: &mut Option<Written>,
    reached: &mut i64,
) -> Result<(), WorkerError> {
    let (offset, record) = match entry {
        Entry::Record(record) => (record.offset, Ok(record)),
        // Its id may be one of ours, from another registry than this.
        Entry::Undecodable(bad) => match bad.reason {
            Unreadable::Schema { .. } => (bad.offset, Err(bad.reason)),
            _ => {
                read::undecodable(&bad);
                return Ok(());
            }
        },
    };
    let id = published.id;
    let damaged = |source: BoxError| WorkerError::DamagedRecord {
        partition: at.clone(),
        offset,
        fix: "start the version that wrote it, point `bus.registry` at the registry that it was \
              written against, or restore the topic"
            .to_owned(),
        source,
    };
    let record = record.map_err(|reason| damaged(reason.into()))?;
    let key = record.key.ok_or_else(|| damaged("it has no key".into()))?;
    // A tombstone follows the delete event that carried the version.
    let Some(value) = record.value else {
        return Ok(differ.apply_published(id, key.bytes, None, *reached, None, (at, offset))?);
    };
    if written.as_ref().is_none_or(|known| known.envelope.schema() != &**value.schema) {
        let compiled = Written::new(value.schema, &published.envelope);
        *written = Some(compiled.map_err(|error| damaged(error.into()))?);
    }
    let written = written.as_ref().expect("the envelope was compiled above");
    let view = written.envelope.view(value.bytes).map_err(|error| damaged(error.into()))?;
    *reached = (*reached).max(view.version);
    let scope = record.headers.iter().find(|(name, _)| name == SCOPE_HEADER);
    let scope = scope.and_then(|(_, scope)| std::str::from_utf8(scope).ok());
    // What stands in the store becomes `before` in events of the schema of now.
    let converted = match (view.after, &written.other) {
        (Some(after), Some((from, to))) => {
            let converted = columns::converted(from, to, after);
            Some(converted.map_err(|source| other_columns(published, at, offset, source))?)
        }
        _ => None,
    };
    let after = converted.as_deref().or(view.after);
    Ok(differ.apply_published(id, key.bytes, after, view.version, scope, (at, offset))?)
}

fn other_columns(
    published: &Published,
    at: &TopicPartition,
    offset: Offset,
    source: BoxError,
) -> WorkerError {
    let (entity, partition) = (published.name.clone(), at.clone());
    WorkerError::OtherColumns { entity, partition, offset, source }
}
