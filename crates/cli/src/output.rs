//! Data on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde_json::Value;

use crate::args::Global;
use crate::exit::{Exit, Failure};

/// How a read answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document, or one per line where records are followed.
    Json,
}

/// Writes one line of data. A closed pipe (`throughline tail | head`) ends the process in silence,
/// as it does for every other tool.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"));
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Ok(()) => Ok(()),
        Err(error) => Err(Failure::new(
            Exit::Unavailable,
            format!(
                "TL9020: the answer could not be written to stdout, and is incomplete: {error}"
            ),
        )),
    }
}

/// Writes rows as a table, or the same as a JSON list.
pub(crate) fn rows(
    global: &Global,
    rows: &[Vec<String>],
    json: Vec<Value>,
) -> Result<Exit, Failure> {
    match global.output {
        Format::Text => line(&table(rows))?,
        Format::Json => line(&Value::Array(json).to_string())?,
    }
    Ok(Exit::Ok)
}

/// Writes a line for people.
pub(crate) fn note(text: &str) {
    // Nothing can be said about a terminal that is gone.
    let _written: io::Result<()> = writeln!(io::stderr().lock(), "{text}");
}

/// Whether stderr is a terminal that wants color.
pub(crate) fn color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Aligns rows of cells into columns, the first row being the header.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["topic", "records"]), row(["canonical.order", "7"])];
        assert_eq!(table(&rows), "topic            records\ncanonical.order  7");
    }
}
