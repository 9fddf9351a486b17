use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use serde_json::json;
use throughline_connector::{CaptureBatch, Captured, Item, Producer};

use crate::support::{Folder, Log, Model, ORDERS, documents, now, orders, read, stock};

fn keys(log: &Log) -> Vec<String> {
    Model::of(log).documents.keys().map(|key| String::from_utf8_lossy(&key[1..]).into()).collect()
}

#[test]
fn a_dump_is_a_sweep_and_what_is_missing_in_the_next_is_gone() {
    let folder = Folder::new(stock("replace"));
    folder.put("stock.csv", "sku,stock\na,1\nb,2\nc,3\n");
    let mut log = read(&folder, None);
    assert!(
        matches!(log.items.first(), Some(Item::SweepBegin { scope, .. }) if scope == "stock.csv")
    );
    assert!(matches!(log.items.last(), Some(Item::SweepEnd { .. })));
    assert!(matches!(log.items[1], Item::Document { snapshot: true, .. }));
    let mut producer = folder.producer(log.position.clone());
    log.drain(&mut producer, 1 << 20);
    assert_eq!(log.items.len(), 5, "the same dump is not read again");
    // The last line has no line break.
    folder.put("stock.csv", "sku,stock\na,1\nc,4");
    log.drain(&mut producer, 1 << 20);
    assert_eq!(keys(&log), ["a", "c"]);
    assert!(matches!(log.items[6], Item::Document { snapshot: false, .. }));
}

#[test]
fn a_dump_that_still_grows_is_not_read() {
    let mut folder = Folder::new(stock("replace"));
    folder.set(&["poll"], json!("1h"));
    folder.append("stock.csv", "sku,stock\na,1\n");
    assert!(read(&folder, None).items.is_empty());
    File::options()
        .append(true)
        .open(folder.path("stock.csv"))
        .unwrap()
        .set_modified(SystemTime::now() - Duration::from_secs(4_000))
        .unwrap();
    assert_eq!(keys(&read(&folder, None)), ["a"]);
}

#[test]
fn a_dump_that_changes_while_it_is_read_is_given_up_and_read_again() {
    let folder = Folder::new(stock("replace"));
    folder.put("stock.csv", "sku,stock\na,1\nb,2\nc,3\n");
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    let mut batch = CaptureBatch::default();
    assert_eq!(now(producer.capture(&mut batch, 1)).unwrap(), Captured::More);
    log.take(batch);
    folder.overwrite("stock.csv", "sku,stock\na,1\nb,2\n");
    log.drain(&mut producer, 1);
    assert!(log.items.iter().any(|item| matches!(item, Item::SweepCancel { .. })));
    assert_eq!(keys(&log), ["a", "b"]);
}

#[test]
fn a_dump_that_is_replaced_while_it_is_read_is_read_to_its_end_first() {
    let folder = Folder::new(stock("replace"));
    folder.put("stock.csv", "sku,stock\na,1\nb,2\n");
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    let mut batch = CaptureBatch::default();
    now(producer.capture(&mut batch, 1)).unwrap();
    log.take(batch);
    folder.put("stock.csv", "sku,stock\nb,5\n");
    log.drain(&mut producer, 1);
    assert_eq!(keys(&log), ["b"]);
    assert!(!log.items.iter().any(|item| matches!(item, Item::SweepCancel { .. })));
}

#[test]
fn an_empty_or_suspiciously_small_dump_deletes_nothing() {
    let mut folder = Folder::new(stock("replace"));
    folder.put("stock.csv", "sku,stock\na,1\nb,2\nc,3\nd,4\n");
    let mut log = read(&folder, None);
    for content in ["sku,stock\n", "sku,stock\na,1\n"] {
        folder.put("stock.csv", content);
        let mut producer = folder.producer(log.position.clone());
        log.drain(&mut producer, 1 << 20);
        assert_eq!(log.rejected().last().unwrap().code, "TL1022");
        assert_eq!(keys(&log), ["a", "b", "c", "d"]);
        let rejected = log.rejected().len();
        let mut producer = folder.producer(log.position.clone());
        log.drain(&mut producer, 1 << 20);
        assert_eq!(log.rejected().len(), rejected, "said once");
    }
    // The way out.
    folder.set(&["entities", "stock", "max_delete_percent"], json!(100));
    let mut producer = folder.producer(log.position.clone());
    log.drain(&mut producer, 1 << 20);
    assert_eq!(keys(&log), ["a"]);
    // A file of no bytes has no header.
    folder.put("stock.csv", "");
    log.drain(&mut producer, 1 << 20);
    assert_eq!(log.rejected().last().unwrap().code, "TL1020");
    assert_eq!(keys(&log), ["a"]);
}

#[test]
fn a_bad_row_keeps_its_key_and_an_unreadable_one_keeps_all() {
    let folder = Folder::new(stock("replace"));
    folder.put("stock.csv", "sku,stock\na,1\nb,2\nc,3\n");
    let mut log = read(&folder, None);
    folder.put("stock.csv", "sku,stock\na,7\nb,none\n");
    let mut producer = folder.producer(log.position.clone());
    log.drain(&mut producer, 1 << 20);
    assert_eq!(keys(&log), ["a", "b"], "c is gone, b stays as it was");
    assert_eq!(log.places(), [("TL1013", "stock.csv line 3 column 2".to_owned())]);
    folder.put("stock.csv", "sku,stock\na,8\nb\n");
    log.drain(&mut producer, 1 << 20);
    assert_eq!(keys(&log), ["a", "b"]);
    let codes: Vec<_> = log.rejected().iter().map(|r| r.code).collect();
    assert_eq!(codes, ["TL1013", "TL1010", "TL1023"]);
}

#[test]
fn rows_of_one_key_are_collected_wherever_they_stand() {
    let folder = Folder::new(orders("replace"));
    folder.put("orders.csv", format!("{ORDERS}2,a,1\n1,b,2\n2,c,3\n"));
    let log = read(&folder, None);
    let found = documents(&folder, 0, &log);
    assert_eq!(
        found,
        [
            (
                json!({"number": "1"}),
                json!({"number": "1", "rows": [
            {"number": "1", "sku": "b", "price": "2"}]})
            ),
            (
                json!({"number": "2"}),
                json!({"number": "2", "rows": [
            {"number": "2", "sku": "a", "price": "1"},
            {"number": "2", "sku": "c", "price": "3"}]})
            ),
        ]
    );
}

#[test]
fn a_document_with_a_bad_row_is_withheld_and_stays_as_it_was() {
    let folder = Folder::new(orders("replace"));
    folder.put("orders.csv", format!("{ORDERS}1,a,1\n1,b,1\n2,c,1\n"));
    let mut log = read(&folder, None);
    let before = Model::of(&log).documents;
    folder.put("orders.csv", format!("{ORDERS}1,a,2\n1,b,x\n2,c,1\n"));
    log.drain(&mut folder.producer(log.position.clone()), 1 << 20);
    assert_eq!(Model::of(&log).documents, before);
    assert_eq!(
        log.places(),
        [
            ("TL1013", "orders.csv line 3 column 3".to_owned()),
            ("TL1019", "orders.csv line 2".to_owned()),
        ]
    );
}

#[test]
fn two_dumps_of_one_entity_are_two_sweeps() {
    let folder = Folder::new(stock("replace"));
    folder.put("stock-de.csv", "sku,stock\na,1\nb,1\n");
    folder.put("stock-fr.csv", "sku,stock\nc,1\nd,1\n");
    let mut log = read(&folder, None);
    folder.put("stock-fr.csv", "sku,stock\nd,1\n");
    log.drain(&mut folder.producer(log.position.clone()), 1 << 20);
    assert_eq!(keys(&log), ["a", "b", "d"]);
}

#[test]
fn a_dump_is_read_again_when_its_description_changes() {
    let mut folder = Folder::new(stock("replace"));
    folder.put("stock.csv", "sku,stock\na,1\n");
    let log = read(&folder, None);
    folder.set(&["entities", "stock", "columns", "stock", "nullable"], json!(true));
    assert_eq!(documents(&folder, 0, &read(&folder, log.position)).len(), 1);
}

#[test]
fn a_large_dump_does_not_hold_up_other_files() {
    let mut folder = Folder::new(stock("replace"));
    let orders = orders("append")["order"].clone();
    folder.set(&["entities", "order"], orders);
    let rows: String = (0..100).map(|n| format!("{n},1\n")).collect();
    folder.put("stock.csv", format!("sku,stock\n{rows}"));
    folder.append("orders.csv", format!("{ORDERS}1,a,1\n"));
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    for _ in 0..2 {
        let mut batch = CaptureBatch::default();
        now(producer.capture(&mut batch, 8)).unwrap();
        log.take(batch);
    }
    assert!(log.items.iter().any(|item| matches!(item, Item::Rows { .. })));
    assert!(!log.items.iter().any(|item| matches!(item, Item::SweepEnd { .. })));
}

#[test]
fn a_dump_that_is_written_over_with_the_same_size_and_time_is_read_again() {
    let folder = Folder::new(stock("replace"));
    folder.put("stock.csv", "sku,stock\na,1\n");
    let mut log = read(&folder, None);
    let file = File::options().write(true).open(folder.path("stock.csv")).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"b", 10).unwrap();
    file.set_modified(time).unwrap();
    log.drain(&mut folder.producer(log.position.clone()), 1 << 20);
    assert_eq!(keys(&log), ["b"]);
}
