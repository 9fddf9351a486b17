//! Reading a dead-letter topic.

use std::collections::HashMap;
use std::ops::ControlFlow;

use throughline_bus::{Bus, Entry, Isolation};
use throughline_connector::BoxError;
use throughline_event::{Offset, PartitionId, Record, TopicName, TopicPartition};

use super::{DeadLetter, DeadLetterError};
use crate::WorkerError;

/// The unresolved dead letters of a partition, oldest first.
pub(crate) fn unresolved(
    bus: &Bus,
    topic: &TopicName,
    partition: PartitionId,
) -> Result<Vec<DeadLetter>, WorkerError> {
    let mut letters: HashMap<String, (Offset, DeadLetter)> = HashMap::new();
    let mut failure: Option<BoxError> = None;
    let at = TopicPartition { topic: topic.clone(), partition };
    bus.read_to_end(&at, Offset(0), Isolation::ReadCommitted, |entry| {
        match entry {
            Entry::Record(record) => {
                failure = take_letter(&record, &mut letters).err().map(BoxError::from);
            }
            Entry::Undecodable(bad) => failure = Some(bad.reason.into()),
        }
        if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(source) = failure {
        return Err(WorkerError::ForeignRecord { topic: topic.to_string(), source });
    }
    let mut letters: Vec<_> = letters.into_values().collect();
    letters.sort_unstable_by_key(|(offset, _)| *offset);
    Ok(letters.into_iter().map(|(_, letter)| letter).collect())
}

fn take_letter(
    record: &Record<'_>,
    letters: &mut HashMap<String, (Offset, DeadLetter)>,
) -> Result<(), DeadLetterError> {
    let key = record.key.ok_or(DeadLetterError::OtherSchema)?;
    let id = DeadLetter::id_from_key(key.bytes)?;
    match record.value {
        Some(value) => {
            let letter = DeadLetter::from_datum(value.schema, value.bytes)?;
            letters.insert(id, (record.offset, letter));
        }
        None => drop(letters.remove(&id)),
    }
    Ok(())
}
