//! Nanoseconds to walk one order of about 291 bytes by position, to skip it and to show it.
//!
//! `cargo run --release -p throughline-avro --example walk`

#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::unwrap_used, reason = "it has nobody to tell but the one who runs it")]

use std::hint::black_box;
use std::time::Instant;

use throughline_avro::{Cursor, DecodeError, Schema, json_to_datum, write_json};

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"string"},
    {"name":"number","type":"string"},
    {"name":"placed_at","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"customer","type":["null","string"],"default":null},
    {"name":"currency","type":"string"},
    {"name":"total","type":"long"},
    {"name":"paid","type":"boolean"},
    {"name":"note","type":["null","string"],"default":null},
    {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
        {"name":"sku","type":"string"},{"name":"title","type":"string"},
        {"name":"quantity","type":"int"},{"name":"unit_price","type":"long"},
        {"name":"discount","type":["null","long"],"default":null}]}}},
    {"name":"city","type":"string"},
    {"name":"country","type":"string"}]}"#;

const ROUNDS: u32 = 2_000_000;

fn main() {
    let schema = Schema::parse(SCHEMA).unwrap();
    let line = |sku: &str, discount: Option<i64>| {
        serde_json::json!({"sku": sku, "title": "Shirt, organic cotton, long sleeves, navy blue",
            "quantity": 2, "unit_price": 4990, "discount": discount})
    };
    let order = serde_json::json!({
        "id": "7f3c2b1e-9a44-4a1c-8d27-0c5d5be0a111", "number": "2026-0004711",
        "placed_at": "2026-11-23T18:05:00.123456Z", "customer": "c-1000234", "currency": "EUR",
        "total": 19960, "paid": true,
        "lines": [line("SHIRT-NAVY-M", None), line("SHIRT-NAVY-L", Some(500)),
            line("SHIRT-WHITE-M", None)],
        "city": "Hannover", "country": "DE"});
    let mut datum = Vec::new();
    json_to_datum(schema.root(), &order, &mut datum).unwrap();
    println!("{} bytes", datum.len());
    measure("walk", || {
        black_box(walk(black_box(&datum)).unwrap());
    });
    measure("skip", || {
        Cursor::new(black_box(&datum)).skip(schema.root()).unwrap();
    });
    let mut text = Vec::new();
    measure("show as JSON", || {
        text.clear();
        write_json(schema.root(), &mut Cursor::new(black_box(&datum)), &mut text).unwrap();
    });
}

/// Reads every field as a mapping would; a number stands for the use of each.
fn walk(datum: &[u8]) -> Result<usize, DecodeError> {
    let mut cursor = Cursor::new(datum);
    let mut used = cursor.str()?.len() + cursor.str()?.len() + cursor.long()? as usize;
    used += optional(&mut cursor, |cursor| Ok(cursor.str()?.len()))?;
    used += cursor.str()?.len() + cursor.long()? as usize + usize::from(cursor.boolean()?);
    used += optional(&mut cursor, |cursor| Ok(cursor.str()?.len()))?;
    while let Some(block) = cursor.block()? {
        for _ in 0..block.items {
            used += cursor.str()?.len() + cursor.str()?.len() + cursor.int()? as usize;
            used += cursor.long()? as usize;
            used += optional(&mut cursor, |cursor| Ok(cursor.long()? as usize))?;
        }
    }
    used += cursor.str()?.len() + cursor.str()?.len();
    cursor.finish()?;
    Ok(used)
}

fn optional<'a>(
    cursor: &mut Cursor<'a>,
    read: impl FnOnce(&mut Cursor<'a>) -> Result<usize, DecodeError>,
) -> Result<usize, DecodeError> {
    if cursor.union_branch(2)? == 1 { read(cursor) } else { Ok(0) }
}

/// The best of five, since the machine may do other things.
fn measure(name: &str, mut run: impl FnMut()) {
    let best = (0..5).map(|_| {
        let begun = Instant::now();
        (0..ROUNDS).for_each(|_| run());
        begun.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
    });
    println!("  {name:<13} {:>6.0} ns", best.fold(f64::INFINITY, f64::min));
}
