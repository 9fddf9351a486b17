//! Reads a request: path, query and body, all of it untrusted.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use serde_json::{Map, Value};

use crate::ids::{SchemaId, Version};
use crate::record::{Reference, integer};
use crate::state::Candidate;

use super::ApiError;
use super::route::Route;

/// A request, decoded.
pub(super) struct Call {
    pub(super) route: Route,
    pub(super) query: Query,
    pub(super) body: Vec<u8>,
}

/// Longest path with its query: a subject of full length, all percent-encoded, fits.
const MAX_TARGET_BYTES: usize = 8 * 1024;
/// A body that takes longer holds its connection for nothing.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

impl Call {
    pub(super) async fn read(request: Request, max_body_bytes: usize) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let wrong = || ApiError::Path { max: MAX_TARGET_BYTES };
        if target.len() > MAX_TARGET_BYTES {
            return Err(wrong());
        }
        let path = parts.uri.path().trim_matches('/');
        // Splitting comes first: an encoded slash belongs to a subject.
        let segments: Vec<String> = path
            .split('/')
            .filter(|_| !path.is_empty())
            .map(|segment| decoded(segment, false).ok_or_else(wrong))
            .collect::<Result<_, _>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let route = Route::find(&parts.method, &segments)?;
        let query = Query::parse(parts.uri.query().unwrap_or_default()).ok_or_else(wrong)?;
        let body = read_body(body, max_body_bytes).await?;
        Ok(Self { route, query, body })
    }

    /// The body as a JSON object; none at all counts as an empty one.
    pub(super) fn object(&self) -> Result<Map<String, Value>, ApiError> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(ApiError::Body { reason: "it is not an object".into() }),
            Err(error) => Err(ApiError::Body { reason: error.to_string() }),
        }
    }

    /// The body as a schema.
    pub(super) fn candidate(&self) -> Result<Candidate, ApiError> {
        let mut object = self.object()?;
        // Members that are null count as left out: clients write all they know.
        object.retain(|_, value| !value.is_null());
        let references = match object.get("references") {
            None => Vec::new(),
            Some(Value::Array(list)) => list
                .iter()
                .map(|one| {
                    let reference = Reference::from_json(one);
                    reference.filter(|one| one.version >= Version(1)).ok_or(ApiError::Reference)
                })
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(ApiError::Reference),
        };
        let positive =
            |key| integer(&Value::Object(object.clone()), key).filter(|number| *number > 0);
        let (id, version) = (positive("id").map(SchemaId), positive("version").map(Version));
        Ok(Candidate {
            schema: text(&mut object, "schema")?.unwrap_or_default(),
            schema_type: text(&mut object, "schemaType")?,
            references,
            metadata: contract(&mut object, "metadata")?,
            rule_set: contract(&mut object, "ruleSet")?,
            id,
            version,
        })
    }
}

fn text(object: &mut Map<String, Value>, key: &'static str) -> Result<Option<String>, ApiError> {
    match object.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::Body { reason: format!("'{key}' is not a text") }),
    }
}

/// A part of a data contract: kept as it is, and returned.
fn contract(object: &mut Map<String, Value>, key: &'static str) -> Result<Option<Value>, ApiError> {
    match object.remove(key) {
        Some(value) if !value.is_object() => {
            Err(ApiError::Body { reason: format!("'{key}' is not an object") })
        }
        value => Ok(value),
    }
}

/// Reads at most `max` bytes; a declared length is checked before anything is read.
async fn read_body(body: Body, max: usize) -> Result<Vec<u8>, ApiError> {
    if body.size_hint().lower() > max as u64 {
        return Err(ApiError::BodyTooLarge { max });
    }
    match tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, max)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        // The reader gives one error for both: too long, or broken off.
        Ok(Err(error)) if is_length_limit(&error) => Err(ApiError::BodyTooLarge { max }),
        Ok(Err(_)) | Err(_) => Err(ApiError::BodyLost),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(|source| source.to_string().contains("length limit"))
}

/// The query's parameters, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    fn parse(written: &str) -> Option<Self> {
        let pairs = written.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(key, true)?, decoded(value, true)?))
        });
        pairs.collect::<Option<_>>().map(Self)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Python's clients write `True`; anything but a true is false, as in Java.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The page of a list; a negative or missing limit is no limit.
    pub(super) fn page<T>(
        &self,
        items: impl Iterator<Item = T>,
    ) -> Result<impl Iterator<Item = T>, ApiError> {
        let number = |name: &'static str, default: i64| match self.get(name) {
            None | Some("") => Ok(default),
            Some(value) => value.parse::<i64>().map_err(|_| ApiError::Query { name }),
        };
        let offset = usize::try_from(number("offset", 0)?).unwrap_or(0);
        let limit = usize::try_from(number("limit", -1)?).unwrap_or(usize::MAX);
        Ok(items.skip(offset).take(limit))
    }
}

/// Undoes percent-encoding; `None` for a broken escape or bytes that are not UTF-8.
fn decoded(written: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?].map(|digit| (digit as char).to_digit(16));
                let [Some(high), Some(low)] = digits else { return None };
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
