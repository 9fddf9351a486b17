//! Every refusal: HTTP status, error code and message, as Confluent's registry gives them.

use axum::http::StatusCode;

use crate::error::LogFailure;
use crate::ids::{SchemaId, Subject, Version};
use crate::record::Scope;
use crate::state::VersionSpec;

/// Why a request is not answered with success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("HTTP 404 Not Found")]
    NoSuchPath,
    #[error("HTTP 405 Method Not Allowed")]
    NoSuchMethod,
    #[error("the path or the query is not valid UTF-8, or longer than {max} bytes")]
    Path { max: usize },
    #[error("the body is larger than {max} bytes")]
    BodyTooLarge { max: usize },
    #[error("the body did not arrive")]
    BodyLost,
    #[error("the body is not valid JSON of the expected shape: {reason}")]
    Body { reason: String },
    #[error("the query parameter '{name}' has no valid value")]
    Query { name: &'static str },

    #[error("Subject '{subject}' not found.")]
    NoSubject { subject: Subject },
    #[error("Version {} not found.", version_text(*.version))]
    NoVersion { version: VersionSpec },
    #[error("Schema not found")]
    NoSchema,
    #[error("Schema {id} not found")]
    NoSchemaId { id: i64 },
    #[error("Subject '{subject}' was soft deleted. Set permanent=true to delete permanently")]
    SubjectSoftDeleted { subject: Subject },
    #[error("Subject '{subject}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted { subject: Subject },
    #[error(
        "Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently"
    )]
    VersionSoftDeleted { subject: Subject, version: Version },
    #[error(
        "Subject '{subject}' Version {version} was not deleted first before being permanently deleted"
    )]
    VersionNotSoftDeleted { subject: Subject, version: Version },
    #[error("Subject '{subject}' does not have subject-level compatibility configured")]
    NoSubjectConfig { subject: Subject },
    #[error("Subject '{subject}' does not have subject-level mode configured")]
    NoSubjectMode { subject: Subject },

    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
        messages.join(", ")
    )]
    Incompatible { subject: Subject, messages: Vec<String> },

    #[error("Invalid schema, details: {reason}")]
    InvalidSchema {
        #[source]
        reason: crate::state::Unusable,
    },
    #[error("Invalid schema: it is empty")]
    EmptySchema,
    #[error("Invalid schema type {schema_type}: this registry holds AVRO schemas only")]
    SchemaType { schema_type: String },
    #[error("Invalid reference: it needs a name, a subject and a version from 1")]
    Reference,
    #[error("Schema version {next} comes next for subject '{subject}'; leave out the version")]
    NotNextVersion { subject: Subject, next: Version },
    #[error(
        "The specified version '{written}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion { written: String },
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel,
    #[error("The config property '{name}' is not supported by this registry")]
    UnsupportedConfig { name: String },
    #[error("Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE and IMPORT")]
    InvalidMode,
    #[error("{} in read-only mode", scope_text(.subject))]
    ReadOnly { subject: Scope },
    #[error("Subject {subject} is not in import mode")]
    NotInImportMode { subject: Subject },
    #[error("Subject {subject} is in import mode: the schema needs an id")]
    InImportMode { subject: Subject },
    #[error("Overwrite new schema with id {id} is not permitted.")]
    OverwriteId { id: SchemaId },
    #[error("Cannot import since found existing subjects")]
    ImportOccupied,
    #[error(
        "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
    )]
    Referenced { subject: Subject, version: Version },
    #[error("The specified subject '{written}' is not a valid subject.")]
    InvalidSubject { written: String },

    #[error("Error while writing to or reading from the schemas log")]
    Log {
        #[from]
        source: LogFailure,
    },
    #[error("No id or version is left")]
    IdsExhausted,
}

impl ApiError {
    /// The status, and the code clients branch on.
    fn answer(&self) -> (StatusCode, u16) {
        let code = match self {
            Self::NoSuchPath => 404,
            Self::NoSuchMethod => 405,
            Self::Path { .. } | Self::Body { .. } | Self::Query { .. } => 400,
            Self::BodyLost => 408,
            Self::BodyTooLarge { .. } => 413,
            Self::NoSubject { .. } => 40401,
            Self::NoVersion { .. } => 40402,
            Self::NoSchema | Self::NoSchemaId { .. } => 40403,
            Self::SubjectSoftDeleted { .. } => 40404,
            Self::SubjectNotSoftDeleted { .. } => 40405,
            Self::VersionSoftDeleted { .. } => 40406,
            Self::VersionNotSoftDeleted { .. } => 40407,
            Self::NoSubjectConfig { .. } => 40408,
            Self::NoSubjectMode { .. } => 40409,
            Self::Incompatible { .. } => 40901,
            Self::InvalidSchema { .. }
            | Self::EmptySchema
            | Self::SchemaType { .. }
            | Self::Reference
            | Self::NotNextVersion { .. } => 42201,
            Self::InvalidVersion { .. } => 42202,
            Self::InvalidLevel => 42203,
            Self::InvalidMode => 42204,
            Self::ReadOnly { .. }
            | Self::NotInImportMode { .. }
            | Self::InImportMode { .. }
            | Self::OverwriteId { .. }
            | Self::ImportOccupied
            | Self::UnsupportedConfig { .. } => 42205,
            Self::Referenced { .. } => 42206,
            Self::InvalidSubject { .. } => 42208,
            Self::Log { .. } | Self::IdsExhausted => 50001,
        };
        let status = if code < 1000 { code } else { code / 100 };
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.answer().0
    }

    pub(crate) fn code(&self) -> u16 {
        self.answer().1
    }
}

fn version_text(version: VersionSpec) -> String {
    match version {
        VersionSpec::Latest => "latest".to_owned(),
        VersionSpec::Number(number) => number.to_string(),
    }
}

fn scope_text(scope: &Scope) -> String {
    match scope {
        None => "The registry is".to_owned(),
        Some(subject) => format!("Subject {subject} is"),
    }
}
