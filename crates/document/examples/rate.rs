//! Documents per second through the differ: first load, the same again, all different.
//!
//! `cargo run --release -p throughline-document --example rate -- [documents] [folder]`
//!
//! Documents of 60 bytes, transactions of 5,000, keys once in order and once shuffled. CPU seconds
//! include the kernel's, so that a busy machine does not change the result much.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::unwrap_used, reason = "it has nobody to tell but the one who runs it")]

use std::time::Instant;

use throughline_avro::Schema;
use throughline_document::{EntityId, EntityShape, Store};
use throughline_event::{EntityName, TopicName};

const TRANSACTION: usize = 5_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().map_or(1_000_000, |text| text.parse().unwrap());
    let folder = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    for shuffled in [false, true] {
        let path = folder.join(format!("throughline-rate-{}.sqlite", std::process::id()));
        let mut store = Store::open(&path).unwrap();
        let entity = store.entity(&shape()).unwrap();
        println!("{count} documents, keys {}", if shuffled { "shuffled" } else { "in order" });
        // A step that shares no factor with the count visits every key once.
        let step = if shuffled { 7_368_787 } else { 1 };
        let mut pass = |name, round, scope, expected| {
            measure(name, count, || {
                let order = (0..count).map(|n| n * step % count);
                assert_eq!(read(&mut store, entity, order, round, scope), expected);
            });
        };
        pass("new", 1, None, count);
        pass("the same", 1, None, 0);
        pass("different", 2, None, count);
        pass("moved into a dump", 2, Some("dump"), 0);
        pass("the same in a dump", 2, Some("dump"), 0);
        measure("deleted", count, || delete_all(&mut store, entity));
        drop(store);
        std::fs::remove_file(&path).unwrap();
    }
}

fn shape() -> EntityShape {
    EntityShape {
        entity: EntityName::new("stock").unwrap(),
        topic: TopicName::new("cdc.bench.stock").unwrap(),
        document: Schema::parse(r#""string""#).unwrap(),
        ignore: Vec::new(),
    }
}

/// Reads every document once; returns how many changed.
fn read(
    store: &mut Store,
    entity: EntityId,
    order: impl Iterator<Item = usize>,
    round: u8,
    scope: Option<&str>,
) -> usize {
    let keys: Vec<usize> = order.collect();
    let mut changes = 0;
    for chunk in keys.chunks(TRANSACTION) {
        let mut differ = store.transaction().unwrap();
        for number in chunk {
            let key = format!("\x1aSKU-{number:09}");
            let mut document = [round; 60];
            document[..key.len()].copy_from_slice(key.as_bytes());
            let version = i64::from(round);
            let change = differ.document(entity, key.as_bytes(), version, &document, scope);
            changes += usize::from(change.unwrap().is_some());
        }
        differ.commit(&[]).unwrap();
    }
    changes
}

/// A dump that shows nothing any more.
fn delete_all(store: &mut Store, entity: EntityId) {
    let mut differ = store.transaction().unwrap();
    differ.sweep_begin(entity, "dump").unwrap();
    loop {
        let gone = differ.sweep_end(entity, "dump", TRANSACTION).unwrap();
        for gone in &gone {
            assert!(differ.gone(entity, &gone.key, 9).unwrap().is_some());
        }
        differ.commit(&[]).unwrap();
        if gone.len() < TRANSACTION {
            return;
        }
        differ = store.transaction().unwrap();
    }
}

fn measure(name: &str, count: usize, run: impl FnOnce()) {
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    run();
    let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let (per_wall, per_cpu) = (count as f64 / wall / 1e3, count as f64 / cpu / 1e3);
    println!("  {name:<20} {per_wall:>6.0} k/s  {per_cpu:>6.0} k per CPU second");
}

/// CPU seconds of this process, in the kernel too; ticks are hundredths on Linux.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
