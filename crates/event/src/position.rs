//! Where a producer is in its source, and how changes of one key are ordered.

use serde::{Deserialize, Serialize};

/// A source position as its producer wrote it: JSON text that only that producer reads.
///
/// It is committed in the same Kafka transaction as the events that came before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(String);

impl Position {
    /// Wraps the producer's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The producer's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The order of the changes of one key within one system; never decreases, sinks refuse to go back.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(pub i64);
