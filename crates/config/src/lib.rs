//! One `throughline.yaml` and the system packs it names: read, checked, explained.
//!
//! The way of a file: bytes -> [`yaml`] nodes with their lines -> the shape ([`schema`]) -> meaning
//! (names that point at each other, the options of each connector) -> [`Config`], which cannot be
//! wrong and has no serde. Every step adds to one [`Report`] and goes on with whatever is still
//! sound, so that a file with ten mistakes gives ten findings, each with its code, line and fix.
//!
//! What a connector accepts is known by the connector alone: the binary hands in a [`Catalog`].
//! Reading does no I/O beyond the files themselves; nothing here connects to anything.

pub mod codes;
pub mod pack;
pub mod reference;
pub mod schema;
pub mod yaml;

mod catalog;
mod check;
mod config;
mod file;
mod load;
mod report;
mod secrets;

pub use catalog::Catalog;
pub use check::NORMALIZER;
pub use config::{Bus, Config, DATA, Embedded, Flush, Owner, Processor, Producer, Sink, System};
pub use load::{load, read};
pub use report::{Finding, Report};
pub use secrets::ProcessSecrets;
pub use throughline_event::{
    ByteSize, Path, Secret, SecretError, SecretRef, SecretSource, Span, Violation, Violations,
};
