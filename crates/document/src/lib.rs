//! Whole documents by key: what was last published, and what is different now.
//!
//! Every producer ends in the same step. It has read a document for a key; the [`Differ`] compares it
//! with the one last published and answers with a [`Change`](throughline_event::Change), or with
//! nothing when it is the same or older. A full dump is a *sweep*: keys that were not seen are gone.
//!
//! - A [`Store`] is a cache of the producer's own compacted topics, one SQLite file per producer. It
//!   is committed after the Kafka transaction, so it may be behind the topics and is never ahead;
//!   [`Differ::apply_published`] catches it up at the start. A lost or damaged file is rebuilt.
//! - Keys and documents are opaque Avro datums. Only ignore lists and grouped documents look inside.
//! - The set of keys that a sweep has seen is one bit per key in memory. It survives transactions,
//!   not a restart: the producer reads the dump again from its start, and what is already published
//!   is found to be the same.
//! - Beside the documents it knows which dead letters of a producer are open, and from which reading
//!   of which source they came, so that they can be resolved when the source was mended.
//!
//! Leaves to others: who publishes, which version a change has, reading the topics.

mod differ;
mod error;
pub mod group;
mod shape;
mod statements;
mod store;
mod sweep;

pub use differ::{Differ, Gone};
pub use error::StoreError;
pub use group::GroupError;
pub use shape::EntityShape;
pub use store::{EntityId, Store};
