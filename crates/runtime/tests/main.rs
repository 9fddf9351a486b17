//! Workers on an embedded bus.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod anew;
mod capture;
mod foreign;
mod lost;
mod mended;
mod parked;
mod rebuilt;
mod scripted;
mod support;
