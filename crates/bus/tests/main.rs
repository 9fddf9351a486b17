//! Every test runs on the embedded bus, or on the Kafka cluster that `THROUGHLINE_TEST_KAFKA`
//! names (`host:port`), with the registry of `THROUGHLINE_TEST_REGISTRY` (a URL) or, without it, the
//! embedded registry on a log in memory.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests by the lint")]

mod consume;
mod embedding;
mod errors;
mod offsets;
mod read;
mod registry;
mod support;
mod topics;
mod transactions;
