//! What one would write without a log in between: a single-threaded program that compares every row
//! with an SQLite table and appends what changed to a file of JSON lines.
//!
//! It promises less than a flow: one reader, one target, no history, nobody else who can read, and a
//! crash between the two commits repeats rows.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

/// Rows of one transaction: as many as a processor's.
const TRANSACTION: usize = 5_000;

/// Brings `target` up to date with `dump`; both it and the table are on the disk when this returns.
pub(crate) fn copy(dump: &Path, table: &Path, target: &Path) -> Result<()> {
    let text = fs::read_to_string(dump)?;
    let connection = Connection::open(table)?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE IF NOT EXISTS stock(sku TEXT PRIMARY KEY, quantity INTEGER) WITHOUT ROWID",
    )?;
    let mut find = connection.prepare("SELECT quantity FROM stock WHERE sku=?1")?;
    let mut put = connection.prepare(
        "INSERT INTO stock(sku, quantity) VALUES(?1, ?2)
         ON CONFLICT(sku) DO UPDATE SET quantity=excluded.quantity",
    )?;
    let mut file = File::options().create(true).append(true).open(target)?;
    let mut lines = text.lines().skip(1).peekable();
    let mut out = Vec::new();
    while lines.peek().is_some() {
        out.clear();
        connection.execute_batch("BEGIN")?;
        for line in lines.by_ref().take(TRANSACTION) {
            let mut values = line.split(',');
            let sku = values.next().context("a row has no SKU")?;
            let quantity: i64 = values.next().context("a row has no quantity")?.parse()?;
            let known: Option<i64> = find.query_row([sku], |row| row.get(0)).optional()?;
            if known == Some(quantity) {
                continue;
            }
            put.execute(params![sku, quantity])?;
            let record = json!({
                "sku": sku, "location": "main", "unit": "C62", "scale": 0,
                "on_hand": quantity, "available": quantity,
            });
            serde_json::to_writer(&mut out, &record)?;
            out.push(b'\n');
        }
        file.write_all(&out)?;
        file.sync_data()?;
        connection.execute_batch("COMMIT")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::dump;

    #[test]
    fn the_target_holds_the_rows_and_then_their_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let first = dump::rows(6_000).unwrap();
        let second = dump::changed(&first);
        for rows in [&first, &second] {
            dump::write(rows, &path("dump")).unwrap();
            copy(&path("dump"), &path("table"), &path("target")).unwrap();
        }
        let text = fs::read_to_string(path("target")).unwrap();
        let changes = second.iter().step_by(dump::CHANGED);
        dump::check(text.lines(), first.iter().chain(changes)).unwrap();
    }
}
