//! What the operator chooses.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::error::StartError;
use crate::level::CompatibilityLevel;
use crate::log::SchemaLog;

/// Default for [`RegistryOptions::max_body_bytes`]: schemas of thousands of fields fit.
pub const DEFAULT_MAX_BODY_BYTES: usize = 1024 * 1024;

/// A request with the smallest schema fits.
const LEAST_MAX_BODY_BYTES: usize = 256;

/// How to run a registry.
pub struct RegistryOptions {
    /// Where to listen; loopback only, port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the records are kept.
    pub log: Arc<dyn SchemaLog>,
    /// The level for subjects without their own, until the API sets another.
    pub default_compatibility: CompatibilityLevel,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
}

impl RegistryOptions {
    /// Options with the defaults: `BACKWARD`, [`DEFAULT_MAX_BODY_BYTES`].
    #[must_use]
    pub fn new(listen: SocketAddr, log: Arc<dyn SchemaLog>) -> Self {
        Self {
            listen,
            log,
            default_compatibility: CompatibilityLevel::default(),
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), StartError> {
        if !self.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback { address: self.listen });
        }
        if self.max_body_bytes < LEAST_MAX_BODY_BYTES {
            let (bytes, least) = (self.max_body_bytes, LEAST_MAX_BODY_BYTES);
            return Err(StartError::BodyLimitTooSmall { bytes, least });
        }
        Ok(())
    }
}

impl std::fmt::Debug for RegistryOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RegistryOptions")
            .field("listen", &self.listen)
            .field("default_compatibility", &self.default_compatibility)
            .field("max_body_bytes", &self.max_body_bytes)
            .finish_non_exhaustive()
    }
}
