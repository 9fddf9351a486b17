use std::fs;

use serde_json::json;
use throughline_connector::{CaptureBatch, Captured, Item, Producer as _};

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
    let position = log.position.unwrap();
    assert!(!position.as_str().contains("stock-2.csv"), "{}", position.as_str());
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
