//! The normalizer: change events of one system in, canonical records out.
//!
//! A [`Pack`] brings one VRL program per raw entity. [`Normalizer::load`] compiles each
//! once and checks it against the schemas on both sides; [`Normalizer`] implements
//! [`Processor`](throughline_connector::Processor): it maps `before` and `after` of every change,
//! and publishes the difference as upserts, deletes and tombstones.
//!
//! # What a mapping is given and gives
//! - `.` is the document, read-only: decimals and floats are exact text, times that name a zone
//!   are timestamps, dates and local times are text.
//! - `%settings` are the system's settings, `%system` is its name.
//! - The functions are an allow-list of VRL's own and those of the canonical model: `to_money`,
//!   `to_quantity`, `sum_money`, `multiply_money`, `negate_money`, `gtin14`, `country`, `currency`,
//!   `phone`, `filled`, `each`. There is no clock, no randomness, no I/O and no float.
//! - The result is an object: canonical entity -> record, list of records, or null. `meta` and the
//!   record's own `system` are filled by the engine, as is a `system` left out of `refs` and keys.
//!
//! # Invariants
//! - Same input, same output, byte for byte, in any process.
//! - What is published passed its entity's rules ([`InvariantViolation`] names the rule and both
//!   sides).
//! - A record that cannot be mapped gives an error and nothing else.

mod canonical;
mod check;
mod decode;
mod diagnostics;
mod encode;
mod entity;
mod fixture;
mod functions;
mod invariants;
mod kinds;
mod mapping;
mod meta;
mod normalizer;
mod program;
mod record;
mod spec;
mod stages;
mod value;

pub use canonical::{CanonicalEntity, canonical_entities, canonical_entity};
pub use diagnostics::{LoadError, LoadErrors};
pub use fixture::{FixtureError, Fixtures};
pub use invariants::InvariantViolation;
pub use mapping::Engine;
pub use normalizer::Normalizer;
pub use spec::{Pack, PackEntity, Spec};
pub use stages::{CanonicalRecords, Document, Stages};
pub use value::Arena;
