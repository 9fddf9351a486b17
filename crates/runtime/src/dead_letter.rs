//! Dead letters: the record a worker could not deliver, its reason, and its way back.

mod datum;
pub(crate) mod read;
mod stored;

pub(crate) use stored::Stored;

use throughline_avro::{DecodeError, Schema, SchemaId};
use throughline_bus::{Bus, Undecodable};
use throughline_event::{
    Datum, Micros, Offset, PartitionId, TopicName, TopicPartition, WorkerName,
};

use crate::WorkerError;
use crate::host::now;

/// The schema of the values of `dead.<worker>`.
pub const VALUE_SCHEMA: &str = include_str!("../../../schemas/throughline/dead-letter.avsc");
/// The schema of its keys.
pub const KEY_SCHEMA: &str = include_str!("../../../schemas/throughline/dead-letter-key.avsc");

/// Where in a worker a record failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading the source.
    Capture,
    /// Mapping.
    Process,
    /// Writing the target.
    Deliver,
}

impl Stage {
    /// The word in metrics and dead letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Process => "process",
            Self::Deliver => "deliver",
        }
    }
}

/// Bytes of an input, and the schema id when they are an Avro datum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The schema of the datum.
    pub schema: Option<SchemaId>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Part {
    /// A datum that was read from this bus.
    pub(crate) fn of(datum: Datum<'_>, bus: &Bus) -> Self {
        Self { schema: bus.schema_id(datum.schema), bytes: datum.bytes.to_vec() }
    }
}

/// The input record of a processor or sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its partition.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Micros,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The same for the same failure.
    pub id: String,
    /// Who could not deliver it.
    pub worker: WorkerName,
    /// `capture`, `process` or `deliver`.
    pub stage: String,
    /// Stable code.
    pub code: String,
    /// A short word for grouping.
    pub kind: String,
    /// What is wrong.
    pub reason: String,
    /// Where the input stands.
    pub place: String,
    /// The program that failed.
    pub program: Option<String>,
    /// Its line.
    pub line: Option<i32>,
    /// Whether the key is parked until this is resolved.
    pub parked: bool,
    /// When it failed.
    pub failed_at: Micros,
    /// The input record, for processors and sinks.
    pub input: Option<Input>,
    /// The input's key.
    pub key: Option<Part>,
    /// The input's value.
    pub value: Option<Part>,
}

/// Why a record of a dead-letter topic could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// The bytes do not fit the schema.
    #[error("TL0601: could not read the dead letter")]
    Decode(#[from] DecodeError),
    /// A name in it is not allowed.
    #[error("TL0602: the dead letter has a name that is not allowed")]
    Name(#[from] throughline_event::NameError),
    /// It is not a dead letter.
    #[error("TL0603: the record is not a dead letter")]
    OtherSchema,
}

impl DeadLetter {
    /// The id of a record that a processor or sink read. A tombstone resolves the letter that has
    /// the same one.
    pub fn id_of(partition: &TopicPartition, offset: Offset) -> String {
        format!("{partition}@{offset}")
    }

    /// The datum of its key.
    pub fn key_datum(id: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(id.len() + 2);
        throughline_avro::put_str(&mut out, id);
        out
    }

    /// The id in a key's datum.
    pub fn id_from_key(datum: &[u8]) -> Result<String, DeadLetterError> {
        Ok(throughline_avro::Cursor::new(datum).str()?.to_owned())
    }

    /// The datum of the value.
    pub fn to_datum(&self) -> Vec<u8> {
        datum::write(self)
    }

    /// Reads a value that was written with the schema of this version.
    pub fn from_datum(schema: &Schema, bytes: &[u8]) -> Result<Self, DeadLetterError> {
        datum::read(schema, bytes)
    }
}

/// The dead letters of a topic that were not resolved, oldest first in each partition.
pub fn unresolved(
    bus: &Bus,
    topic: &TopicName,
    partitions: i32,
) -> Result<Vec<DeadLetter>, WorkerError> {
    let mut letters = Vec::new();
    for partition in (0..partitions).map(PartitionId) {
        letters.extend(read::unresolved(bus, topic, partition)?);
    }
    Ok(letters)
}

impl DeadLetter {
    /// The dead letter of a record that is not Avro in the registry's wire format.
    pub(crate) fn undecodable(worker: &WorkerName, stage: Stage, bad: &Undecodable) -> Self {
        let part = |bytes: &Option<Vec<u8>>| {
            bytes.as_ref().map(|bytes| Part { schema: None, bytes: bytes.clone() })
        };
        Self {
            id: Self::id_of(&bad.partition, bad.offset),
            worker: worker.clone(),
            stage: stage.as_str().to_owned(),
            code: bad.reason.code().to_owned(),
            kind: "decode".to_owned(),
            reason: crate::chain(&bad.reason),
            place: format!("{} offset {}", bad.partition, bad.offset),
            program: None,
            line: None,
            parked: false,
            failed_at: now(),
            input: Some(Input {
                partition: bad.partition.clone(),
                offset: bad.offset,
                timestamp: bad.timestamp,
            }),
            key: part(&bad.key),
            value: part(&bad.value),
        }
    }

    /// The dead letter of something a producer could not publish.
    pub fn rejected(
        worker: &WorkerName,
        rejection: &throughline_connector::Rejection,
        failed_at: Micros,
    ) -> Self {
        Self {
            id: format!("{} {} {}", rejection.entity, rejection.place, rejection.code),
            worker: worker.clone(),
            stage: Stage::Capture.as_str().to_owned(),
            code: rejection.code.to_owned(),
            kind: "row".to_owned(),
            reason: rejection.reason.clone(),
            place: rejection.place.clone(),
            program: None,
            line: None,
            parked: false,
            failed_at,
            input: None,
            key: None,
            value: Some(Part { schema: None, bytes: rejection.input.clone() }),
        }
    }
}

#[cfg(test)]
mod tests;
