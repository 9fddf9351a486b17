//! Runs connectors: one named thread per worker, supervised, drained on request.
//!
//! Owns what a connector must not: transactions and commits, the differ behind producers, dead
//! letters and parked keys, retries, back-off, restarts. Invariants: a source is acknowledged only
//! after its events and its position are durable; offsets are committed only from a sink's receipt;
//! a processor's input offsets and outputs are one Kafka transaction.

mod backoff;
pub mod dead_letter;
mod error;
mod host;
mod kinds;
mod meter;
pub mod needs;
mod parking;
pub mod positions;
mod processor;
mod producer;
mod read;
mod shutdown;
mod sink;
mod supervisor;
mod target;

pub use error::{WorkerError, chain};
pub use host::Host;
pub use kinds::{Kind, Kinds, ProducerKind, ProducerRegistry, Reached, SinkKind, SinkRegistry};
pub use processor::ProcessorOptions;
pub use shutdown::Shutdown;
pub use supervisor::{Supervisor, Worker, WorkerState, WorkerStatus};
