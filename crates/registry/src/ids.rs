//! The names and numbers of the registry.

use std::fmt;

/// The id that a serialized record carries; at least 1 for schemas registered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SchemaId(pub(crate) i32);

/// A schema's number within its subject, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version(pub(crate) i32);

/// What versions belong to: usually a topic's name with `-key` or `-value`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subject(String);

/// Longest subject: Kafka's longest topic, a record's full name and a separator fit well.
const MAX_SUBJECT_BYTES: usize = 1024;

impl Subject {
    /// Checks a subject from outside; `:.:name` is the default context's long form of `name`.
    ///
    /// Other contexts (`:.name:`) are refused rather than treated as part of the name.
    pub(crate) fn parse(written: &str) -> Option<Self> {
        let name = written.strip_prefix(":.:").unwrap_or(written);
        let valid = !name.is_empty()
            && name.len() <= MAX_SUBJECT_BYTES
            && !name.starts_with(":.")
            && !name.chars().any(char::is_control)
            && !matches!(name, "__GLOBAL" | "__EMPTY");
        valid.then(|| Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
