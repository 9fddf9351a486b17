//! The broker as a client on a socket sees it, over crashes and restarts.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod client;
mod crashes;
mod data;
mod groups;
mod hostile;
mod local;
mod start;
mod topics;
mod transactions;
