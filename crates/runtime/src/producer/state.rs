//! The producer's state store: opened, and caught up from the producer's own topics.

use std::ops::ControlFlow;

use throughline_avro::Schema;
use throughline_bus::{Bus, Entry, Isolation};
use throughline_connector::BoxError;
use throughline_document::{Differ, EntityId, Store};
use throughline_event::{EnvelopeSchema, PartitionId, TopicPartition, WorkerName};

use super::publish::{Publisher, SCOPE_HEADER};
use crate::{Host, WorkerError};

/// Opens the store of a producer, a file below the state folder.
pub(super) fn open(host: &Host, producer: &WorkerName) -> Result<Store, WorkerError> {
    let what = "create the state folder";
    std::fs::create_dir_all(&host.state).map_err(|source| WorkerError::Io { what, source })?;
    Ok(Store::open_or_rebuild(host.state.join(format!("{producer}.sqlite")))?)
}

/// Applies what the topics hold and the store does not know yet; returns the newest version seen.
pub(super) fn catch_up(
    store: &mut Store,
    publisher: &Publisher,
    bus: &Bus,
) -> Result<i64, WorkerError> {
    let mut newest = 0;
    for published in publisher.entities() {
        for partition in (0..published.partitions).map(PartitionId) {
            let at = TopicPartition { topic: published.topic.clone(), partition };
            let from = store.next_offset(&at);
            let mut failure: Option<WorkerError> = None;
            let mut envelope = None;
            let mut differ = store.transaction()?;
            let next = bus.read_to_end(&at, from, Isolation::ReadCommitted, |entry| {
                let id = published.id;
                failure = apply(&mut differ, id, entry, &mut envelope, &mut newest).err();
                if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if let Some(failure) = failure {
                return Err(failure);
            }
            differ.commit(&[(at, next)])?;
        }
    }
    Ok(newest)
}

/// One record of the producer's own topic.
fn apply(
    differ: &mut Differ<'_>,
    id: EntityId,
    entry: Entry<'_>,
    envelope: &mut Option<EnvelopeSchema>,
    newest: &mut i64,
) -> Result<(), WorkerError> {
    let (topic, record) = match entry {
        Entry::Record(record) => (record.topic.clone(), Ok(record)),
        Entry::Undecodable(bad) => (bad.partition.topic, Err(bad.reason)),
    };
    let foreign =
        |source: BoxError| WorkerError::ForeignRecord { topic: topic.to_string(), source };
    let record = record.map_err(|reason| foreign(reason.into()))?;
    let key = record.key.ok_or_else(|| foreign("it has no key".into()))?;
    let at = TopicPartition { topic: record.topic.clone(), partition: record.partition };
    // A tombstone follows the delete event that carried the version.
    let Some(value) = record.value else {
        return Ok(differ.apply_published(
            id,
            key.bytes,
            None,
            *newest,
            None,
            (&at, record.offset),
        )?);
    };
    if envelope.as_ref().is_none_or(|known| known.schema() != &**value.schema) {
        let compiled = EnvelopeSchema::new(Schema::clone(value.schema));
        *envelope = Some(compiled.map_err(|error| foreign(error.into()))?);
    }
    let envelope = envelope.as_ref().expect("the envelope was compiled above");
    let view = envelope.view(value.bytes).map_err(|error| foreign(error.into()))?;
    *newest = (*newest).max(view.version);
    let scope = record.headers.iter().find(|(name, _)| name == SCOPE_HEADER);
    let scope = scope.and_then(|(_, scope)| std::str::from_utf8(scope).ok());
    let at = (&at, record.offset);
    Ok(differ.apply_published(id, key.bytes, view.after, view.version, scope, at)?)
}
