//! The first field of every canonical record: where it comes from.

use sha2::{Digest, Sha256};
use throughline_avro::{put_boolean, put_long, put_str, put_union_branch};
use throughline_event::{EnvelopeView, SystemName};

/// What is the same for every record of one mapping, encoded once.
#[derive(Debug)]
pub(crate) struct MetaWriter {
    system: SystemName,
    system_and_entity: Vec<u8>,
    mapping: Vec<u8>,
}

/// What happened to a canonical key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetaOp {
    Upsert,
    Delete,
}

/// Bytes of an event id; 128 bits of SHA-256 do not collide by accident.
const ID_BYTES: usize = 16;

impl MetaWriter {
    pub(crate) fn new(system: &SystemName, source_entity: &str, mapping: &str) -> Self {
        let mut system_and_entity = Vec::new();
        put_str(&mut system_and_entity, system.as_str());
        put_str(&mut system_and_entity, source_entity);
        let mut encoded = Vec::new();
        put_str(&mut encoded, mapping);
        Self { system: system.clone(), system_and_entity, mapping: encoded }
    }

    /// Appends a `Meta`, field by field in the order of the schema.
    pub(crate) fn write(
        &self,
        event_id: &str,
        op: MetaOp,
        change: &EnvelopeView<'_>,
        trace: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        put_str(out, event_id);
        put_str(out, if op == MetaOp::Upsert { "upsert" } else { "delete" });
        out.extend_from_slice(&self.system_and_entity);
        put_long(out, change.version);
        put_str(out, change.position);
        put_long(out, change.changed_at.0);
        put_long(out, change.captured_at.0);
        put_boolean(out, change.snapshot);
        put_optional(change.actor, out);
        put_optional(None, out);
        out.extend_from_slice(&self.mapping);
        put_optional(trace, out);
    }

    /// The id of the event that this key's change at this version is: the same for every attempt.
    pub(crate) fn event_id(&self, entity: &str, key: &[u8], version: i64) -> String {
        let mut hash = Sha256::new();
        for part in [self.system.as_str().as_bytes(), entity.as_bytes(), key] {
            // Lengths keep two different lists of parts apart.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(version.to_be_bytes());
        hex(&hash.finalize()[..ID_BYTES])
    }
}

fn put_optional(text: Option<&str>, out: &mut Vec<u8>) {
    put_union_branch(out, usize::from(text.is_some()));
    if let Some(text) = text {
        put_str(out, text);
    }
}

/// Lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS[usize::from(nibble & 15)];
    let mut text = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend_from_slice(&[digit(byte >> 4), digit(*byte)]);
    }
    String::from_utf8(text).expect("digits are ASCII")
}
