//! Confluent's wire format: a zero byte, the schema's id as four bytes big endian, the datum.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes in front of a framed datum.
pub const FRAME_HEADER_LEN: usize = 5;

const MAGIC: u8 = 0;

/// The id that a schema registry gave to a schema.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SchemaId(pub i32);

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why bytes are not in Confluent's wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There is no room for the header.
    #[error("expected a header of {FRAME_HEADER_LEN} bytes with a schema id, found {len} bytes")]
    Short {
        /// Bytes found.
        len: usize,
    },
    /// The first byte is not the format's magic byte.
    #[error("expected the magic byte 0 of Avro with a schema id at byte 0, found {found}")]
    Magic {
        /// The byte found.
        found: u8,
    },
}

/// Appends the header that names `id`; the datum follows.
pub fn put_frame_header(out: &mut Vec<u8>, id: SchemaId) {
    out.push(MAGIC);
    out.extend_from_slice(&id.0.to_be_bytes());
}

/// Appends `datum` with the header that names `id`.
pub fn frame_into(id: SchemaId, datum: &[u8], out: &mut Vec<u8>) {
    out.reserve(FRAME_HEADER_LEN + datum.len());
    put_frame_header(out, id);
    out.extend_from_slice(datum);
}

/// Splits framed bytes into the schema's id and the datum.
pub fn unframe(bytes: &[u8]) -> Result<(SchemaId, &[u8]), FrameError> {
    match bytes.split_first_chunk::<FRAME_HEADER_LEN>() {
        Some(([MAGIC, a, b, c, d], datum)) => {
            Ok((SchemaId(i32::from_be_bytes([*a, *b, *c, *d])), datum))
        }
        Some(([found, ..], _)) => Err(FrameError::Magic { found: *found }),
        None => Err(FrameError::Short { len: bytes.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framed_datum_comes_back_with_its_id() {
        for id in [0, 1, 258, i32::MAX, -1] {
            let mut out = Vec::new();
            frame_into(SchemaId(id), b"datum", &mut out);
            assert_eq!(unframe(&out), Ok((SchemaId(id), &b"datum"[..])));
        }
    }

    #[test]
    fn header_is_a_zero_byte_and_a_big_endian_id() {
        let mut out = Vec::new();
        put_frame_header(&mut out, SchemaId(258));
        assert_eq!(out, [0, 0, 0, 1, 2]);
    }

    #[test]
    fn short_or_foreign_bytes_are_refused() {
        assert_eq!(unframe(&[0, 0, 0, 1]), Err(FrameError::Short { len: 4 }));
        assert_eq!(unframe(b"{\"a\":1}"), Err(FrameError::Magic { found: b'{' }));
    }
}
