//! From bytes to JSON text, without a value tree in between.

use crate::cursor::{Cursor, DecodeError};
use crate::decimal;
use crate::schema::{Logical, Node, Record};
use crate::time::{self, Unit};

/// Appends one value of the type `node` as JSON text; the module's table says how.
///
/// Two map entries with one key are both written, as the datum has them.
pub fn write_json(
    node: &Node,
    cursor: &mut Cursor<'_>,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    value(node, cursor, 0, out)
}

fn value(
    node: &Node,
    cursor: &mut Cursor<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    match node {
        Node::Null => out.extend_from_slice(b"null"),
        Node::Boolean => out.extend_from_slice(match cursor.boolean()? {
            true => b"true",
            false => b"false",
        }),
        Node::Int(logical) => integer(cursor.int()?.into(), *logical, out),
        Node::Long(logical) => integer(cursor.long()?, *logical, out),
        Node::Float => number(cursor.float()?, out),
        Node::Double => number(cursor.double()?, out),
        Node::Bytes(logical) => {
            let bytes = cursor.bytes()?;
            binary(bytes, *logical, cursor.position() - bytes.len(), out)?;
        }
        Node::Fixed(size, logical) => {
            let offset = cursor.position();
            binary(cursor.fixed(*size)?, *logical, offset, out)?;
        }
        Node::String(_) => text(cursor.str()?, out),
        Node::Enum(symbols) => {
            let index = cursor.enum_index(symbols.len())?;
            text(&symbols[index], out);
        }
        Node::Union(branches) => {
            let depth = cursor.deeper(depth)?;
            let branch = cursor.union_branch(branches.len())?;
            value(&branches[branch], cursor, depth, out)?;
        }
        Node::Array(item) => array(item, cursor, cursor.deeper(depth)?, out)?,
        Node::Map(item) => map(item, cursor, cursor.deeper(depth)?, out)?,
        Node::Record(fields) => record(fields, cursor, cursor.deeper(depth)?, out)?,
        Node::Recursive(weak) => {
            let offset = cursor.position();
            let fields = weak.upgrade().ok_or(DecodeError::SchemaDropped { offset })?;
            record(&fields, cursor, cursor.deeper(depth)?, out)?;
        }
    }
    Ok(())
}

fn record(
    record: &Record,
    cursor: &mut Cursor<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    out.push(b'{');
    for (index, field) in record.fields.iter().enumerate() {
        separate(index == 0, out);
        // Names are ASCII letters, digits and underscores: nothing to escape.
        out.push(b'"');
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b"\":");
        value(&field.node, cursor, depth, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn array(
    item: &Node,
    cursor: &mut Cursor<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    out.push(b'[');
    let free = item.takes_no_bytes();
    let mut first = true;
    while let Some(block) = cursor.item_block(free)? {
        for _ in 0..block.items {
            separate(std::mem::take(&mut first), out);
            value(item, cursor, depth, out)?;
        }
    }
    out.push(b']');
    Ok(())
}

fn map(
    item: &Node,
    cursor: &mut Cursor<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    out.push(b'{');
    let mut first = true;
    while let Some(block) = cursor.block()? {
        for _ in 0..block.items {
            separate(std::mem::take(&mut first), out);
            text(cursor.str()?, out);
            out.push(b':');
            value(item, cursor, depth, out)?;
        }
    }
    out.push(b'}');
    Ok(())
}

fn separate(first: bool, out: &mut Vec<u8>) {
    if !first {
        out.push(b',');
    }
}

fn integer(value: i64, logical: Option<Logical>, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'"');
    let written = match logical {
        Some(Logical::Date) => time::write_date(value, out),
        Some(Logical::TimeMillis) => time::write_time(value, Unit::Millis, out),
        Some(Logical::TimeMicros) => time::write_time(value, Unit::Micros, out),
        Some(Logical::TimestampMillis) => time::write_timestamp(value, Unit::Millis, true, out),
        Some(Logical::TimestampMicros) => time::write_timestamp(value, Unit::Micros, true, out),
        Some(Logical::TimestampNanos) => time::write_timestamp(value, Unit::Nanos, true, out),
        Some(Logical::LocalTimestampMillis) => {
            time::write_timestamp(value, Unit::Millis, false, out)
        }
        Some(Logical::LocalTimestampMicros) => {
            time::write_timestamp(value, Unit::Micros, false, out)
        }
        Some(Logical::LocalTimestampNanos) => time::write_timestamp(value, Unit::Nanos, false, out),
        _ => false,
    };
    if written {
        out.push(b'"');
    } else {
        out.truncate(start);
        number(value, out);
    }
}

fn number(value: impl serde::Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &value).expect("a number always serializes into memory");
}

fn binary(
    bytes: &[u8],
    logical: Option<Logical>,
    offset: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    out.push(b'"');
    match logical {
        Some(Logical::Decimal { scale, .. }) => decimal::write(bytes, scale, offset, out)?,
        Some(Logical::Uuid) => uuid(bytes, out),
        _ => base64(bytes, out),
    }
    out.push(b'"');
    Ok(())
}

fn uuid(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            out.push(match place <= chunk.len() {
                true => super::read::BASE64[(group >> (18 - 6 * place)) as usize & 63],
                false => b'=',
            });
        }
    }
}

/// Appends `text` as a JSON string.
fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
