//! Canonical records of one entity: how a mapping's object becomes a key and a value.

use throughline_avro::put_str;
use throughline_connector::Canonical;
use throughline_event::SystemName;

use crate::CanonicalEntity;
use crate::encode::{EncodeError, RecordEncoder, Written};
use crate::value::{Object, Vocabulary, VocabularyBuilder};

/// How records of one entity are written.
#[derive(Debug)]
pub(crate) struct RecordWriter {
    pub(crate) entity: &'static CanonicalEntity,
    /// Which of the processor's outputs they go to.
    pub(crate) output: Canonical,
    body: RecordEncoder,
    key: Vec<KeyPart>,
}

#[derive(Debug)]
enum KeyPart {
    /// Bytes that are the same for every record: the instance.
    Fixed(Vec<u8>),
    /// The place of a field of the record, written as the record has it.
    Field(usize),
}

impl RecordWriter {
    /// The writer of an entity; nothing when a schema has a type that canonical schemas do not use.
    pub(crate) fn new(
        entity: &'static CanonicalEntity,
        output: Canonical,
        system: &SystemName,
        vocabulary: &mut VocabularyBuilder,
    ) -> Option<Self> {
        let value = entity.value.record()?;
        let (meta, fields) = value.fields.split_first()?;
        (meta.name == "meta").then_some(())?;
        let body = RecordEncoder::new(fields, system, vocabulary)?;
        let part = |field: &throughline_avro::Field| match field.name.as_str() {
            "system" => {
                let mut bytes = Vec::new();
                put_str(&mut bytes, system.as_str());
                Some(KeyPart::Fixed(bytes))
            }
            name => Some(KeyPart::Field(body.position(name)?)),
        };
        let key = entity.key.record()?.fields.iter().map(part).collect::<Option<_>>()?;
        Some(Self { entity, output, body, key })
    }

    /// Makes ready for objects of the shapes of the vocabulary.
    pub(crate) fn prepare(&mut self, vocabulary: &Vocabulary) {
        self.body.prepare(vocabulary);
    }

    /// The record's key.
    pub(crate) fn key(&self, record: Object<'_>) -> Result<Vec<u8>, Box<EncodeError>> {
        let mut out = Vec::with_capacity(32);
        for part in &self.key {
            match part {
                KeyPart::Fixed(bytes) => out.extend_from_slice(bytes),
                KeyPart::Field(at) => self.body.write_field(*at, record, &mut out)?,
            }
        }
        Ok(out)
    }

    /// Appends everything behind `meta`.
    pub(crate) fn body(&self, record: Object<'_>, out: &mut Vec<u8>) -> Written {
        self.body.write(record, out)
    }
}
