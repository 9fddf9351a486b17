use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use throughline_avro::Schema;
use throughline_connector::{DeliverError, Disposition, Receipt, Sink};
use throughline_event::{Datum, Micros, Offset, Record, RecordBatch, TopicPartition};
use throughline_sink_files::FilesSink;

use crate::support::{Folder, Records, now, partition};

const TOPIC: &str = "canonical.inventory";

fn line(op: &str, sku: &str, on_hand: i64) -> serde_json::Value {
    json!({"meta": {"op": op}, "sku": sku, "on_hand": on_hand})
}

#[test]
fn a_file_is_named_by_its_offsets_and_holds_one_record_a_line() {
    let folder = Folder::new("jsonl");
    let mut sink = folder.connect().unwrap();
    let at = partition(TOPIC, 2);
    let mut records = Records::new();
    records.upsert(&at, 5, "a", 1);
    records.upsert(&at, 9, "b", 2);
    assert_eq!(now(sink.deliver(&records.batch)).unwrap(), Receipt::default());
    assert!(folder.names(TOPIC).iter().all(|name| name.starts_with('.')));
    let receipt = now(sink.flush(true)).unwrap();
    assert_eq!(receipt.next, [(at.clone(), Offset(10))]);
    assert_eq!(folder.names(TOPIC), ["2-00000000000000000005-00000000000000000009.jsonl"]);
    assert_eq!(folder.lines(&at), [line("upsert", "a", 1), line("upsert", "b", 2)]);
}

#[test]
fn a_check_leaves_the_target_as_it_is_and_does_not_mind_a_running_worker() {
    let folder = Folder::new("jsonl");
    assert!(folder.check("out").is_ok());
    assert!(!folder.path().exists());
    let running = folder.connect().unwrap();
    assert!(folder.check("out").is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "its lock alone");
    drop(running);
    fs::write(folder.path().join("file"), "").unwrap();
    let error = folder.check("out/file/below").unwrap_err().to_string();
    assert!(error.contains("TL3002") && error.contains("create the folder"), "{error}");
}

#[test]
fn a_delete_is_a_record_and_its_tombstone_is_not() {
    let folder = Folder::new("jsonl");
    let at = partition(TOPIC, 0);
    let mut records = Records::new();
    records.upsert(&at, 0, "a", 1);
    records.delete(&at, 1, "a");
    records.delete(&at, 2, "b");
    records.push(&at, 3, "a", None);
    records.push(&at, 4, "b", None);
    records.push(&at, 5, "c", None);
    let mut sink = folder.connect().unwrap();
    let _ = now(sink.deliver(&records.batch)).unwrap();
    let receipt = now(sink.flush(true)).unwrap();
    assert_eq!(receipt.next, [(at.clone(), Offset(6))]);
    assert_eq!(
        folder.lines(&at),
        [
            line("upsert", "a", 1),
            line("delete", "a", 0),
            line("delete", "b", 0),
            json!({"meta": {"op": "delete"}, "key": {"sku": "c"}}),
        ]
    );
}

#[test]
fn a_tombstone_that_comes_after_a_restart_is_no_record_either() {
    let folder = Folder::new("jsonl");
    let at = partition(TOPIC, 0);
    let mut sink = folder.connect().unwrap();
    let mut records = Records::new();
    records.delete(&at, 0, "a");
    let _ = now(sink.deliver(&records.batch)).unwrap();
    let _ = now(sink.flush(true)).unwrap();
    drop(sink);
    let mut sink = folder.connect().unwrap();
    let receipt = now(sink.assigned(std::slice::from_ref(&at))).unwrap();
    assert_eq!(receipt.next, [(at.clone(), Offset(1))]);
    let mut records = Records::new();
    records.push(&at, 1, "a", None);
    let receipt = now(sink.deliver(&records.batch)).unwrap();
    assert_eq!(receipt.next, [(at.clone(), Offset(2))], "nothing has to be written for it");
    assert_eq!(sink.flush_due(), None);
    let mut records = Records::new();
    records.push(&at, 2, "z", None);
    let _ = now(sink.deliver(&records.batch)).unwrap();
    let _ = now(sink.flush(true)).unwrap();
    assert_eq!(folder.lines(&at).len(), 2);
}

#[test]
fn parquet_has_no_rows_for_tombstones() {
    let folder = Folder::new("parquet");
    let at = partition(TOPIC, 0);
    let mut records = Records::new();
    records.push(&at, 0, "a", None);
    let mut sink = folder.connect().unwrap();
    let receipt = now(sink.deliver(&records.batch)).unwrap();
    assert_eq!(receipt.next, [(at, Offset(1))]);
    assert!(folder.names(TOPIC).is_empty());
}

#[test]
fn a_parquet_file_has_one_schema() {
    let folder = Folder::new("parquet");
    let at = partition(TOPIC, 0);
    let mut records = Records::new();
    records.upsert(&at, 0, "a", 1);
    let mut newer = line("upsert", "b", 1);
    newer["more"] = json!("x");
    records.push(&at, 1, "b", Some(newer));
    let mut sink = folder.connect().unwrap();
    let receipt = now(sink.deliver(&records.batch)).unwrap();
    assert_eq!(receipt.next, [(at, Offset(1))]);
    let _ = now(sink.flush(true)).unwrap();
    assert_eq!(folder.names(TOPIC).len(), 2);
}

#[test]
fn a_file_is_rolled_by_size_and_by_age() {
    let at = partition(TOPIC, 0);
    let mut records = Records::new();
    (0..100).for_each(|n| records.upsert(&at, n, "a", n));
    let folder = Folder::new("jsonl").roll(json!({"max_age": "1h", "max_bytes": "1KiB"}));
    let mut sink = folder.connect().unwrap();
    let _ = now(sink.deliver(&records.batch)).unwrap();
    assert!(folder.names(TOPIC).len() >= 4);
    assert!(sink.flush_due().is_some_and(|due| due > Duration::from_secs(3_000)));
    let folder = Folder::new("jsonl").roll(json!({"max_age": "0ms"}));
    let mut sink = folder.connect().unwrap();
    let receipt = now(sink.deliver(&records.batch)).unwrap();
    assert_eq!(receipt.next, [(at, Offset(100))]);
    assert_eq!(sink.flush_due(), None);
}

#[test]
fn two_workers_cannot_write_to_one_folder() {
    let folder = Folder::new("jsonl");
    let first = folder.connect().unwrap();
    let error = folder.connect().unwrap_err().to_string();
    assert!(error.starts_with("TL3002") && error.contains("another worker"), "{error}");
    drop(first);
    folder.connect().unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_can_be_tried_again() {
    let folder = Folder::new("jsonl");
    fs::write(folder.path(), "").unwrap();
    let error = folder.connect().unwrap_err().to_string();
    assert!(error.starts_with("TL3002"), "{error}");
    fs::remove_file(folder.path()).unwrap();
    folder.connect().unwrap();
}

#[test]
fn files_of_others_stay_and_damaged_ones_halt() {
    let folder = Folder::new("jsonl");
    let at = partition(TOPIC, 0);
    fs::create_dir_all(folder.topic(TOPIC)).unwrap();
    fs::write(folder.topic(TOPIC).join("notes.txt"), "x").unwrap();
    let mut sink = folder.connect().unwrap();
    assert_eq!(now(sink.assigned(std::slice::from_ref(&at))).unwrap(), Receipt::default());
    let cut = folder.topic(TOPIC).join("0-00000000000000000000-00000000000000000009.jsonl");
    fs::write(&cut, "{\"a\":").unwrap();
    let error = now(sink.assigned(std::slice::from_ref(&at))).unwrap_err();
    assert_eq!(error.disposition(), Disposition::Halt);
    assert!(error.to_string().starts_with("TL3006"), "{error}");
    assert!(cut.exists());
    assert!(folder.names(TOPIC).contains(&"notes.txt".to_owned()));
}

#[test]
fn a_record_that_is_not_what_its_schema_says_is_refused_alone() {
    for format in ["jsonl", "parquet"] {
        let folder = Folder::new(format);
        let at = partition(TOPIC, 0);
        let mut records = Records::new();
        records.upsert(&at, 0, "a", 1);
        let good = records.batch.get(0).unwrap();
        let value = good.value.unwrap();
        let mut batch = RecordBatch::new();
        batch.push(good);
        let cut = Datum { schema: value.schema, bytes: &value.bytes[..3] };
        batch.push(Record { offset: Offset(1), value: Some(cut), ..good });
        let mut sink = folder.connect().unwrap();
        let error = now(sink.deliver(&batch)).unwrap_err();
        match error.disposition() {
            Disposition::DeadLetter { position, .. } => assert_eq!(position.offset, Offset(1)),
            other => panic!("{format}: {other:?}"),
        }
        assert!(error.to_string().starts_with("TL3004"), "{error}");
        // The runtime delivers the rest.
        let mut rest = RecordBatch::new();
        rest.push(good);
        rest.push(Record { offset: Offset(2), ..good });
        let _ = now(sink.deliver(&rest)).unwrap();
        assert_eq!(now(sink.flush(true)).unwrap().next, [(at.clone(), Offset(3))]);
        let files = folder.names(TOPIC);
        assert_eq!(files.len(), 2, "{files:?}");

        // At the next start it is tried again, and finds its place when it is taken.
        drop(sink);
        let mut sink = folder.connect().unwrap();
        let partitions = std::slice::from_ref(&at);
        assert_eq!(now(sink.assigned(partitions)).unwrap().next, [(at.clone(), Offset(3))]);
        let bad = Record { offset: Offset(1), value: Some(cut), ..good };
        let error = now(sink.retry(&bad)).unwrap_err();
        assert!(matches!(error.disposition(), Disposition::DeadLetter { .. }), "{error}");
        assert_eq!(folder.names(TOPIC), files);
        let mended = Record { offset: Offset(1), ..good };
        for _ in 0..2 {
            assert!(now(sink.retry(&mended)).unwrap());
            let names = folder.names(TOPIC);
            assert_eq!(names.len(), 3);
            assert_eq!([&names[0], &names[2]], [&files[0], &files[1]], "{names:?}");
        }
        let later = Record { offset: Offset(3), ..good };
        assert!(!now(sink.retry(&later)).unwrap(), "it comes again by itself");
        drop(sink);
        let mut sink = folder.connect().unwrap();
        assert_eq!(now(sink.assigned(partitions)).unwrap().next, [(at, Offset(3))]);
    }
}

#[test]
fn a_refused_record_within_a_finished_file_stays_refused() {
    let folder = Folder::new("jsonl");
    let at = partition(TOPIC, 0);
    let mut records = Records::new();
    records.upsert(&at, 0, "a", 1);
    records.upsert(&at, 2, "a", 3);
    let mut sink = folder.connect().unwrap();
    let _ = now(sink.deliver(&records.batch)).unwrap();
    let _ = now(sink.flush(true)).unwrap();
    let between = Record { offset: Offset(1), ..records.batch.get(0).unwrap() };
    let error = now(sink.retry(&between)).unwrap_err();
    assert!(error.to_string().contains("covers its offset"), "{error}");
    assert_eq!(folder.names(TOPIC).len(), 1);
}

#[test]
fn a_schema_without_a_form_in_parquet_halts() {
    let folder = Folder::new("parquet");
    let at = partition(TOPIC, 0);
    let text = json!({"type": "record", "name": "R", "fields": [
        {"name": "x", "type": ["string", "long"]}]});
    let schema = Arc::new(Schema::parse(&text.to_string()).unwrap());
    let mut batch = RecordBatch::new();
    batch.push(Record {
        topic: &at.topic,
        partition: at.partition,
        offset: Offset(0),
        timestamp: Micros(0),
        key: None,
        value: Some(Datum { schema: &schema, bytes: &[2, 2] }),
        headers: &[],
    });
    let error = now(folder.connect().unwrap().deliver(&batch)).unwrap_err();
    assert!(matches!(error, DeliverError::Halt { code: "TL3005", .. }), "{error}");
}

/// Two records, delivered and durable.
fn delivered(folder: &Folder, at: &TopicPartition) -> FilesSink {
    let mut sink = folder.connect().unwrap();
    assert_eq!(now(sink.assigned(std::slice::from_ref(at))).unwrap(), Receipt::default());
    assert!(!sink.has_seen(at), "a new folder");
    let mut records = Records::new();
    records.upsert(at, 0, "a", 1);
    records.upsert(at, 1, "b", 2);
    let _ = now(sink.deliver(&records.batch)).unwrap();
    assert_eq!(now(sink.flush(true)).unwrap().next, [(at.clone(), Offset(2))]);
    sink
}

#[test]
fn a_target_that_lost_what_it_held_is_told_from_one_that_holds_nothing_yet() {
    let at = partition(TOPIC, 0);
    let seen = |folder: &Folder| {
        let mut sink = folder.connect().unwrap();
        let _ = now(sink.assigned(std::slice::from_ref(&at))).unwrap();
        sink.has_seen(&at)
    };
    let folder = Folder::new("jsonl");
    drop(delivered(&folder, &at));
    assert!(seen(&folder));
    fs::remove_dir_all(folder.topic(TOPIC)).unwrap();
    assert!(!seen(&folder), "the folder of the topic is gone");
    let folder = Folder::new("jsonl");
    drop(delivered(&folder, &at));
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(!seen(&folder), "all is gone");
    // A partition of which nothing is written: its offset is committed all the same.
    let folder = Folder::new("parquet");
    let mut sink = folder.connect().unwrap();
    let mut records = Records::new();
    records.push(&at, 0, "a", None);
    assert_eq!(now(sink.deliver(&records.batch)).unwrap().next, [(at.clone(), Offset(1))]);
    drop(sink);
    assert!(seen(&folder));
}

#[test]
fn nothing_is_written_to_a_folder_that_took_the_place_of_the_target() {
    let at = partition(TOPIC, 0);
    let folder = Folder::new("jsonl");
    let mut sink = delivered(&folder, &at);
    let away = folder.path().with_extension("away");
    fs::rename(folder.path(), &away).unwrap();
    let mut records = Records::new();
    records.upsert(&at, 2, "c", 3);
    let refused = |sink: &mut FilesSink, records: &Records| {
        for error in [
            now(sink.deliver(&records.batch)).unwrap_err(),
            now(sink.flush(true)).unwrap_err(),
            now(sink.assigned(std::slice::from_ref(&at))).unwrap_err(),
        ] {
            assert_eq!(error.disposition(), Disposition::Retry { after: None });
            assert!(error.to_string().starts_with("TL3008"), "{error}");
        }
    };
    refused(&mut sink, &records);
    assert!(!folder.path().exists());
    // Another one in its place, with a lock of its own, as a second volume has it.
    drop(folder.connect().unwrap());
    refused(&mut sink, &records);
    assert!(folder.names(TOPIC).is_empty());
    fs::remove_dir_all(folder.path()).unwrap();
    fs::rename(&away, folder.path()).unwrap();
    let _ = now(sink.deliver(&records.batch)).unwrap();
    assert_eq!(now(sink.flush(true)).unwrap().next, [(at.clone(), Offset(3))]);
    assert_eq!(folder.lines(&at).len(), 3);
}
