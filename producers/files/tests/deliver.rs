use std::fs;

use serde_json::{Value, json};
use throughline_connector::{CaptureBatch, Captured, Item, Producer as _};

use throughline_event::Position;

use crate::support::{Folder, Log, Model, ORDERS, documents, now, orders, read, stock};

#[test]
fn each_delivery_is_read_once_in_the_order_of_names() {
    let folder = Folder::new(stock("deliver"));
    folder.put("stock-2.csv", "sku,stock\na,2\n");
    folder.put("stock-1.csv", "sku,stock\na,1\nb,1\n");
    let mut log = read(&folder, None);
    let stocks: Vec<_> =
        documents(&folder, 0, &log).into_iter().map(|(_, d)| d["stock"].clone()).collect();
    assert_eq!(stocks, [json!(1), json!(1), json!(2)]);
    folder.put("stock-3.csv", "sku,stock\nb,3\n");
    log.drain(&mut folder.producer(log.position.clone()), 1 << 20);
    assert_eq!(log.items.len(), 4);
    assert!(matches!(&log.items[3], Item::Document { scope: None, snapshot: false, .. }));
    assert_eq!(Model::of(&log).documents.len(), 2, "a delivery deletes nothing");
}

#[test]
fn a_renamed_delivery_is_not_read_again_and_removed_ones_are_forgotten() {
    let folder = Folder::new(stock("deliver"));
    folder.put("stock-1.csv", "sku,stock\na,1\n");
    folder.put("stock-2.csv", "sku,stock\nb,1\n");
    let mut log = read(&folder, None);
    folder.rename("stock-1.csv", "stock-9.csv");
    fs::remove_file(folder.path("stock-2.csv")).unwrap();
    log.drain(&mut folder.producer(log.position.clone()), 1 << 20);
    assert_eq!(log.items.len(), 2);
    // What was forgotten is a delivery again when it comes back.
    folder.put("stock-2.csv", "sku,stock\nb,1\n");
    log.drain(&mut folder.producer(log.position.clone()), 1 << 20);
    assert_eq!(log.items.len(), 3);
}

#[test]
fn a_later_delivery_waits_for_an_earlier_one_that_is_still_written() {
    let folder = Folder::new(stock("deliver"));
    folder.append("stock-1.csv", "sku,stock\na,1\n");
    folder.put("stock-2.csv", "sku,stock\na,2\n");
    assert!(read(&folder, None).items.is_empty());
}

#[test]
fn grouped_rows_of_a_delivery_are_whole_documents() {
    let folder = Folder::new(orders("deliver"));
    folder.put("orders-1.csv", format!("{ORDERS}1,a,1\n2,b,1\n1,c,1\n"));
    let mut log = Log::default();
    log.drain(&mut folder.producer(None), 1);
    assert_eq!(documents(&folder, 0, &log).len(), 2);
    assert!(!log.items.iter().any(|item| matches!(item, Item::SweepBegin { .. })));
}

#[test]
fn thousands_of_deliveries_are_read_in_order_and_in_turns_that_end() {
    let folder = Folder::new(stock("deliver"));
    for file in 0..2_500 {
        folder.put(&format!("stock-{file:04}.csv"), format!("sku,stock\na,{file}\n"));
    }
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    let mut turns = Vec::new();
    loop {
        let mut batch = CaptureBatch::default();
        let captured = now(producer.capture(&mut batch, 64 << 20)).unwrap();
        let documents = batch.items.iter().filter(|item| matches!(item, Item::Document { .. }));
        turns.push(documents.count());
        log.take(batch);
        if matches!(captured, Captured::Idle(_)) {
            break;
        }
    }
    assert_eq!(turns, [1_000, 1_000, 500], "a stop is noticed between turns");
    let stocks = documents(&folder, 0, &log).into_iter().map(|(_, d)| d["stock"].clone());
    assert!(stocks.eq((0..2_500).map(|file| json!(file))));
}

#[test]
fn twenty_thousand_deliveries_fit_into_the_position_and_are_read_once() {
    let folder = Folder::new(stock("deliver"));
    for file in 0..20_000 {
        folder.put(&format!("stock-{file:05}.csv"), format!("sku,stock\na,{file}\n"));
    }
    let mut log = read(&folder, None);
    assert_eq!(log.items.len(), 20_000);
    let length = log.position.as_ref().unwrap().as_str().len();
    assert!(length < 250_000, "{length}");
    // The position is all that is known after a restart.
    let mut producer = folder.producer(log.position.clone());
    log.drain(&mut producer, 1 << 20);
    assert_eq!(log.items.len(), 20_000);
    for file in 0..19_990 {
        fs::remove_file(folder.path(&format!("stock-{file:05}.csv"))).unwrap();
    }
    folder.put("stock-00000.csv", "sku,stock\nnew,1\n");
    log.drain(&mut producer, 1 << 20);
    assert_eq!(log.items.len(), 20_001, "one before the others in the order of names is read too");
    let length = log.position.as_ref().unwrap().as_str().len();
    assert!(length < 1_000, "those that were moved away are forgotten: {length}");
}

#[test]
fn deliveries_of_one_moment_that_are_alike_but_for_their_last_row_are_both_read() {
    let folder = Folder::new(stock("deliver"));
    let rows: String = (0..1_000).map(|n| format!("sku-{n:04},1\n")).collect();
    let at = std::time::SystemTime::now() - std::time::Duration::from_secs(1_000_000);
    for file in [1, 2] {
        let name = format!("stock-{file}.csv");
        folder.put(&name, format!("sku,stock\n{rows}last,{file}\n"));
        fs::File::options().write(true).open(folder.path(&name)).unwrap().set_modified(at).unwrap();
    }
    assert_eq!(read(&folder, None).items.len(), 2_002);
}

/// A folder with one delivery that was read, and a position with as many as fit, of which all but
/// that one were moved away while nothing ran.
fn full() -> (Folder, Position) {
    let folder = Folder::new(stock("deliver"));
    folder.put("stock-1.csv", "sku,stock\na,1\n");
    let first = read(&folder, None).position.unwrap();
    let others: String = (1..50_000)
        .map(|n: u32| {
            let digit = |at: u32| char::from(b'a' + (n / 16_u32.pow(at) % 16) as u8);
            (0..11).map(|at| if at < 6 { digit(at) } else { 'A' }).collect::<String>()
        })
        .collect();
    let full = first.as_str().replacen("\"delivered\":\"", &format!("\"delivered\":\"{others}"), 1);
    assert!(full.len() > 500_000);
    (folder, Position::new(full))
}

#[test]
fn more_deliveries_than_can_be_remembered_wait_until_some_are_moved_away() {
    let (folder, full) = full();
    folder.put("stock-2.csv", "sku,stock\na,2\n");
    let mut producer = folder.producer(Some(full));
    let mut log = Log::default();
    let error = log.try_drain(&mut producer, 1 << 20).unwrap_err();
    assert!(error.to_string().starts_with("TL1032"), "{error}");
    assert!(log.items.is_empty());
    // That they are gone is known by then, so there is room, and what was read stays read.
    log.drain(&mut producer, 1 << 20);
    let found: Vec<_> =
        documents(&folder, 0, &log).into_iter().map(|(_, d)| d["stock"].clone()).collect();
    assert_eq!(found, [json!(2)]);
}

#[test]
fn a_thousand_deliveries_too_many_are_noticed_in_turns_that_end() {
    let (folder, full) = full();
    for file in 0..1_500 {
        folder.put(&format!("stock-2-{file:04}.csv"), format!("sku,stock\na,{file}\n"));
    }
    let mut producer = folder.producer(Some(full));
    let mut turns = Vec::new();
    for _ in 0..2 {
        let mut batch = CaptureBatch::default();
        let captured = now(producer.capture(&mut batch, 1 << 20)).unwrap();
        assert!(batch.items.is_empty());
        let waiting: Vec<_> = batch.waiting.iter().map(ToString::to_string).collect();
        turns.push((captured == Captured::More, waiting));
    }
    let [(true, none), (false, told)] = &turns[..] else { panic!("{turns:?}") };
    assert!(none.is_empty() && told[0].starts_with("TL1032"), "{turns:?}");
    // Those that were moved away are forgotten by then, so there is room.
    let mut log = Log::default();
    log.drain(&mut producer, 1 << 20);
    assert_eq!(documents(&folder, 0, &log).len(), 1_500);
}

/// How many deliveries the position names.
fn named(log: &Log) -> usize {
    let position: Value = serde_json::from_str(log.position.as_ref().unwrap().as_str()).unwrap();
    position["entities"]["stock"]["delivered"].as_str().unwrap_or_default().len() / 11
}

#[test]
fn deliveries_that_were_moved_away_are_forgotten_although_another_one_is_still_written() {
    for restart in [false, true] {
        let folder = Folder::new(stock("deliver"));
        folder.put("stock-1.csv", "sku,stock\na,1\n");
        folder.put("stock-2.csv", "sku,stock\nb,1\n");
        let mut producer = folder.producer(None);
        let mut log = Log::default();
        log.drain(&mut producer, 1 << 20);
        assert_eq!(named(&log), 2);
        folder.append("stock-0.csv", "sku,stock\nc,1\n");
        folder.rename("stock-1.csv", "away");
        if restart {
            producer = folder.producer(log.position.clone());
        }
        log.drain(&mut producer, 1 << 20);
        assert_eq!((named(&log), log.items.len()), (1, 2), "restart {restart}");
        folder.rename("away", "stock-1.csv");
        folder.put("stock-0.csv", "sku,stock\nc,1\n");
        log.drain(&mut producer, 1 << 20);
        assert_eq!((named(&log), log.items.len()), (3, 4), "what stayed is not read again");
    }
}

#[test]
fn a_delivery_that_was_read_is_not_forgotten_when_it_counts_as_still_written_again() {
    let mut folder = Folder::new(stock("deliver"));
    folder.set(&["poll"], json!("10ms"));
    folder.append("stock-1.csv", "sku,stock\na,1\n");
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    while log.items.is_empty() {
        log.drain(&mut producer, 1 << 20);
    }
    folder.set(&["poll"], json!("1h"));
    folder.put("stock-2.csv", "sku,stock\nb,1\n");
    log.drain(&mut folder.producer(log.position.clone()), 1 << 20);
    assert_eq!((named(&log), log.items.len()), (2, 2));
}
