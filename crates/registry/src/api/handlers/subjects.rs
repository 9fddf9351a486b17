//! `/subjects` and `/compatibility`.

use serde_json::{Value, json};

use crate::api::ApiError;
use crate::api::request::{Call, Query};
use crate::ids::Subject;
use crate::record::SchemaValue;
use crate::state::{Comparison, Deleted, Registered, State, VersionSpec};
use crate::store::Store;

use super::{deleted, has_prefix, version_json};

pub(super) fn list(store: &Store, query: &Query) -> Result<Value, ApiError> {
    store.read(|state| {
        let subjects = state.subjects(deleted(query)).map(Subject::as_str);
        let subjects = subjects.filter(|subject| has_prefix(query, subject));
        Ok(query.page(subjects)?.map(Value::from).collect())
    })
}

pub(super) fn versions(store: &Store, subject: &Subject, query: &Query) -> Result<Value, ApiError> {
    store.read(|state| {
        let mut versions = state.versions(subject, deleted(query)).peekable();
        if versions.peek().is_none() {
            return Err(no_subject(subject));
        }
        Ok(query.page(versions)?.map(|value| Value::from(value.version.0)).collect())
    })
}

/// Answers with one version of a subject.
pub(super) fn with_version(
    store: &Store,
    subject: &Subject,
    version: VersionSpec,
    query: &Query,
    answer: impl FnOnce(&State, &SchemaValue) -> Value,
) -> Result<Value, ApiError> {
    store.read(|state| {
        let deleted = shown(query);
        match state.find(subject, version, deleted) {
            Some(value) => Ok(answer(state, value)),
            None if state.versions(subject, deleted).next().is_none() => Err(no_subject(subject)),
            None => Err(ApiError::NoVersion { version }),
        }
    })
}

/// The newest version whose metadata has all of the properties in the query.
pub(super) fn metadata(store: &Store, subject: &Subject, query: &Query) -> Result<Value, ApiError> {
    let wanted: Vec<(&str, &str)> = query.all("key").zip(query.all("value")).collect();
    store.read(|state| {
        let mut versions = state.versions(subject, shown(query)).rev().peekable();
        if versions.peek().is_none() {
            return Err(no_subject(subject));
        }
        let found = versions.find(|value| {
            let properties = value.metadata.as_ref().and_then(|one| one.get("properties"));
            let has = |key: &str, text: &str| {
                properties.and_then(|all| all.get(key)).and_then(Value::as_str) == Some(text)
            };
            wanted.iter().all(|(key, text)| has(key, text))
        });
        found.map(version_json).ok_or(ApiError::NoSchema)
    })
}

pub(super) async fn register(
    store: &Store,
    subject: &Subject,
    call: &Call,
) -> Result<Value, ApiError> {
    let candidate = call.candidate()?;
    let normalize = call.query.flag("normalize");
    let (id, version) = (candidate.id, candidate.version);
    let answer = |found: Registered| json!({"id": found.id.0, "version": found.version.0});
    // Every serializer registers at its start: what is known needs neither the lock nor the log.
    let known = store.read(|state| {
        let prepared = state.prepare(subject, &candidate, normalize)?;
        Ok::<_, ApiError>(state.registered(&prepared, id, version))
    })?;
    if let Some(found) = known {
        return Ok(answer(found));
    }
    let registered = store
        .write(|state| {
            let prepared = state.prepare(subject, &candidate, normalize)?;
            state.register(&prepared, id, version)
        })
        .await?;
    Ok(answer(registered))
}

/// Which version of the subject the schema in the body is.
pub(super) fn lookup(store: &Store, subject: &Subject, call: &Call) -> Result<Value, ApiError> {
    let candidate = call.candidate()?;
    store.read(|state| {
        let deleted = shown(&call.query);
        if state.versions(subject, deleted).next().is_none() {
            return Err(no_subject(subject));
        }
        let prepared = state.prepare(subject, &candidate, call.query.flag("normalize"))?;
        let found = state.lookup(subject, &prepared, deleted);
        found.map(version_json).ok_or(ApiError::NoSchema)
    })
}

pub(super) fn check(
    store: &Store,
    subject: &Subject,
    version: Option<VersionSpec>,
    call: &Call,
) -> Result<Value, ApiError> {
    let candidate = call.candidate()?;
    let messages = store.read(|state| {
        if let Some(version @ VersionSpec::Number(_)) = version
            && state.find(subject, version, Deleted::Hidden).is_none()
        {
            return Err(ApiError::NoVersion { version });
        }
        let prepared = state.prepare(subject, &candidate, call.query.flag("normalize"))?;
        let comparison = version.map_or(Comparison::ByLevel, Comparison::With);
        Ok(state.incompatibilities(subject, &prepared, comparison))
    })?;
    let compatible = messages.is_empty();
    if call.query.flag("verbose") {
        return Ok(json!({"is_compatible": compatible, "messages": messages}));
    }
    Ok(json!({"is_compatible": compatible}))
}

pub(super) async fn delete(
    store: &Store,
    subject: &Subject,
    query: &Query,
) -> Result<Value, ApiError> {
    let permanent = query.flag("permanent");
    let versions = store.write(|state| state.delete_subject(subject, permanent)).await?;
    Ok(versions.into_iter().map(|version| Value::from(version.0)).collect())
}

pub(super) async fn delete_version(
    store: &Store,
    subject: &Subject,
    version: VersionSpec,
    query: &Query,
) -> Result<Value, ApiError> {
    let permanent = query.flag("permanent");
    let version = store.write(|state| state.delete_version(subject, version, permanent)).await?;
    Ok(version.0.into())
}

/// For questions about one version, where `deletedOnly` has no meaning.
fn shown(query: &Query) -> Deleted {
    if query.flag("deleted") { Deleted::Shown } else { Deleted::Hidden }
}

fn no_subject(subject: &Subject) -> ApiError {
    ApiError::NoSubject { subject: subject.clone() }
}
