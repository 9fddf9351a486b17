//! The embedded bus: broker and registry in this process, listening on loopback, so that every
//! Kafka client on the machine sees the same data.

mod schema_log;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use throughline_broker::{
    Broker, BrokerHandle, BrokerOptions, DEFAULT_MAINTENANCE_INTERVAL, FlushPolicy, LocalLog,
};
use throughline_registry::{Registry, RegistryHandle, RegistryOptions};

use schema_log::{TopicLog, TopicProblem};

/// How to run an embedded bus.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The folder of the log; one process at a time may use it.
    pub data_dir: PathBuf,
    /// Where the broker listens; loopback only, port 0 takes a free one.
    pub kafka: SocketAddr,
    /// Where the registry listens; loopback only, port 0 takes a free one.
    pub registry: SocketAddr,
    /// When an append counts as durable.
    pub flush: FlushPolicy,
    /// How often retention and compaction look at what was written.
    pub maintenance_interval: Duration,
    /// Where the broker's metrics are registered.
    pub metrics: prometheus::Registry,
}

impl EmbeddedOptions {
    /// The defaults: 127.0.0.1 on free ports, fsync before every acknowledgement.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            data_dir: data_dir.into(),
            kafka: free,
            registry: free,
            flush: FlushPolicy::EveryAck,
            maintenance_interval: DEFAULT_MAINTENANCE_INTERVAL,
            metrics: prometheus::Registry::new(),
        }
    }
}

/// Why an embedded bus did not start. What had started is stopped again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The broker did not start.
    #[error("could not start the embedded broker")]
    Broker(#[source] throughline_broker::StartError),
    /// The topic of the schemas is not what it must be.
    #[error(
        "TL0524: the topic _schemas cannot hold the registry's records: {problem}; delete the topic if no schema in it is needed"
    )]
    SchemasTopic {
        /// What is wrong with it.
        problem: String,
    },
    /// The registry did not start.
    #[error("could not start the embedded registry")]
    Registry(#[source] throughline_registry::StartError),
}

/// A running embedded bus. Dropping it stops it without waiting; the log recovers at the next start.
#[derive(Debug)]
pub struct Embedded {
    broker: BrokerHandle,
    registry: RegistryHandle,
}

/// Starts broker and registry; when this returns, clients are served.
///
/// # Errors
/// See [`StartError`].
pub async fn start(options: EmbeddedOptions) -> Result<Embedded, StartError> {
    let broker = Broker::start(BrokerOptions {
        listen: options.kafka,
        flush: options.flush,
        maintenance_interval: options.maintenance_interval,
        metrics: options.metrics,
        // As the product's own clients: a topic is made by whoever knows its settings.
        auto_create_topics: false,
        ..BrokerOptions::new(options.data_dir)
    })
    .await
    .map_err(StartError::Broker)?;
    let registry = match TopicLog::open(broker.local()).await {
        Ok(log) => Registry::start(RegistryOptions::new(options.registry, Arc::new(log)))
            .await
            .map_err(StartError::Registry),
        Err(TopicProblem(problem)) => Err(StartError::SchemasTopic { problem }),
    };
    match registry {
        Ok(registry) => Ok(Embedded { broker, registry }),
        Err(error) => {
            broker.shutdown().await;
            Err(error)
        }
    }
}

impl Embedded {
    /// Where the broker listens.
    pub fn kafka_address(&self) -> SocketAddr {
        self.broker.address()
    }

    /// Where the registry is reached.
    pub fn registry_url(&self) -> String {
        self.registry.url()
    }

    /// The log without a socket in between.
    pub fn local(&self) -> LocalLog {
        self.broker.local()
    }

    /// Stops the registry, then the broker. What was acknowledged is durable already.
    pub async fn shutdown(self) {
        self.registry.shutdown().await;
        self.broker.shutdown().await;
    }
}
