//! Avro schemas compiled once, and datums read and written by position.
//!
//! Hot paths never build an `apache_avro::types::Value`: a record is a run of bytes whose layout a
//! [`Schema`] knows, so a reader walks it with a [`Cursor`], skips what it does not need, and copies
//! unchanged parts as byte ranges. `apache-avro` parses and validates schemas and is the oracle of
//! the property tests.
//!
//! Owns: schema trees, the binary encoding (Avro 1.11 specification, "Binary Encoding"), Confluent's
//! wire format, JSON text in both directions. Leaves to others: the registry, schema evolution rules.
//!
//! Bytes and JSON come from outside: nothing here panics on them, allocates by a length they claim,
//! or follows them deeper than [`MAX_DEPTH`].

mod cursor;
mod decimal;
mod framing;
mod json;
mod schema;
mod time;
mod write;

pub use cursor::{Block, Cursor, DecodeError, MAX_DEPTH};
pub use framing::{FRAME_HEADER_LEN, FrameError, SchemaId, frame_into, put_frame_header, unframe};
pub use json::{JsonError, JsonProblem, default_to_datum, json_to_datum, write_json};
pub use schema::{Field, Logical, Node, Record, Schema, SchemaError};
pub use time::timestamp_text;
pub use write::{
    put_block, put_block_end, put_boolean, put_bytes, put_double, put_float, put_int, put_long,
    put_str, put_union_branch,
};
