//! Failures of the service itself. What a request can be answered with is in `api::error`.

use std::net::SocketAddr;

/// The `_schemas` log could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the schemas log failed")]
pub struct LogFailure {
    /// What the storage said.
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl LogFailure {
    /// Wraps the storage's own error.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }

    /// What the storage said, for the one place that logs it.
    pub(crate) fn cause(&self) -> &(dyn std::error::Error + Send + Sync) {
        &*self.source
    }
}

/// Why the registry did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is reachable from other machines, and the registry has no authentication.
    #[error(
        "TL0401: the schema registry listens on loopback only, not on {address}; use 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// No request could fit into the body limit.
    #[error(
        "TL0402: the schema registry's body limit of {bytes} bytes is too small; allow at least {least}"
    )]
    BodyLimitTooSmall {
        /// The limit that was asked for, in bytes.
        bytes: usize,
        /// The smallest useful limit, in bytes.
        least: usize,
    },
    /// The address could not be bound.
    #[error(
        "TL0403: could not listen on {address} for the schema registry; write a free port, or 0 \
         for any: `bus: {{embedded: {{registry: \"127.0.0.1:0\"}}}}`"
    )]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The log could not be read.
    #[error(
        "TL0404: could not read the registry's state from the schemas log; see the broker's log"
    )]
    Load {
        /// What the storage said.
        #[source]
        source: LogFailure,
    },
}

impl StartError {
    /// The stable code, which has a page in the reference.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotLoopback { .. } => "TL0401",
            Self::BodyLimitTooSmall { .. } => "TL0402",
            Self::Bind { .. } => "TL0403",
            Self::Load { .. } => "TL0404",
        }
    }
}
