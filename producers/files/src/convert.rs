//! From a row to the Avro datums of its key and its document.

mod csv;
mod json;

use std::borrow::Cow;

use encoding_rs::Encoding;
use throughline_avro::Cursor;

use crate::error::{EMPTY, ENCODING, RowError};
use crate::layout::Layout;
use crate::settings::{Column, Empty, EntitySettings, Shape};

pub(crate) use csv::CsvConverter;
pub(crate) use json::JsonConverter;

/// The datums of one row.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub key: Vec<u8>,
    /// The document, or the row of a grouped document.
    pub document: Vec<u8>,
}

/// A row that cannot be published.
#[derive(Debug)]
pub(crate) struct Refused {
    pub error: RowError,
    /// Its key, when that much of it can be read.
    pub key: Option<Vec<u8>>,
}

impl From<RowError> for Refused {
    fn from(error: RowError) -> Self {
        Self { error, key: None }
    }
}

/// Bytes as text. UTF-16 is UTF-8 by now.
fn decode<'b>(bytes: &'b [u8], encoding: &'static Encoding) -> Result<Cow<'b, str>, RowError> {
    let wrong = || {
        let other = if encoding == encoding_rs::UTF_8 { "; `encoding: windows-1252`?" } else { "" };
        RowError::new(ENCODING, format!("not text in {}{other}", encoding.name()))
    };
    if encoding == encoding_rs::UTF_8 || encoding.output_encoding() != encoding {
        return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| wrong());
    }
    encoding.decode_without_bom_handling_and_without_replacement(bytes).ok_or_else(wrong)
}

/// Bytes of an input as people are shown them: as text of their encoding. What is no text in UTF-8
/// stays as it is.
fn legible(bytes: &[u8], encoding: &'static Encoding) -> Vec<u8> {
    if encoding == encoding_rs::UTF_8 || encoding.output_encoding() != encoding {
        return bytes.to_vec();
    }
    encoding.decode_without_bom_handling(bytes).0.into_owned().into_bytes()
}

/// Collects the fields of a row; remembers where each ends, so that a key is a copy of parts.
#[derive(Debug)]
struct Fields {
    /// Places of the key's fields.
    key: Vec<usize>,
    ends: Vec<usize>,
    wrong: Option<(usize, RowError)>,
    wrong_key: bool,
}

impl Fields {
    fn new(entity: &EntitySettings) -> Self {
        let place = |field: &String| match &entity.shape {
            Shape::Columns(columns) => columns.iter().position(|c| c.field == *field),
            Shape::Document(schema) => schema.record().and_then(|r| r.field(field)).map(|f| f.0),
        };
        let key = entity.key.iter().filter_map(place).collect();
        Self { key, ends: Vec::new(), wrong: None, wrong_key: false }
    }

    fn clear(&mut self) {
        self.ends.clear();
        self.wrong = None;
        self.wrong_key = false;
    }

    /// Notes the field that was just written, or why it could not be.
    fn add(&mut self, written: Result<(), RowError>, document: &[u8]) {
        if let Err(error) = written {
            let place = self.ends.len();
            self.wrong_key |= self.key.contains(&place);
            self.wrong.get_or_insert((place, error));
        }
        self.ends.push(document.len());
    }

    /// Appends the key. `at_wrong` completes the error of the field at a place.
    fn finish(
        &mut self,
        row: &mut Row,
        at_wrong: impl FnOnce(usize, RowError) -> RowError,
    ) -> Result<(), Refused> {
        for &place in &self.key {
            let start = if place == 0 { 0 } else { self.ends[place - 1] };
            row.key.extend_from_slice(&row.document[start..self.ends[place]]);
        }
        match self.wrong.take() {
            None => Ok(()),
            Some((place, error)) => {
                let key = (!self.wrong_key).then(|| row.key.clone());
                Err(Refused { error: at_wrong(place, error), key })
            }
        }
    }
}

/// Appends a field whose value is empty or missing.
fn put_empty(column: &Column, document: &mut Vec<u8>) -> Result<(), RowError> {
    match column.empty {
        Empty::Null => document.push(0),
        Empty::Text => {
            put_present(column, document);
            document.push(0);
        }
        Empty::Refused => return Err(RowError::new(EMPTY, "the value is missing")),
    }
    Ok(())
}

/// Appends what stands in front of a value that is not null.
fn put_present(column: &Column, document: &mut Vec<u8>) {
    if column.nullable {
        throughline_avro::put_union_branch(document, 1);
    }
}

/// The key of a whole document.
fn key_of_document(layout: &Layout, fields: &mut Fields, row: &mut Row) -> Result<(), RowError> {
    let Some(record) = layout.document.record() else { return Ok(()) };
    let mut cursor = Cursor::new(&row.document);
    for field in &record.fields {
        cursor
            .skip(&field.node)
            .map_err(|error| RowError::new(crate::error::SHAPE, error.to_string()))?;
        fields.ends.push(cursor.position());
    }
    // No field was noted as wrong, so this cannot fail.
    let _ = fields.finish(row, |_, error| error);
    Ok(())
}
