//! The records of `_schemas`, as Confluent's registry writes them.
//!
//! A key is JSON without white space in a fixed order of members, because compaction compares
//! bytes. Kinds: `SCHEMA` (a version; `deleted` marks a soft delete, a tombstone a permanent one),
//! `CONFIG`, `MODE`, `DELETE_SUBJECT` (soft-deletes all versions up to one), `CLEAR_SUBJECT`
//! (forgets the subject), `NOOP`. Anything else is left alone and ignored.
//!
//! One addition: before the highest id is deleted for good, a `NOOP` remembers it in its value,
//! which other registries skip. Without it, the id could be given away again once compaction has
//! dropped the version's records.

use serde_json::{Map, Value, json};

use crate::ids::{SchemaId, Subject, Version};
use crate::level::CompatibilityLevel;
use crate::mode::Mode;

/// A named type from another subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) version: Version,
}

impl Reference {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "subject": self.subject.as_str(),
            "version": self.version.0,
        })
    }

    /// From a record or a request.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            name: value.get("name")?.as_str()?.to_owned(),
            subject: Subject::parse(value.get("subject")?.as_str()?)?,
            version: Version(integer(value, "version")?),
        })
    }
}

/// One version's record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SchemaValue {
    pub(crate) subject: Subject,
    pub(crate) version: Version,
    pub(crate) id: SchemaId,
    /// `None` is Avro, which the record leaves out.
    pub(crate) schema_type: Option<String>,
    pub(crate) references: Vec<Reference>,
    pub(crate) metadata: Option<Value>,
    pub(crate) rule_set: Option<Value>,
    pub(crate) schema: String,
    pub(crate) deleted: bool,
    /// Members that another registry wrote and this one does not know; they are written back.
    pub(crate) others: Map<String, Value>,
}

/// A setting of the registry (`None`) or of one subject.
pub(crate) type Scope = Option<Subject>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Config {
    pub(crate) level: Option<CompatibilityLevel>,
    pub(crate) normalize: Option<bool>,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Put(Box<SchemaValue>),
    Forget(Subject, Version),
    Config(Scope, Option<Config>),
    Mode(Scope, Option<Mode>),
    DeleteSubject(Subject, Version),
    ClearSubject(Subject),
    /// Ids up to this one are taken.
    HighestId(SchemaId),
    /// A record that carries nothing.
    Nothing,
}

/// Why a record is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IgnoredRecord {
    #[error("the key is not JSON of a known shape")]
    Key,
    #[error("the key's type is unknown")]
    KeyType,
    #[error("the value does not fit the key's type")]
    Value,
    #[error("the subject is not valid here")]
    Subject,
}

impl Change {
    /// The key and the value to append.
    pub(crate) fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let (key, value) = match self {
            Self::Put(value) => (schema_key(&value.subject, value.version), Some(value.to_json())),
            Self::Forget(subject, version) => (schema_key(subject, *version), None),
            Self::Config(scope, config) => (
                scoped_key("CONFIG", scope),
                config.map(|config| {
                    let mut value = scoped_value(scope);
                    if let Some(normalize) = config.normalize {
                        value.insert("normalize".into(), normalize.into());
                    }
                    if let Some(level) = config.level {
                        value.insert("compatibilityLevel".into(), level.as_str().into());
                    }
                    Value::Object(value)
                }),
            ),
            Self::Mode(scope, mode) => (
                scoped_key("MODE", scope),
                mode.map(|mode| {
                    let mut value = scoped_value(scope);
                    value.insert("mode".into(), mode.as_str().into());
                    Value::Object(value)
                }),
            ),
            Self::DeleteSubject(subject, version) => (
                json!({"keytype": "DELETE_SUBJECT", "subject": subject.as_str(), "magic": 0}),
                Some(json!({"subject": subject.as_str(), "version": version.0})),
            ),
            Self::ClearSubject(subject) => (
                json!({"keytype": "CLEAR_SUBJECT", "subject": subject.as_str(), "magic": 0}),
                Some(json!({"subject": subject.as_str()})),
            ),
            Self::HighestId(id) => {
                (json!({"keytype": "NOOP", "magic": 0}), Some(json!({"highestId": id.0})))
            }
            Self::Nothing => (json!({"keytype": "NOOP", "magic": 0}), None),
        };
        (key.to_string().into_bytes(), value.map(|value| value.to_string().into_bytes()))
    }

    /// Reads a record; `Err` says why it has no meaning here.
    pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, IgnoredRecord> {
        let key: Value = serde_json::from_slice(key).map_err(|_| IgnoredRecord::Key)?;
        let word = key.get("keytype").and_then(Value::as_str).ok_or(IgnoredRecord::Key)?;
        let value: Option<Value> = value
            .map(serde_json::from_slice)
            .transpose()
            .map_err(|_| IgnoredRecord::Value)?
            .filter(|value: &Value| !value.is_null());
        match word {
            "SCHEMA" => {
                let subject = subject_of(&key)?;
                let version = Version(integer(&key, "version").ok_or(IgnoredRecord::Key)?);
                match value {
                    None => Ok(Self::Forget(subject, version)),
                    Some(value) => SchemaValue::from_json(subject, version, value)
                        .map(|value| Self::Put(Box::new(value)))
                        .ok_or(IgnoredRecord::Value),
                }
            }
            "CONFIG" => {
                let config = value.as_ref().map(config_of).transpose()?;
                Ok(Self::Config(scope_of(&key)?, config))
            }
            "MODE" => {
                let mode = value.as_ref().map(mode_of).transpose()?;
                Ok(Self::Mode(scope_of(&key)?, mode))
            }
            "DELETE_SUBJECT" => match value {
                None => Ok(Self::Nothing),
                Some(value) => {
                    let version = integer(&value, "version").ok_or(IgnoredRecord::Value)?;
                    Ok(Self::DeleteSubject(subject_of(&key)?, Version(version)))
                }
            },
            "CLEAR_SUBJECT" if value.is_some() => Ok(Self::ClearSubject(subject_of(&key)?)),
            "CLEAR_SUBJECT" => Ok(Self::Nothing),
            "NOOP" => Ok(value
                .and_then(|value| integer(&value, "highestId"))
                .map_or(Self::Nothing, |id| Self::HighestId(SchemaId(id)))),
            _ => Err(IgnoredRecord::KeyType),
        }
    }
}

impl SchemaValue {
    fn to_json(&self) -> Value {
        let mut value = Map::new();
        value.insert("subject".into(), self.subject.as_str().into());
        value.insert("version".into(), self.version.0.into());
        value.insert("id".into(), self.id.0.into());
        value.extend(self.others.clone());
        if let Some(schema_type) = &self.schema_type {
            value.insert("schemaType".into(), schema_type.as_str().into());
        }
        if !self.references.is_empty() {
            let references = self.references.iter().map(Reference::to_json).collect();
            value.insert("references".into(), references);
        }
        for (key, part) in [("metadata", &self.metadata), ("ruleSet", &self.rule_set)] {
            value.extend(part.clone().map(|part| (key.to_owned(), part)));
        }
        value.insert("schema".into(), self.schema.as_str().into());
        value.insert("deleted".into(), self.deleted.into());
        Value::Object(value)
    }

    fn from_json(subject: Subject, version: Version, value: Value) -> Option<Self> {
        let id = SchemaId(integer(&value, "id")?);
        let Value::Object(mut value) = value else { return None };
        let Some(Value::String(schema)) = value.remove("schema") else { return None };
        let references = match value.remove("references").filter(|value| !value.is_null()) {
            None => Vec::new(),
            Some(list) => {
                list.as_array()?.iter().map(Reference::from_json).collect::<Option<_>>()?
            }
        };
        let schema_type = value
            .remove("schemaType")
            .and_then(|value| value.as_str().map(str::to_owned))
            .filter(|schema_type| schema_type != "AVRO");
        let metadata = value.remove("metadata").filter(|value| !value.is_null());
        let rule_set = value.remove("ruleSet").filter(|value| !value.is_null());
        let deleted = value.remove("deleted").and_then(|value| value.as_bool()).unwrap_or(false);
        for known in ["subject", "version", "id"] {
            value.remove(known);
        }
        Some(Self {
            subject,
            version,
            id,
            schema_type,
            references,
            metadata,
            rule_set,
            schema,
            deleted,
            others: value,
        })
    }
}

fn schema_key(subject: &Subject, version: Version) -> Value {
    json!({"keytype": "SCHEMA", "subject": subject.as_str(), "version": version.0, "magic": 1})
}

fn scoped_key(word: &str, scope: &Scope) -> Value {
    json!({"keytype": word, "subject": scope.as_ref().map(Subject::as_str), "magic": 0})
}

/// A setting's value names its subject, unless it is the registry's.
fn scoped_value(scope: &Scope) -> Map<String, Value> {
    scope.iter().map(|subject| ("subject".to_owned(), subject.as_str().into())).collect()
}

fn subject_of(key: &Value) -> Result<Subject, IgnoredRecord> {
    let written = key.get("subject").and_then(Value::as_str).ok_or(IgnoredRecord::Key)?;
    Subject::parse(written).ok_or(IgnoredRecord::Subject)
}

fn scope_of(key: &Value) -> Result<Scope, IgnoredRecord> {
    match key.get("subject") {
        None | Some(Value::Null) => Ok(None),
        Some(_) => subject_of(key).map(Some),
    }
}

fn config_of(value: &Value) -> Result<Config, IgnoredRecord> {
    let level = match value.get("compatibilityLevel").and_then(Value::as_str) {
        None => None,
        Some(name) => Some(CompatibilityLevel::from_name(name).ok_or(IgnoredRecord::Value)?),
    };
    Ok(Config { level, normalize: value.get("normalize").and_then(Value::as_bool) })
}

fn mode_of(value: &Value) -> Result<Mode, IgnoredRecord> {
    let name = value.get("mode").and_then(Value::as_str).ok_or(IgnoredRecord::Value)?;
    Mode::from_name(name).ok_or(IgnoredRecord::Value)
}

/// A whole number of 32 bits that is not negative.
pub(crate) fn integer(value: &Value, key: &str) -> Option<i32> {
    let number = value.get(key)?.as_i64()?;
    i32::try_from(number).ok().filter(|number| *number >= 0)
}

#[cfg(test)]
mod tests;
