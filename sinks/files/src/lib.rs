//! The sink that writes canonical records to files: JSON Lines or Parquet.
//!
//! `<folder>/<topic>/<partition>-<first offset>-<last offset>.jsonl`. A file is written under a
//! hidden name, synced, renamed, and its folder is synced; only then do receipts cover it. At the
//! start the names say where to go on, so each record is in one file over restarts and crashes.
//!
//! Memory: a buffer per partition; for Parquet a row group per partition.

mod error;
mod lane;
mod listing;
mod name;
mod options;
mod part;
mod sink;
mod spool;
mod table;

pub use options::{FilesOptions, FormatOptions, RollOptions, Settings};
pub use sink::FilesSink;
