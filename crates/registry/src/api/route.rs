//! Which paths and methods there are.

use axum::http::Method;

use crate::ids::{SchemaId, Subject, Version};
use crate::record::Scope;
use crate::state::VersionSpec;

use super::ApiError;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Root,
    Types,
    Contexts,
    Schemas,
    Schema(SchemaId),
    SchemaText(SchemaId),
    SchemaSubjects(SchemaId),
    SchemaVersions(SchemaId),
    Subjects,
    Lookup(Subject),
    DeleteSubject(Subject),
    Metadata(Subject),
    Versions(Subject),
    Register(Subject),
    Version(Subject, VersionSpec),
    VersionText(Subject, VersionSpec),
    ReferencedBy(Subject, VersionSpec),
    DeleteVersion(Subject, VersionSpec),
    CheckAll(Subject),
    Check(Subject, VersionSpec),
    Config(Scope),
    SetConfig(Scope),
    UnsetConfig(Scope),
    Mode(Scope),
    SetMode(Scope),
    UnsetMode(Scope),
}

impl Route {
    /// The route of a path's segments, decoded; a HEAD is routed as its GET.
    pub(super) fn find(method: &Method, path: &[&str]) -> Result<Self, ApiError> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let route = match path {
            [] => on(method, [(Method::GET, Self::Root)]),
            ["schemas"] => on(method, [(Method::GET, Self::Schemas)]),
            ["schemas", "types"] => on(method, [(Method::GET, Self::Types)]),
            ["contexts"] => on(method, [(Method::GET, Self::Contexts)]),
            ["schemas", "ids", id] => on(method, [(Method::GET, Self::Schema(schema_id(id)?))]),
            ["schemas", "ids", id, part] => {
                let id = schema_id(id)?;
                let route = match *part {
                    "schema" => Self::SchemaText(id),
                    "subjects" => Self::SchemaSubjects(id),
                    "versions" => Self::SchemaVersions(id),
                    _ => return Err(ApiError::NoSuchPath),
                };
                on(method, [(Method::GET, route)])
            }
            // Ids are the only identity here. Confluent's clients ask for a guid only when a record
            // carries one in its headers, and write it only when the answer to a registration had
            // one: with this registry they refuse to, before anything is written.
            ["schemas", "guids", _] | ["schemas", "guids", _, "ids"] => {
                return Err(ApiError::NoSchema);
            }
            ["subjects", rest @ ..] => Self::of_subject(method, rest)?,
            ["compatibility", "subjects", name, "versions"] => {
                on(method, [(Method::POST, Self::CheckAll(subject(name)?))])
            }
            ["compatibility", "subjects", name, "versions", number] => {
                on(method, [(Method::POST, Self::Check(subject(name)?, version(number)?))])
            }
            ["config", rest @ ..] => {
                let scope = scope(rest)?;
                let routes = [Self::Config, Self::SetConfig, Self::UnsetConfig];
                setting(method, routes.map(|route| route(scope.clone())))
            }
            ["mode", rest @ ..] => {
                let scope = scope(rest)?;
                let routes = [Self::Mode, Self::SetMode, Self::UnsetMode];
                setting(method, routes.map(|route| route(scope.clone())))
            }
            _ => return Err(ApiError::NoSuchPath),
        };
        route.ok_or(ApiError::NoSuchMethod)
    }

    fn of_subject(method: &Method, path: &[&str]) -> Result<Option<Self>, ApiError> {
        Ok(match path {
            [] => on(method, [(Method::GET, Self::Subjects)]),
            [name] => {
                let name = subject(name)?;
                let routes = [
                    (Method::POST, Self::Lookup(name.clone())),
                    (Method::DELETE, Self::DeleteSubject(name)),
                ];
                on(method, routes)
            }
            [name, "metadata"] => on(method, [(Method::GET, Self::Metadata(subject(name)?))]),
            [name, "versions"] => {
                let name = subject(name)?;
                let routes = [
                    (Method::GET, Self::Versions(name.clone())),
                    (Method::POST, Self::Register(name)),
                ];
                on(method, routes)
            }
            [name, "versions", number] => {
                let (name, number) = (subject(name)?, version(number)?);
                let routes = [
                    (Method::GET, Self::Version(name.clone(), number)),
                    (Method::DELETE, Self::DeleteVersion(name, number)),
                ];
                on(method, routes)
            }
            [name, "versions", number, part] => {
                let (name, number) = (subject(name)?, version(number)?);
                let route = match *part {
                    "schema" => Self::VersionText(name, number),
                    "referencedby" => Self::ReferencedBy(name, number),
                    _ => return Err(ApiError::NoSuchPath),
                };
                on(method, [(Method::GET, route)])
            }
            _ => return Err(ApiError::NoSuchPath),
        })
    }
}

fn on<const N: usize>(method: &Method, routes: [(Method, Route); N]) -> Option<Route> {
    routes.into_iter().find(|(known, _)| known == method).map(|(_, route)| route)
}

fn setting(method: &Method, [get, put, delete]: [Route; 3]) -> Option<Route> {
    on(method, [(Method::GET, get), (Method::PUT, put), (Method::DELETE, delete)])
}

/// The registry's scope for no segment, a subject's for one.
fn scope(rest: &[&str]) -> Result<Scope, ApiError> {
    match rest {
        [] => Ok(None),
        [name] => subject(name).map(Some),
        _ => Err(ApiError::NoSuchPath),
    }
}

fn subject(written: &str) -> Result<Subject, ApiError> {
    let shown = || written.chars().filter(|one| !one.is_control()).take(200).collect();
    Subject::parse(written).ok_or_else(|| ApiError::InvalidSubject { written: shown() })
}

fn version(written: &str) -> Result<VersionSpec, ApiError> {
    if matches!(written, "latest" | "-1") {
        return Ok(VersionSpec::Latest);
    }
    match written.parse::<i32>() {
        Ok(number) if number >= 1 => Ok(VersionSpec::Number(Version(number))),
        _ => {
            let written = written.chars().take(200).collect();
            Err(ApiError::InvalidVersion { written })
        }
    }
}

/// A number that is no id is a schema that is not there; anything else is no path.
fn schema_id(written: &str) -> Result<SchemaId, ApiError> {
    let id: i64 = written.parse().map_err(|_| ApiError::NoSuchPath)?;
    i32::try_from(id).map(SchemaId).map_err(|_| ApiError::NoSchemaId { id })
}

#[cfg(test)]
mod tests;
