//! `/schemas`: by id, whatever the subject. A soft-deleted schema still answers here, because
//! records that were written with it are still read.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::api::ApiError;
use crate::api::request::Query;
use crate::ids::SchemaId;
use crate::record::SchemaValue;
use crate::state::State;
use crate::store::Store;

use super::{deleted, has_prefix, schema_json, schema_members, version_json};

pub(super) fn list(store: &Store, query: &Query) -> Result<Value, ApiError> {
    store.read(|state| {
        let latest_only = query.flag("latestOnly");
        let mut all = state.all(deleted(query)).peekable();
        let mut listed = Vec::new();
        while let Some(value) = all.next() {
            let newer = all.peek().is_some_and(|next| next.subject == value.subject);
            if has_prefix(query, value.subject.as_str()) && !(latest_only && newer) {
                listed.push(value);
            }
        }
        Ok(query.page(listed.into_iter())?.map(version_json).collect())
    })
}

pub(super) fn by_id(store: &Store, id: SchemaId, query: &Query) -> Result<Value, ApiError> {
    store.read(|state| {
        let mut object = Map::new();
        schema_members(found(state, id)?, &mut object);
        if query.flag("fetchMaxId") {
            object.insert("maxId".into(), state.highest_id().0.into());
        }
        Ok(Value::Object(object))
    })
}

pub(super) fn text(store: &Store, id: SchemaId) -> Result<Value, ApiError> {
    store.read(|state| found(state, id).map(schema_json))
}

pub(super) fn subjects(store: &Store, id: SchemaId, query: &Query) -> Result<Value, ApiError> {
    store.read(|state| {
        found(state, id)?;
        let places = state.places(id, deleted(query));
        let subjects: BTreeSet<_> = places.map(|value| value.subject.as_str()).collect();
        Ok(query.page(subjects.into_iter())?.map(Value::from).collect())
    })
}

pub(super) fn versions(store: &Store, id: SchemaId, query: &Query) -> Result<Value, ApiError> {
    store.read(|state| {
        found(state, id)?;
        let places = state.places(id, deleted(query));
        let versions = places
            .map(|value| json!({"subject": value.subject.as_str(), "version": value.version.0}));
        Ok(query.page(versions)?.collect())
    })
}

fn found(state: &State, id: SchemaId) -> Result<&SchemaValue, ApiError> {
    state.by_id(id).ok_or(ApiError::NoSchemaId { id: id.0.into() })
}
