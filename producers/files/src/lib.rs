//! The producer that reads CSV, JSON Lines and JSON files from a watched folder.
//!
//! - `append`: a file that only grows. Each complete line is read once.
//! - `replace`: a full dump. Each complete version is a sweep: what is missing in it is gone.
//! - `deliver`: one file per delivery. Each is read once, its rows are changes.
//!
//! The position (one JSON text) says what was read of which file; it is committed with the events,
//! so a row is published exactly once whenever the process dies. A row that cannot be published goes
//! to the dead letters with its place, the rest flows; a file that is plainly wrong is set aside.
//! Memory does not grow with the size of the files.
//!
//! Left to others: which documents changed and which keys are gone (the differ), publishing and
//! committing (the runtime).

mod capture;
mod convert;
mod csv;
mod error;
mod folder;
mod glob;
mod hash;
mod input;
mod job;
mod json;
mod kind;
mod layout;
mod mended;
mod options;
mod position;
mod rows;
mod settings;
mod sort;

pub use capture::FilesProducer;
pub use options::{
    ColumnOptions, ExtraColumns, FileOptions, FilesOptions, FormatOptions, GroupOptions,
    ModeOptions, Ordered, PartitionOptions, QuarantineOptions,
};
pub use settings::Settings;
