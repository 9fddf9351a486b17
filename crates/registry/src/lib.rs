//! The embedded schema registry: Confluent's REST API for Avro over a compacted `_schemas` topic.
//!
//! It owns the API, the compatibility rules and the record format of the topic. It leaves storage
//! to whoever implements [`SchemaLog`], and knows nothing of Kafka's protocol.
//!
//! Invariants:
//! - What is answered is on the log first, durably. The state in memory is only ever built by
//!   applying records, at start and after each append, so a restart answers the same.
//! - Records have the keys and values that Confluent's registry writes, byte for byte in the keys,
//!   because compaction works on them: copying the topic moves the registry to a cluster.
//! - An id is never given to another schema, not even after it was deleted for good.
//! - Exactly one process writes to the log.
//!
//! Limits: Avro only (JSON Schema and Protobuf are refused), one context, no data contract rules
//! (metadata and rule sets are kept and returned, not applied), no guids (schema ids in record
//! headers, which Confluent's clients offer beside the prefix, need them), no associations, no
//! authentication, and therefore only on loopback.

mod api;
mod avro;
mod error;
mod ids;
mod level;
mod log;
mod mode;
mod options;
mod record;
mod service;
mod state;
mod store;

pub use error::{LogFailure, StartError};
pub use level::CompatibilityLevel;
pub use log::{BoxFuture, MemorySchemaLog, SchemaLog, SchemaRecord};
pub use options::{DEFAULT_MAX_BODY_BYTES, RegistryOptions};
pub use service::{Registry, RegistryHandle};
