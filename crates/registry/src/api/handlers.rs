//! The answer to each route.

mod schemas;
mod settings;
mod subjects;

use serde_json::{Map, Value, json};

use crate::record::{Reference, SchemaValue};
use crate::state::Deleted;
use crate::store::Store;

use super::ApiError;
use super::request::{Call, Query};
use super::route::Route;

/// Answers a call.
pub(super) async fn answer(store: &Store, call: Call) -> Result<Value, ApiError> {
    let query = &call.query;
    match &call.route {
        Route::Root => Ok(json!({})),
        Route::Types => Ok(json!(["AVRO"])),
        Route::Contexts => Ok(query.page(std::iter::once(Value::from(".")))?.collect()),
        Route::Schemas => schemas::list(store, query),
        Route::Schema(id) => schemas::by_id(store, *id, query),
        Route::SchemaText(id) => schemas::text(store, *id),
        Route::SchemaSubjects(id) => schemas::subjects(store, *id, query),
        Route::SchemaVersions(id) => schemas::versions(store, *id, query),
        Route::Subjects => subjects::list(store, query),
        Route::Lookup(subject) => subjects::lookup(store, subject, &call),
        Route::DeleteSubject(subject) => subjects::delete(store, subject, query).await,
        Route::Metadata(subject) => subjects::metadata(store, subject, query),
        Route::Versions(subject) => subjects::versions(store, subject, query),
        Route::Register(subject) => subjects::register(store, subject, &call).await,
        Route::Version(subject, version) => {
            subjects::with_version(store, subject, *version, query, |_, value| version_json(value))
        }
        Route::VersionText(subject, version) => {
            subjects::with_version(store, subject, *version, query, |_, value| schema_json(value))
        }
        Route::ReferencedBy(subject, version) => {
            subjects::with_version(store, subject, *version, query, |state, value| {
                let referrers = state.referrers(subject, value.version, Deleted::Hidden);
                let ids: std::collections::BTreeSet<_> = referrers.map(|one| one.id.0).collect();
                ids.into_iter().collect()
            })
        }
        Route::DeleteVersion(subject, version) => {
            subjects::delete_version(store, subject, *version, query).await
        }
        Route::CheckAll(subject) => subjects::check(store, subject, None, &call),
        Route::Check(subject, version) => subjects::check(store, subject, Some(*version), &call),
        Route::Config(scope) => settings::config(store, scope, query),
        Route::SetConfig(scope) => settings::set_config(store, scope, &call).await,
        Route::UnsetConfig(scope) => settings::unset_config(store, scope).await,
        Route::Mode(scope) => settings::mode(store, scope, query),
        Route::SetMode(scope) => settings::set_mode(store, scope, &call).await,
        Route::UnsetMode(scope) => settings::unset_mode(store, scope).await,
    }
}

fn deleted(query: &Query) -> Deleted {
    // Python's client spells it with an underscore.
    let only = query.flag("deletedOnly") || query.flag("deleted_only");
    match (only, query.flag("deleted")) {
        (true, _) => Deleted::Only,
        (false, true) => Deleted::Shown,
        (false, false) => Deleted::Hidden,
    }
}

/// Whether a subject has the prefix asked for; `:*:` and `:.:` name contexts, and there is one.
fn has_prefix(query: &Query, subject: &str) -> bool {
    let prefix = query.get("subjectPrefix").unwrap_or_default();
    let prefix = prefix.strip_prefix(":*:").or_else(|| prefix.strip_prefix(":.:"));
    let prefix = prefix.or_else(|| query.get("subjectPrefix")).unwrap_or_default();
    subject.starts_with(prefix)
}

/// A version: subject, version and id, then the schema.
fn version_json(value: &SchemaValue) -> Value {
    let mut object = Map::new();
    object.insert("subject".into(), value.subject.as_str().into());
    object.insert("version".into(), value.version.0.into());
    object.insert("id".into(), value.id.0.into());
    schema_members(value, &mut object);
    Value::Object(object)
}

/// The schema with what belongs to it. The type is left out for Avro, as the clients expect.
fn schema_members(value: &SchemaValue, object: &mut Map<String, Value>) {
    if let Some(schema_type) = &value.schema_type {
        object.insert("schemaType".into(), schema_type.as_str().into());
    }
    if !value.references.is_empty() {
        let references = value.references.iter().map(Reference::to_json).collect();
        object.insert("references".into(), references);
    }
    for (key, part) in [("metadata", &value.metadata), ("ruleSet", &value.rule_set)] {
        object.extend(part.clone().map(|part| (key.to_owned(), part)));
    }
    object.insert("schema".into(), value.schema.as_str().into());
}

/// The schema itself as JSON; one of another type than Avro as a text.
fn schema_json(value: &SchemaValue) -> Value {
    serde_json::from_str(&value.schema).unwrap_or_else(|_| value.schema.as_str().into())
}
