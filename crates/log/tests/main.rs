//! The log as its users see it.

mod appending;
mod batches;
mod crashes;
mod world;
