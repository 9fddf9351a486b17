//! The normalizer from outside: canonical schemas, the shipped packs and their fixtures.

mod packs;
mod schemas;
