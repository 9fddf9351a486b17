//! What the operator and the system's pack write, and its validation.

mod validate;

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use throughline_connector::ConnectorOptions;
use throughline_event::{ByteSize, Path, Span, Violations};

use crate::settings::Settings;

/// How often the folder is looked at: a change is read within a second, and an idle folder of a
/// few hundred files costs well below 1 % of a core.
const POLL: Span = Span::millis(250);

/// Longest row: far above any real one, and small enough to wait for the end of a quotation in
/// memory.
const MAX_ROW: ByteSize = ByteSize::mib(1);

/// Reads CSV, JSON Lines and JSON files from a folder.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesOptions {
    /// The folder that is watched; relative to the folder of the configuration file.
    pub folder: PathBuf,
    /// How often the folder is looked at. A file counts as complete when its size and modification
    /// time did not change for this long.
    #[serde(default = "poll")]
    pub poll: Span,
    /// When a file is set aside as plainly wrong.
    #[serde(default)]
    pub quarantine: QuarantineOptions,
    /// Where grouped dumps larger than memory are sorted; the system's folder for temporary files
    /// when absent. Needs as much room as the largest dump.
    #[serde(default)]
    pub scratch: Option<PathBuf>,
    /// The files of each entity. The system's pack describes them; a key that stands here replaces
    /// the pack's, `columns` as a whole.
    pub entities: Ordered<FileOptions>,
}

/// A file is set aside when more than `percent` of `rows` consecutive rows are bad, or when it is
/// complete and all its rows are bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuarantineOptions {
    /// Bad rows that are too many, 0 to 100; 100 sets a file aside only when all its rows are bad.
    pub percent: u32,
    /// How many rows are looked at together; at least 1.
    pub rows: u32,
}

impl Default for QuarantineOptions {
    fn default() -> Self {
        Self { percent: 10, rows: 100 }
    }
}

/// The files of one entity.
///
/// Its serialized form decides whether files that were read are read again, so an option that is
/// added later is not serialized while it has its default.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOptions {
    /// Which files, by name within the folder: `*` stands for any characters and `?` for one.
    /// Folders in front of the name are taken literally.
    pub path: String,
    /// How the files are written.
    pub format: FormatOptions,
    /// How the files change.
    pub mode: ModeOptions,
    /// Character encoding, by any label of the WHATWG encoding standard. A byte order mark is
    /// skipped and wins over this.
    #[serde(default = "utf_8")]
    pub encoding: String,
    /// CSV: what stands between two values, one ASCII character.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// CSV: what stands around a value with delimiters or line breaks, one ASCII character.
    #[serde(default = "quotation_mark")]
    pub quote: char,
    /// CSV: whether the first line names the columns. Without it, `columns` are in file order.
    #[serde(default = "yes")]
    pub header: bool,
    /// What to do with columns, or top-level JSON fields, that are not declared.
    #[serde(default)]
    #[schemars(extend("default" = "refuse"))]
    pub extra_columns: ExtraColumns,
    /// The fields that identify a document, by their names in the document: what `field` of a column
    /// says, else the column's own name.
    pub key: Vec<String>,
    /// How rows become documents; without it, each row is one.
    #[serde(default)]
    pub group: Option<GroupOptions>,
    /// Columns, or JSON paths, that never leave the producer, not even in dead letters.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Columns by their name in the header, or JSON paths such as `address.city`, in the order of
    /// the document's fields.
    #[serde(default)]
    pub columns: Ordered<ColumnOptions>,
    /// JSON: the Avro schema of the whole object, in place of `columns`.
    #[serde(default)]
    pub document_schema: Option<String>,
    /// Fields that do not count as a change when nothing else differs, such as an export's own date.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// How many partitions the topic may have; without it `one` where the pack's `system.yaml` says
    /// `single_partition`, else `any`.
    #[serde(default)]
    pub partitions: PartitionOptions,
    /// `replace`: how many percent of the keys of the dump before may be missing in a new one. When
    /// more are, the new one is refused and nothing is deleted. 100 accepts every dump.
    #[serde(default = "max_delete_percent")]
    #[schemars(range(max = 100))]
    pub max_delete_percent: u32,
    /// Longest row or JSON object.
    #[serde(default = "max_row")]
    pub max_row: ByteSize,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FormatOptions {
    /// Comma separated values, RFC 4180.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// One array of JSON objects.
    Json,
}

/// How a file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModeOptions {
    /// It only grows; only complete lines are read.
    Append,
    /// It is replaced as a whole; what is missing in the new one is deleted.
    Replace,
    /// It is one delivery: read once, its rows are changes.
    Deliver,
}

/// What to do with columns that are not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExtraColumns {
    /// Refuse the file, or the JSON object.
    #[default]
    Refuse,
    /// Do not read them.
    Ignore,
}

/// How many partitions a topic may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartitionOptions {
    /// One: the canonical key is a natural key that can move from one document to another.
    #[default]
    One,
    /// Any number: the canonical key is the document's own.
    Any,
}

/// How rows become documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupOptions {
    /// All rows of one key are one document, its key fields and the array `rows`.
    Rows,
}

/// One column.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnOptions {
    /// The field of the document; the column's own name when absent.
    #[serde(default)]
    pub field: Option<String>,
    /// `string`, `long`, `double`, `boolean`, `decimal` (exact, as text), `decimal(p,s)`,
    /// `date`, `date(format)`, `timestamp` (RFC 3339), `timestamp(format, zone)`, and for nested
    /// JSON `json` (as text). Formats are those of strftime, zones `UTC`, `+01:00` or
    /// `Europe/London`.
    #[serde(default = "string", rename = "type")]
    pub kind: String,
    /// Whether the field may be null; an empty value then is null.
    #[serde(default)]
    pub nullable: bool,
    /// `""`: an empty value is an empty text, not null and not an error.
    #[serde(default)]
    pub empty: Option<String>,
}

fn poll() -> Span {
    POLL
}

fn max_row() -> ByteSize {
    MAX_ROW
}

fn max_delete_percent() -> u32 {
    50
}

fn utf_8() -> String {
    "utf-8".to_owned()
}

fn comma() -> char {
    ','
}

fn quotation_mark() -> char {
    '"'
}

fn yes() -> bool {
    true
}

fn string() -> String {
    "string".to_owned()
}

impl ConnectorOptions for FilesOptions {
    type Settings = Settings;

    fn validate(self, at: &Path, violations: &mut Violations) -> Option<Settings> {
        validate::settings(self, at, violations)
    }
}

/// A map that keeps the order in which it was written: columns are positional without a header,
/// and fields keep the order of the file.
#[derive(Debug, Clone)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Ordered<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Ordered(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Ordered<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        <std::collections::BTreeMap<String, T>>::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        <std::collections::BTreeMap<String, T>>::json_schema(generator)
    }
}
