//! A stock dump as large as wanted, in the shape of the sample shop's, and what must come of it.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Of the second dump, one row in so many has another quantity.
pub(crate) const CHANGED: usize = 100;

/// One row: SKU and quantity; the sample's rows name no supply channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) sku: String,
    pub(crate) quantity: i64,
}

/// The sample's rows again and again, each time with SKUs of their own.
pub(crate) fn rows(count: usize) -> Result<Vec<Row>> {
    let path = "../systems/sunrise/data/inventory.csv";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text =
        fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let sample: Vec<Row> = text.lines().skip(1).filter_map(row).collect();
    ensure!(!sample.is_empty(), "{} has no rows", path.display());
    let copies = (0..).flat_map(|copy| sample.iter().map(move |row| copied(row, copy)));
    Ok(copies.take(count).collect())
}

fn row(line: &str) -> Option<Row> {
    let mut values = line.split(',');
    let (sku, quantity) = (values.next()?, values.next()?);
    Some(Row { sku: sku.to_owned(), quantity: quantity.parse().ok()? })
}

/// `A0E200000001UTQ` becomes `A0E200070001UTQ`: as long as it was, and in the same order.
fn copied(row: &Row, copy: u32) -> Row {
    let sku = match (row.sku.get(..4), row.sku.get(8..)) {
        (Some(head), Some(tail)) => format!("{head}{copy:04}{tail}"),
        _ => format!("{}{copy:04}", row.sku),
    };
    Row { sku, quantity: row.quantity }
}

/// The rows as the next dump has them.
pub(crate) fn changed(rows: &[Row]) -> Vec<Row> {
    let change = |(at, row): (usize, &Row)| {
        let more = i64::from(at.is_multiple_of(CHANGED));
        Row { sku: row.sku.clone(), quantity: row.quantity + more }
    };
    rows.iter().enumerate().map(change).collect()
}

/// Writes a dump; it is on the disk when this returns.
pub(crate) fn write(rows: &[Row], path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "sku,quantityOnStock,supplyChannel")?;
    for row in rows {
        writeln!(file, "{},{},", row.sku, row.quantity)?;
    }
    Ok(file.into_inner().context("could not write the dump")?.sync_all()?)
}

/// Checks that these lines of canonical records are these rows, each once and in order.
pub(crate) fn check<'r>(
    lines: impl Iterator<Item = &'r str>,
    rows: impl Iterator<Item = &'r Row>,
) -> Result<()> {
    let mut lines = lines.enumerate();
    for row in rows {
        let (at, line) = lines.next().context("the target lacks rows")?;
        let record: Value = serde_json::from_str(line)?;
        let same = record["sku"] == row.sku.as_str() && record["on_hand"] == row.quantity;
        ensure!(same, "line {} of the target is {line}, expected {row:?}", at + 1);
    }
    ensure!(lines.next().is_none(), "the target has more lines than there are rows");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_of_a_dump_has_a_sku_of_its_own() {
        let rows = rows(60_000).unwrap();
        let skus: HashSet<&str> = rows.iter().map(|row| row.sku.as_str()).collect();
        assert_eq!((rows.len(), skus.len()), (60_000, 60_000));
        let long = rows.iter().filter(|row| row.sku.len() == 15).count();
        assert!(long > 59_000, "they look like the sample's");
    }

    #[test]
    fn one_row_in_a_hundred_changes() {
        let rows = rows(1_000).unwrap();
        let changed = changed(&rows);
        let differ = rows.iter().zip(&changed).filter(|(old, new)| old != new).count();
        assert_eq!(differ, 10);
    }

    #[test]
    fn a_target_that_lacks_repeats_or_swaps_rows_is_refused() {
        let rows = rows(3).unwrap();
        let line = |row: &Row| format!(r#"{{"sku":"{}","on_hand":{}}}"#, row.sku, row.quantity);
        let lines: Vec<String> = rows.iter().map(line).collect();
        let check = |order: &[usize]| check(order.iter().map(|at| &*lines[*at]), rows.iter());
        check(&[0, 1, 2]).unwrap();
        for wrong in [&[0, 1][..], &[0, 1, 2, 2], &[0, 2, 1], &[0, 0, 1, 2]] {
            check(wrong).unwrap_err();
        }
    }
}
