//! Reading a dead-letter topic.

use std::collections::HashMap;
use std::ops::ControlFlow;

use throughline_bus::{Bus, Entry, Isolation};
use throughline_event::{Offset, PartitionId, Record, TopicName, TopicPartition, WorkerName};

use super::{DeadLetter, DeadLetterError};
use crate::{Host, WorkerError, read};

/// What a dead-letter topic holds and was not resolved.
#[derive(Debug, Default)]
pub struct Unresolved {
    /// The letters, oldest first in each partition.
    pub letters: Vec<DeadLetter>,
    /// Letters of ours that cannot be read.
    pub damaged: Vec<Damaged>,
    /// Records that are no dead letters: another program wrote them.
    pub foreign: u64,
}

/// A letter of which only the key can be read.
#[derive(Debug)]
pub struct Damaged {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub partition: TopicPartition,
    /// And at which offset.
    pub offset: Offset,
    /// What is wrong with it.
    pub error: DeadLetterError,
}

/// The dead letters of a topic that were not resolved.
///
/// # Errors
/// When the topic cannot be read.
pub fn unresolved(
    bus: &Bus,
    topic: &TopicName,
    partitions: i32,
) -> Result<Unresolved, WorkerError> {
    let mut all = Unresolved::default();
    for partition in (0..partitions).map(PartitionId) {
        let at = TopicPartition { topic: topic.clone(), partition };
        let mut found = Found::default();
        bus.read_to_end(&at, Offset(0), Isolation::ReadCommitted, |entry| {
            found.take(entry);
            ControlFlow::Continue(())
        })?;
        found.into(&at, &mut all);
    }
    Ok(all)
}

/// The letters of a worker's own partition; nothing when a drain came before they were read.
pub(crate) fn of_partition(
    host: &Host,
    worker: &WorkerName,
    topic: &TopicName,
    partition: PartitionId,
) -> Result<Option<Vec<DeadLetter>>, WorkerError> {
    let at = TopicPartition { topic: topic.clone(), partition };
    let mut found = Found::default();
    let read = read::to_end(host, (worker, "its dead letters"), &at, Offset(0), |entry| {
        if let Some((code, offset, error)) = found.take(entry) {
            read::passed_over(code, &at, offset, &*error);
        }
        Ok(())
    })?;
    let mut all = Unresolved::default();
    found.into(&at, &mut all);
    match all.damaged.into_iter().next() {
        Some(damaged) => Err(WorkerError::DamagedRecord {
            partition: damaged.partition,
            offset: damaged.offset,
            fix: format!("`throughline dlq resolve {worker} '{}'` removes it", damaged.id),
            source: damaged.error.into(),
        }),
        None => Ok(read.map(|_| all.letters)),
    }
}

/// The id in the key of a record, when it is one of a dead letter.
pub(crate) fn id_of(record: &Record<'_>) -> Result<String, DeadLetterError> {
    let key = record.key.ok_or(DeadLetterError::OtherSchema)?;
    let named = |record: &std::sync::Arc<throughline_avro::Record>| {
        record.name == "throughline.DeadLetterKey"
    };
    if !key.schema.record().is_some_and(named) {
        return Err(DeadLetterError::OtherSchema);
    }
    DeadLetter::id_from_key(key.bytes)
}

/// What a partition holds, by id.
#[derive(Default)]
struct Found {
    letters: HashMap<String, (Offset, Result<DeadLetter, DeadLetterError>)>,
    foreign: u64,
}

/// A record that is passed over: its code, its place, and why.
type Foreign = (&'static str, Offset, throughline_connector::BoxError);

impl Found {
    fn take(&mut self, entry: Entry<'_>) -> Option<Foreign> {
        let foreign = match entry {
            Entry::Record(record) => match self.letter(&record) {
                Ok(()) => return None,
                Err(error) => (error.code(), record.offset, error.into()),
            },
            Entry::Undecodable(bad) => (bad.reason.code(), bad.offset, bad.reason.into()),
        };
        self.foreign += 1;
        Some(foreign)
    }

    fn letter(&mut self, record: &Record<'_>) -> Result<(), DeadLetterError> {
        let id = id_of(record)?;
        let Some(value) = record.value else {
            self.letters.remove(&id);
            return Ok(());
        };
        match DeadLetter::from_datum(value.schema, value.bytes) {
            Err(error @ DeadLetterError::OtherSchema) => Err(error),
            letter => {
                self.letters.insert(id, (record.offset, letter));
                Ok(())
            }
        }
    }

    fn into(self, at: &TopicPartition, all: &mut Unresolved) {
        all.foreign += self.foreign;
        let mut letters: Vec<_> = self.letters.into_iter().collect();
        letters.sort_unstable_by_key(|(_, (offset, _))| *offset);
        for (id, (offset, letter)) in letters {
            match letter {
                Ok(letter) => all.letters.push(letter),
                Err(error) => {
                    all.damaged.push(Damaged { id, partition: at.clone(), offset, error });
                }
            }
        }
    }
}
