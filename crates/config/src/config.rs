//! A configuration that passed every check.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use serde_json::{Map, Value};
use throughline_event::{ByteSize, EntityName, SystemName, TopicName, WorkerName};

use crate::pack::Pack;

/// The folder of the bus and the workers where the file names none.
pub const DATA: &str = "./throughline-data";
/// Enough for the queues of a dozen workers, small beside a shop's own database.
pub(crate) const MEMORY: ByteSize = ByteSize::mib(256);
/// Below this the queues of one flow no longer hold one batch each.
pub(crate) const MEMORY_MIN: ByteSize = ByteSize::mib(32);
/// Port of Kafka brokers everywhere.
pub(crate) const KAFKA: SocketAddr = loopback(9092);
/// Port of Confluent-compatible registries everywhere.
pub(crate) const REGISTRY: SocketAddr = loopback(8081);
/// The port that OpenTelemetry's exporters use for Prometheus.
pub(crate) const METRICS: SocketAddr = loopback(9464);

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Everything that one `throughline.yaml` says, with defaults filled in and names resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of the file, empty for that of the process: relative paths in the options of
    /// workers start here.
    pub folder: PathBuf,
    /// The folder of the embedded bus and of the state of workers.
    pub data: PathBuf,
    /// The log.
    pub bus: Bus,
    /// The memory for records on their way.
    pub memory: ByteSize,
    /// The address of metrics and health; always a loopback address.
    pub metrics: SocketAddr,
    /// The systems by name.
    pub systems: BTreeMap<SystemName, System>,
    /// The owner of each canonical entity.
    pub ownership: BTreeMap<EntityName, Owner>,
    /// The producers by name.
    pub producers: Vec<Producer>,
    /// The processors by name, the default ones included.
    pub processors: Vec<Processor>,
    /// The sinks by name.
    pub sinks: Vec<Sink>,
}

/// The log that everything reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// The broker and registry of this program.
    Embedded(Embedded),
    /// A Kafka cluster and a Confluent-compatible registry.
    Kafka {
        /// Bootstrap brokers, `host:port`; never empty.
        brokers: Vec<String>,
        /// The URL of the registry.
        registry: String,
    },
}

/// The embedded broker and registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// Where the broker listens; always a loopback address.
    pub kafka: SocketAddr,
    /// Where the registry listens; always a loopback address.
    pub registry: SocketAddr,
    /// What an acknowledgment promises.
    pub flush: Flush,
}

/// What the embedded broker has done when it acknowledges a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Written and flushed to the disk.
    EveryAck,
    /// Handed to the operating system.
    PageCache,
}

/// One system of the merchant.
#[derive(Debug, Clone)]
pub struct System {
    /// Its name on topics and records.
    pub name: SystemName,
    /// What is known about this kind of system.
    pub pack: Arc<Pack>,
    /// The settings that the pack asks for, defaults filled in.
    pub settings: BTreeMap<String, Value>,
}

/// Who owns the records of a canonical entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Every system owns its own records.
    Each,
    /// One system owns all of them.
    System(SystemName),
}

/// One producer.
#[derive(Debug, Clone, PartialEq)]
pub struct Producer {
    /// Its name, unique among all workers.
    pub name: WorkerName,
    /// The kind of connector.
    pub kind: String,
    /// The system that it reads.
    pub system: SystemName,
    /// Its own options, checked by the connector.
    pub options: Map<String, Value>,
}

/// One processor.
#[derive(Debug, Clone, PartialEq)]
pub struct Processor {
    /// Its name, unique among all workers.
    pub name: WorkerName,
    /// The kind of connector.
    pub kind: String,
    /// The system whose events it processes.
    pub system: SystemName,
    /// Its own options, checked by the connector.
    pub options: Map<String, Value>,
}

/// One sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Sink {
    /// Its name, unique among all workers.
    pub name: WorkerName,
    /// The kind of connector.
    pub kind: String,
    /// The topics that it reads; never empty.
    pub topics: Vec<TopicName>,
    /// Its own options, checked by the connector.
    pub options: Map<String, Value>,
}

impl Config {
    /// Whether `system` publishes `entity` to the canonical topic rather than to its observed one.
    pub fn owns(&self, system: &SystemName, entity: &EntityName) -> bool {
        match self.ownership.get(entity) {
            Some(Owner::Each) => true,
            Some(Owner::System(owner)) => owner == system,
            None => false,
        }
    }

    /// The topic to which `system` publishes its records of a canonical entity.
    pub fn topic(&self, system: &SystemName, entity: &EntityName) -> TopicName {
        if self.owns(system, entity) {
            TopicName::canonical(entity)
        } else {
            TopicName::observed(system, entity)
        }
    }

    /// The share of [`Config::memory`] for the queues of one worker, in and out together. A producer
    /// takes a second one for its state store. With many workers it is less than a client can work
    /// with, which the bus knows.
    pub fn worker_memory(&self) -> ByteSize {
        let shares = 2 * self.producers.len() + self.processors.len() + self.sinks.len();
        let shares = u64::try_from(shares.max(1)).unwrap_or(u64::MAX);
        ByteSize::bytes(self.memory.as_u64() / shares)
    }
}
