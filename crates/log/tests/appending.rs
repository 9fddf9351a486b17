//! Appending, reading, waiting and opening again, on real files.

use std::path::Path;
use std::sync::Arc;

use throughline_log::{
    AppendError, Appended, FlushPolicy, Isolation, LogDir, LogOptions, OpenError, Origin,
    Partition, PartitionConfig, ReadError, ReadLimit, StdFiles, TopicPartition,
};

use crate::batches::{Batch, Record, decode};

pub(crate) fn open(path: &Path) -> LogDir {
    open_with(path, LogOptions::default())
}

pub(crate) fn open_with(path: &Path, options: LogOptions) -> LogDir {
    LogDir::open(path, LogOptions { min_free_bytes: 0, ..options }, Arc::new(StdFiles)).unwrap()
}

pub(crate) fn orders() -> TopicPartition {
    TopicPartition::new("orders", 0).unwrap()
}

pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn append(partition: &Partition, batch: &Batch) -> Appended {
    let appended = partition.append(batch.encode(), Origin::Client, 5_000).unwrap();
    wait(partition.durable(appended.last_offset + 1)).unwrap();
    appended
}

pub(crate) fn limit(max_bytes: usize, isolation: Isolation) -> ReadLimit {
    ReadLimit { max_bytes, isolation }
}

/// All records that can be read, with their offsets.
pub(crate) fn read_all(partition: &Partition) -> Vec<(i64, Record)> {
    let mut records = Vec::new();
    let mut from = partition.ends().log_start;
    loop {
        let fetched = partition.read(from, limit(4_096, Isolation::ReadUncommitted)).unwrap();
        if fetched.records.is_empty() {
            return records;
        }
        for batch in decode(&fetched.records) {
            from = batch.last_offset + 1;
            records.extend(batch.records.into_iter().filter(|_| batch.attributes & 32 == 0));
        }
    }
}

pub(crate) fn values(partition: &Partition) -> Vec<String> {
    let value = |record: Record| String::from_utf8(record.value.unwrap()).unwrap();
    read_all(partition).into_iter().map(|(_, record)| value(record)).collect()
}

#[test]
fn what_was_appended_is_read_and_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path());
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    let first = append(&partition, &Batch::of(&["a", "b"]));
    let second = append(&partition, &Batch::of(&["c"]));
    assert_eq!((first.base_offset, first.last_offset), (0, 1));
    assert_eq!((second.base_offset, second.last_offset), (2, 2));
    assert_eq!(values(&partition), ["a", "b", "c"]);
    dir.close();
    assert!(matches!(
        partition.read(0, limit(1, Isolation::default())),
        Err(ReadError::Closed { .. })
    ));

    let dir = open(folder.path());
    let partition = dir.partition(&orders()).unwrap();
    assert_eq!(values(&partition), ["a", "b", "c"]);
    assert_eq!(append(&partition, &Batch::of(&["d"])).base_offset, 3);
}

#[test]
fn stored_bytes_are_those_received_except_for_base_offset_and_leader_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path());
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    append(&partition, &Batch::of(&["a", "b"]));
    let batch = Batch::of(&["c"]);
    append(&partition, &batch);
    let fetched = partition.read(2, limit(1 << 20, Isolation::default())).unwrap();
    let sent = batch.encode();
    assert_eq!(fetched.records[8..12], sent[8..12]);
    assert_eq!(fetched.records[16..], sent[16..]);
    let read = &decode(&fetched.records)[0];
    assert_eq!((read.base_offset, read.leader_epoch), (2, 0));
}

#[test]
fn a_read_gives_one_whole_batch_even_when_it_is_larger_than_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path());
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    append(&partition, &Batch::of(&["small"]));
    append(&partition, &Batch::of(&["x".repeat(100_000).as_str()]));
    append(&partition, &Batch::of(&["small"]));
    for from in 0..3 {
        let fetched = partition.read(from, limit(0, Isolation::default())).unwrap();
        let read = decode(&fetched.records);
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].base_offset, from);
    }
}

#[test]
fn a_second_process_on_the_folder_is_refused_with_folder_and_process() {
    let folder = tempfile::tempdir().unwrap();
    let _dir = open(folder.path());
    let error = LogDir::open(folder.path(), LogOptions::default(), Arc::new(StdFiles)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(text.starts_with("TL0202") && text.contains(folder.path().to_str().unwrap()), "{text}");
}

#[test]
fn records_survive_without_a_clean_close_and_small_segments() {
    for flush in [FlushPolicy::EveryAck, FlushPolicy::PageCache] {
        let folder = tempfile::tempdir().unwrap();
        let copy = tempfile::tempdir().unwrap();
        let dir = open_with(folder.path(), LogOptions { flush, ..LogOptions::default() });
        let config = PartitionConfig { segment_bytes: 2_000, ..PartitionConfig::default() };
        let partition = dir.create(orders(), config).unwrap();
        let mut expected = Vec::new();
        for number in 0..200 {
            let value = format!("value {number}");
            append(&partition, &Batch::of(&[&value]).by(7, 0, number));
            expected.push(value);
        }
        copy_folder(folder.path(), copy.path());
        let dir = open(copy.path());
        let partition = dir.partition(&orders()).unwrap();
        assert_eq!(values(&partition), expected);
        let again = append(&partition, &Batch::of(&["value 199"]).by(7, 0, 199));
        assert!(again.duplicate);
        assert_eq!(again.base_offset, 199);
        let gap = Batch::of(&["x"]).by(7, 0, 201).encode();
        let error = partition.append(gap, Origin::Client, 0).unwrap_err();
        assert!(matches!(error, AppendError::OutOfOrderSequence { expected: 200, found: 201, .. }));
    }
}

/// What `kill -9` leaves behind, except for the lock.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else if entry.file_name() != "lock" {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
