//! What an operator sees of a running process: log lines, metrics and health.
//!
//! - [`log::init`] writes `tracing` events to stderr: text on a terminal, JSON lines otherwise.
//! - [`Metrics`] holds every metric of the workers; their names stand in [`metrics::DEFINITIONS`]
//!   and nowhere else. Labels are bounded: configured names, [`Stage`] and fixed words.
//! - [`MetricsServer`] serves `/metrics`, `/livez`, `/readyz` and `/workers` on a loopback
//!   address.
//! - [`http::serve`] serves HTTP with bounds, for it and for the schema registry.
//!
//! Nothing here knows what a worker does. Counting is per batch, not per record.

pub mod http;
pub mod log;
pub mod metrics;

mod health;
mod process;
mod server;

pub use health::{Health, WorkerState};
pub use metrics::{Metrics, Stage, WorkerMetrics};
pub use server::{MetricsServer, Options, ServeError};
