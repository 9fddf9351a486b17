//! CSV values to datums.

use std::sync::Arc;

use encoding_rs::Encoding;

use super::{Fields, Refused, Row, decode, legible, put_empty, put_present};
use crate::csv::{Span, unescape};
use crate::error::{COLUMN_COUNT, HEADER, RowError};
use crate::settings::{Column, Dialect, EntitySettings, Shape};

/// Converts the rows of one file.
#[derive(Debug)]
pub(crate) struct CsvConverter {
    entity: Arc<EntitySettings>,
    encoding: &'static Encoding,
    dialect: Dialect,
    /// The place in the file of each field, in the order of the fields.
    places: Vec<usize>,
    /// Columns of the file.
    width: usize,
    /// Rows may be wider.
    open_ended: bool,
    fields: Fields,
    text: Vec<u8>,
}

impl CsvConverter {
    /// For files without a header, or before it is known.
    pub(crate) fn new(
        entity: &Arc<EntitySettings>,
        encoding: &'static Encoding,
        dialect: &Dialect,
    ) -> Self {
        let open_ended = !dialect.header && entity.ignore_extra;
        let mut converter = Self {
            entity: Arc::clone(entity),
            encoding,
            dialect: dialect.clone(),
            places: Vec::new(),
            width: 0,
            open_ended,
            fields: Fields::new(entity),
            text: Vec::new(),
        };
        converter.map(&dialect.declared);
        converter
    }

    /// Reads the header; the error is about the file as a whole.
    pub(crate) fn header(&mut self, bytes: &[u8], values: &[Span]) -> Result<(), RowError> {
        let mut found = Vec::with_capacity(values.len());
        let encoding = self.encoding;
        for (at, span) in values.iter().enumerate() {
            let name = self.value(bytes, *span).and_then(|name| decode(name, encoding));
            found.push(name.map_err(|error| error.at(at + 1))?.into_owned());
        }
        let declared = &self.dialect.declared;
        let lacking: Vec<_> = declared.iter().filter(|name| !found.contains(name)).collect();
        let unknown: Vec<_> = found.iter().filter(|name| !declared.contains(name)).collect();
        let twice = declared.iter().find(|name| found.iter().filter(|f| f == name).count() > 1);
        let mut problems = Vec::new();
        if found.len() == 1 && declared.len() > 1 {
            problems.push("the header is one field, is the `delimiter` right?".to_owned());
        }
        if !lacking.is_empty() {
            problems.push(format!("{lacking:?} is missing"));
        }
        if !unknown.is_empty() && !self.entity.ignore_extra {
            let fix = "declare it, `drop` it, or write `extra_columns: ignore`";
            problems.push(format!("{unknown:?} is not expected: {fix}"));
        }
        if let (Some(name), []) = (twice, &problems[..]) {
            problems.push(format!("{name:?} stands twice"));
        }
        if problems.is_empty() {
            self.map(&found);
            return Ok(());
        }
        let problems = problems.join("; ");
        let reason = format!("{problems}; the header is {found:?}, expected {declared:?}");
        Err(RowError::new(HEADER, reason))
    }

    fn map(&mut self, found: &[String]) {
        let Shape::Columns(columns) = &self.entity.shape else { return };
        let place = |name: &String| found.iter().position(|f| f == name);
        self.places = columns.iter().filter_map(|column| place(&column.source)).collect();
        self.width = found.len();
    }

    /// Converts one row into an empty `row`.
    pub(crate) fn row(
        &mut self,
        bytes: &[u8],
        values: &[Span],
        row: &mut Row,
    ) -> Result<(), Refused> {
        let fits = values.len() == self.width || self.open_ended && values.len() > self.width;
        if !fits {
            let reason = format!("{} values in place of {}", values.len(), self.width);
            return Err(RowError::new(COLUMN_COUNT, reason).into());
        }
        let entity = Arc::clone(&self.entity);
        let Shape::Columns(columns) = &entity.shape else { return Ok(()) };
        self.fields.clear();
        for (at, column) in columns.iter().enumerate() {
            let span = values[self.places[at]];
            let written = self.field(column, bytes, span, &mut row.document);
            self.fields.add(written, &row.document);
        }
        let places = &self.places;
        self.fields.finish(row, |at, error| error.in_column(&columns[at].source).at(places[at] + 1))
    }

    fn field(
        &mut self,
        column: &Column,
        bytes: &[u8],
        span: Span,
        document: &mut Vec<u8>,
    ) -> Result<(), RowError> {
        if span.start == span.end {
            return put_empty(column, document);
        }
        let encoding = self.encoding;
        let text = decode(self.value(bytes, span)?, encoding)?;
        put_present(column, document);
        column.kind.put(&text, document)
    }

    fn value<'b>(&'b mut self, bytes: &'b [u8], span: Span) -> Result<&'b [u8], RowError> {
        let value = &bytes[span.start..span.end];
        if !span.escaped {
            return Ok(value);
        }
        self.text.clear();
        unescape(value, self.dialect.quote, &mut self.text);
        Ok(&self.text)
    }

    /// The row as it was; of an entity that drops columns the declared ones only, and nothing when
    /// they cannot be told apart.
    pub(crate) fn shown(&self, bytes: &[u8], values: Option<&[Span]>) -> Option<Vec<u8>> {
        if self.entity.drop.is_empty() {
            return Some(legible(bytes.trim_ascii_end(), self.encoding));
        }
        let values = values.filter(|values| values.len() == self.width)?;
        let (delimiter, quote) = (self.dialect.delimiter, self.dialect.quote);
        let mut out = Vec::new();
        let kept = values.iter().enumerate().filter(|(at, _)| self.places.contains(at));
        for (nth, (_, span)) in kept.enumerate() {
            if nth > 0 {
                out.push(delimiter);
            }
            let value = &bytes[span.start..span.end];
            let special = |b: &u8| *b == delimiter || *b == quote || *b == b'\n' || *b == b'\r';
            if value.iter().any(special) {
                out.push(quote);
                out.extend_from_slice(value);
                out.push(quote);
            } else {
                out.extend_from_slice(value);
            }
        }
        Some(legible(&out, self.encoding))
    }
}
