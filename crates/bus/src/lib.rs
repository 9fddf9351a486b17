//! The bus: one client API over the embedded log and any Kafka cluster, and the only user of
//! librdkafka.
//!
//! Owns: how Kafka and the schema registry are called, with which settings, what their errors mean;
//! schemas cached by id; Avro's framing on the way in and out. Leaves to others: what is written
//! and when offsets are committed.
//!
//! Everything blocks: a worker is one thread, and it polls, sends and commits on it. The thread that
//! waits can be woken with a [`Waker`].
//!
//! Invariants:
//! - Nothing is committed that was not asked for: no automatic commits, no automatic topics.
//! - Records of a partition are handed over in offset order, and a rebalance between them.
//! - A record that cannot be read is handed over as such; a registry that is away is an error.
//! - Memory is bounded by [`BusOptions::memory`] for each client, and the batch it fills.

mod block_on;
mod bus;
mod client;
mod consumer;
mod decode;
pub mod embedded;
mod error;
mod offsets;
mod options;
mod probe;
mod producer;
mod reach;
mod reader;
mod rule;
mod schemas;
mod signal;
mod topics;

pub use bus::Bus;
pub use consumer::{
    Committed, CommittedBy, Consumer, ConsumerGroup, ConsumerOptions, From, Isolation,
    PartitionLag, Polled, Rebalance,
};
pub use decode::{Entry, Part, Undecodable, Unreadable};
pub use error::{BusError, Cause, Recovery};
pub use options::{
    BusOptions, DEFAULT_CONNECT_TIMEOUT, DEFAULT_MEMORY, DEFAULT_TRANSACTION_TIMEOUT, LEAST_MEMORY,
};
pub use probe::{Probed, probe};
pub use producer::{LARGEST_RECORD, Outgoing, TransactionalProducer};
pub use reader::{READ_PATIENCE, Tail, TailFrom, TailOptions, Tailed};
pub use schemas::SubjectVersion;
pub use signal::Waker;
pub use topics::{Cleanup, PartitionInfo, Partitions, TopicInfo, TopicSpec};
