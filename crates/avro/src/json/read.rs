//! From JSON values to bytes.

use serde_json::{Number, Value};

use super::{JsonError, JsonProblem};
use crate::cursor::MAX_DEPTH;
use crate::decimal::{self, TextError};
use crate::schema::{Field, Logical, Node, Record};
use crate::time::{self, Unit};
use crate::write::{
    put_block, put_block_end, put_boolean, put_bytes, put_double, put_float, put_int, put_long,
    put_str, put_union_branch,
};

pub(super) const BASE64: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Fields that defaults may fill in one datum.
const MAX_DEFAULTS: usize = 1 << 16;

/// Unions inside unions' branches that are tried out; below, the first likely branch is taken.
const MAX_TRIALS: usize = 4;

/// Appends `value` as a datum of the type `node`.
///
/// Missing fields take their defaults, and one without a default is an error, as is a field that
/// the record does not have. A union takes its first branch that fits: numbers with a fraction are
/// no integers, and an object fits a record that has all of its fields and needs no others.
/// On an error `out` is as it was.
pub fn json_to_datum(node: &Node, value: &Value, out: &mut Vec<u8>) -> Result<(), JsonError> {
    at_root(out, |encoder| encoder.value(node, value, 0))
}

/// Appends the default of `field`, which is written by other rules than [`json_to_datum`] reads:
/// bytes and decimals as text of code points 0 to 255, and a union by its first branch.
pub fn default_to_datum(field: &Field, out: &mut Vec<u8>) -> Result<(), JsonError> {
    at_root(out, |encoder| encoder.missing(field, 0))
}

fn at_root(
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Encoder<'_>) -> Result<(), Failure>,
) -> Result<(), JsonError> {
    let start = out.len();
    let mut encoder = Encoder { out, defaults: 0, trials: 0, in_default: false };
    encode(&mut encoder).map_err(|failure| {
        out.truncate(start);
        JsonError { path: format!("${}", failure.path), problem: failure.problem }
    })
}

/// A problem, and the path to it from the value that was tried.
struct Failure {
    path: String,
    problem: JsonProblem,
}

impl From<JsonProblem> for Failure {
    fn from(problem: JsonProblem) -> Self {
        Self { path: String::new(), problem }
    }
}

impl Failure {
    fn inside(mut self, part: &str) -> Self {
        self.path.insert_str(0, part);
        self
    }
}

struct Encoder<'o> {
    out: &'o mut Vec<u8>,
    defaults: usize,
    trials: usize,
    in_default: bool,
}

impl Encoder<'_> {
    fn value(&mut self, node: &Node, value: &Value, depth: usize) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(JsonProblem::Depth.into());
        }
        match (node, value) {
            (Node::Null, Value::Null) => {}
            (Node::Boolean, Value::Bool(flag)) => put_boolean(self.out, *flag),
            (Node::Int(logical), _) => {
                let number = self.integer(node, *logical, value)?;
                let number = i32::try_from(number)
                    .map_err(|_| JsonProblem::Range { expected: node.description() })?;
                put_int(self.out, number);
            }
            (Node::Long(logical), _) => {
                let number = self.integer(node, *logical, value)?;
                put_long(self.out, number);
            }
            (Node::Float, Value::Number(number)) => {
                let float = finite(number, node)? as f32;
                if float.is_infinite() {
                    return Err(JsonProblem::Range { expected: node.description() }.into());
                }
                put_float(self.out, float);
            }
            (Node::Double, Value::Number(number)) => put_double(self.out, finite(number, node)?),
            (Node::Bytes(Some(Logical::Decimal { precision, scale })), _) if !self.in_default => {
                put_bytes(self.out, &decimal(value, *precision, *scale)?);
            }
            (Node::Bytes(_), Value::String(text)) => put_bytes(self.out, &self.binary(text)?),
            (Node::String(logical), Value::String(text)) => {
                if *logical == Some(Logical::Uuid) && !self.in_default {
                    uuid(text)?;
                }
                put_str(self.out, text);
            }
            (Node::Fixed(size, logical), _) => self.fixed(node, *size, *logical, value)?,
            (Node::Enum(symbols), Value::String(text)) => {
                let index = symbols.iter().position(|symbol| symbol == text);
                put_long(self.out, index.ok_or(JsonProblem::Symbol)? as i64);
            }
            (Node::Array(item), Value::Array(items)) => self.array(item, items, depth + 1)?,
            (Node::Map(item), Value::Object(entries)) => self.map(item, entries, depth + 1)?,
            (Node::Union(branches), _) => self.union(branches, value, depth + 1)?,
            (Node::Record(record), Value::Object(fields)) => {
                self.record(record, fields, depth + 1)?;
            }
            (Node::Recursive(record), Value::Object(fields)) => {
                let record = record.upgrade().ok_or(JsonProblem::SchemaDropped)?;
                self.record(&record, fields, depth + 1)?;
            }
            _ => return Err(other_kind(node, value).into()),
        }
        Ok(())
    }

    fn integer(
        &self,
        node: &Node,
        logical: Option<Logical>,
        value: &Value,
    ) -> Result<i64, JsonProblem> {
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(number) => Ok(number),
                None => Err(JsonProblem::Range { expected: node.description() }),
            },
            Value::String(text) if !self.in_default => {
                time_from_text(text, logical).unwrap_or_else(|| Err(other_kind(node, value)))
            }
            _ => Err(other_kind(node, value)),
        }
    }

    fn fixed(
        &mut self,
        node: &Node,
        size: usize,
        logical: Option<Logical>,
        value: &Value,
    ) -> Result<(), JsonProblem> {
        let bytes = match (logical, value) {
            (Some(Logical::Decimal { precision, scale }), _) if !self.in_default => {
                let bytes = decimal(value, precision, scale)?;
                let widened = decimal::sign_extended(&bytes, size)
                    .ok_or(JsonProblem::Digits { precision, scale })?;
                self.out.extend(widened);
                return Ok(());
            }
            (Some(Logical::Uuid), Value::String(text)) if !self.in_default => uuid(text)?.to_vec(),
            (_, Value::String(text)) => self.binary(text)?,
            _ => return Err(other_kind(node, value)),
        };
        if bytes.len() != size {
            return Err(JsonProblem::Size { size, found: bytes.len() });
        }
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn binary(&self, text: &str) -> Result<Vec<u8>, JsonProblem> {
        if self.in_default {
            let bytes = text.chars().map(|char| u8::try_from(u32::from(char)));
            let expected = "code points 0 to 255, one per byte";
            return bytes.collect::<Result<_, _>>().map_err(|_| JsonProblem::Text { expected });
        }
        base64(text).ok_or(JsonProblem::Text { expected: "base64" })
    }

    fn array(&mut self, item: &Node, items: &[Value], depth: usize) -> Result<(), Failure> {
        if !items.is_empty() {
            put_block(self.out, items.len());
        }
        for (index, value) in items.iter().enumerate() {
            self.value(item, value, depth).map_err(|f| f.inside(&format!("[{index}]")))?;
        }
        put_block_end(self.out);
        Ok(())
    }

    fn map(
        &mut self,
        item: &Node,
        entries: &serde_json::Map<String, Value>,
        depth: usize,
    ) -> Result<(), Failure> {
        if !entries.is_empty() {
            put_block(self.out, entries.len());
        }
        for (key, value) in entries {
            put_str(self.out, key);
            self.value(item, value, depth).map_err(|f| f.inside(&format!("[{key:?}]")))?;
        }
        put_block_end(self.out);
        Ok(())
    }

    fn record(
        &mut self,
        record: &Record,
        values: &serde_json::Map<String, Value>,
        depth: usize,
    ) -> Result<(), Failure> {
        let mut found = 0;
        for field in &record.fields {
            let encoded = match values.get(&field.name) {
                Some(value) => {
                    found += 1;
                    self.value(&field.node, value, depth)
                }
                None => self.missing(field, depth),
            };
            encoded.map_err(|failure| failure.inside(&format!(".{}", field.name)))?;
        }
        if found == values.len() {
            return Ok(());
        }
        let unknown = values.keys().find(|key| record.field(key).is_none());
        let unknown = unknown.map(String::as_str).unwrap_or_default();
        Err(Failure::from(JsonProblem::UnknownField).inside(&format!(".{unknown}")))
    }

    fn missing(&mut self, field: &Field, depth: usize) -> Result<(), Failure> {
        let expected = field.node.description();
        let default = field.default.as_ref().ok_or(JsonProblem::Missing { expected })?;
        self.defaults += 1;
        if self.defaults > MAX_DEFAULTS {
            return Err(JsonProblem::Defaults { limit: MAX_DEFAULTS }.into());
        }
        let outer = std::mem::replace(&mut self.in_default, true);
        let encoded = self.value(&field.node, default, depth);
        self.in_default = outer;
        encoded
    }

    /// Commits at once when only one branch can be meant: its error says more than "none fits".
    fn union(
        &mut self,
        branches: &[std::sync::Arc<Node>],
        value: &Value,
        depth: usize,
    ) -> Result<(), Failure> {
        let mut likely =
            branches.iter().enumerate().filter(|(_, branch)| likely(branch, value)).peekable();
        let start = self.out.len();
        let mut failed = None;
        while let Some((index, branch)) = likely.next() {
            put_union_branch(self.out, index);
            let last = likely.peek().is_none() || self.trials == MAX_TRIALS;
            self.trials += usize::from(!last);
            let encoded = self.value(branch, value, depth);
            self.trials -= usize::from(!last);
            match encoded {
                Ok(()) => return Ok(()),
                Err(failure) if last => return Err(failed.unwrap_or(failure)),
                Err(failure) => failed = failed.or(Some(failure)),
            }
            self.out.truncate(start);
        }
        let names: Vec<_> = branches.iter().map(|branch| branch.description()).collect();
        let expected = names.join(" or ");
        Err(JsonProblem::Branch { expected, found: kind(value) }.into())
    }
}

/// Whether a union's branch can be meant by `value`, by its kind alone.
fn likely(node: &Node, value: &Value) -> bool {
    match value {
        Value::Null => matches!(node, Node::Null),
        Value::Bool(_) => matches!(node, Node::Boolean),
        Value::Number(number) => match node {
            Node::Int(_) | Node::Long(_) => number.is_i64(),
            Node::Float | Node::Double => true,
            _ => matches!(node.logical(), Some(Logical::Decimal { .. })),
        },
        Value::String(_) => match node {
            Node::Int(logical) | Node::Long(logical) => logical.is_some(),
            _ => matches!(node, Node::String(_) | Node::Bytes(_) | Node::Fixed(..) | Node::Enum(_)),
        },
        Value::Array(_) => matches!(node, Node::Array(_)),
        Value::Object(_) => matches!(node, Node::Map(_) | Node::Record(_) | Node::Recursive(_)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn other_kind(node: &Node, value: &Value) -> JsonProblem {
    JsonProblem::Kind { expected: node.description(), found: kind(value) }
}

fn finite(number: &Number, node: &Node) -> Result<f64, JsonProblem> {
    let float = number.as_f64().filter(|float| float.is_finite());
    float.ok_or(JsonProblem::Range { expected: node.description() })
}

/// Ticks from text, when the logical type is a time at all.
fn time_from_text(text: &str, logical: Option<Logical>) -> Option<Result<i64, JsonProblem>> {
    const UTC: &str = "an RFC 3339 timestamp with its offset, no finer than the field";
    const LOCAL: &str = "a timestamp without an offset, no finer than the field";
    const TIME: &str = "a time HH:MM:SS, no finer than the field";
    let (ticks, expected) = match logical? {
        Logical::Date => (time::parse_date(text), "a date YYYY-MM-DD"),
        Logical::TimeMillis => (time::parse_time(text, Unit::Millis), TIME),
        Logical::TimeMicros => (time::parse_time(text, Unit::Micros), TIME),
        Logical::TimestampMillis => (time::parse_timestamp(text, Unit::Millis, true), UTC),
        Logical::TimestampMicros => (time::parse_timestamp(text, Unit::Micros, true), UTC),
        Logical::TimestampNanos => (time::parse_timestamp(text, Unit::Nanos, true), UTC),
        Logical::LocalTimestampMillis => (time::parse_timestamp(text, Unit::Millis, false), LOCAL),
        Logical::LocalTimestampMicros => (time::parse_timestamp(text, Unit::Micros, false), LOCAL),
        Logical::LocalTimestampNanos => (time::parse_timestamp(text, Unit::Nanos, false), LOCAL),
        Logical::Decimal { .. } | Logical::Uuid => return None,
    };
    Some(ticks.ok_or(JsonProblem::Text { expected }))
}

fn decimal(value: &Value, precision: u32, scale: u32) -> Result<Vec<u8>, JsonProblem> {
    let expected = "a decimal";
    let parsed = match value {
        Value::String(text) => decimal::parse(text, precision, scale),
        Value::Number(number) => decimal::parse(&number.to_string(), precision, scale),
        _ => return Err(JsonProblem::Kind { expected, found: kind(value) }),
    };
    parsed.map_err(|error| match error {
        TextError::Syntax => {
            JsonProblem::Text { expected: "digits with an optional sign and point" }
        }
        TextError::Scale | TextError::Precision => JsonProblem::Digits { precision, scale },
    })
}

fn uuid(text: &str) -> Result<[u8; 16], JsonProblem> {
    let bytes = text.as_bytes();
    let hyphens = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|&at| bytes[at] == b'-');
    let mut nibbles = bytes
        .iter()
        .filter(|&&byte| byte != b'-')
        .map_while(|&byte| char::from(byte).to_digit(16).map(|digit| digit as u8));
    let mut out = [0; 16];
    for byte in &mut out {
        match (nibbles.next(), nibbles.next()) {
            (Some(high), Some(low)) if hyphens => *byte = high << 4 | low,
            _ => return Err(JsonProblem::Text { expected: "a UUID" }),
        }
    }
    Ok(out)
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    for group in bytes[..bytes.len() - padding].chunks(4) {
        let mut bits = 0u32;
        for &byte in group {
            bits = bits << 6 | u32::from(sextet(byte)?);
        }
        bits <<= 6 * (4 - group.len());
        let [_, decoded @ ..] = bits.to_be_bytes();
        let (kept, dropped) = decoded.split_at(group.len() - 1);
        // Bits that no byte holds must be zero, so that one value has one text.
        if dropped.iter().any(|&byte| byte != 0) {
            return None;
        }
        out.extend_from_slice(kept);
    }
    Some(out)
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}
