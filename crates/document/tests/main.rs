//! Integration tests of the crate, in one binary.

#![expect(clippy::unwrap_used, reason = "a helper that panics fails its test")]

mod model;
mod producer;
