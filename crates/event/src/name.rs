//! Names and numbers that identify things on the log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "TL0001: {kind} name {name:?} is not allowed; use 1 to {max} characters of a-z, 0-9 and \
     inner hyphens{more}"
)]
pub struct NameError {
    /// What the name was for.
    pub kind: &'static str,
    /// The name as it was written.
    pub name: String,
    /// The longest allowed length.
    pub max: usize,
    /// What else is allowed.
    pub more: &'static str,
}

/// The form of the names of systems, entities and workers as a regular expression, for schemas of
/// what operators write.
pub const NAME_PATTERN: &str = "^[a-z0-9]([a-z0-9-]{0,78}[a-z0-9])?$";

/// Lowercase words with inner hyphens: `.` separates the parts of a topic name, and `.` and `_`
/// collide in Kafka's metric names, so neither may stand inside a part.
fn is_word(text: &str, max: usize) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    bytes.len() <= max
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

macro_rules! word {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            const MAX: usize = 80;

            /// Checks and wraps a name.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                if is_word(&name, Self::MAX) {
                    Ok(Self(name))
                } else {
                    Err(NameError { kind: $kind, name, max: Self::MAX, more: "" })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

word!(
    /// One instance of a system: `shop`, `erp-eu`.
    SystemName, "system"
);
word!(
    /// An entity of a system or of the canonical model: `order`, `stock-row`.
    EntityName, "entity"
);
word!(
    /// One producer, processor or sink as the configuration names it.
    WorkerName, "worker"
);

/// A topic: `cdc.<system>.<entity>`, `canonical.<entity>`, `observed.<system>.<entity>`,
/// `dead.<worker>`, `positions.<producer>`, or any other name that Kafka allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicName(String);

impl TopicName {
    /// Kafka's limit.
    const MAX: usize = 249;

    /// Checks a name by Kafka's rules: 1 to 249 of `a-z A-Z 0-9 . _ -`, not `.` or `..`.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let fits = !name.is_empty() && name.len() <= Self::MAX && name != "." && name != "..";
        if fits && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            let more = ", A-Z, dots and underscores";
            Err(NameError { kind: "topic", name, max: Self::MAX, more })
        }
    }

    /// The raw topic of an entity of a system.
    pub fn cdc(system: &SystemName, entity: &EntityName) -> Self {
        Self(format!("cdc.{system}.{entity}"))
    }

    /// The canonical topic of an entity.
    pub fn canonical(entity: &EntityName) -> Self {
        Self(format!("canonical.{entity}"))
    }

    /// The topic of an entity as a system that does not own it shows it.
    pub fn observed(system: &SystemName, entity: &EntityName) -> Self {
        Self(format!("observed.{system}.{entity}"))
    }

    /// The dead-letter topic of a worker.
    pub fn dead(worker: &WorkerName) -> Self {
        Self(format!("dead.{worker}"))
    }

    /// The topic that holds a producer's source position.
    pub fn positions(producer: &WorkerName) -> Self {
        Self(format!("positions.{producer}"))
    }

    /// The worker whose dead letters it holds, if it is a dead-letter topic.
    pub fn dead_of(&self) -> Option<WorkerName> {
        WorkerName::new(self.0.strip_prefix("dead.")?).ok()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registry's subject of the keys (TopicNameStrategy).
    pub fn key_subject(&self) -> String {
        format!("{self}-key")
    }

    /// The registry's subject of the values (TopicNameStrategy).
    pub fn value_subject(&self) -> String {
        format!("{self}-value")
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TopicName {
    type Error = NameError;
    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl From<TopicName> for String {
    fn from(name: TopicName) -> Self {
        name.0
    }
}

/// A partition's number within its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub i32);

/// A record's offset within its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    /// The offset after this one: what a consumer commits when it is done with this record.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionId,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition.0)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lowercase_with_inner_hyphens() {
        for good in ["shop", "erp-eu", "3pl", "a"] {
            assert_eq!(SystemName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ü", &"a".repeat(81)] {
            assert!(SystemName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_topics_of_dead_letters_tell_their_worker() {
        let worker = WorkerName::new("lake").unwrap();
        assert_eq!(TopicName::dead(&worker).dead_of(), Some(worker));
        for other in ["canonical.lake", "dead", "dead.", "dead.A", "undead.lake", "dead.a.b"] {
            assert_eq!(TopicName::new(other).unwrap().dead_of(), None, "{other}");
        }
    }

    #[test]
    fn topics_follow_kafkas_rules() {
        for good in ["canonical.order", "__consumer_offsets", "A-b_c.9"] {
            assert!(TopicName::new(good).is_ok());
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", &"a".repeat(250)] {
            assert!(TopicName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refused_name_says_what_is_allowed() {
        let error = EntityName::new("Stock Row").unwrap_err().to_string();
        assert!(error.contains("TL0001") && error.contains("\"Stock Row\""), "{error}");
        assert!(error.contains("a-z, 0-9"), "{error}");
    }

    #[test]
    fn a_refused_name_does_not_deserialize() {
        assert!(serde_json::from_str::<WorkerName>("\"a b\"").is_err());
    }
}
