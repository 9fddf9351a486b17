//! The binary, end to end: real processes, real files, real signals.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are no tests to lints"
)]

mod aside;
mod big;
mod clients;
mod commands;
mod crash;
mod demo;
mod disk;
mod faults;
mod flow;
mod letters;
mod offsets;
mod oracle;
mod packs;
mod registry;
mod sandbox;
mod slow;
