//! Why a program gave no value, in VRL's words.

use vrl::compiler::prelude::ValueError;

use super::Call;
use super::budget::Limit;

/// Why a program gave no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The mapping refuses the document.
    Abort {
        /// Where.
        at: usize,
        /// What it says.
        message: Option<String>,
    },
    /// A call or an operator could not be evaluated.
    Error {
        /// The sentence, with those of the calls around it.
        message: String,
        /// The innermost call: its own sentence and where it stands.
        innermost: Option<(String, usize)>,
    },
    /// The document costs too much: nothing in the mapping can go on from here.
    Limit {
        /// What was used up.
        limit: Limit,
        /// The innermost call.
        at: Option<usize>,
    },
}

impl Failure {
    /// A sentence that no call has added its own to.
    pub(super) fn error(message: impl Into<String>) -> Box<Self> {
        Box::new(Self::Error { message: message.into(), innermost: None })
    }

    /// Something was used up.
    #[cold]
    pub(super) fn limit(limit: Limit) -> Box<Self> {
        Box::new(Self::Limit { limit, at: None })
    }

    /// Whether the document costs too much.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self, Self::Limit { .. })
    }

    /// Values of kinds that do not go together.
    pub(super) fn value(error: &ValueError) -> Box<Self> {
        Self::error(error.to_string())
    }

    /// The same, seen from outside of a call.
    pub(super) fn through(mut self: Box<Self>, call: &Call) -> Box<Self> {
        match &mut *self {
            Self::Abort { .. } => {}
            Self::Error { message, innermost } => {
                innermost.get_or_insert_with(|| (message.clone(), call.start));
                let Call { name, start, end, .. } = call;
                *message =
                    format!("function call error for \"{name}\" at ({start}:{end}): {message}");
            }
            Self::Limit { at, .. } => *at = at.or(Some(call.start)),
        }
        self
    }

    /// All that is said.
    pub(super) fn message(&self) -> &str {
        match self {
            Self::Abort { message, .. } => message.as_deref().unwrap_or("aborted"),
            Self::Error { message, .. } => message,
            Self::Limit { limit, .. } => limit.sentence(),
        }
    }

    /// What an operator reads, and where it happened.
    pub(crate) fn reason(&self) -> (&str, Option<usize>) {
        match self {
            Self::Abort { at, .. } => (self.message(), Some(*at)),
            Self::Error { innermost: Some((message, at)), .. } => (message, Some(*at)),
            Self::Error { message, innermost: None } => (message, None),
            Self::Limit { at, .. } => (self.message(), *at),
        }
    }
}
