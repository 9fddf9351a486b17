//! Compatibility of a schema with the versions of a subject.

use crate::avro::{self, Incompatibility, IncompatibilityKind};
use crate::ids::Subject;
use crate::level::CompatibilityLevel;
use crate::record::SchemaValue;

use super::{Deleted, Prepared, State, VersionSpec};

/// The versions to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// The latest one, or all for a transitive level.
    ByLevel,
    /// This one only.
    With(VersionSpec),
}

impl State {
    /// Why the schema is refused under the subject's level; empty when it is compatible.
    ///
    /// Names the findings of the newest version that refuses it, as other registries do.
    pub(crate) fn incompatibilities(
        &self,
        subject: &Subject,
        new: &Prepared,
        comparison: Comparison,
    ) -> Vec<String> {
        let level = self.level(subject);
        let versions: Vec<&SchemaValue> = match comparison {
            Comparison::With(version) => {
                self.find(subject, version, Deleted::Hidden).into_iter().collect()
            }
            Comparison::ByLevel => {
                let count = if level.transitive() { usize::MAX } else { 1 };
                self.versions(subject, Deleted::Hidden).rev().take(count).collect()
            }
        };
        for old in versions {
            let mut messages = self.compare(new, old, level);
            if !messages.is_empty() {
                messages.push(format!("{{oldSchemaVersion: {}}}", old.version));
                messages.push(format!("{{oldSchema: '{}'}}", old.schema));
                messages.push(format!("{{compatibility: '{}'}}", level.as_str()));
                return messages;
            }
        }
        Vec::new()
    }

    fn compare(&self, new: &Prepared, old: &SchemaValue, level: CompatibilityLevel) -> Vec<String> {
        if level == CompatibilityLevel::None {
            return Vec::new();
        }
        if old.schema_type.is_some() {
            return vec![
                "{errorType:'SCHEMA_TYPE', description:'The schema type has changed'}".into(),
            ];
        }
        let parsed = match self.parse(&old.schema, &old.references) {
            Ok(parsed) => parsed,
            Err(error) => {
                let text = "The old schema cannot be read, so nothing can be promised";
                return vec![format!(
                    "{{errorType:'OLD_SCHEMA_INVALID', description:'{text}', additionalInfo:'{error}'}}"
                )];
            }
        };
        let mut messages = Vec::new();
        if level.backward() {
            let found = avro::check(&new.parsed, &parsed);
            messages.extend(found.iter().map(|one| message(one, "new", "old")));
        }
        if level.forward() {
            let found = avro::check(&parsed, &new.parsed);
            messages.extend(found.iter().map(|one| message(one, "old", "new")));
        }
        messages
    }
}

/// A finding in the form of Confluent's messages.
fn message(found: &Incompatibility, reader: &str, writer: &str) -> String {
    let (path, detail) = (&found.location, &found.detail);
    let description = match found.kind {
        IncompatibilityKind::NameMismatch => {
            format!("The name of the schema has changed (path '{path}')")
        }
        IncompatibilityKind::FixedSizeMismatch => format!(
            "The size of the fixed type at path '{path}' in the {reader} schema is not that of the {writer} schema"
        ),
        IncompatibilityKind::MissingEnumSymbols => format!(
            "The {reader} schema is missing enum symbols '{detail}' at path '{path}' of the {writer} schema"
        ),
        IncompatibilityKind::ReaderFieldMissingDefaultValue => format!(
            "The field '{detail}' at path '{path}' in the {reader} schema has no default value and is missing in the {writer} schema"
        ),
        IncompatibilityKind::TypeMismatch => format!(
            "The type at path '{path}' in the {reader} schema does not match the {writer} schema"
        ),
        IncompatibilityKind::MissingUnionBranch => format!(
            "The {reader} schema is missing a type of the union at path '{path}' in the {writer} schema"
        ),
        IncompatibilityKind::AmbiguousAlias => format!(
            "The field '{detail}' at path '{path}' in the {reader} schema stands for several fields of the {writer} schema"
        ),
        IncompatibilityKind::TooComplex => "The schemas are too complex to be compared".to_owned(),
    };
    let kind = found.kind.as_str();
    format!("{{errorType:'{kind}', description:'{description}', additionalInfo:'{detail}'}}")
}
