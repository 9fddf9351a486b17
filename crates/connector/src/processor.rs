//! Processors: pure functions from change events to canonical records.

use throughline_avro::Schema;
use throughline_event::{Record, TopicName};

pub use throughline_event::Headers;

/// A topic a processor reads.
#[derive(Debug, Clone)]
pub struct InputTopic {
    /// Its name.
    pub topic: TopicName,
}

/// A topic a processor writes: compacted, keyed by the canonical key.
#[derive(Debug, Clone)]
pub struct OutputTopic {
    /// Its name.
    pub topic: TopicName,
    /// The schema of its keys.
    pub key: Schema,
    /// The schema of its values.
    pub value: Schema,
}

/// Which of the processor's outputs a record goes to: a place in [`Processor::outputs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Canonical(pub usize);

/// One record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// Where to.
    pub output: Canonical,
    /// The key, an Avro datum.
    pub key: Vec<u8>,
    /// The value, an Avro datum; absent for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers.
    pub headers: Headers,
}

/// The records one input gave, in order.
#[derive(Debug, Default)]
pub struct Outputs {
    /// The records.
    pub records: Vec<Produced>,
}

/// Why an input could not be processed. The same input fails the same way until the program
/// changes: the runtime parks its key and goes on with the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct ProcessError {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong: for an invariant its name and both sides of the equation.
    pub reason: String,
    /// The program: pack, mapping and its content hash.
    pub program: String,
    /// The line in the program, when it is known.
    pub line: Option<u32>,
    /// A short bounded word for metrics: `mapping`, `invariant`, `decode`.
    pub kind: &'static str,
}

/// A pure function: same input, same output, byte for byte. No state, no clock, no I/O.
pub trait Processor: Send + Sync + 'static {
    /// What it reads.
    fn inputs(&self) -> &[InputTopic];

    /// What it writes.
    fn outputs(&self) -> &[OutputTopic];

    /// Processes one record. `parked_before` is the `before` document (a datum of the same schema)
    /// of the oldest parked event of this key, when earlier events of the key are parked and this
    /// one stands for all of them: it replaces the record's own `before`.
    fn process(
        &self,
        record: &Record<'_>,
        parked_before: Option<Option<&[u8]>>,
        out: &mut Outputs,
    ) -> Result<(), ProcessError>;

    /// The `before` document of a change event, as bytes; for parking.
    fn before<'a>(&self, record: &Record<'a>) -> Result<Option<&'a [u8]>, ProcessError>;
}
