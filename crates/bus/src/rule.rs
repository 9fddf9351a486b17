//! The rule by which the registry takes new schemas, of a subject or of all. The registry's client
//! has no call for it.

use std::fmt::Write as _;
use std::io::{Read, Write};

use serde_json::Value;

use crate::BusError;
use crate::options::{BusOptions, base_url};
use crate::reach::connect;

/// Far more than any answer about one rule.
const MAX_ANSWER: u64 = 64 << 10;

/// What a registry answers when a subject has no rule of its own.
const NO_RULE: u64 = 40408;

/// The rule of a subject, or without one the rule for all that have none; nothing when there is
/// none.
pub(crate) fn get(options: &BusOptions, subject: Option<&str>) -> Result<Option<String>, BusError> {
    let answer = call(options, "GET", subject, None)?;
    let level = answer.get("compatibilityLevel").and_then(Value::as_str);
    match (level, answer.get("error_code").and_then(Value::as_u64)) {
        (Some(level), _) => Ok(Some(level.to_owned())),
        (None, None | Some(404 | 40401 | NO_RULE)) => Ok(None),
        (None, Some(code)) => Err(refused("tell the compatibility rule", code, &answer)),
    }
}

/// Sets the rule of a subject.
pub(crate) fn set(options: &BusOptions, subject: &str, level: &str) -> Result<(), BusError> {
    let body = serde_json::json!({"compatibility": level}).to_string();
    let answer = call(options, "PUT", Some(subject), Some(&body))?;
    match answer.get("error_code").and_then(Value::as_u64) {
        None => Ok(()),
        Some(code) => Err(refused("set the compatibility rule", code, &answer)),
    }
}

fn refused(action: &str, code: u64, answer: &Value) -> BusError {
    let message = answer.get("message").and_then(Value::as_str).unwrap_or_default();
    BusError::RegistryRefused {
        action: action.to_owned(),
        code: u32::try_from(code).unwrap_or(u32::MAX),
        message: message.to_owned(),
    }
}

/// One request about `/config`, on a connection of its own.
fn call(
    options: &BusOptions,
    method: &str,
    subject: Option<&str>,
    body: Option<&str>,
) -> Result<Value, BusError> {
    let url = base_url(&options.registry);
    let failed = |reason: String| BusError::RegistryUnreachable { url: url.clone(), reason };
    let rest = url.strip_prefix("http://").ok_or_else(|| failed("not an http address".into()))?;
    let (host, path) =
        rest.split_once('/').map_or((rest, String::new()), |(h, p)| (h, format!("/{p}")));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let subject = subject.map(|subject| format!("/{}", escaped(subject))).unwrap_or_default();
    let body = body.unwrap_or_default();
    let request = format!(
        "{method} {path}/config{subject} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = connect(&address, options.timeout).and_then(|mut stream| {
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        Ok(answer)
    });
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    object(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| failed("it does not answer like a schema registry".into()))
}

/// A subject as a part of a path.
fn escaped(subject: &str) -> String {
    let mut text = String::new();
    for byte in subject.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a text takes everything");
        }
    }
    text
}

/// The JSON object in an answer, whichever way its body is framed.
fn object(answer: &str) -> Option<Value> {
    let body = answer.split_once("\r\n\r\n")?.1;
    serde_json::from_str(body.get(body.find('{')?..=body.rfind('}')?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_found_in_plain_and_in_chunked_bodies() {
        let body = r#"{"compatibilityLevel":"FULL"}"#;
        let plain = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
        let chunked = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\n{body}\r\n0\r\n\r\n"
        );
        for answer in [plain, chunked] {
            assert_eq!(object(&answer).unwrap()["compatibilityLevel"], "FULL");
        }
        assert_eq!(object("HTTP/1.1 404 Not Found\r\n\r\nno }{ here"), None);
        assert_eq!(object(""), None);
    }

    #[test]
    fn a_subject_cannot_leave_its_part_of_the_path() {
        assert_eq!(escaped("canonical.order-value"), "canonical.order-value");
        assert_eq!(escaped("../mode?x=\r\n"), "..%2Fmode%3Fx%3D%0D%0A");
    }
}
