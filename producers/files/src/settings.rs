//! Options that were checked.

use std::path::PathBuf;
use std::time::Duration;

use encoding_rs::Encoding;
use throughline_avro::Schema;
use throughline_connector::PartitionRule;
use throughline_event::EntityName;

use crate::glob::Pattern;
use crate::kind::Kind;
use crate::options::{ModeOptions, QuarantineOptions};

/// What a producer of files does; made by validation only.
#[derive(Debug)]
pub struct Settings {
    pub(crate) folder: PathBuf,
    pub(crate) poll: Duration,
    pub(crate) scratch: Option<PathBuf>,
    pub(crate) entities: Vec<EntitySettings>,
}

/// The files of one entity.
#[derive(Debug)]
pub(crate) struct EntitySettings {
    pub name: EntityName,
    pub pattern: Pattern,
    pub mode: ModeOptions,
    pub format: Format,
    pub encoding: &'static Encoding,
    pub shape: Shape,
    /// Fields of the key, in its order.
    pub key: Vec<String>,
    pub grouped: bool,
    /// Columns or JSON paths that are never looked at.
    pub drop: Vec<String>,
    pub ignore_extra: bool,
    pub ignore: Vec<String>,
    pub partitions: PartitionRule,
    pub max_delete_percent: u32,
    pub max_row: usize,
    pub quarantine: QuarantineOptions,
    /// Changes with the options: what was refused is tried again, and dumps are read again.
    pub fingerprint: u64,
}

/// How a file is written.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    Csv(Dialect),
    JsonLines,
    JsonArray,
}

/// CSV's choices.
#[derive(Debug, Clone)]
pub(crate) struct Dialect {
    pub delimiter: u8,
    pub quote: u8,
    pub header: bool,
    /// All columns in declared order, dropped ones too.
    pub declared: Vec<String>,
}

/// Where a document's fields come from.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Field by field.
    Columns(Vec<Column>),
    /// A JSON object as a whole.
    Document(Schema),
}

/// One field of a row.
#[derive(Debug)]
pub(crate) struct Column {
    /// Name in the header, or JSON path.
    pub source: String,
    pub field: String,
    pub kind: Kind,
    pub nullable: bool,
    pub empty: Empty,
}

/// What an empty value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Empty {
    /// It must not be.
    Refused,
    Null,
    Text,
}
