//! A file as rows: from bytes to datums, with the place of each row.

use std::fs::File;
use std::io;
use std::sync::Arc;

use memchr::{memchr, memchr_iter};

use crate::convert::{CsvConverter, JsonConverter, Refused, Row};
use crate::csv::{self, Span};
use crate::error::{NOT_AN_ARRAY, QUOTING, RowError, TOO_LONG};
use crate::input::{Input, sniff};
use crate::json::{self, Phase};
use crate::layout::Layout;
use crate::settings::{Dialect, EntitySettings, Format};

/// Input of a dead letter that is kept: enough to see what is wrong, and far below the size of a
/// record that a broker refuses.
const SHOWN: usize = 16 << 10;

/// What was read next.
#[derive(Debug)]
pub(crate) enum Next {
    /// A row, on this line.
    Row { line: u64 },
    /// A row that cannot be published.
    Bad(Box<Bad>),
    /// The file does not hold another complete row yet.
    Wait {
        /// What is there stands in a quotation that goes over a line.
        quoted: bool,
    },
    /// The complete file is at its end.
    End,
    /// The file as a whole is wrong.
    Broken { line: u64, error: RowError },
}

/// A row that cannot be published.
#[derive(Debug)]
pub(crate) struct Bad {
    pub error: RowError,
    pub line: u64,
    pub key: Option<Vec<u8>>,
    /// The row without dropped columns.
    pub input: Vec<u8>,
}

/// How far a file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The byte behind the last row.
    pub offset: u64,
    /// The line that begins there, counted from 1.
    pub line: u64,
    /// The rest of the line belongs to a row that was refused already.
    pub skipping: bool,
}

impl Place {
    pub(crate) const START: Self = Self { offset: 0, line: 1, skipping: false };
}

/// Reads the rows of one file.
#[derive(Debug)]
pub(crate) struct RowReader {
    input: Input,
    format: Converter,
    place: Place,
    max_row: usize,
    /// The file does not grow: its end is the end of a row.
    complete: bool,
    values: Vec<Span>,
    withheld: bool,
}

#[derive(Debug)]
enum Converter {
    Csv(Box<CsvConverter>, Dialect),
    Lines(Box<JsonConverter>),
    Array(Box<JsonConverter>, Phase),
}

/// What came of opening a file.
#[derive(Debug)]
pub(crate) enum Opened {
    Reader(Box<RowReader>),
    /// The header is not complete yet.
    Wait,
    Broken {
        line: u64,
        error: RowError,
    },
}

impl RowReader {
    /// Opens a file to be read from `place` on.
    pub(crate) fn open(
        file: File,
        entity: &Arc<EntitySettings>,
        layout: &Layout,
        place: Place,
        complete: bool,
    ) -> io::Result<Opened> {
        let (encoding, mark) = sniff(&file, entity.encoding)?;
        let json = || Box::new(JsonConverter::new(entity, layout, encoding));
        let format = match &entity.format {
            Format::Csv(dialect) => {
                let converter = CsvConverter::new(entity, encoding, dialect);
                Converter::Csv(Box::new(converter), dialect.clone())
            }
            Format::JsonLines => Converter::Lines(json()),
            Format::JsonArray if place.offset > mark => Converter::Array(json(), Phase::Next),
            Format::JsonArray => Converter::Array(json(), Phase::Start),
        };
        let mut reader = Self {
            input: Input::new(file, encoding, mark)?,
            format,
            place: Place { offset: mark, ..Place::START },
            max_row: entity.max_row,
            complete,
            values: Vec::new(),
            withheld: !entity.drop.is_empty(),
        };
        if let Some(opened) = reader.read_header()? {
            return Ok(opened);
        }
        if place.offset > reader.place.offset {
            reader.input.seek(place.offset)?;
            reader.place = place;
        }
        Ok(Opened::Reader(Box::new(reader)))
    }

    fn read_header(&mut self) -> io::Result<Option<Opened>> {
        loop {
            let Converter::Csv(converter, dialect) = &mut self.format else { return Ok(None) };
            if !dialect.header {
                return Ok(None);
            }
            let window = self.input.window();
            let view = &window[..window.len().min(self.max_row)];
            let last = self.complete && self.input.at_end() && view.len() == window.len();
            let scan = csv::scan(view, dialect.delimiter, dialect.quote, last, &mut self.values);
            match scan {
                csv::Scan::Row { next, lines } => {
                    if let Err(error) = converter.header(&view[..next], &self.values) {
                        return Ok(Some(Opened::Broken { line: 1, error }));
                    }
                    self.place.offset += self.input.give(next);
                    self.place.line += lines as u64;
                    return Ok(None);
                }
                csv::Scan::More { .. } if view.len() == window.len() && !self.input.at_end() => {
                    self.more()?;
                }
                csv::Scan::More { .. } if !self.complete && view.len() == window.len() => {
                    return Ok(Some(Opened::Wait));
                }
                csv::Scan::More { .. } | csv::Scan::Stray { .. } => {
                    let error = RowError::new(QUOTING, "the header is not a line of CSV");
                    return Ok(Some(Opened::Broken { line: 1, error }));
                }
            }
        }
    }

    fn more(&mut self) -> io::Result<()> {
        self.input.more()?;
        if self.input.at_end() && self.complete {
            self.input.finish();
        }
        Ok(())
    }

    /// Where the next row begins.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn file(&self) -> &File {
        self.input.file()
    }

    /// Reads the next row into `row`, which is emptied first. With `give_up` a quotation that does
    /// not end is refused instead of waited for.
    pub(crate) fn next(&mut self, row: &mut Row, give_up: bool) -> io::Result<Next> {
        row.key.clear();
        row.document.clear();
        loop {
            if self.place.skipping && !self.skip_line() {
                if self.input.at_end() {
                    return Ok(self.at_end());
                }
                self.more()?;
                continue;
            }
            if self.input.window().is_empty() && !self.input.at_end() {
                self.more()?;
            }
            let step = match self.format {
                Converter::Csv(..) => self.csv(row, give_up),
                Converter::Lines(_) => self.json_line(row),
                Converter::Array(..) => self.json_item(row),
            };
            match step {
                Step::Next(next) => return Ok(next),
                Step::Again => {}
                Step::More if self.input.at_end() => return Ok(self.at_end()),
                Step::More => self.more()?,
            }
        }
    }

    fn at_end(&self) -> Next {
        if self.complete { Next::End } else { Next::Wait { quoted: false } }
    }

    /// Gives out the rest of a refused line; false when its end is not in the window.
    fn skip_line(&mut self) -> bool {
        let window = self.input.window();
        let (len, found) = match memchr(b'\n', window) {
            Some(at) => (at + 1, true),
            None => (window.len(), false),
        };
        self.place.offset += self.input.give(len);
        if found {
            self.place.line += 1;
            self.place.skipping = false;
        }
        found
    }

    fn csv(&mut self, row: &mut Row, give_up: bool) -> Step {
        let Converter::Csv(converter, dialect) = &mut self.format else { return Step::More };
        let window = self.input.window();
        let view = &window[..window.len().min(self.max_row)];
        let limited = view.len() < window.len();
        let at_end = self.input.at_end() && !limited;
        if view.is_empty() {
            return Step::More;
        }
        let last = at_end && self.complete;
        match csv::scan(view, dialect.delimiter, dialect.quote, last, &mut self.values) {
            csv::Scan::Row { next, lines } => {
                let bytes = &view[..next];
                let blank = matches!(self.values[..], [one] if one.start == one.end)
                    && dialect.declared.len() > 1;
                let line = self.place.line;
                let step = if blank {
                    Step::Again
                } else {
                    match converter.row(bytes, &self.values, row) {
                        Ok(()) => Step::Next(Next::Row { line }),
                        Err(refused) => {
                            let shown = converter.shown(bytes, Some(&self.values));
                            bad(refused, line, shown)
                        }
                    }
                };
                self.place.line += lines as u64;
                self.place.offset += self.input.give(next);
                step
            }
            // The line is still being written: it is refused when all of it is there to be shown.
            csv::Scan::Stray { .. } if !limited && !last && !has_line(view) => Step::More,
            csv::Scan::Stray { column } => {
                let reason = "something follows a closing quote";
                self.refuse_line(RowError::new(QUOTING, reason).at(column + 1))
            }
            csv::Scan::More { .. } if limited => self.refuse_line(too_long(self.max_row)),
            csv::Scan::More { quoted: true } if last || at_end && give_up && has_line(view) => {
                self.refuse_line(RowError::new(QUOTING, "a quotation does not end"))
            }
            csv::Scan::More { quoted } if at_end => {
                Step::Next(Next::Wait { quoted: quoted && has_line(view) })
            }
            csv::Scan::More { .. } => Step::More,
        }
    }

    /// Refuses the first line of the window and goes on behind it: whatever is wrong, the next line
    /// is the likeliest begin of a good row.
    fn refuse_line(&mut self, error: RowError) -> Step {
        let window = self.input.window();
        let len = memchr(b'\n', window).unwrap_or(window.len());
        // No more of a long line than is there whenever it is looked at.
        let line = &window[..len.min(SHOWN).min(self.max_row)];
        let shown = match &self.format {
            Converter::Csv(converter, _) => converter.shown(line, None),
            Converter::Lines(converter) | Converter::Array(converter, _) => {
                (!self.withheld).then(|| converter.shown(line))
            }
        };
        let step = bad(error.into(), self.place.line, shown);
        self.place.skipping = true;
        // A line that ends in the window is done with; of another the rest is skipped as it comes.
        self.skip_line();
        step
    }

    fn json_line(&mut self, row: &mut Row) -> Step {
        let Converter::Lines(converter) = &mut self.format else { return Step::More };
        let window = self.input.window();
        let view = &window[..window.len().min(self.max_row)];
        let (len, next, lines) = match memchr(b'\n', view) {
            Some(at) => (at, at + 1, 1),
            None if view.len() < window.len() => return self.refuse_line(too_long(self.max_row)),
            None if self.input.at_end() && self.complete && !view.is_empty() => {
                (view.len(), view.len(), 0)
            }
            None => return Step::More,
        };
        let line = self.place.line;
        let step = if view[..len].trim_ascii().is_empty() {
            Step::Again
        } else {
            object(converter, &view[..len], row, line, self.withheld)
        };
        self.place.line += lines;
        self.place.offset += self.input.give(next);
        step
    }

    fn json_item(&mut self, row: &mut Row) -> Step {
        let Converter::Array(converter, phase) = &mut self.format else { return Step::More };
        let window = self.input.window();
        let view = &window[..window.len().min(self.max_row)];
        let limited = view.len() < window.len();
        let lines = |end: usize| memchr_iter(b'\n', &view[..end]).count() as u64;
        match json::scan(view, *phase, self.input.at_end() && !limited) {
            json::Scan::Item { start, end } => {
                let line = self.place.line + lines(start);
                let step = object(converter, &view[start..end], row, line, self.withheld);
                *phase = Phase::Next;
                self.place.line += lines(end);
                self.place.offset += self.input.give(end);
                step
            }
            json::Scan::End => Step::Next(Next::End),
            json::Scan::More if limited => {
                let (line, error) = (self.place.line, too_long(self.max_row));
                Step::Next(Next::Broken { line, error })
            }
            json::Scan::More => Step::More,
            json::Scan::Broken { at, expected } => {
                let line = self.place.line + lines(at.min(view.len()));
                let error = RowError::new(NOT_AN_ARRAY, format!("expected {expected}"));
                Step::Next(Next::Broken { line, error })
            }
        }
    }
}

enum Step {
    Next(Next),
    /// Something was given out that is no row.
    Again,
    More,
}

fn object(
    converter: &mut JsonConverter,
    bytes: &[u8],
    row: &mut Row,
    line: u64,
    withheld: bool,
) -> Step {
    let mut parsed = match converter.parse(bytes) {
        Ok(parsed) => parsed,
        Err((below, error)) => {
            let shown = (!withheld).then(|| converter.shown(bytes.trim_ascii_end()));
            return bad(error.into(), line + below as u64, shown);
        }
    };
    match converter.row(&mut parsed, row) {
        Ok(()) => Step::Next(Next::Row { line }),
        Err(refused) => {
            let shown = !withheld || converter.is_declared(&parsed.value);
            bad(refused, line, shown.then(|| parsed.value.to_string().into_bytes()))
        }
    }
}

fn bad(refused: Refused, line: u64, shown: Option<Vec<u8>>) -> Step {
    let Refused { mut error, key } = refused;
    if shown.is_none() {
        error.reason += "; the row is withheld because its dropped columns cannot be told apart";
    }
    let mut input = shown.unwrap_or_default();
    input.truncate(SHOWN);
    Step::Next(Next::Bad(Box::new(Bad { error, line, key, input })))
}

fn too_long(limit: usize) -> RowError {
    let reason = format!("longer than {limit} bytes; a quotation may not end, or raise max_row");
    RowError::new(TOO_LONG, reason)
}

fn has_line(bytes: &[u8]) -> bool {
    memchr(b'\n', bytes).is_some()
}
