use std::fs;

use serde_json::json;
use throughline_connector::{CaptureBatch, CaptureError, Captured, Item, Producer};

use crate::support::{Folder, Log, Model, ORDERS, now, orders, read, stock, to_json};

fn rows(folder: &Folder, log: &Log) -> Vec<(String, Vec<String>)> {
    let producer = folder.producer(None);
    let entity = &producer.entities()[0];
    log.items
        .iter()
        .filter_map(|item| match item {
            Item::Rows { key, rows, .. } => {
                let mut document = key.clone();
                throughline_avro::put_block(&mut document, rows.len());
                rows.iter().for_each(|row| document.extend_from_slice(row));
                throughline_avro::put_block_end(&mut document);
                let document = to_json(&entity.document, &document);
                let skus = document["rows"].as_array().unwrap();
                Some((
                    document["number"].as_str().unwrap().to_owned(),
                    skus.iter().map(|row| row["sku"].as_str().unwrap().to_owned()).collect(),
                ))
            }
            _ => None,
        })
        .collect()
}

fn group(number: &str, skus: &[&str]) -> (String, Vec<String>) {
    (number.to_owned(), skus.iter().map(|&sku| sku.to_owned()).collect())
}

#[test]
fn adjacent_rows_of_a_key_are_one_item_and_a_partial_line_waits() {
    let folder = Folder::new(orders("append"));
    folder.append("orders.csv", format!("{ORDERS}1,a,1.50\n1,b,2\n2,c,3\n2,d"));
    let log = read(&folder, None);
    assert_eq!(rows(&folder, &log), [group("1", &["a", "b"]), group("2", &["c"])]);
    let places: Vec<_> = log
        .items
        .iter()
        .map(|item| match item {
            Item::Rows { place, snapshot, .. } => (place.as_str(), *snapshot),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(places, [("orders.csv line 2", true), ("orders.csv line 4", true)]);

    folder.append("orders.csv", ",4\n");
    let more = read(&folder, log.position);
    assert_eq!(rows(&folder, &more), [group("2", &["d"])]);
    assert!(matches!(&more.items[..], [Item::Rows { snapshot: false, .. }]), "{:?}", more.items);
}

#[test]
fn a_row_that_is_appended_is_read_without_a_restart() {
    let folder = Folder::new(orders("append"));
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    log.drain(&mut producer, 1 << 20);
    assert!(log.items.is_empty());
    folder.append("orders.csv", "number,");
    log.drain(&mut producer, 1 << 20);
    folder.append("orders.csv", "lineitems.variant.sku,price\n1,a,1\n");
    log.drain(&mut producer, 1 << 20);
    folder.append("orders.csv", "1,b,1\n");
    log.drain(&mut producer, 1 << 20);
    assert_eq!(rows(&folder, &log), [group("1", &["a"]), group("1", &["b"])]);
}

#[test]
fn a_batch_does_not_end_between_rows_of_one_key() {
    let folder = Folder::new(orders("append"));
    let lines: String = (0..50).map(|n| format!("{},sku-{n},1\n", n / 5)).collect();
    folder.append("orders.csv", format!("{ORDERS}{lines}"));
    let mut log = Log::default();
    log.drain(&mut folder.producer(None), 20);
    // The budget holds one or two rows: a run longer than it is cut, and nothing is lost.
    assert_eq!(Model::of(&log).documents.len(), 10);
    assert_eq!(Model::of(&log).writes, 50);
    let mut log = Log::default();
    log.drain(&mut folder.producer(None), 100);
    assert!(rows(&folder, &log).iter().all(|(_, skus)| skus.len() == 5));
}

#[test]
fn a_rotated_file_is_finished_before_the_new_one_is_read() {
    for restart in [false, true] {
        let folder = Folder::new(orders("append"));
        folder.append("orders.csv", format!("{ORDERS}1,a,1\n"));
        let mut producer = folder.producer(None);
        let mut log = Log::default();
        log.drain(&mut producer, 1 << 20);
        folder.append("orders.csv", "1,b,1\n");
        folder.rename("orders.csv", "old-orders");
        folder.append("orders.csv", format!("{ORDERS}9,z,1\n"));
        if restart {
            producer = folder.producer(log.position.clone());
        }
        log.drain(&mut producer, 1 << 20);
        let expected = [group("1", &["a"]), group("1", &["b"]), group("9", &["z"])];
        assert_eq!(rows(&folder, &log), expected, "restart {restart}");
        assert_eq!(log.places(), []);
    }
}

#[test]
fn a_removed_file_is_finished_while_it_is_still_open() {
    let folder = Folder::new(orders("append"));
    folder.append("orders.csv", format!("{ORDERS}1,a,1\n"));
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    log.drain(&mut producer, 1 << 20);
    folder.append("orders.csv", "1,b,1\n");
    fs::remove_file(folder.path("orders.csv")).unwrap();
    log.drain(&mut producer, 1 << 20);
    folder.append("orders.csv", format!("{ORDERS}9,z,1\n"));
    log.drain(&mut producer, 1 << 20);
    assert_eq!(rows(&folder, &log), [group("1", &["a"]), group("1", &["b"]), group("9", &["z"])]);
    assert_eq!(log.places(), []);
}

#[test]
fn a_file_that_was_rotated_away_unseen_is_reported() {
    let folder = Folder::new(orders("append"));
    folder.append("orders.csv", format!("{ORDERS}1,a,1\n"));
    let log = read(&folder, None);
    folder.put("orders.csv", format!("{ORDERS}9,z,1\n"));
    let more = read(&folder, log.position);
    assert_eq!(more.places(), [("TL1026", "orders.csv line 3".to_owned())]);
    assert_eq!(rows(&folder, &more), [group("9", &["z"])]);
    assert!(read(&folder, more.position).items.is_empty());
}

#[test]
fn a_renamed_file_that_still_fits_the_pattern_is_not_read_twice() {
    let folder = Folder::new(orders("append"));
    folder.append("orders.csv", format!("{ORDERS}1,a,1\n"));
    let log = read(&folder, None);
    folder.rename("orders.csv", "orders-1.csv");
    folder.append("orders-1.csv", "2,b,1\n");
    folder.append("orders.csv", format!("{ORDERS}3,c,1\n"));
    let more = read(&folder, log.position);
    assert_eq!(rows(&folder, &more), [group("2", &["b"]), group("3", &["c"])]);
    assert_eq!(more.places(), []);
}

#[test]
fn a_file_that_an_editor_wrote_anew_goes_on_where_it_was() {
    let folder = Folder::new(orders("append"));
    let before = format!("{ORDERS}1,a,1\n");
    folder.append("orders.csv", &before);
    let log = read(&folder, None);
    folder.put("orders.csv", format!("{before}2,b,1\n"));
    let more = read(&folder, log.position);
    assert_eq!(rows(&folder, &more), [group("2", &["b"])]);
    assert_eq!(more.places(), []);
}

#[test]
fn a_shrunk_or_rewritten_file_waits_with_the_way_out() {
    let folder = Folder::new(orders("append"));
    folder.append("orders.csv", format!("{ORDERS}1,a,1\n2,b,1\n"));
    let log = read(&folder, None);
    for (content, code) in [
        (format!("{ORDERS}1,a,1\n"), "TL1030"),
        (format!("{ORDERS}1,X,1\n2,b,1\n3,c,1\n"), "TL1031"),
    ] {
        folder.overwrite("orders.csv", content);
        let error = Log::default()
            .try_drain(&mut folder.producer(log.position.clone()), 1 << 20)
            .unwrap_err();
        assert!(matches!(error, CaptureError::Halt { .. }));
        let text = error.to_string();
        assert!(text.starts_with(code) && text.contains("another name"), "{text}");
    }
    // The way out: another name.
    folder.rename("orders.csv", "orders-new.csv");
    assert_eq!(rows(&folder, &read(&folder, log.position)).len(), 3);
}

#[test]
fn ungrouped_rows_are_documents() {
    let folder = Folder::new(stock("append"));
    folder.append("stock.csv", "sku,stock\na,1\nb,2\n");
    let log = read(&folder, None);
    let keys = Model::of(&log).documents.len();
    assert_eq!((keys, log.items.len()), (2, 2));
    assert!(matches!(log.items[0], Item::Document { scope: None, .. }));
}

#[test]
fn an_empty_folder_and_a_folder_that_is_gone_forget_nothing() {
    let mut folder = Folder::new(stock("append"));
    folder.set(&["entities", "stock", "path"], json!("in/stock*.csv"));
    fs::create_dir(folder.path("in")).unwrap();
    folder.append("in/stock.csv", "sku,stock\na,1\n");
    let log = read(&folder, None);
    assert!(matches!(&log.items[0],
        Item::Document { place, .. } if place == "in/stock.csv line 2"));
    folder.rename("in", "unmounted");
    let gone = read(&folder, log.position);
    folder.rename("unmounted", "in");
    assert!(read(&folder, gone.position).items.is_empty());
}

#[test]
fn a_bad_line_is_shown_whole_although_it_was_still_being_written() {
    let folder = Folder::new(stock("append"));
    folder.append("stock.csv", "sku,stock\n\"a\" b");
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    log.drain(&mut producer, 1 << 20);
    assert_eq!(log.places(), []);
    folder.append("stock.csv", " c,1\nd,2\n");
    log.drain(&mut producer, 1 << 20);
    let rejected = log.rejected();
    assert_eq!((rejected[0].code, &*rejected[0].input), ("TL1011", &b"\"a\" b c,1"[..]));
    assert_eq!((rejected.len(), Model::of(&log).documents.len()), (1, 1));
}

#[test]
fn a_shrunk_file_holds_up_its_own_entity_and_goes_on_when_it_is_put_back() {
    let mut folder = Folder::new(orders("append"));
    folder.set(&["entities", "stock"], stock("append")["stock"].clone());
    let content = format!("{ORDERS}1,a,1\n2,b,1\n");
    folder.append("orders.csv", &content);
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    log.drain(&mut producer, 1 << 20);
    folder.overwrite("orders.csv", ORDERS);
    for row in ["sku,stock\na,1\n", "b,2\n"] {
        folder.append("stock.csv", row);
        let error = log.try_drain(&mut producer, 1 << 20).unwrap_err().to_string();
        assert!(error.starts_with("TL1030") && error.contains("orders.csv"), "{error}");
    }
    let of_stock = |item: &&Item| matches!(item, Item::Document { .. });
    assert_eq!(log.items.iter().filter(of_stock).count(), 2, "the other entity flows");
    folder.overwrite("orders.csv", format!("{content}3,c,1\n"));
    log.drain(&mut producer, 1 << 20);
    assert_eq!(rows(&folder, &log).last(), Some(&group("3", &["c"])));
}

#[test]
fn a_file_that_came_back_under_the_name_of_one_that_is_gone_is_followed_when_it_is_rotated() {
    let folder = Folder::new(orders("append"));
    folder.append("orders-other.csv", format!("{ORDERS}0,o,1\n"));
    folder.append("orders.csv", format!("{ORDERS}1,a,1\n"));
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    log.drain(&mut producer, 1 << 20);
    fs::remove_file(folder.path("orders.csv")).unwrap();
    log.drain(&mut producer, 1 << 20);
    folder.append("orders.csv", format!("{ORDERS}2,b,1\n"));
    log.drain(&mut producer, 1 << 20);
    folder.append("orders.csv", "2,c,1\n");
    folder.rename("orders.csv", "old-orders");
    folder.append("orders.csv", format!("{ORDERS}3,d,1\n"));
    log.drain(&mut producer, 1 << 20);
    assert_eq!(log.places(), []);
    let expected = [("0", "o"), ("1", "a"), ("2", "b"), ("2", "c"), ("3", "d")];
    assert_eq!(rows(&folder, &log), expected.map(|(order, sku)| group(order, &[sku])));
}

#[test]
fn files_that_are_gone_are_not_held_instead_of_those_that_are_there() {
    let folder = Folder::new(orders("append"));
    folder.append("orders-other.csv", format!("{ORDERS}0,o,1\n"));
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    for file in 0..70 {
        let name = format!("orders-{file}.csv");
        folder.append(&name, format!("{ORDERS}{file},a,1\n"));
        log.drain(&mut producer, 1 << 20);
        fs::remove_file(folder.path(&name)).unwrap();
        log.drain(&mut producer, 1 << 20);
    }
    folder.append("orders.csv", format!("{ORDERS}last,a,1\n"));
    log.drain(&mut producer, 1 << 20);
    folder.append("orders.csv", "last,b,1\n");
    fs::remove_file(folder.path("orders.csv")).unwrap();
    log.drain(&mut producer, 1 << 20);
    assert_eq!(rows(&folder, &log).last(), Some(&group("last", &["b"])));
}

#[test]
fn a_file_that_waits_is_named_with_each_batch_of_the_others() {
    let mut folder = Folder::new(orders("append"));
    for (entity, path) in [("stock", "stock*.csv"), ("store", "store*.csv")] {
        folder.set(&["entities", entity], stock("append")["stock"].clone());
        folder.set(&["entities", entity, "path"], json!(path));
    }
    folder.append("orders.csv", format!("{ORDERS}1,a,1\n"));
    let mut producer = folder.producer(None);
    Log::default().drain(&mut producer, 1 << 20);
    folder.overwrite("orders.csv", ORDERS);
    assert!(Log::default().try_drain(&mut producer, 1 << 20).is_err());
    for name in ["stock.csv", "store.csv"] {
        folder.append(name, "sku,stock\na,1\nb,1\nc,1\nd,1\n");
    }
    let mut batches = 0;
    loop {
        let mut batch = CaptureBatch::default();
        let captured = now(producer.capture(&mut batch, 1)).unwrap();
        let told: Vec<_> = batch.waiting.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].starts_with("TL1030"), "batch {batches}: {told:?}");
        if captured != Captured::More {
            break;
        }
        batches += 1;
    }
    assert!(batches >= 8, "{batches}");
    folder.append("orders.csv", "1,a,1\n");
    Log::default().drain(&mut producer, 1 << 20);
}
