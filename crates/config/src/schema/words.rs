//! The words in which mistakes of shape are said.

use jsonschema::{JsonType, error::ValidationErrorKind as Kind};
use serde_json::Value;

/// The fix for a name of another form.
pub(crate) const NAME_FIX: &str =
    "use 1 to 80 of a-z, 0-9 and `-`, with a letter or digit at both ends";
/// What an optional value may also be; it is never proposed.
pub(super) const NOTHING: &str = "nothing";
/// The type of names.
pub(super) const TEXT: &str = "a text";

/// Longer texts are cut: a message is one line.
const SHOWN: usize = 40;

/// A value as a message repeats it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".into(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) if text.is_empty() => "an empty text".into(),
        Value::String(text) => format!("the text `{}`", cut(text)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}

/// A value as it is written in the file.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| cut(&value.to_string()), cut)
}

fn cut(text: &str) -> String {
    // What stands before an `@` may be the password of an address.
    if let Some((_, rest)) = text.rsplit_once('@') {
        return format!("...@{}", cut(rest));
    }
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// What is wanted in place of `value`, and the fix.
pub(super) fn wanted_type(types: &[JsonType], value: &Value) -> (String, String) {
    let wanted: Vec<&str> = types
        .iter()
        .filter(|one| types.len() == 1 || **one != JsonType::Null)
        .map(|one| match one {
            JsonType::Null => NOTHING,
            JsonType::Boolean => "`true` or `false`",
            JsonType::Integer => "a whole number",
            JsonType::Number => "a number",
            JsonType::String => TEXT,
            JsonType::Array => "a list",
            JsonType::Object => "a map",
        })
        .collect();
    let wanted = wanted.join(" or ");
    let text = value.as_str().unwrap_or_default();
    let fix = match types.iter().find(|one| **one != JsonType::Null) {
        Some(JsonType::Boolean) if matches!(text, "yes" | "on" | "Yes" | "On") => {
            "write `true`".into()
        }
        Some(JsonType::Boolean) if matches!(text, "no" | "off" | "No" | "Off") => {
            "write `false`".into()
        }
        Some(JsonType::String) if !value.is_object() && !value.is_array() && !value.is_null() => {
            format!("write a text; `\"{}\"` in quotes is one", plain(value))
        }
        Some(JsonType::Array) if !value.is_object() && !value.is_null() => {
            format!("write a list: `[{}]`", plain(value))
        }
        _ => format!("write {wanted}"),
    };
    (wanted, fix)
}

/// A value in the right unit for one that has none: `, for example 64MiB`.
pub(super) fn unit_example(text: &str, units: &str) -> String {
    let digits: String = text.chars().take_while(char::is_ascii_digit).take(6).collect();
    let digits = if digits.is_empty() { "10" } else { &digits };
    let unit = match (units.contains("MiB"), text.to_lowercase()) {
        (true, text) if text.contains('g') => "GiB",
        (true, text) if text.contains('k') => "KiB",
        (true, _) => "MiB",
        (false, text) if text.contains("min") => "m",
        (false, text) if text.contains('h') => "h",
        (false, text) if text.contains('d') => "d",
        (false, _) => "s",
    };
    format!(", for example {digits}{unit}")
}

/// A limit that was passed, and the fix.
pub(super) fn limit(kind: &Kind) -> Option<(String, String)> {
    let (message, fix) = match kind {
        Kind::Minimum { limit } => {
            (format!("this must be at least {limit}"), format!("write {limit} or more"))
        }
        Kind::Maximum { limit } => {
            (format!("this must be at most {limit}"), format!("write {limit} or less"))
        }
        Kind::ExclusiveMinimum { limit } => {
            (format!("this must be more than {limit}"), "write a larger number".into())
        }
        Kind::ExclusiveMaximum { limit } => {
            (format!("this must be less than {limit}"), "write a smaller number".into())
        }
        Kind::MinLength { limit: 1 } => ("this must not be empty".into(), "write a text".into()),
        Kind::MinLength { limit } => {
            (format!("this needs at least {limit} characters"), "write a longer text".into())
        }
        Kind::MaxLength { limit: 1 } => {
            ("this must be one character".into(), "write one character".into())
        }
        Kind::MaxLength { limit } => {
            (format!("this may have {limit} characters"), "write a shorter text".into())
        }
        Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => {
            ("this must not be empty".into(), "add at least one entry".into())
        }
        Kind::MinItems { limit } | Kind::MinProperties { limit } => {
            (format!("this needs at least {limit} entries"), "add the missing ones".into())
        }
        Kind::MaxItems { limit } | Kind::MaxProperties { limit } => {
            (format!("this may have {limit} entries"), "remove some".into())
        }
        Kind::UniqueItems => ("an entry stands twice".into(), "remove one of the two".into()),
        _ => return None,
    };
    Some((message, fix))
}
