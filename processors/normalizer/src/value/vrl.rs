//! Values as VRL has them: for mappings that VRL itself runs, and for its words about wrong types.

use ::vrl::value::{KeyString, Value as VrlValue};

use super::{Scope, Value};

/// The value as VRL has it.
pub(crate) fn to_vrl(value: Value<'_>) -> VrlValue {
    match value {
        Value::Null => VrlValue::Null,
        Value::Boolean(boolean) => VrlValue::Boolean(*boolean),
        Value::Integer(number) => VrlValue::Integer(number),
        Value::Timestamp(time) => VrlValue::Timestamp(*time),
        Value::Text(text) => VrlValue::from(*text),
        Value::Bytes(bytes) => VrlValue::from(*bytes),
        Value::Array(items) => VrlValue::Array(items.iter().map(|item| to_vrl(*item)).collect()),
        Value::Object(object) => {
            let entry = |(name, value)| (KeyString::from(name), to_vrl(value));
            VrlValue::Object(object.entries().map(entry).collect())
        }
        // Made by VRL from a value that no function here gives back to it.
        Value::Foreign(_) => VrlValue::Null,
    }
}

/// A value that VRL made.
pub(crate) fn from_vrl<'a>(value: &VrlValue, scope: Scope<'a>) -> Value<'a> {
    match value {
        VrlValue::Null => Value::Null,
        VrlValue::Boolean(boolean) => Value::from(*boolean),
        VrlValue::Integer(number) => Value::Integer(*number),
        VrlValue::Timestamp(time) => scope.timestamp(*time),
        VrlValue::String(text) => scope.text(text),
        VrlValue::Bytes(bytes) => scope.bytes(bytes),
        VrlValue::Array(items) => {
            let items = items.iter().map(|item| from_vrl(item, scope));
            scope.array(&items.collect::<Vec<_>>())
        }
        VrlValue::Object(entries) => {
            let entry = |(name, value): (&KeyString, &VrlValue)| {
                let name: &'a str = scope.arena.alloc_str(name);
                (name, from_vrl(value, scope))
            };
            scope.entries(entries.iter().map(entry).collect())
        }
        VrlValue::Float(_) => Value::Foreign(&"float"),
        VrlValue::Regex(_) => Value::Foreign(&"string"),
    }
}
