//! Records of the log as JSON.

use serde_json::{Value, json};
use throughline_avro::{Cursor, write_json};
use throughline_event::{Datum, Micros, Record};

/// A datum as JSON; text that says why when it is damaged.
pub(crate) fn datum(datum: Datum<'_>) -> Value {
    let mut text = Vec::new();
    match write_json(datum.schema.root(), &mut Cursor::new(datum.bytes), &mut text) {
        Ok(()) => serde_json::from_slice(&text).unwrap_or(Value::Null),
        Err(error) => json!({"unreadable": error.to_string()}),
    }
}

/// A record as one JSON object; a tombstone has a null value.
pub(crate) fn record(record: &Record<'_>, keys_only: bool) -> Value {
    let mut shown = json!({
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp.millis(),
        "key": record.key.map(datum),
    });
    if !keys_only {
        shown["value"] = record.value.map_or(Value::Null, datum);
    }
    shown
}

/// A point in time for people and programs: RFC 3339, or the number where it has no such form.
pub(crate) fn time(at: Micros) -> String {
    // Milliseconds are as fine as a person can use.
    throughline_avro::timestamp_text(at.millis().saturating_mul(1_000))
        .unwrap_or_else(|| at.0.to_string())
}
