//! From a request's schema to one that can be compared and stored.

use std::collections::HashSet;

use serde_json::Value;

use crate::api::ApiError;
use crate::avro;
use crate::ids::{SchemaId, Subject, Version};
use crate::record::{Reference, SchemaValue};

use super::{Deleted, State};

/// A schema as a request brings it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidate {
    pub(crate) schema: String,
    pub(crate) schema_type: Option<String>,
    pub(crate) references: Vec<Reference>,
    pub(crate) metadata: Option<Value>,
    pub(crate) rule_set: Option<Value>,
    /// Only allowed in import mode.
    pub(crate) id: Option<SchemaId>,
    /// Only allowed in import mode, or when it is the next one.
    pub(crate) version: Option<Version>,
}

/// A valid schema with its identifying text.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) parsed: avro::Schema,
    form: avro::Form,
    /// The version it would become; number and id are not decided yet.
    pub(super) value: SchemaValue,
}

/// How many schemas one schema may refer to, directly or not.
const MAX_REFERENCES: usize = 1000;

impl State {
    /// Resolves, parses and prints a candidate for `subject`.
    pub(crate) fn prepare(
        &self,
        subject: &Subject,
        candidate: &Candidate,
        normalize: bool,
    ) -> Result<Prepared, ApiError> {
        if let Some(other) = candidate.schema_type.as_deref().filter(|kind| *kind != "AVRO") {
            return Err(ApiError::SchemaType { schema_type: other.to_owned() });
        }
        if candidate.schema.trim().is_empty() {
            return Err(ApiError::EmptySchema);
        }
        let parsed = self
            .parse(&candidate.schema, &candidate.references)
            .map_err(|reason| ApiError::InvalidSchema { reason })?;
        let form = if normalize || self.normalizes(subject) {
            avro::Form::Normalized
        } else {
            avro::Form::Canonical
        };
        let value = SchemaValue {
            subject: subject.clone(),
            version: Version(0),
            id: SchemaId(0),
            schema_type: None,
            references: candidate.references.clone(),
            metadata: candidate.metadata.clone(),
            rule_set: candidate.rule_set.clone(),
            schema: avro::print(&parsed, form),
            deleted: false,
            others: serde_json::Map::new(),
        };
        Ok(Prepared { parsed, form, value })
    }

    /// Parses a schema text with the schemas that it refers to.
    pub(super) fn parse(
        &self,
        text: &str,
        references: &[Reference],
    ) -> Result<avro::Schema, Unusable> {
        let mut texts = Vec::new();
        self.collect(references, &mut HashSet::new(), &mut texts)?;
        Ok(avro::parse(text, &texts)?)
    }

    /// The texts behind `references`, each after those that it needs itself.
    ///
    /// A reference is marked before it is followed: a cycle, which only a damaged log can hold,
    /// ends in an unknown name instead of endlessly.
    fn collect<'a>(
        &'a self,
        references: &'a [Reference],
        seen: &mut HashSet<(&'a Subject, Version)>,
        texts: &mut Vec<&'a str>,
    ) -> Result<(), Unusable> {
        let mut pending: Vec<Step<'a>> = references.iter().rev().map(Step::Follow).collect();
        while let Some(step) = pending.pop() {
            let reference = match step {
                Step::Emit(text) => {
                    texts.push(text);
                    continue;
                }
                Step::Follow(reference) => reference,
            };
            if !seen.insert((&reference.subject, reference.version)) {
                continue;
            }
            if seen.len() > MAX_REFERENCES {
                return Err(Unusable::TooManyReferences);
            }
            let value = self.version(&reference.subject, reference.version);
            let value = value.ok_or_else(|| Unusable::NoReference(reference.clone()))?;
            if value.schema_type.is_some() {
                return Err(Unusable::ReferenceType(reference.clone()));
            }
            pending.push(Step::Emit(&value.schema));
            pending.extend(value.references.iter().rev().map(Step::Follow));
        }
        Ok(())
    }

    /// The version of `subject` that holds this schema, the newest first.
    ///
    /// Texts that another registry stored in another layout are compared by their meaning.
    pub(crate) fn lookup(
        &self,
        subject: &Subject,
        wanted: &Prepared,
        deleted: Deleted,
    ) -> Option<&SchemaValue> {
        let same_text = |value: &&SchemaValue| value.schema == wanted.value.schema;
        let same_rest = |value: &&SchemaValue| {
            value.schema_type == wanted.value.schema_type
                && value.references == wanted.value.references
                && value.metadata == wanted.value.metadata
                && value.rule_set == wanted.value.rule_set
        };
        let mut exact = self.versions(subject, deleted).rev().filter(same_rest);
        exact.find(same_text).or_else(|| {
            self.versions(subject, deleted).rev().filter(same_rest).find(|value| {
                self.parse(&value.schema, &value.references)
                    .is_ok_and(|parsed| avro::print(&parsed, wanted.form) == wanted.value.schema)
            })
        })
    }
}

enum Step<'a> {
    Follow(&'a Reference),
    Emit(&'a str),
}

/// Why a text cannot be used as a schema.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error(transparent)]
    Text(#[from] avro::InvalidSchema),
    #[error("no schema found for the reference '{}' to version {} of subject '{}'", .0.name, .0.version, .0.subject)]
    NoReference(Reference),
    #[error("the reference '{}' is not an Avro schema", .0.name)]
    ReferenceType(Reference),
    #[error("more than {MAX_REFERENCES} references")]
    TooManyReferences,
}
