//! A document as a mapping sees it: an Avro datum read by position into a VRL value.
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

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use throughline_avro::{Cursor, DecodeError, Logical, Node, write_json};
use vrl::value::{KeyString, ObjectMap, Value};

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
    Enum(Vec<Bytes>),
    Array(Box<Plan>),
    Map(Box<Plan>),
    Union(Vec<Plan>),
    Record(Vec<Step>, Vec<(KeyString, Value)>),
}

#[derive(Debug)]
enum Step {
    Skip(Arc<Node>),
    Read(KeyString, Plan),
}

impl DocumentPlan {
    /// Reads documents written with `writer` as documents of `reader`, the pack's schema.
    ///
    /// `reads` tells which of the document's own fields the mapping looks at.
    pub(crate) fn new(
        writer: &Node,
        reader: &Node,
        reads: &dyn Fn(&str) -> bool,
    ) -> Result<Self, PlanError> {
        let (Node::Record(_), Node::Record(_)) = (writer, reader) else {
            return Err(PlanError::NotARecord);
        };
        record(writer, reader, "", reads).map(Self)
    }

    /// The document of a datum.
    pub(crate) fn read(&self, datum: &[u8]) -> Result<Value, DocumentError> {
        // Texts are slices of one shared copy: one allocation a document instead of one a field.
        let shared = Bytes::copy_from_slice(datum);
        let mut cursor = Cursor::new(datum);
        let value = read(&self.0, &mut cursor, &shared)?;
        cursor.finish()?;
        Ok(value)
    }
}

fn plan(writer: &Node, reader: &Node, path: &str) -> Result<Plan, PlanError> {
    if let Node::Union(branches) = writer {
        let branches = branches.iter().map(|branch| {
            if matches!(**branch, Node::Null) { Ok(Plan::Null) } else { plan(branch, reader, path) }
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
            Plan::Array(Box::new(plan(writer, reader, &format!("{path}[]"))?))
        }
        (Node::Map(writer), Node::Map(reader)) => {
            Plan::Map(Box::new(plan(writer, reader, &format!("{path}.*"))?))
        }
        (Node::Record(_), _) => record(writer, reader, path, &|_| true)?,
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
) -> Result<Plan, PlanError> {
    let (Node::Record(writer), Node::Record(reader)) = (writer, reader) else {
        return Err(PlanError::NotARecord);
    };
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let mut steps = Vec::with_capacity(writer.fields.len());
    for field in &writer.fields {
        let name = field.name.as_str();
        steps.push(match reader.field(name) {
            Some((_, known)) if reads(name) => {
                Step::Read(KeyString::from(name), plan(&field.node, &known.node, &below(name))?)
            }
            _ => Step::Skip(Arc::clone(&field.node)),
        });
    }
    let mut missing = Vec::new();
    for field in &reader.fields {
        let name = field.name.as_str();
        if reads(name) && writer.field(name).is_none() {
            let default = default_value(field).ok_or(PlanError::Missing { field: below(name) })?;
            missing.push((KeyString::from(name), default));
        }
    }
    Ok(Plan::Record(steps, missing))
}

/// A field's default as a document would have it.
fn default_value(field: &throughline_avro::Field) -> Option<Value> {
    field.default.as_ref()?;
    let mut datum = Vec::new();
    throughline_avro::default_to_datum(field, &mut datum).ok()?;
    let plan = plan(&field.node, &field.node, &field.name).ok()?;
    read(&plan, &mut Cursor::new(&datum), &Bytes::copy_from_slice(&datum)).ok()
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
        Node::Enum(symbols) => {
            Plan::Enum(symbols.iter().map(|s| Bytes::copy_from_slice(s.as_bytes())).collect())
        }
        // Null; the types that hold others are handled where they are met.
        _ => Plan::Null,
    }
}

/// A plan is as deep as its schema, which is bounded and not recursive.
fn read(plan: &Plan, cursor: &mut Cursor<'_>, shared: &Bytes) -> Result<Value, DocumentError> {
    Ok(match plan {
        Plan::Null => Value::Null,
        Plan::Boolean => Value::Boolean(cursor.boolean()?),
        Plan::Int => Value::Integer(i64::from(cursor.int()?)),
        Plan::Long => Value::Integer(cursor.long()?),
        Plan::Timestamp(unit) => timestamp(cursor.long()?, *unit)?,
        // Each at its own precision: the shortest text of an f32 is not that of the f64 it widens to.
        Plan::Float => float_text(cursor.float()?, f32::is_finite)?,
        Plan::Double => float_text(cursor.double()?, f64::is_finite)?,
        Plan::Decimal(scale) => decimal_text(cursor, *scale)?,
        Plan::Text(node) => json_text(node, cursor)?,
        Plan::Bytes => {
            let len = cursor.bytes()?.len();
            slice(shared, cursor.position() - len, cursor.position())
        }
        Plan::String => {
            let len = cursor.str()?.len();
            slice(shared, cursor.position() - len, cursor.position())
        }
        Plan::Fixed(len) => {
            cursor.fixed(*len)?;
            slice(shared, cursor.position() - len, cursor.position())
        }
        Plan::Enum(symbols) => Value::Bytes(symbols[cursor.enum_index(symbols.len())?].clone()),
        Plan::Array(item) => {
            let mut items = Vec::new();
            while let Some(block) = cursor.block()? {
                items.reserve(block.items.min(cursor.remaining()));
                for _ in 0..block.items {
                    items.push(read(item, cursor, shared)?);
                }
            }
            Value::Array(items)
        }
        Plan::Map(value) => {
            let mut entries = ObjectMap::new();
            while let Some(block) = cursor.block()? {
                for _ in 0..block.items {
                    let key = KeyString::from(cursor.str()?);
                    entries.insert(key, read(value, cursor, shared)?);
                }
            }
            Value::Object(entries)
        }
        Plan::Union(branches) => {
            let branch = cursor.union_branch(branches.len())?;
            read(&branches[branch], cursor, shared)?
        }
        Plan::Record(steps, missing) => {
            let mut fields: ObjectMap = missing.iter().cloned().collect();
            for step in steps {
                match step {
                    Step::Skip(node) => cursor.skip(node)?,
                    Step::Read(name, plan) => {
                        fields.insert(name.clone(), read(plan, cursor, shared)?);
                    }
                }
            }
            Value::Object(fields)
        }
    })
}

fn float_text<F: std::fmt::Display + Copy>(
    number: F,
    finite: fn(F) -> bool,
) -> Result<Value, DocumentError> {
    if finite(number) { Ok(Value::from(number.to_string())) } else { Err(DocumentError::NotFinite) }
}

/// Up to 38 digits by arithmetic; longer ones the long way.
fn decimal_text(cursor: &mut Cursor<'_>, scale: u32) -> Result<Value, DocumentError> {
    let start = cursor.clone();
    let bytes = cursor.bytes()?;
    if bytes.len() > 16 {
        let node = Node::Bytes(Some(Logical::Decimal { precision: 1_000, scale }));
        return json_text(&node, &mut start.clone());
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 16];
    wide[16 - bytes.len()..].copy_from_slice(bytes);
    let unscaled = i128::from_be_bytes(wide);
    let scale = scale as usize;
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if negative { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    Ok(Value::from(format!("{sign}{whole}{point}{fraction}")))
}

/// The JSON text of a value that is a JSON string, or a number where its time cannot be written.
fn json_text(node: &Node, cursor: &mut Cursor<'_>) -> Result<Value, DocumentError> {
    let mut text = Vec::new();
    write_json(node, cursor, &mut text)?;
    let bare = text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(&text);
    Ok(Value::Bytes(Bytes::copy_from_slice(bare)))
}

/// A part of the datum that shares the datum's one copy.
fn slice(shared: &Bytes, start: usize, end: usize) -> Value {
    Value::Bytes(shared.slice(start..end))
}

fn timestamp(ticks: i64, unit: Unit) -> Result<Value, DocumentError> {
    let time: Option<DateTime<Utc>> = match unit {
        Unit::Millis => DateTime::from_timestamp_millis(ticks),
        Unit::Micros => DateTime::from_timestamp_micros(ticks),
        Unit::Nanos => Some(DateTime::from_timestamp_nanos(ticks)),
    };
    time.map(Value::Timestamp).ok_or(DocumentError::Time)
}

#[cfg(test)]
mod tests;
