//! Canonical records from values to Avro, by position and without a value tree in between.
//!
//! For each shape that the mapping's vocabulary has, the bytes between its fields are known when the
//! mapping is loaded; other objects are looked through by name.
//!
//! A field that the value lacks, or has as null, is written as null where the schema allows that and
//! as its default where it has one. A field named `system` that is a required string is the
//! instance when the mapping does not say otherwise. A field that the schema does not have, and a
//! value of another type, are errors with the path to them; text is not checked against the lists
//! of words in the documentation, since a source may have words of its own.

mod error;

use throughline_avro::{
    Field, Logical, Node, put_block, put_block_end, put_boolean, put_long, put_str,
    put_union_branch,
};
use throughline_event::SystemName;

pub(crate) use self::error::{EncodeError, Problem, Written};
use crate::value::{Object, Shape, Symbol, Value, Vocabulary, VocabularyBuilder};

/// Bytes of the records of one document, far beyond what a topic takes.
pub(crate) const MAX_BYTES: usize = 64 << 20;

/// How to write one type.
#[derive(Debug)]
pub(crate) enum Encoder {
    Boolean,
    Int,
    Long,
    Timestamp,
    String,
    Array(Box<Encoder>),
    Map(Box<Encoder>),
    /// A union of null and one other type: the branch of each.
    Optional(usize, usize, Box<Encoder>),
    Record(RecordEncoder),
}

/// How to write one record.
#[derive(Debug)]
pub(crate) struct RecordEncoder {
    fields: Vec<FieldEncoder>,
    /// For each shape of the vocabulary; none for those that are no such record.
    plans: Vec<Option<Box<[Step]>>>,
}

/// One step of writing a record of a shape that is known.
#[derive(Debug)]
enum Step {
    /// The defaults of fields that the shape lacks.
    Bytes(Vec<u8>),
    /// A value of the object, and the field that it is.
    Field { place: usize, field: usize },
}

#[derive(Debug)]
struct FieldEncoder {
    name: Symbol,
    encoder: Encoder,
    /// The bytes of the field when the value lacks it.
    default: Option<Vec<u8>>,
}

impl Encoder {
    /// The writer of a type that the canonical schemas use; nothing for any other.
    pub(crate) fn new(
        node: &Node,
        system: &SystemName,
        vocabulary: &mut VocabularyBuilder,
    ) -> Option<Self> {
        Some(match node {
            Node::Boolean => Self::Boolean,
            Node::Int(None) => Self::Int,
            Node::Long(None) => Self::Long,
            Node::Long(Some(Logical::TimestampMicros)) => Self::Timestamp,
            Node::String(None) => Self::String,
            Node::Array(item) => Self::Array(Box::new(Self::new(item, system, vocabulary)?)),
            Node::Map(value) => Self::Map(Box::new(Self::new(value, system, vocabulary)?)),
            Node::Union(branches) => {
                let null = branches.iter().position(|branch| matches!(**branch, Node::Null))?;
                let other = 1_usize.checked_sub(null)?;
                let inner = Self::new(branches.get(other)?, system, vocabulary)?;
                (branches.len() == 2).then_some(())?;
                Self::Optional(null, other, Box::new(inner))
            }
            Node::Record(record) => {
                Self::Record(RecordEncoder::new(&record.fields, system, vocabulary)?)
            }
            _ => return None,
        })
    }

    fn prepare(&mut self, vocabulary: &Vocabulary) {
        match self {
            Self::Array(inner) | Self::Map(inner) | Self::Optional(_, _, inner) => {
                inner.prepare(vocabulary);
            }
            Self::Record(record) => record.prepare(vocabulary),
            _ => {}
        }
    }

    fn write(&self, value: Value<'_>, out: &mut Vec<u8>) -> Written {
        match (self, value) {
            (Self::String, Value::Text(text)) => put_str(out, text),
            (Self::String, Value::Bytes(_)) => return Err(EncodeError::new(Problem::Utf8)),
            (Self::Long, Value::Integer(number)) => put_long(out, number),
            (Self::Int, Value::Integer(number)) => match i32::try_from(number) {
                Ok(number) => put_long(out, i64::from(number)),
                Err(_) => return Err(EncodeError::new(Problem::Range { expected: "an int" })),
            },
            (Self::Boolean, Value::Boolean(boolean)) => put_boolean(out, *boolean),
            (Self::Timestamp, Value::Timestamp(time)) => put_long(out, time.timestamp_micros()),
            (Self::Optional(null, ..), Value::Null) => put_union_branch(out, *null),
            (Self::Optional(_, other, inner), value) => {
                put_union_branch(out, *other);
                inner.write(value, out)?;
            }
            (Self::Record(record), Value::Object(fields)) => record.write(fields, out)?,
            (Self::Array(item), Value::Array(items)) => {
                if !items.is_empty() {
                    put_block(out, items.len());
                    for (at, value) in items.iter().enumerate() {
                        check_size(out)?;
                        item.write(*value, out).map_err(|error| error.at_item(at))?;
                    }
                }
                put_block_end(out);
            }
            (Self::Map(inner), Value::Object(entries)) => inner.write_entries(entries, out)?,
            (encoder, value) => return Err(encoder.refuse(value)),
        }
        Ok(())
    }

    fn write_entries(&self, entries: Object<'_>, out: &mut Vec<u8>) -> Written {
        // A null entry is an entry that is not there: `{"a": .maybe}` need not be guarded.
        let present = entries.values().iter().filter(|value| !value.is_null()).count();
        if present > 0 {
            put_block(out, present);
            for (key, value) in entries.entries().filter(|(_, value)| !value.is_null()) {
                check_size(out)?;
                put_str(out, key);
                self.write(value, out).map_err(|error| error.at_field(key))?;
            }
        }
        put_block_end(out);
        Ok(())
    }

    fn refuse(&self, value: Value<'_>) -> Box<EncodeError> {
        let problem = match value {
            Value::Null => Problem::Missing,
            value => {
                Problem::Type { expected: self.description(), found: value.kind_str().to_owned() }
            }
        };
        EncodeError::new(problem)
    }

    fn description(&self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Int | Self::Long => "a whole number",
            Self::Timestamp => "a timestamp",
            Self::String => "text",
            Self::Array(_) => "a list",
            Self::Map(_) | Self::Record(_) => "an object",
            Self::Optional(_, _, inner) => inner.description(),
        }
    }
}

/// Values share their parts, so what is small as a value can be large as a record.
fn check_size(out: &[u8]) -> Written {
    if out.len() > MAX_BYTES { Err(EncodeError::new(Problem::Size)) } else { Ok(()) }
}

impl RecordEncoder {
    /// The writer of these fields, in their order.
    pub(crate) fn new(
        fields: &[Field],
        system: &SystemName,
        vocabulary: &mut VocabularyBuilder,
    ) -> Option<Self> {
        let fields = fields.iter().map(|field| FieldEncoder::new(field, system, vocabulary));
        Some(Self { fields: fields.collect::<Option<_>>()?, plans: Vec::new() })
    }

    /// Makes the plans for the shapes of the vocabulary, here and in the records within.
    pub(crate) fn prepare(&mut self, vocabulary: &Vocabulary) {
        self.plans = vocabulary.shapes().iter().map(|shape| self.plan(shape)).collect();
        self.fields.iter_mut().for_each(|field| field.encoder.prepare(vocabulary));
    }

    /// How to write a shape; nothing when it has a name that no field has, or lacks one that it must
    /// have: that is for [`Self::write`] to say.
    fn plan(&self, shape: &Shape<'_>) -> Option<Box<[Step]>> {
        let (mut steps, mut known) = (Vec::new(), 0);
        for (at, field) in self.fields.iter().enumerate() {
            if let Some(place) = shape.names().position(|name| name == field.name.name()) {
                known += 1;
                steps.push(Step::Field { place, field: at });
                continue;
            }
            let default = field.default.as_ref()?;
            match steps.last_mut() {
                Some(Step::Bytes(bytes)) => bytes.extend_from_slice(default),
                _ => steps.push(Step::Bytes(default.clone())),
            }
        }
        (known == shape.names().count()).then(|| steps.into())
    }

    /// Appends a record.
    pub(crate) fn write(&self, record: Object<'_>, out: &mut Vec<u8>) -> Written {
        let plan = record.shape().and_then(|shape| self.plans.get(shape)?.as_deref());
        let Some(plan) = plan else { return self.write_by_name(record, out) };
        let values = record.values();
        for step in plan {
            match step {
                Step::Bytes(bytes) => out.extend_from_slice(bytes),
                Step::Field { place, field } => {
                    self.fields[*field].write(values[*place], out)?;
                }
            }
        }
        Ok(())
    }

    fn write_by_name(&self, record: Object<'_>, out: &mut Vec<u8>) -> Written {
        let mut known = 0;
        for field in &self.fields {
            let value = record.get(&field.name);
            known += usize::from(value.is_some());
            if let Err(error) = field.write_found(value, out) {
                // A misspelled field explains why another one is missing.
                return Err(self.unknown_field(record).unwrap_or(error));
            }
        }
        if known == record.len() {
            return Ok(());
        }
        self.unknown_field(record).map_or(Ok(()), Err)
    }

    /// The first field of a record that the schema does not have.
    fn unknown_field(&self, record: Object<'_>) -> Option<Box<EncodeError>> {
        let known = |name: &str| self.fields.iter().any(|field| field.name.name() == name);
        let (name, _) = record.entries().find(|(name, _)| !known(name))?;
        Some(EncodeError::new(Problem::UnknownField).at_field(name))
    }

    /// Appends the one field of a record.
    pub(crate) fn write_field(&self, at: usize, record: Object<'_>, out: &mut Vec<u8>) -> Written {
        let field = &self.fields[at];
        field.write_found(record.get(&field.name), out)
    }

    /// The place of a field.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name.name() == name)
    }
}

impl FieldEncoder {
    fn new(field: &Field, system: &SystemName, vocabulary: &mut VocabularyBuilder) -> Option<Self> {
        let encoder = Encoder::new(&field.node, system, vocabulary)?;
        let default = if field.name == "system" && matches!(encoder, Encoder::String) {
            let mut bytes = Vec::new();
            put_str(&mut bytes, system.as_str());
            Some(bytes)
        } else if field.default.is_some() {
            let mut bytes = Vec::new();
            throughline_avro::default_to_datum(field, &mut bytes).ok()?;
            Some(bytes)
        } else {
            None
        };
        Some(Self { name: vocabulary.symbol(&field.name), encoder, default })
    }

    fn write_found(&self, value: Option<Value<'_>>, out: &mut Vec<u8>) -> Written {
        match (value, &self.default) {
            (None, None) => Err(EncodeError::new(Problem::Missing).at_field(self.name.name())),
            (value, _) => self.write(value.unwrap_or(Value::Null), out),
        }
    }

    #[inline]
    fn write(&self, value: Value<'_>, out: &mut Vec<u8>) -> Written {
        match (value, &self.default) {
            (Value::Null, Some(default)) => {
                // Nearly all defaults are null, zero or empty.
                match default[..] {
                    [byte] => out.push(byte),
                    _ => out.extend_from_slice(default),
                }
                Ok(())
            }
            (value, _) => {
                self.encoder.write(value, out).map_err(|error| error.at_field(self.name.name()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
