//! The log as its users see it.

mod appending;
mod batches;
mod cleaning;
mod crashes;
mod world;
