//! What the operator chooses, and its validation.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use prometheus::Registry;
use throughline_log::{FileLayer, FlushPolicy, StdFiles};

use crate::{catalogue::MAX_PARTITIONS, error::StartError};

/// The largest request accepted, as in Kafka (`socket.request.max.bytes`).
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 100 * 1024 * 1024;
/// Bytes of requests that may be in memory at a time, over all connections.
pub const DEFAULT_IN_FLIGHT_BYTES: usize = 256 * 1024 * 1024;
/// How often retention and compaction look at what was written.
pub const DEFAULT_MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);
/// How long committed offsets of an empty group are kept, as in Kafka (seven days).
pub const DEFAULT_OFFSETS_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// Partitions of a topic whose creator does not say, as in Kafka (`num.partitions`).
const DEFAULT_PARTITIONS: i32 = 1;
/// Connections at a time. Each is a file descriptor and a few tasks of some kilobytes.
const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
/// The least limit of a request: below it a client could not even introduce itself.
const LEAST_REQUEST_BYTES: usize = 1024;

/// Everything a broker needs to start.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// The folder of the log; one process at a time may use it.
    pub data_dir: PathBuf,
    /// Where to listen. Only loopback addresses are accepted; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The host name told to clients; the IP address of `listen` if absent.
    pub advertised_host: Option<String>,
    /// When an append counts as durable.
    pub flush: FlushPolicy,
    /// Whether a topic is created when a producer or consumer first names it.
    pub auto_create_topics: bool,
    /// Partitions of a topic whose creator does not say.
    pub default_partitions: i32,
    /// Where the metrics `throughline_broker_*` are registered.
    pub metrics: Registry,
    /// The file system, replaceable by one that injects faults.
    pub files: Arc<dyn FileLayer>,
    /// The largest request in bytes; a longer one closes the connection.
    pub max_request_bytes: usize,
    /// Bytes of requests in memory over all connections; readers wait beyond it.
    pub in_flight_bytes: usize,
    /// Connections at a time; further ones are closed at once.
    pub max_connections: usize,
    /// How long the first join of an empty group waits for further members.
    pub initial_rebalance_delay: Duration,
    /// How long committed offsets outlive the last member of their group.
    pub offsets_retention: Duration,
    /// How often retention, compaction and offset expiry run.
    pub maintenance_interval: Duration,
}

impl BrokerOptions {
    /// The defaults: 127.0.0.1 on a free port, fsync before every acknowledgement.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertised_host: None,
            flush: FlushPolicy::EveryAck,
            auto_create_topics: true,
            default_partitions: DEFAULT_PARTITIONS,
            metrics: Registry::new(),
            files: Arc::new(StdFiles),
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            in_flight_bytes: DEFAULT_IN_FLIGHT_BYTES,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            initial_rebalance_delay: Duration::ZERO,
            offsets_retention: DEFAULT_OFFSETS_RETENTION,
            maintenance_interval: DEFAULT_MAINTENANCE_INTERVAL,
        }
    }

    /// Refuses what cannot work before anything is opened.
    pub(crate) fn validate(&self) -> Result<(), StartError> {
        if !self.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback { listen: self.listen });
        }
        if !(1..=MAX_PARTITIONS).contains(&self.default_partitions) {
            return Err(StartError::DefaultPartitions { found: self.default_partitions });
        }
        if !(LEAST_REQUEST_BYTES..=i32::MAX as usize).contains(&self.max_request_bytes) {
            return Err(StartError::RequestLimit { found: self.max_request_bytes });
        }
        if self.in_flight_bytes < self.max_request_bytes {
            return Err(StartError::InFlightBudget {
                budget: self.in_flight_bytes,
                request: self.max_request_bytes,
            });
        }
        if self.maintenance_interval.is_zero() {
            return Err(StartError::MaintenanceInterval);
        }
        Ok(())
    }
}
