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
    match call(options, "GET", subject, None)? {
        Answer::Rule(rule) => Ok(Some(rule)),
        Answer::Refused { code: 404 | 40401 | NO_RULE, .. } => Ok(None),
        Answer::Refused { code, message } => {
            Err(refused("tell the compatibility rule", code, message))
        }
    }
}

/// Sets the rule of a subject.
pub(crate) fn set(options: &BusOptions, subject: &str, level: &str) -> Result<(), BusError> {
    let body = serde_json::json!({"compatibility": level}).to_string();
    match call(options, "PUT", Some(subject), Some(&body))? {
        Answer::Rule(_) => Ok(()),
        Answer::Refused { code, message } => {
            Err(refused("set the compatibility rule", code, message))
        }
    }
}

fn refused(action: &str, code: u64, message: String) -> BusError {
    let code = u32::try_from(code).unwrap_or(u32::MAX);
    BusError::RegistryRefused { action: action.to_owned(), code, message }
}

/// What a registry says to a request about a rule.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// The rule that there is, or that was set.
    Rule(String),
    Refused {
        code: u64,
        message: String,
    },
}

impl Answer {
    /// Nothing when no registry speaks so, as a proxy before it.
    fn read(answer: &str) -> Option<Self> {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        // The JSON object, whichever way the body is framed.
        let body = body.get(body.find('{')?..=body.rfind('}')?)?;
        let body: Value = serde_json::from_str(body).ok()?;
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        if let Some(code) = body.get("error_code").and_then(Value::as_u64) {
            return Some(Self::Refused { code, message: text("message").unwrap_or_default() });
        }
        let done = head.split(' ').nth(1) == Some("200");
        let rule = text("compatibilityLevel").or_else(|| text("compatibility"));
        rule.filter(|_| done).map(Self::Rule)
    }
}

/// One request about `/config`, on a connection of its own.
fn call(
    options: &BusOptions,
    method: &str,
    subject: Option<&str>,
    body: Option<&str>,
) -> Result<Answer, BusError> {
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
    Answer::read(&String::from_utf8_lossy(&answer))
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
            assert_eq!(Answer::read(&answer), Some(Answer::Rule("FULL".to_owned())));
        }
        assert_eq!(Answer::read("HTTP/1.1 404 Not Found\r\n\r\nno }{ here"), None);
        assert_eq!(Answer::read(""), None);
    }

    #[test]
    fn only_what_a_registry_says_is_taken_for_its_answer() {
        let read = |status: &str, body: &str| {
            Answer::read(&format!("HTTP/1.1 {status}\r\nA: b\r\n\r\n{body}"))
        };
        let set = r#"{"compatibility":"NONE"}"#;
        assert_eq!(read("200 OK", set), Some(Answer::Rule("NONE".to_owned())));
        assert_eq!(read("502 Bad Gateway", set), None);
        for proxy in ["{}", r#"{"message":"forbidden"}"#] {
            assert_eq!(read("200 OK", proxy), None);
            assert_eq!(read("403 Forbidden", proxy), None);
        }
        let refused = Answer::Refused { code: 42203, message: "no such rule".to_owned() };
        let body = r#"{"error_code":42203,"message":"no such rule"}"#;
        assert_eq!(read("422 Unprocessable Entity", body), Some(refused));
    }

    #[test]
    fn a_subject_cannot_leave_its_part_of_the_path() {
        assert_eq!(escaped("canonical.order-value"), "canonical.order-value");
        assert_eq!(escaped("../mode?x=\r\n"), "..%2Fmode%3Fx%3D%0D%0A");
    }
}
