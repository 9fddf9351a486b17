//! Canonical records from VRL values to Avro, by position and without a value tree in between.
//!
//! A field that the value lacks, or has as null, is written as null where the schema allows that and
//! as its default where it has one. A field named `system` that is a required string is the
//! instance when the mapping does not say otherwise. A field that the schema does not have, and a
//! value of another type, are errors with the path to them; text is not checked against the lists
//! of words in the documentation, since a source may have words of its own.

use std::fmt;

use throughline_avro::{
    Field, Logical, Node, put_block, put_block_end, put_boolean, put_long, put_str,
    put_union_branch,
};
use throughline_event::SystemName;
use vrl::value::{ObjectMap, Value};

/// More fields than any canonical record has; a record's values are collected on the stack.
const MAX_FIELDS: usize = 40;

/// Why a value is not a record of the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub(crate) struct EncodeError {
    /// From the record: `lines[2].unit_price`.
    pub(crate) path: Path,
    /// What is wrong there.
    pub(crate) problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("expected {expected}, found {found}")]
    Type { expected: &'static str, found: String },
    #[error("the schema has no such field")]
    UnknownField,
    #[error("the field is required")]
    Missing,
    #[error("the number does not fit {expected}")]
    Range { expected: &'static str },
    #[error("the text is not UTF-8")]
    Utf8,
}

/// Segments from the inside out, since errors travel that way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Field(String),
    Item(usize),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().rev().enumerate() {
            match segment {
                Segment::Field(name) if at == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl EncodeError {
    fn new(problem: Problem) -> Self {
        Self { path: Path::default(), problem }
    }

    fn at_field(mut self, name: &str) -> Self {
        self.path.0.push(Segment::Field(name.to_owned()));
        self
    }

    fn at_item(mut self, index: usize) -> Self {
        self.path.0.push(Segment::Item(index));
        self
    }
}

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
    /// Beginning of the name and index into `fields`, by name: the order of a value's own keys.
    by_name: Vec<(u64, usize)>,
}

#[derive(Debug)]
struct FieldEncoder {
    name: String,
    encoder: Encoder,
    /// The bytes of the field when the value lacks it.
    default: Option<Vec<u8>>,
}

impl Encoder {
    /// The writer of a type that the canonical schemas use; nothing for any other.
    pub(crate) fn new(node: &Node, system: &SystemName) -> Option<Self> {
        Some(match node {
            Node::Boolean => Self::Boolean,
            Node::Int(None) => Self::Int,
            Node::Long(None) => Self::Long,
            Node::Long(Some(Logical::TimestampMicros)) => Self::Timestamp,
            Node::String(None) => Self::String,
            Node::Array(item) => Self::Array(Box::new(Self::new(item, system)?)),
            Node::Map(value) => Self::Map(Box::new(Self::new(value, system)?)),
            Node::Union(branches) => {
                let null = branches.iter().position(|branch| matches!(**branch, Node::Null))?;
                let other = 1_usize.checked_sub(null)?;
                let inner = Self::new(branches.get(other)?, system)?;
                (branches.len() == 2).then_some(())?;
                Self::Optional(null, other, Box::new(inner))
            }
            Node::Record(record) => Self::Record(RecordEncoder::new(&record.fields, system)?),
            _ => return None,
        })
    }

    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match (self, value) {
            (Self::String, Value::Bytes(_) | Value::String(_)) => match value.to_str() {
                Some(text) => put_str(out, text),
                None => return Err(EncodeError::new(Problem::Utf8)),
            },
            (Self::Long, Value::Integer(number)) => put_long(out, *number),
            (Self::Int, Value::Integer(number)) => match i32::try_from(*number) {
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
                        item.write(value, out).map_err(|error| error.at_item(at))?;
                    }
                }
                put_block_end(out);
            }
            (Self::Map(inner), Value::Object(entries)) => inner.write_entries(entries, out)?,
            (encoder, value) => return Err(encoder.refuse(value)),
        }
        Ok(())
    }

    fn write_entries(&self, entries: &ObjectMap, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        // A null entry is an entry that is not there: `{"a": .maybe}` need not be guarded.
        let present = entries.values().filter(|value| !matches!(value, Value::Null)).count();
        if present > 0 {
            put_block(out, present);
            for (key, value) in entries {
                if matches!(value, Value::Null) {
                    continue;
                }
                put_str(out, key);
                self.write(value, out).map_err(|error| error.at_field(key))?;
            }
        }
        put_block_end(out);
        Ok(())
    }

    fn refuse(&self, value: &Value) -> EncodeError {
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

impl RecordEncoder {
    /// The writer of these fields, in their order.
    pub(crate) fn new(fields: &[Field], system: &SystemName) -> Option<Self> {
        if fields.len() > MAX_FIELDS {
            return None;
        }
        let fields: Vec<_> =
            fields.iter().map(|field| FieldEncoder::new(field, system)).collect::<Option<_>>()?;
        let mut by_name: Vec<_> =
            fields.iter().enumerate().map(|(at, field)| (prefix(&field.name), at)).collect();
        by_name.sort_by(|a, b| fields[a.1].name.cmp(&fields[b.1].name));
        Some(Self { fields, by_name })
    }

    /// Appends a record.
    pub(crate) fn write(&self, value: &ObjectMap, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut found = [None; MAX_FIELDS];
        let mut known = self.by_name.iter();
        // Both sides are in the order of names, so one pass pairs them.
        'keys: for (key, value) in value {
            let begin = prefix(key);
            for (known, at) in known.by_ref() {
                let by_text = || self.fields[*at].name.as_str().cmp(key.as_str());
                match known.cmp(&begin).then_with(by_text) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => {
                        found[*at] = Some(value);
                        continue 'keys;
                    }
                    std::cmp::Ordering::Greater => break,
                }
            }
            return Err(EncodeError::new(Problem::UnknownField).at_field(key));
        }
        for (field, value) in self.fields.iter().zip(found) {
            field.write(value, out)?;
        }
        Ok(())
    }

    /// Appends the one field of a record.
    pub(crate) fn write_field(
        &self,
        at: usize,
        value: Option<&Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.fields[at].write(value, out)
    }

    /// The place of a field.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}

impl FieldEncoder {
    fn new(field: &Field, system: &SystemName) -> Option<Self> {
        let encoder = Encoder::new(&field.node, system)?;
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
        Some(Self { name: field.name.clone(), encoder, default })
    }

    fn write(&self, value: Option<&Value>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match (value, &self.default) {
            (None | Some(Value::Null), Some(default)) => {
                out.extend_from_slice(default);
                Ok(())
            }
            (None, None) => Err(EncodeError::new(Problem::Missing).at_field(&self.name)),
            (Some(value), _) => {
                self.encoder.write(value, out).map_err(|error| error.at_field(&self.name))
            }
        }
    }
}

/// The first eight bytes as a number that sorts as they do: most names differ in it.
fn prefix(name: &str) -> u64 {
    let mut bytes = [0; 8];
    let len = name.len().min(8);
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests;
