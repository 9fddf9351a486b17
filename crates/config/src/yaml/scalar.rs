//! Plain scalars by YAML 1.2's core schema.

use serde_json::{Number, Value};

/// The value of an unquoted text: null, a boolean, a number, or the text.
///
/// Numbers that JSON cannot hold (`.inf`, `.nan`) and whole ones beyond 64 bits stay texts, so that they fail as the wrong type.
/// `yes`, `no`, `on` and `off` are texts, as YAML 1.2 has it: `NO` is also Norway.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::from(text), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(Number::from);
    // `from_str_radix` accepts a sign, which may not stand behind the prefix.
    if let Some(digits) = text.strip_prefix("0x").filter(|d| !d.starts_with(['+', '-'])) {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o").filter(|d| !d.starts_with(['+', '-'])) {
        return radix(digits, 8);
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Some(Number::from(integer));
    }
    // As a float a whole number would lose digits, and still pass for a whole number.
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Texts such as `inf`, `1_000` or `infinity` are no numbers here.
    let digits = text.bytes().any(|b| b.is_ascii_digit());
    let allowed = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if digits && text.bytes().all(allowed) {
        return text.parse::<f64>().ok().and_then(Number::from_f64);
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unquoted_texts_become_what_they_look_like() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("0", json!(0)),
            ("-12", json!(-12)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }

    #[test]
    fn texts_that_only_resemble_numbers_stay_texts() {
        for text in [
            "yes",
            "NO",
            ".inf",
            ".nan",
            "inf",
            "1_000",
            "0x-1",
            "8MiB",
            "127.0.0.1:9092",
            "1-2",
            "99999999999999999999",
            "-9223372036854775809",
            "e",
        ] {
            assert_eq!(plain(text), json!(text), "{text}");
        }
    }
}
