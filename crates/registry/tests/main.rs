//! The registry over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as its asserts do")]

mod baseline;
mod client;
mod compatibility;
mod deletes;
mod endpoints;
mod failures;
mod hostile;
mod restart;
