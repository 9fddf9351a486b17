//! What the streams and the target must hold, computed from the source files alone by other code than
//! the product's, and what they do hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::sandbox::Sandbox;

/// SKU, quantity, unit price in cents.
type Line = (String, i64, i64);

/// Lines, and the total in cents.
type Order = (Vec<Line>, i64);

/// Stock by SKU and location, orders by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) stock: BTreeMap<(String, String), i64>,
    pub(crate) orders: BTreeMap<String, Order>,
}

fn cents(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: i64 = format!("{fraction:0<2}").parse().unwrap();
    whole.parse::<i64>().unwrap() * 100 + fraction
}

/// From the files: an order counts when its rows sum up to its total.
pub(crate) fn expected(sandbox: &Sandbox) -> State {
    let mut state = State::default();
    let read = |name: &str| fs::read_to_string(sandbox.path(name)).unwrap_or_default();
    for line in read("exports/inventory.csv").lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let location = if cells[2].is_empty() { "main" } else { cells[2] };
        state.stock.insert((cells[0].to_owned(), location.to_owned()), cells[1].parse().unwrap());
    }
    let mut orders: BTreeMap<String, Order> = BTreeMap::new();
    let text = read("exports/orders.csv");
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in complete.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let order = orders.entry(cells[1].to_owned()).or_default();
        order.0.push((cells[2].to_owned(), cells[4].parse().unwrap(), cents(cells[3])));
        order.1 = cents(cells[5]);
    }
    let sums =
        |lines: &[(String, i64, i64)]| lines.iter().map(|(_, n, price)| n * price).sum::<i64>();
    orders.retain(|_, (lines, total)| sums(lines) == *total);
    state.orders = orders;
    state
}

/// Folds canonical records, in order, into a state. Panics where a record comes twice or an older
/// version of a key comes after a newer one.
#[derive(Default)]
pub(crate) struct Fold {
    state: State,
    events: BTreeSet<String>,
    versions: BTreeMap<String, i64>,
}

impl Fold {
    fn upsert_or_delete(&mut self, topic: &str, record: &Value) {
        let meta = &record["meta"];
        let event = format!("{topic} {} {}", meta["event_id"], meta["op"]);
        assert!(self.events.insert(event.clone()), "twice: {event}");
        let delete = meta["op"] == "delete";
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        let key = if topic == "canonical.order" {
            let number = text("order_number");
            let lines = record["lines"].as_array().unwrap().iter().map(|line| {
                let price = line["unit_price"]["unscaled"].as_i64().unwrap();
                (line["sku"].as_str().unwrap().to_owned(), original(line), price)
            });
            let total = record["totals"].as_array().unwrap().iter().find(|t| t["type"] == "total");
            let total = total.unwrap()["amount"]["unscaled"].as_i64().unwrap();
            if delete {
                self.state.orders.remove(&number);
            } else {
                self.state.orders.insert(number.clone(), (lines.collect(), total));
            }
            format!("{topic} {number}")
        } else {
            let key = (text("sku"), text("location"));
            if delete {
                self.state.stock.remove(&key);
            } else {
                self.state.stock.insert(key.clone(), record["on_hand"].as_i64().unwrap());
            }
            format!("{topic} {key:?}")
        };
        let version = meta["version"].as_i64().unwrap();
        let before = self.versions.insert(key.clone(), version);
        assert!(before.is_none_or(|before| before < version), "{key}: {before:?} then {version}");
    }
}

fn original(line: &Value) -> i64 {
    line["quantity"]["original"].as_i64().unwrap()
}

const TOPICS: [&str; 2] = ["canonical.order", "canonical.inventory"];

/// What the canonical topics hold.
pub(crate) fn on_topics(sandbox: &Sandbox) -> State {
    let mut fold = Fold::default();
    for topic in TOPICS {
        for record in sandbox.records(topic) {
            if !record["value"].is_null() {
                fold.upsert_or_delete(topic, &record["value"]);
            }
        }
    }
    fold.state
}

/// What the target holds. Panics where two files claim the same offsets.
pub(crate) fn at_target(sandbox: &Sandbox) -> State {
    in_folder(&sandbox.target())
}

/// What a target folder holds; see [`at_target`].
pub(crate) fn in_folder(target: &Path) -> State {
    let mut fold = Fold::default();
    for topic in TOPICS {
        let folder = target.join(topic);
        let mut files: Vec<_> = match fs::read_dir(folder) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => continue,
        };
        files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        files.sort();
        let mut next = 0;
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let offsets: Vec<i64> = name.split('-').map(|part| part.parse().unwrap()).collect();
            assert!(offsets[1] >= next, "{topic}: {name} begins before {next}");
            next = offsets[2] + 1;
            for line in fs::read_to_string(&file).unwrap().lines() {
                fold.upsert_or_delete(topic, &serde_json::from_str(line).unwrap());
            }
        }
    }
    fold.state
}

/// What is missing, too much or different, in a few words.
pub(crate) fn difference(expected: &State, found: &State) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let keys = |state: &State| -> BTreeMap<String, String> {
        let stock = state.stock.iter().map(|(k, v)| (format!("stock {k:?}"), format!("{v}")));
        let orders = state.orders.iter().map(|(k, v)| (format!("order {k}"), format!("{v:?}")));
        stock.chain(orders).collect()
    };
    let (expected, found) = (keys(expected), keys(found));
    let differ: Vec<String> = expected
        .keys()
        .chain(found.keys())
        .filter(|key| expected.get(*key) != found.get(*key))
        .take(5)
        .map(|key| format!("{key}: expected {:?}, found {:?}", expected.get(key), found.get(key)))
        .collect();
    Err(differ.join("; "))
}
