//! `/config` and `/mode`, of the registry and of a subject.

use serde_json::{Map, Value, json};

use crate::api::ApiError;
use crate::api::request::{Call, Query};
use crate::level::CompatibilityLevel;
use crate::mode::Mode;
use crate::record::{Config, Scope};
use crate::state::Setting;
use crate::store::Store;

/// The level's name in an answer to a GET or DELETE; in a PUT and its answer it is shorter.
const LEVEL: &str = "compatibilityLevel";
const LEVEL_SET: &str = "compatibility";

pub(super) fn config(store: &Store, scope: &Scope, query: &Query) -> Result<Value, ApiError> {
    store.read(|state| {
        let config = match (scope, state.config(scope)) {
            (None, _) => state.global_config(),
            (Some(_), Some(own)) => own,
            (Some(_), None) if query.flag("defaultToGlobal") => state.global_config(),
            (Some(subject), None) => {
                return Err(ApiError::NoSubjectConfig { subject: subject.clone() });
            }
        };
        Ok(config_json(config, LEVEL))
    })
}

pub(super) async fn set_config(
    store: &Store,
    scope: &Scope,
    call: &Call,
) -> Result<Value, ApiError> {
    let mut object = call.object()?;
    object.retain(|_, value| !value.is_null());
    let level = [LEVEL, LEVEL_SET].map(|name| object.remove(name)).into_iter().flatten().last();
    let level = level
        .map(|name| name.as_str().and_then(CompatibilityLevel::from_name))
        .map(|level| level.ok_or(ApiError::InvalidLevel))
        .transpose()?;
    let normalize = match object.remove("normalize") {
        None => None,
        Some(Value::Bool(normalize)) => Some(normalize),
        Some(_) => return Err(ApiError::Body { reason: "'normalize' is not a boolean".into() }),
    };
    if let Some(name) = object.keys().next() {
        return Err(ApiError::UnsupportedConfig { name: name.chars().take(100).collect() });
    }
    if level.is_none() && normalize.is_none() {
        return Err(ApiError::InvalidLevel);
    }
    let config = Config { level, normalize };
    store.write(|state| state.set(scope.clone(), Setting::Config(config))).await?;
    Ok(config_json(config, LEVEL_SET))
}

pub(super) async fn unset_config(store: &Store, scope: &Scope) -> Result<Value, ApiError> {
    let old = store.write(|state| state.unset_config(scope.clone())).await?;
    Ok(config_json(old, LEVEL))
}

fn config_json(config: Config, level_name: &str) -> Value {
    let mut object = Map::new();
    if let Some(normalize) = config.normalize {
        object.insert("normalize".into(), normalize.into());
    }
    if let Some(level) = config.level {
        object.insert(level_name.into(), level.as_str().into());
    }
    Value::Object(object)
}

pub(super) fn mode(store: &Store, scope: &Scope, query: &Query) -> Result<Value, ApiError> {
    store.read(|state| match scope {
        Some(subject) if state.own_mode(scope).is_none() && !query.flag("defaultToGlobal") => {
            Err(ApiError::NoSubjectMode { subject: subject.clone() })
        }
        _ => Ok(mode_json(state.mode(scope))),
    })
}

pub(super) async fn set_mode(store: &Store, scope: &Scope, call: &Call) -> Result<Value, ApiError> {
    let object = call.object()?;
    let mode = object.get("mode").and_then(Value::as_str).and_then(Mode::from_name);
    let mode = mode.ok_or(ApiError::InvalidMode)?;
    let force = call.query.flag("force");
    store.write(|state| state.set(scope.clone(), Setting::Mode { mode, force })).await?;
    Ok(mode_json(mode))
}

pub(super) async fn unset_mode(store: &Store, scope: &Scope) -> Result<Value, ApiError> {
    let old = store.write(|state| state.unset_mode(scope.clone())).await?;
    Ok(mode_json(old))
}

fn mode_json(mode: Mode) -> Value {
    json!({"mode": mode.as_str()})
}
