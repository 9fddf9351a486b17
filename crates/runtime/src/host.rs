//! What every worker shares.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use throughline_bus::Bus;
use throughline_event::Micros;
use throughline_telemetry::Metrics;

use crate::Shutdown;

/// What every worker of a process shares. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host {
    /// The bus.
    pub bus: Bus,
    /// Where metrics are counted.
    pub metrics: Metrics,
    /// When to drain.
    pub shutdown: Shutdown,
    /// Folder of local state; a cache, safe to delete while nothing runs.
    pub state: PathBuf,
    /// Tells this process from others that run the same worker; part of transactional ids.
    pub instance: String,
    /// Bytes of a producer's state store that are kept in memory.
    pub state_bytes: usize,
    /// Bytes that one batch may hold: bounds the memory of every worker.
    pub batch_bytes: usize,
    /// Partitions of topics that this process creates, where the entity allows more than one.
    pub partitions: i32,
}

/// The wall clock; workers stamp what they see, processors never do.
pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
