//! The producer as the runtime sees it: folders with files in, items and positions out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod append;
mod bad_input;
mod deliver;
mod example;
mod formats;
mod properties;
mod replace;
mod support;
