//! Datums as readable JSON text and back.
//!
//! | Avro | JSON |
//! | --- | --- |
//! | `null`, `boolean`, `string`, `array`, `map`, `record` | the same |
//! | `enum` | its symbol |
//! | `union` | the bare value of its branch |
//! | `int`, `long` | a number with all digits, also beyond 2^53 |
//! | `float`, `double` | the shortest number that reads back; NaN and infinities are `null` |
//! | `bytes`, `fixed` | text: base64, standard alphabet, padded |
//! | `decimal` | text with all digits of the scale: `"12.30"` |
//! | `uuid` | text: `"550e8400-e29b-41d4-a716-446655440000"` |
//! | `date` | text: `"2026-11-23"` |
//! | `time-*` | text: `"18:05:00.25"` |
//! | `timestamp-*` | text: RFC 3339 in UTC, as many fraction digits as needed |
//! | `local-timestamp-*` | the same without a zone |
//!
//! Dates and times that RFC 3339 cannot write (years before 0000 or after 9999, times outside one
//! day) stay the number they are. Reading accepts what writing produces, and a plain number for
//! every date, time and decimal. What does not come back: NaN and infinities, and a `uuid` string
//! that is none.

mod read;
mod write;

pub use read::{default_to_datum, json_to_datum};
pub use write::write_json;

/// Why a JSON value is not a value of a schema, and where.
///
/// The message names places and types, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {path}: {problem}")]
pub struct JsonError {
    /// Where, from the root `$`: `$.lines[3].price`.
    pub path: String,
    /// What is wrong there.
    pub problem: JsonProblem,
}

/// What is wrong at one place of a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonProblem {
    /// Another kind of value.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// What the schema has.
        expected: &'static str,
        /// What the JSON has.
        found: &'static str,
    },
    /// A number that the type cannot hold exactly.
    #[error("expected {expected}, found a number that does not fit it")]
    Range {
        /// What the schema has.
        expected: &'static str,
    },
    /// Text that is not in the form that the type needs.
    #[error("expected {expected}, found other text")]
    Text {
        /// The form.
        expected: &'static str,
    },
    /// More digits than the decimal has; it is not rounded.
    #[error("expected a decimal of at most {precision} digits, {scale} of them after the point")]
    Digits {
        /// Total digits.
        precision: u32,
        /// Digits after the point.
        scale: u32,
    },
    /// Bytes of another length than the fixed has.
    #[error("expected {size} bytes, found {found}")]
    Size {
        /// Bytes of the fixed.
        size: usize,
        /// Bytes of the value.
        found: usize,
    },
    /// No such symbol in the enum.
    #[error("expected one of the enum's symbols, found other text")]
    Symbol,
    /// No branch of the union has such a value.
    #[error("expected {expected}, found {found}")]
    Branch {
        /// The branches.
        expected: String,
        /// What the JSON has.
        found: &'static str,
    },
    /// A field that has no default is not there.
    #[error("expected {expected}, the field is missing and has no default")]
    Missing {
        /// What the schema has.
        expected: &'static str,
    },
    /// The record has no such field.
    #[error("the schema has no such field")]
    UnknownField,
    /// The value, or a default that it needs, nests deeper than [`crate::MAX_DEPTH`].
    #[error("values nest deeper than {}", crate::MAX_DEPTH)]
    Depth,
    /// Defaults that contain each other would fill in more values than any record has.
    #[error("defaults of the schema fill in more than {limit} values")]
    Defaults {
        /// The limit.
        limit: usize,
    },
    /// A recursive type whose [`Schema`](crate::Schema) is gone; keep the schema while reading.
    #[error("the schema of a recursive record was dropped")]
    SchemaDropped,
}

#[cfg(test)]
mod tests;
