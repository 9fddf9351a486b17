//! Dead letters: the record a worker could not deliver, its reason, and its way back.

mod datum;
pub(crate) mod read;
mod resolve;
mod stored;

pub use read::{Damaged, Unresolved, unresolved};
pub use resolve::resolve;
pub(crate) use stored::Stored;

use throughline_avro::{DecodeError, Schema, SchemaId};
use throughline_bus::{Bus, LARGEST_RECORD, Undecodable};
use throughline_event::{Datum, Micros, Offset, PartitionId, TopicPartition, WorkerName};

use crate::host::now;

/// The schema of the values of `dead.<worker>`.
const VALUE_SCHEMA: &str = include_str!("../../../schemas/throughline/dead-letter.avsc");
/// The schema of its keys.
const KEY_SCHEMA: &str = include_str!("../../../schemas/throughline/dead-letter-key.avsc");

/// The schemas of keys and values, parsed.
pub(crate) fn schemas() -> (Schema, Schema) {
    let parse = |text| Schema::parse(text).expect("the dead letter's schemas are valid");
    (parse(KEY_SCHEMA), parse(VALUE_SCHEMA))
}

/// Where in a worker a record failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterStage {
    /// Reading the source.
    Capture,
    /// Mapping.
    Process,
    /// Writing the target.
    Deliver,
}

impl DeadLetterStage {
    const ALL: [Self; 3] = [Self::Capture, Self::Process, Self::Deliver];

    /// The stage of a word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }

    /// The word in dead letters.
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
    /// Where in the worker.
    pub stage: DeadLetterStage,
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
    /// The stage is none of those that there are.
    #[error("TL0601: could not read the dead letter")]
    Stage(#[source] UnknownStage),
    /// A name in it is not allowed.
    #[error("TL0602: the dead letter has a name that is not allowed")]
    Name(#[from] throughline_event::NameError),
    /// It is not a dead letter.
    #[error("TL0603: the record is not a dead letter")]
    OtherSchema,
}

/// A stage that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("the stage {0:?} is not known")]
pub struct UnknownStage(String);

impl DeadLetterError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decode(_) | Self::Stage(_) => "TL0601",
            Self::Name(_) => "TL0602",
            Self::OtherSchema => "TL0603",
        }
    }
}

impl DeadLetter {
    /// The partition of the dead-letter topic that it stands in: the one with the number of its
    /// input's.
    pub fn partition(&self) -> PartitionId {
        self.input.as_ref().map_or(PartitionId(0), |input| input.partition.partition)
    }

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

    /// The letter as one record can hold it: an input near the limit does not fit beside its reason,
    /// and its place stands for it.
    pub(crate) fn fitting(self) -> Self {
        if self.too_large() { Self { value: None, ..self } } else { self }
    }

    /// Whether one record cannot hold it.
    pub(crate) fn too_large(&self) -> bool {
        let bytes = |part: &Option<Part>| part.as_ref().map_or(0, |part| part.bytes.len());
        // The id and the place name a topic, whose names end at 249 characters.
        self.reason.len() + bytes(&self.key) + bytes(&self.value) + 2_048 > LARGEST_RECORD
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

impl DeadLetter {
    /// The dead letter of a record that is not Avro in the registry's wire format.
    pub(crate) fn undecodable(
        worker: &WorkerName,
        stage: DeadLetterStage,
        bad: &Undecodable,
    ) -> Self {
        let part = |bytes: &Option<Vec<u8>>| {
            bytes.as_ref().map(|bytes| Part { schema: None, bytes: bytes.clone() })
        };
        Self {
            id: Self::id_of(&bad.partition, bad.offset),
            worker: worker.clone(),
            stage,
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
        .fitting()
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
            stage: DeadLetterStage::Capture,
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
