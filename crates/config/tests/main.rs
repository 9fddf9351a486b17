//! Configurations and packs as operators write them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod accepted;
mod catalog;
mod compat;
mod mistakes;
mod packs;
mod reference;
