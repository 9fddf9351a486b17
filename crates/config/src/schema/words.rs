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

/// A value in the right unit for one that has none or another: `, for example 64MiB`.
pub(super) fn unit_example(text: &str, units: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let digits = if (1..=9).contains(&digits.len()) { digits } else { "10" };
    let unit = unit.trim_start().to_lowercase();
    let of = |units: &[(&str, &'static str)]| {
        units.iter().find(|(start, _)| unit.starts_with(start)).map(|(_, unit)| *unit)
    };
    let value = if units.contains("MiB") {
        match of(&[("g", "GiB"), ("k", "KiB"), ("b", "B")]) {
            Some(unit) => format!("{digits}{unit}"),
            None if unit.is_empty() => bytes(digits),
            None => format!("{digits}MiB"),
        }
    } else {
        // In this order: `min` begins like `m`, and both `ms` and `milliseconds` mean the same.
        match of(&[("ms", "ms"), ("mil", "ms"), ("m", "m"), ("h", "h"), ("d", "d"), ("s", "s")]) {
            Some(unit) => format!("{digits}{unit}"),
            // Nobody knows which was meant.
            None => format!("{digits}ms or {digits}s"),
        }
    };
    format!(", for example {value}")
}

/// A number without a unit as a size: small ones are not meant as bytes.
fn bytes(digits: &str) -> String {
    let number: u64 = digits.parse().unwrap_or(10);
    let whole = |unit: u64| number.is_multiple_of(unit).then_some(number / unit);
    match (whole(1 << 20), whole(1 << 10)) {
        _ if number < 1_024 => format!("{number}MiB"),
        (Some(mebi), _) => format!("{mebi}MiB"),
        (None, Some(kibi)) => format!("{kibi}KiB"),
        (None, None) => format!("{number}B"),
    }
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

#[cfg(test)]
mod tests {
    use throughline_event::{ByteSize, Span};

    use super::*;

    #[test]
    fn an_example_keeps_the_unit_that_was_meant() {
        for (text, example) in [
            ("200msec", "200ms"),
            ("200 milliseconds", "200ms"),
            ("100", "100ms or 100s"),
            ("10 seconds", "10s"),
            ("5 min", "5m"),
            ("2hours", "2h"),
            ("3 days", "3d"),
            ("soon", "10s"),
        ] {
            assert_eq!(unit_example(text, Span::UNITS), format!(", for example {example}"));
        }
        for (text, example) in [
            ("8", "8MiB"),
            ("8M", "8MiB"),
            ("4 gb", "4GiB"),
            ("64k", "64KiB"),
            ("8388608", "8MiB"),
            ("65536", "64KiB"),
            ("1500", "1500B"),
            ("99999999999999999999", "10MiB"),
        ] {
            assert_eq!(unit_example(text, ByteSize::UNITS), format!(", for example {example}"));
        }
    }
}
