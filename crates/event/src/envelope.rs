//! The envelope of a change event: Debezium's `{before, after, source, op, ts_ms ...}` in Avro.
//!
//! Documents are datums already, so an envelope is written by copying byte ranges behind one another
//! and read by finding them again; neither side decodes a document.

mod layout;
mod write;

use std::sync::Arc;

use throughline_avro::{DecodeError, Node, Schema, SchemaError};

use crate::{Micros, Op, Source, TopicName};

/// The envelope schema of one topic, compiled for writing and reading.
#[derive(Debug, Clone)]
pub struct EnvelopeSchema {
    schema: Schema,
    layout: Arc<layout::Layout>,
}

/// What goes into one envelope.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The document last published, as a datum.
    pub before: Option<&'a [u8]>,
    /// The document now, as a datum.
    pub after: Option<&'a [u8]>,
    /// Where the change came from.
    pub source: &'a Source,
    /// What happened.
    pub op: Op,
    /// When the producer saw it.
    pub captured_at: Micros,
}

/// One envelope, as byte ranges and borrowed text of the record it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvelopeView<'a> {
    /// The document before, as a datum.
    pub before: Option<&'a [u8]>,
    /// The document after, as a datum.
    pub after: Option<&'a [u8]>,
    /// What happened.
    pub op: Op,
    /// When the producer saw it.
    pub captured_at: Micros,
    /// When the change was made.
    pub changed_at: Micros,
    /// Whether it is part of a snapshot.
    pub snapshot: bool,
    /// The source position, for people.
    pub position: &'a str,
    /// The order of the changes of this key.
    pub version: i64,
    /// Who made the change.
    pub actor: Option<&'a str>,
}

/// Why a value is not an envelope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The schema does not have an envelope's fields.
    #[error("TL0006: the schema is not a change event's envelope: {missing} is missing")]
    NotAnEnvelope {
        /// The field that is missing or has another type.
        missing: &'static str,
    },
    /// The key's or the document's schema is not a record.
    #[error("TL0007: the schema of {part} must be a record")]
    NotARecord {
        /// Key or document.
        part: &'static str,
    },
    /// The schema could not be compiled.
    #[error("TL0008: could not compile the envelope's schema")]
    Schema(#[from] SchemaError),
    /// The bytes do not fit the schema.
    #[error("TL0009: could not read the change event")]
    Decode(#[from] DecodeError),
    /// The operation is not one of `c`, `u`, `d`, `r`.
    #[error("TL0010: operation {letter:?} is not one of c, u, d, r")]
    Op {
        /// The letter, cut to 10 characters.
        letter: String,
    },
}

impl EnvelopeSchema {
    /// The envelope of a topic whose documents have this schema, a record.
    ///
    /// The document's own record becomes `Value` in a namespace made of the topic's name, as
    /// Debezium names it; hyphens become underscores, which Avro names allow.
    pub fn for_topic(topic: &TopicName, document: &Schema) -> Result<Self, EnvelopeError> {
        let text = write::schema_text(topic, document)?;
        Self::new(Schema::parse(&text)?)
    }

    /// Compiles the envelope schema that a record was written with.
    pub fn new(schema: Schema) -> Result<Self, EnvelopeError> {
        let layout = Arc::new(layout::Layout::new(&schema)?);
        Ok(Self { schema, layout })
    }

    /// The schema itself.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The type of a document in it.
    pub fn document(&self) -> &Arc<Node> {
        self.layout.document()
    }

    /// Finds the parts of a datum.
    pub fn view<'a>(&self, datum: &'a [u8]) -> Result<EnvelopeView<'a>, EnvelopeError> {
        self.layout.view(datum)
    }
}

impl Envelope<'_> {
    /// Appends the datum to `out`; its schema is that of [`EnvelopeSchema::for_topic`].
    pub fn write(&self, out: &mut Vec<u8>) {
        write::datum(self, out);
    }
}

/// The key schema of a topic: the same fields, named `Key` in the topic's namespace.
pub fn key_schema(topic: &TopicName, key: &Schema) -> Result<Schema, EnvelopeError> {
    Ok(Schema::parse(&write::key_schema_text(topic, key)?)?)
}

#[cfg(test)]
mod tests;
