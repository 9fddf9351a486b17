//! The normalizer from outside: canonical schemas, the shipped packs and their fixtures.

#![expect(clippy::unwrap_used, reason = "a helper that panics fails its test")]

mod accounts;
mod packs;
mod process;
mod schemas;
mod shipped;
