//! What the operator writes, and its validation.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use throughline_connector::ConnectorOptions;
use throughline_event::{ByteSize, Path, Span, Violations};

use crate::error::OPTION;

/// A record is readable half a second after it was delivered, and a busy partition makes two files
/// a second at most.
const MAX_AGE: Span = Span::millis(500);

/// Large enough that readers do not open many files, small enough to be copied at once.
const MAX_BYTES: ByteSize = ByteSize::mib(64);

/// A file of small records is rolled before it takes long to read.
const MAX_RECORDS: u64 = 1_000_000;

/// Smallest file size that may be asked for: below, names outweigh contents.
const MIN_BYTES: u64 = 1 << 10;

/// Longest time that may be asked for: what is not rolled is not readable and not committed.
const LONGEST_AGE: Duration = Duration::from_secs(3_600);

/// Writes canonical records to files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesOptions {
    /// The folder that is written to; relative to the folder of the configuration file. Each topic
    /// has a folder of its own in it.
    pub folder: PathBuf,
    /// How the files are written.
    pub format: FormatOptions,
    /// When a file is finished and the next one begins.
    #[serde(default)]
    pub roll: RollOptions,
}

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FormatOptions {
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet, one row a record.
    Parquet,
}

/// A file is finished when any of these is reached.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollOptions {
    /// Time since its first record.
    pub max_age: Span,
    /// Its size.
    pub max_bytes: ByteSize,
    /// Its records.
    pub max_records: u64,
}

impl Default for RollOptions {
    fn default() -> Self {
        Self { max_age: MAX_AGE, max_bytes: MAX_BYTES, max_records: MAX_RECORDS }
    }
}

/// Options that were checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) folder: PathBuf,
    pub(crate) format: FormatOptions,
    pub(crate) roll: Roll,
}

/// When a file is finished.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Roll {
    pub max_age: Duration,
    pub max_bytes: u64,
    pub max_records: u64,
}

impl ConnectorOptions for FilesOptions {
    type Settings = Settings;

    fn validate(self, at: &Path, violations: &mut Violations) -> Option<Settings> {
        let before = violations.len();
        let mut add =
            |path: Path, message: &str, fix: &str| violations.add(OPTION, path, message, fix);
        if self.folder.as_os_str().is_empty() {
            add(at.key("folder"), "the folder is empty", "name the folder to write to");
        }
        let roll = Roll {
            max_age: self.roll.max_age.as_duration(),
            max_bytes: self.roll.max_bytes.as_u64(),
            max_records: self.roll.max_records,
        };
        let at = at.key("roll");
        if roll.max_age > LONGEST_AGE {
            add(at.key("max_age"), "must be at most 1h", "use 500ms");
        }
        if roll.max_bytes < MIN_BYTES {
            add(at.key("max_bytes"), "must be at least 1KiB", "use 64MiB");
        }
        if roll.max_records == 0 {
            add(at.key("max_records"), "must be at least 1", "use 1000000");
        }
        (violations.len() == before).then_some(Settings {
            folder: self.folder,
            format: self.format,
            roll,
        })
    }
}
