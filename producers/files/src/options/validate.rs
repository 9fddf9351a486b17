//! From options to settings. No I/O.

use std::collections::HashSet;

use encoding_rs::Encoding;
use throughline_avro::{Node, Schema};
use throughline_connector::PartitionRule;
use throughline_event::{EntityName, Path, Violations};

use super::{
    ColumnOptions, ExtraColumns, FileOptions, FilesOptions, FormatOptions, ModeOptions, Ordered,
    PartitionOptions, QuarantineOptions,
};
use crate::error::OPTION;
use crate::glob::Pattern;
use crate::hash::fnv;
use crate::kind::Kind;
use crate::settings::{Column, Dialect, Empty, EntitySettings, Format, Settings, Shape};

/// Encodings whose later bytes of one character can be ASCII characters.
const MULTI_BYTE: [&Encoding; 6] = [
    encoding_rs::GBK,
    encoding_rs::GB18030,
    encoding_rs::BIG5,
    encoding_rs::SHIFT_JIS,
    encoding_rs::EUC_KR,
    encoding_rs::EUC_JP,
];

/// Smallest and largest limit of a row: a header must fit, and a row is held in memory.
const ROW_BYTES: std::ops::RangeInclusive<u64> = 64..=64 << 20;

/// Shortest poll: a shorter one only burns the processor.
const MIN_POLL: std::time::Duration = std::time::Duration::from_millis(10);

pub(super) fn settings(
    options: FilesOptions,
    at: &Path,
    violations: &mut Violations,
) -> Option<Settings> {
    let before = violations.len();
    let mut add = |path: Path, message: &str, fix: &str| violations.add(OPTION, path, message, fix);
    if options.folder.as_os_str().is_empty() {
        add(at.key("folder"), "the folder is empty", "name the folder that the files arrive in");
    }
    if options.poll.as_duration() < MIN_POLL {
        add(at.key("poll"), "must be at least 10ms", "use 250ms");
    }
    let quarantine = options.quarantine;
    if quarantine.percent > 100 {
        add(at.key("quarantine").key("percent"), "must be 0 to 100", "use 10");
    }
    if quarantine.rows == 0 {
        add(at.key("quarantine").key("rows"), "must be at least 1", "use 100");
    }
    if options.entities.0.is_empty() {
        add(at.key("entities"), "there are no entities", "describe at least one kind of file");
    }
    let mut entities = Vec::new();
    let mut names = HashSet::new();
    for (name, file) in options.entities.0 {
        let at = at.key("entities").key(name.clone());
        if !names.insert(name.clone()) {
            violations.add(OPTION, at.clone(), "the entity is described twice", "remove one");
        }
        match EntityName::new(name) {
            Ok(name) => {
                let mut entity = Entity { file, at, violations, quarantine };
                entities.extend(entity.settings(name));
            }
            Err(error) => {
                violations.add(OPTION, at, error.to_string(), "rename the entity");
            }
        }
    }
    let poll = options.poll.as_duration();
    (violations.len() == before).then_some(Settings {
        folder: options.folder,
        poll,
        scratch: options.scratch,
        entities,
    })
}

struct Entity<'v> {
    file: FileOptions,
    at: Path,
    violations: &'v mut Violations,
    quarantine: QuarantineOptions,
}

impl Entity<'_> {
    fn add(&mut self, key: &str, message: impl Into<String>, fix: &str) {
        self.violations.add(OPTION, self.at.key(key), message, fix);
    }

    fn settings(&mut self, name: EntityName) -> Option<EntitySettings> {
        let before = self.violations.len();
        let pattern = Pattern::parse(&self.file.path);
        if pattern.is_none() {
            let fix = "write a name such as orders*.csv, with wildcards in the last part only";
            self.add("path", "is not a file name within the folder", fix);
        }
        let encoding = self.encoding();
        let shape = self.shape();
        if let Some(shape) = &shape {
            self.key(shape);
        }
        self.combinations();
        let format = self.format(encoding);
        if self.file.max_delete_percent > 100 {
            self.add("max_delete_percent", "must be 0 to 100", "use 50");
        }
        if !ROW_BYTES.contains(&self.file.max_row.as_u64()) {
            self.add("max_row", "must be 64B to 64MiB", "use 1MiB");
        }
        let fingerprint = fingerprint(&self.file, self.quarantine);
        let (Some(pattern), Some(encoding), Some(shape), Some(format), true) =
            (pattern, encoding, shape, format, self.violations.len() == before)
        else {
            return None;
        };
        let file = &self.file;
        Some(EntitySettings {
            name,
            pattern,
            mode: file.mode,
            format,
            encoding,
            shape,
            key: file.key.clone(),
            grouped: file.group.is_some(),
            drop: file.drop.clone(),
            ignore_extra: file.extra_columns == ExtraColumns::Ignore,
            ignore: file.ignore.clone(),
            partitions: match file.partitions {
                PartitionOptions::One => PartitionRule::One,
                PartitionOptions::Any => PartitionRule::Any,
            },
            max_delete_percent: file.max_delete_percent,
            max_row: file.max_row.as_usize(),
            quarantine: self.quarantine,
            fingerprint,
        })
    }

    fn encoding(&mut self) -> Option<&'static Encoding> {
        let encoding = Encoding::for_label_no_replacement(self.file.encoding.as_bytes());
        // ISO-2022-JP switches alphabets in mid-stream, so no line can be read on its own.
        let encoding = encoding.filter(|&encoding| encoding != encoding_rs::ISO_2022_JP);
        if encoding.is_none() {
            let message = format!("{:?} is not an encoding that can be read", self.file.encoding);
            self.add("encoding", message, "use utf-8, windows-1252, utf-16le or another label");
        }
        encoding
    }

    fn combinations(&mut self) {
        let json = self.file.format != FormatOptions::Csv;
        if self.file.format == FormatOptions::Json && self.file.mode == ModeOptions::Append {
            self.add("mode", "a JSON array cannot be appended to", "use jsonl, or mode replace");
        }
        if self.file.document_schema.is_some() {
            if !json {
                self.add("document_schema", "is for JSON only", "describe the columns");
            }
            if self.file.group.is_some() {
                self.add("group", "rows with a document_schema cannot be grouped", "use columns");
            }
            if !self.file.columns.0.is_empty() {
                self.add("columns", "stands beside document_schema", "keep one of the two");
            }
        }
    }

    fn format(&mut self, encoding: Option<&'static Encoding>) -> Option<Format> {
        match self.file.format {
            FormatOptions::Jsonl => return Some(Format::JsonLines),
            FormatOptions::Json => return Some(Format::JsonArray),
            FormatOptions::Csv => {}
        }
        let multi_byte = encoding.is_some_and(|encoding| MULTI_BYTE.contains(&encoding));
        let FileOptions { delimiter, quote, .. } = self.file;
        let mut byte = |key: &str, value: char| match u8::try_from(value) {
            Ok(byte) if byte.is_ascii() && byte != b'\n' && byte != b'\r' => {
                if multi_byte && byte >= 0x30 {
                    let message =
                        format!("{value:?} can be a part of a character in this encoding");
                    self.add(key, message, "convert the file to utf-8 or use a comma");
                }
                Some(byte)
            }
            _ => {
                self.add(key, "must be one ASCII character", "use a comma, semicolon or tab");
                None
            }
        };
        let (delimiter, quote) = (byte("delimiter", delimiter), byte("quote", quote));
        if delimiter.is_some() && delimiter == quote {
            self.add("quote", "is the delimiter too", "use two different characters");
        }
        let mut declared: Vec<String> =
            self.file.columns.0.iter().map(|(name, _)| name.clone()).collect();
        for name in &self.file.drop {
            if !declared.contains(name) {
                declared.push(name.clone());
            }
        }
        if !self.file.header
            && let Some(name) = self.file.drop.iter().find(|drop| !self.names_column(drop))
        {
            let message = format!("{name:?} has no place: the file has no header");
            self.add("drop", message, "put it into `columns`, where it stands in the file");
        }
        let header = self.file.header;
        Some(Format::Csv(Dialect { delimiter: delimiter?, quote: quote?, header, declared }))
    }

    fn names_column(&self, name: &str) -> bool {
        self.file.columns.0.iter().any(|(column, _)| column == name)
    }

    fn shape(&mut self) -> Option<Shape> {
        if let Some(text) = &self.file.document_schema {
            return match Schema::parse(text) {
                Ok(schema) if schema.record().is_some() => Some(Shape::Document(schema)),
                Ok(_) => {
                    self.add("document_schema", "is not a record", "describe an object");
                    None
                }
                Err(error) => {
                    self.add("document_schema", error.to_string(), "write an Avro schema");
                    None
                }
            };
        }
        let Ordered(columns) = self.file.columns.clone();
        let at = self.at.key("columns");
        let mut sources = HashSet::new();
        let mut fields = HashSet::new();
        let mut result = Vec::new();
        let before = self.violations.len();
        for (source, options) in columns {
            let at = at.key(source.clone());
            if !sources.insert(source.clone()) {
                self.violations.add(OPTION, at.clone(), "is described twice", "remove one");
            }
            if self.file.drop.contains(&source) {
                continue;
            }
            let Some(column) = self.column(source, options, &at) else { continue };
            if !fields.insert(column.field.clone()) {
                let message = format!("the field {:?} exists already", column.field);
                self.violations.add(OPTION, at, message, "name another with `field`");
            }
            result.push(column);
        }
        // Columns that are described wrongly are read when that is mended.
        if result.is_empty() && self.violations.len() == before {
            self.add("columns", "no column is read", "describe the columns");
        }
        Some(Shape::Columns(result))
    }

    fn column(&mut self, source: String, options: ColumnOptions, at: &Path) -> Option<Column> {
        let mut add = |key: &str, message: String, fix: &str| {
            self.violations.add(OPTION, at.key(key), message, fix)
        };
        let field = options.field.unwrap_or_else(|| source.clone());
        if !is_avro_name(&field) {
            let message = format!("{field:?} is not a field name");
            add("field", message, "use letters, digits and _, not beginning with a digit");
        }
        let kind = match Kind::parse(&options.kind) {
            Ok(kind) => kind,
            Err(reason) => {
                add("type", reason, "`throughline reference config` has what each type accepts");
                return None;
            }
        };
        if kind == Kind::Json && self.file.format == FormatOptions::Csv {
            add("type", "json is for JSON files".to_owned(), "use string");
        }
        let empty = match options.empty.as_deref() {
            None if options.nullable => Empty::Null,
            None => Empty::Refused,
            Some("") if kind.is_text() => Empty::Text,
            Some("") => {
                add("empty", "only text can be empty".to_owned(), "use nullable: true");
                Empty::Refused
            }
            Some(_) => {
                add("empty", "must be null or \"\"".to_owned(), "remove it");
                Empty::Refused
            }
        };
        Some(Column { source, field, kind, nullable: options.nullable, empty })
    }

    /// Whether a column is written for a field, right or wrong.
    fn declares(&self, field: &str) -> bool {
        let mut columns = self.file.columns.0.iter();
        columns.any(|(name, column)| {
            column.field.as_ref().unwrap_or(name) == field && !self.file.drop.contains(name)
        })
    }

    fn key(&mut self, shape: &Shape) {
        if self.file.key.is_empty() {
            self.add("key", "is empty", "name the fields that identify a document");
        }
        let keys = self.file.key.clone();
        let ignored = self.file.ignore.clone();
        for (at, name) in keys.iter().enumerate() {
            let problem = match shape {
                _ if keys[..at].contains(name) => Some("stands twice in the key"),
                Shape::Columns(columns) => match columns.iter().find(|c| c.field == *name) {
                    // A column with a mistake is no field, which is not the key's mistake.
                    None if self.declares(name) => None,
                    None => Some("is not a field of the document"),
                    Some(column) if column.nullable => Some("may be null, so it cannot be a key"),
                    Some(_) => None,
                },
                Shape::Document(schema) => {
                    let field = schema.record().and_then(|record| record.field(name));
                    match field.map(|(_, field)| &*field.node) {
                        None => Some("is not a field of the document"),
                        Some(Node::String(_) | Node::Long(_) | Node::Int(_) | Node::Bytes(_)) => {
                            None
                        }
                        Some(_) => Some("is not a text or whole number, so it cannot be a key"),
                    }
                }
            };
            if let Some(problem) = problem {
                let message = format!("{name:?} {problem}");
                let path = self.at.key("key").index(at);
                self.violations.add(OPTION, path, message, "name a field that is always there");
            }
        }
        for (at, name) in ignored.iter().enumerate() {
            let known = match shape {
                Shape::Columns(columns) => columns.iter().any(|c| c.field == *name),
                Shape::Document(schema) => schema.record().is_some_and(|r| r.field(name).is_some()),
            };
            if !known {
                let message = format!("{name:?} is not a field of the document");
                let path = self.at.key("ignore").index(at);
                self.violations.add(OPTION, path, message, "name a field of the document");
            }
        }
    }
}

/// Changes when an option does, and only then: it is kept in the position, and files whose options
/// changed are read again.
fn fingerprint(file: &FileOptions, quarantine: QuarantineOptions) -> u64 {
    let text = serde_json::to_string(&(file, quarantine));
    fnv(text.expect("options came from text and have a JSON form").as_bytes())
}

fn is_avro_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests;
