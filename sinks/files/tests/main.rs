//! The sink as the runtime sees it: batches in, receipts out, files on disk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conformance;
mod example;
mod files;
mod support;
