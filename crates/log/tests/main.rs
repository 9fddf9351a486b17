//! The log as its users see it.

mod appending;
mod batches;
mod cleaning;
mod compaction_crashes;
mod crashes;
mod world;
