//! The embedded broker: a single node that speaks Kafka's protocol on loopback, over a durable log.
//!
//! It serves producers and consumers of every common client: idempotent and transactional
//! producers, classic consumer groups with durable offsets, compaction, retention and the admin
//! calls that tools make. It is one process on one machine and never becomes a cluster: beyond one
//! machine people use Apache Kafka, and every internal topic is written in Kafka's own format.
//!
//! Storage is the business of `throughline-log`. What this crate adds:
//! - `net`: connections, frames within a memory budget, answers in order;
//! - `api`: one file per API, each with its versions and what it does not implement;
//! - `catalogue`, `group`, `transaction`: topics, group coordinator, transaction coordinator;
//! - [`LocalLog`]: the same log for code in the same process.
//!
//! Invariants: nothing is acknowledged before it is durable under the flush policy; bytes from
//! outside never panic, and never make the broker allocate by a length they merely claim; a
//! decided transaction is finished, whatever happens in between.
//!
//! Not here: TLS, SASL and access rules (so it refuses to listen beyond loopback), quotas, and the
//! newer consumer group protocol.

mod api;
mod batch;
mod blocking;
mod broker_config;
mod catalogue;
mod core;
mod error;
mod group;
mod local;
mod maintenance;
mod metrics;
mod net;
mod options;
mod service;
mod store;
mod topic_config;
mod transaction;
mod wire;

pub use error::{LocalError, StartError};
pub use local::{LocalLog, LocalRecord};
pub use metrics::{METRICS, Metric};
pub use options::{
    BrokerOptions, DEFAULT_IN_FLIGHT_BYTES, DEFAULT_MAINTENANCE_INTERVAL,
    DEFAULT_MAX_REQUEST_BYTES, DEFAULT_OFFSETS_RETENTION,
};
pub use service::{Broker, BrokerHandle};
pub use throughline_log::{Ends, FileLayer, FlushPolicy, StdFiles};
