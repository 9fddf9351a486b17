//! Files far larger than memory through the real producer: what it holds stays the same.
//!
//! 128 MiB by default; `THROUGHLINE_BIG=5` makes it 5 GB for each of the two.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{Running, Sandbox};

const SYSTEM: &str = "\
name: bulk
title: Large exports
version: \"1.0\"
entities:
  log: {schema: schemas/row.avsc}
  stock: {schema: schemas/row.avsc, single_partition: true}
";

const CAPTURE: &str = "\
files:
  log:
    path: log.csv
    format: csv
    mode: append
    key: [sku]
    partitions: any
    columns: {sku: {type: string}, quantity: {type: long}, text: {type: string}}
  stock:
    path: stock.csv
    format: csv
    mode: replace
    key: [sku]
    partitions: one
    columns: {sku: {type: string}, quantity: {type: long}, text: {type: string}}
";

const SCHEMA: &str = r#"{"type": "record", "name": "Row", "namespace": "bulk", "fields": [
  {"name": "sku", "type": "string"},
  {"name": "quantity", "type": "long"},
  {"name": "text", "type": "string"}]}"#;

/// Bytes of one row, about those of a stock row with its texts.
const ROW: u64 = 256;

/// The binary, its threads, the queues and the 64 MiB of SQLite's cache take 110 MiB together; they
/// and the smallest input would be far above this.
const MOST_MEMORY: u64 = 140 << 20;

/// The smallest input.
const SMALLEST: u64 = 128 << 20;

fn rows() -> u64 {
    let gigabytes = std::env::var("THROUGHLINE_BIG").map(|text| text.parse::<u64>().unwrap());
    gigabytes.map_or(SMALLEST, |gigabytes| gigabytes * 1_000_000_000) / ROW
}

/// A sandbox whose only system is `bulk`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in [
        ("pack/system.yaml", SYSTEM),
        ("pack/capture.yaml", CAPTURE),
        ("pack/schemas/row.avsc", SCHEMA),
    ] {
        let path = sandbox.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    sandbox.configure(|yaml| {
        let ownership = yaml.lines().find(|line| line.starts_with("ownership")).unwrap();
        let (flow, _sinks) = yaml.split_once("sinks:").unwrap();
        let flow = format!("memory: 32MiB\n{flow}");
        flow.replace("pack: sunrise", "pack: ./pack")
            .replace("    settings: {currency: EUR}\n", "")
            .replace(&format!("{ownership}\n"), "")
    });
    sandbox
}

/// Writes the rows whose number is below `rows`, in an order that no index likes.
fn export(path: &Path, rows: u64) -> u64 {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    file.write_all(b"sku,quantity,text\n").unwrap();
    for row in 0..rows {
        let mixed = row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        write!(file, "SKU{mixed:016x},{},", row % 100).unwrap();
        for word in 1..=13_u64 {
            write!(file, "{:016x} ", mixed.wrapping_mul(word * 2 + 1)).unwrap();
        }
        file.write_all(b"\n").unwrap();
    }
    file.into_inner().unwrap();
    fs::metadata(path).unwrap().len()
}

/// Waits until the producer has committed that it read so many bytes of a file to their end.
fn until_read(sandbox: &Sandbox, producer: &Running, entity: &str, size: u64) {
    let (mut read, mut last) = (0, Instant::now());
    sandbox.patiently("the producer stood still", || {
        std::thread::sleep(Duration::from_millis(200));
        let output = sandbox.output(&["tail", "positions.shop-exports", "-n", "1", "--exit"]);
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        let record: Value = serde_json::from_str(line.trim()).unwrap_or_default();
        let position = record["value"]["position"].as_str().unwrap_or("{}");
        let position: Value = serde_json::from_str(position).unwrap();
        let file = &position["entities"][entity]["files"][format!("{entity}.csv")];
        let whole = file["reading"].is_null() && file["applied"]["size"] == size;
        if whole || file["reading"]["progress"]["offset"] == size {
            return Ok(());
        }
        // A dump has no position in between; that it is read is seen from outside.
        let now = producer.bytes_read();
        if now > read {
            (read, last) = (now, Instant::now());
        }
        Err((last, position))
    });
}

/// Runs the producer over one export after the other and looks at its memory.
fn stays_flat(entity: &str, dumps: &[u64]) {
    let sandbox = sandbox();
    let file = sandbox.path(&format!("exports/{entity}.csv"));
    let bus = sandbox.start(&["run", "bus"]);
    sandbox.until_running();
    let producer = sandbox.start(&["run", "producer", "shop-exports"]);
    for rows in dumps {
        let hidden = sandbox.path(&format!("exports/{entity}.new"));
        if file.exists() {
            fs::remove_file(&file).unwrap();
        }
        let size = export(&hidden, *rows);
        let began = Instant::now();
        fs::rename(&hidden, &file).unwrap();
        until_read(&sandbox, &producer, entity, size);
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{entity}: {rows} rows, {} MB in {seconds:.1} s, {:.0} rows/s; producer {} MB, bus {} MB",
            size / 1_000_000,
            *rows as f64 / seconds,
            producer.peak_memory() / 1_000_000,
            bus.peak_memory() / 1_000_000,
        );
        let peak = producer.peak_memory();
        assert!(peak < MOST_MEMORY, "{peak} bytes of memory for {size} bytes of input");
        let peak = bus.peak_memory();
        assert!(peak < MOST_MEMORY, "{peak} bytes of the bus's memory for {size} bytes of input");
    }
    assert_eq!(producer.drain(), Some(0), "{}", sandbox.logs());
    assert_eq!(bus.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn an_append_only_file_larger_than_memory_is_read_in_flat_memory() {
    stays_flat("log", &[rows()]);
}

#[test]
fn a_dump_larger_than_memory_and_the_deletes_of_the_next_one_take_flat_memory() {
    stays_flat("stock", &[rows(), rows() / 10 * 9]);
}
