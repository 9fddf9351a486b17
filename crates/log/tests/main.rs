//! The log as its users see it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests too")]

mod appending;
mod batches;
mod cleaning;
mod compaction_crashes;
mod crashes;
mod damage;
mod producing;
mod world;
