//! A document as a mapping sees it: an Avro datum read by position into a value.
//!
//! | Avro | in a mapping |
//! | --- | --- |
//! | `null`, `boolean`, `int`, `long`, `string`, `enum`, `array`, `map`, `record` | the same |
//! | `union` | the bare value of its branch |
//! | `decimal` | text with all digits of the scale: `"12.30"` |
//! | `float`, `double` | text, the shortest that reads back: `"12.3"`; NaN and infinities are refused |
//! | `timestamp-*` | a timestamp |
//! | `local-timestamp-*`, `date`, `time-*`, `uuid` | text, as RFC 3339 has it, without a zone |
//! | `bytes`, `fixed` | bytes |
//!
//! So there is no float anywhere, and a time that names no zone cannot be taken for one that does.
//! Fields that the mapping does not read are skipped without being looked at.

mod read;

use std::sync::Arc;

use throughline_avro::{Cursor, DecodeError, Logical, Node};

use crate::value::{Scope, Value, Vocabulary, VocabularyBuilder};

/// Why a document could not be given to its mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("a number is not finite")]
    NotFinite,
    #[error("a timestamp is out of range")]
    Time,
}

/// Why documents of one schema cannot be given to a mapping made for another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("field {field} is {found}, the pack's schema says {expected}")]
    Type { field: String, expected: &'static str, found: &'static str },
    #[error("field {field} is missing and has no default")]
    Missing { field: String },
    #[error("the document is not a record")]
    NotARecord,
    #[error("field {field} is a record inside itself, which mappings cannot read")]
    Recursive { field: String },
}

/// How to read documents of one writer's schema.
#[derive(Debug)]
pub(crate) struct DocumentPlan(Plan);

/// How long a tick of a timestamp is.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Millis,
    Micros,
    Nanos,
}

#[derive(Debug)]
enum Plan {
    Null,
    Boolean,
    Int,
    Long,
    Timestamp(Unit),
    Float,
    Double,
    Decimal(u32),
    /// A type whose JSON text, without the quotes, is the value.
    Text(Arc<Node>),
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Array(Box<Plan>),
    Map(Box<Plan>),
    Union(Vec<Plan>),
    Record(RecordPlan),
}

/// How to read a record as an object of the reader's shape.
#[derive(Debug)]
struct RecordPlan {
    shape: usize,
    /// How many fields the shape has.
    len: usize,
    /// What to do with the writer's fields.
    steps: Vec<Step>,
    /// Fields that the writer does not have: their place and their default as a datum.
    defaults: Vec<(usize, Vec<u8>, Plan)>,
}

#[derive(Debug)]
enum Step {
    Skip(Arc<Node>),
    /// Into this place of the object.
    Read(usize, Plan),
}

impl DocumentPlan {
    /// Reads documents written with `writer` as documents of `reader`, the pack's schema.
    ///
    /// `reads` tells which of the document's own fields the mapping looks at; the vocabulary has
    /// the shapes of the reader's records.
    pub(crate) fn new(
        writer: &Node,
        reader: &Node,
        reads: &dyn Fn(&str) -> bool,
        vocabulary: &Vocabulary,
    ) -> Result<Self, PlanError> {
        let (Node::Record(_), Node::Record(_)) = (writer, reader) else {
            return Err(PlanError::NotARecord);
        };
        record(writer, reader, "", reads, vocabulary).map(Self)
    }

    /// The document of a datum.
    pub(crate) fn read<'a>(
        &'a self,
        datum: &'a [u8],
        scope: Scope<'a>,
    ) -> Result<Value<'a>, DocumentError> {
        let mut cursor = Cursor::new(datum);
        let value = read::value(&self.0, &mut cursor, scope)?;
        cursor.finish()?;
        Ok(value)
    }
}

/// Adds the shapes of the records that documents are read as.
pub(crate) fn add_shapes(
    reader: &Node,
    reads: &dyn Fn(&str) -> bool,
    vocabulary: &mut VocabularyBuilder,
) {
    match reader {
        Node::Record(record) => {
            vocabulary.shape(names(record, reads));
            record.fields.iter().for_each(|field| add_shapes(&field.node, &|_| true, vocabulary));
        }
        Node::Array(inner) | Node::Map(inner) => add_shapes(inner, &|_| true, vocabulary),
        Node::Union(branches) => {
            branches.iter().for_each(|branch| add_shapes(branch, &|_| true, vocabulary));
        }
        _ => {}
    }
}

/// The fields of a record that are read, by name.
fn names(record: &throughline_avro::Record, reads: &dyn Fn(&str) -> bool) -> Vec<String> {
    let names = record.fields.iter().map(|field| field.name.clone());
    let mut names: Vec<_> = names.filter(|name| reads(name)).collect();
    names.sort_unstable();
    names
}

fn plan(
    writer: &Node,
    reader: &Node,
    path: &str,
    vocabulary: &Vocabulary,
) -> Result<Plan, PlanError> {
    if let Node::Union(branches) = writer {
        let branches = branches.iter().map(|branch| match **branch {
            Node::Null => Ok(Plan::Null),
            _ => plan(branch, reader, path, vocabulary),
        });
        return Ok(Plan::Union(branches.collect::<Result<_, _>>()?));
    }
    let reader = match reader {
        Node::Union(branches) => branches
            .iter()
            .find(|branch| same_type(writer, branch))
            .map(|branch| &**branch)
            .ok_or_else(|| mismatch(writer, reader, path))?,
        reader => reader,
    };
    if !same_type(writer, reader) {
        return Err(mismatch(writer, reader, path));
    }
    Ok(match (writer, reader) {
        (Node::Array(writer), Node::Array(reader)) => {
            Plan::Array(Box::new(plan(writer, reader, &format!("{path}[]"), vocabulary)?))
        }
        (Node::Map(writer), Node::Map(reader)) => {
            Plan::Map(Box::new(plan(writer, reader, &format!("{path}.*"), vocabulary)?))
        }
        (Node::Record(_), _) => record(writer, reader, path, &|_| true, vocabulary)?,
        (Node::Recursive(_), _) | (_, Node::Recursive(_)) => {
            return Err(PlanError::Recursive { field: path.to_owned() });
        }
        _ => scalar(writer),
    })
}

fn record(
    writer: &Node,
    reader: &Node,
    path: &str,
    reads: &dyn Fn(&str) -> bool,
    vocabulary: &Vocabulary,
) -> Result<Plan, PlanError> {
    let (Node::Record(writer), Node::Record(reader)) = (writer, reader) else {
        return Err(PlanError::NotARecord);
    };
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let names = names(reader, reads);
    let place = |name: &str| names.iter().position(|known| known == name);
    let mut steps = Vec::with_capacity(writer.fields.len());
    for field in &writer.fields {
        let name = field.name.as_str();
        steps.push(match (reader.field(name), place(name)) {
            (Some((_, known)), Some(place)) => {
                Step::Read(place, plan(&field.node, &known.node, &below(name), vocabulary)?)
            }
            _ => Step::Skip(Arc::clone(&field.node)),
        });
    }
    let mut defaults = Vec::new();
    for field in &reader.fields {
        let name = field.name.as_str();
        let Some(place) = place(name).filter(|_| writer.field(name).is_none()) else { continue };
        let (datum, plan) =
            default(field, vocabulary).ok_or_else(|| PlanError::Missing { field: below(name) })?;
        defaults.push((place, datum, plan));
    }
    let shape = vocabulary.shape_of(&names).expect("the shapes of the reader's records are known");
    Ok(Plan::Record(RecordPlan { shape, len: names.len(), steps, defaults }))
}

/// A field's default as a datum, and how to read it.
fn default(field: &throughline_avro::Field, vocabulary: &Vocabulary) -> Option<(Vec<u8>, Plan)> {
    field.default.as_ref()?;
    let mut datum = Vec::new();
    throughline_avro::default_to_datum(field, &mut datum).ok()?;
    let plan = plan(&field.node, &field.node, &field.name, vocabulary).ok()?;
    // One that cannot be read is like none.
    let arena = crate::value::Arena::default();
    read::value(&plan, &mut Cursor::new(&datum), arena.scope(vocabulary)).ok()?;
    Some((datum, plan))
}

/// Whether a mapping sees values of both types the same way.
fn same_type(writer: &Node, reader: &Node) -> bool {
    let shown_as_text = |logical: Option<Logical>| {
        !matches!(
            logical,
            None | Some(
                Logical::TimestampMillis | Logical::TimestampMicros | Logical::TimestampNanos
            )
        )
    };
    match (writer, reader) {
        (Node::Null, Node::Null) | (Node::Boolean, Node::Boolean) => true,
        (Node::Int(a) | Node::Long(a), Node::Int(b) | Node::Long(b)) => {
            shown_as_text(*a) == shown_as_text(*b) && a.is_none() == b.is_none()
        }
        (Node::Float | Node::Double, Node::Float | Node::Double) => true,
        (Node::Bytes(a) | Node::Fixed(_, a), Node::Bytes(b) | Node::Fixed(_, b)) => {
            a.is_none() == b.is_none()
        }
        (Node::String(_) | Node::Enum(_), Node::String(_) | Node::Enum(_)) => true,
        (Node::Array(_), Node::Array(_)) | (Node::Map(_), Node::Map(_)) => true,
        (Node::Record(_) | Node::Recursive(_), Node::Record(_) | Node::Recursive(_)) => true,
        _ => false,
    }
}

fn mismatch(writer: &Node, reader: &Node, path: &str) -> PlanError {
    PlanError::Type {
        field: path.to_owned(),
        expected: reader.description(),
        found: writer.description(),
    }
}

fn scalar(node: &Node) -> Plan {
    let text = || match node {
        Node::Int(logical) => Plan::Text(Arc::new(Node::Int(*logical))),
        Node::Long(logical) => Plan::Text(Arc::new(Node::Long(*logical))),
        Node::Fixed(len, logical) => Plan::Text(Arc::new(Node::Fixed(*len, *logical))),
        _ => Plan::String,
    };
    match node {
        Node::Boolean => Plan::Boolean,
        Node::Int(None) => Plan::Int,
        Node::Long(None) => Plan::Long,
        Node::Long(Some(Logical::TimestampMillis)) => Plan::Timestamp(Unit::Millis),
        Node::Long(Some(Logical::TimestampMicros)) => Plan::Timestamp(Unit::Micros),
        Node::Long(Some(Logical::TimestampNanos)) => Plan::Timestamp(Unit::Nanos),
        Node::Int(Some(_)) | Node::Long(Some(_)) => text(),
        Node::Float => Plan::Float,
        Node::Double => Plan::Double,
        Node::Bytes(Some(Logical::Decimal { scale, .. })) => Plan::Decimal(*scale),
        Node::Bytes(_) => Plan::Bytes,
        Node::String(_) => Plan::String,
        Node::Fixed(_, Some(_)) => text(),
        Node::Fixed(len, None) => Plan::Fixed(*len),
        Node::Enum(symbols) => Plan::Enum(symbols.clone()),
        // Null; the types that hold others are handled where they are met.
        _ => Plan::Null,
    }
}

#[cfg(test)]
mod tests;
