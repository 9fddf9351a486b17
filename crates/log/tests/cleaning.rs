//! Retention, DeleteRecords and compaction.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use throughline_log::{
    AppendError, BatchFault, CleanReport, Isolation, LogDir, LogError, LogOptions, Origin,
    Partition, PartitionConfig, ReadError,
};

use crate::appending::{append, limit, open, open_with, orders, read_all, values};
use crate::batches::{Batch, ReadBatch, Record};
use crate::world::{read, read_committed, values_of};

/// Every append goes to its own segment, so that all but the last can be cleaned.
fn compacted() -> PartitionConfig {
    PartitionConfig {
        segment_bytes: 1,
        compact: true,
        delete: false,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: 1_000,
        ..PartitionConfig::default()
    }
}

fn create(path: &Path, config: PartitionConfig) -> (LogDir, Arc<Partition>) {
    let dir = open(path);
    let partition = dir.create(orders(), config).unwrap();
    (dir, partition)
}

/// Cleans everything: a segment that may not grow older is closed and checkpointed first.
fn clean(partition: &Partition, now_ms: i64) -> CleanReport {
    // Without a key it is no part of what is compacted; of clients it would be refused.
    partition.append(Batch::of(&["end"]).encode(), Origin::Coordinator, 0).unwrap();
    let config = partition.config();
    partition.set_config(PartitionConfig { segment_ms: 0, ..(*config).clone() });
    let report = partition.clean(now_ms).unwrap();
    partition.set_config((*config).clone());
    report
}

fn keys_and_values(partition: &Partition) -> Vec<(i64, String, Option<String>)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    read_all(partition)
        .into_iter()
        .filter_map(|(offset, Record { key, value, .. })| {
            Some((offset, text(key?), value.map(text)))
        })
        .collect()
}

fn newest(partition: &Partition) -> BTreeMap<String, Option<String>> {
    keys_and_values(partition).into_iter().map(|(_, key, value)| (key, value)).collect()
}

#[test]
fn compaction_keeps_the_newest_value_of_each_key_at_its_offset_in_every_codec() {
    for codec in 0..=4 {
        let folder = tempfile::tempdir().unwrap();
        let (dir, partition) = create(folder.path(), compacted());
        let mut offset = 0;
        for round in 0..20 {
            let value = format!("value {round}");
            let changing = [("a", Some(value.as_str())), ("b", Some(value.as_str()))];
            let fixed = format!("key {round}");
            let batch = [changing[0], (fixed.as_str(), Some("fixed")), changing[1]];
            assert_eq!(append(&partition, &Batch::keyed(&batch).codec(codec)).base_offset, offset);
            offset += 3;
        }
        let before = newest(&partition);
        let report = clean(&partition, 10_000);
        assert_eq!(newest(&partition), before);
        let found = keys_and_values(&partition);
        assert_eq!(found.len(), 22, "codec {codec}: {found:?} {report:?}");
        assert!(found.contains(&(57, "a".to_owned(), Some("value 19".to_owned()))));
        assert!(found.contains(&(1, "key 0".to_owned(), Some("fixed".to_owned()))));
        let batches = read(&partition, Isolation::ReadUncommitted);
        assert_eq!((batches[0].base_offset, batches[0].last_offset), (0, 2));
        drop((partition, dir));
        let partition = open(folder.path()).partition(&orders());
        assert!(partition.is_some());
    }
}

#[test]
fn compacted_log_is_the_same_after_opening_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, partition) = create(folder.path(), compacted());
    for round in 0..30 {
        let value = format!("value {round}");
        append(&partition, &Batch::keyed(&[("a", Some(&value))]).by(5, 0, round));
    }
    assert!(clean(&partition, 10_000).records_removed >= 29);
    let before = read(&partition, Isolation::ReadUncommitted);
    dir.close();
    let dir = open(folder.path());
    let partition = dir.partition(&orders()).unwrap();
    assert_eq!(read(&partition, Isolation::ReadUncommitted), before);
    // Without the checkpoint everything is read again, and gives the same.
    dir.close();
    std::fs::remove_file(folder.path().join("partitions/orders-0/checkpoint")).unwrap();
    let dir = open(folder.path());
    let partition = dir.partition(&orders()).unwrap();
    assert_eq!(read(&partition, Isolation::ReadUncommitted), before);
    let next = append(&partition, &Batch::keyed(&[("a", Some("x"))]).by(5, 0, 30));
    assert!(!next.duplicate);
}

#[test]
fn tombstones_stay_readable_for_their_time_and_then_go() {
    let folder = tempfile::tempdir().unwrap();
    let (_dir, partition) = create(folder.path(), compacted());
    append(&partition, &Batch::keyed(&[("a", Some("value"))]));
    append(&partition, &Batch::keyed(&[("a", None)]));
    append(&partition, &Batch::keyed(&[("b", Some("value"))]));
    clean(&partition, 10_000);
    let tombstone = (1, "a".to_owned(), None);
    assert_eq!(keys_and_values(&partition)[0], tombstone);
    clean(&partition, 10_999);
    assert_eq!(keys_and_values(&partition)[0], tombstone);
    clean(&partition, 11_000);
    assert_eq!(newest(&partition), BTreeMap::from([("b".to_owned(), Some("value".to_owned()))]));
}

#[test]
fn more_keys_than_the_memory_holds_take_more_passes() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions { compaction_bytes: 24 * 40, ..LogOptions::default() };
    let dir = open_with(folder.path(), options);
    let partition = dir.create(orders(), compacted()).unwrap();
    for round in 0..3 {
        let value = format!("round {round}");
        let keys: Vec<String> = (0..100).map(|key| format!("key {key}")).collect();
        let batch: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(value.as_str()))).collect();
        append(&partition, &Batch::keyed(&batch));
    }
    let before = newest(&partition);
    let report = clean(&partition, 10_000);
    assert_eq!(newest(&partition), before);
    assert_eq!(keys_and_values(&partition).len(), 100, "{report:?}");
}

#[test]
fn passes_are_as_many_as_the_budget_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions { compaction_bytes: 24 * 40, ..LogOptions::default() };
    let dir = open_with(folder.path(), options);
    let config = PartitionConfig { segment_bytes: 1 << 20, ..compacted() };
    let partition = dir.create(orders(), config.clone()).unwrap();
    let keys: Vec<String> = (0..100).map(|key| format!("key {key}")).collect();
    let batch: Vec<_> = keys.iter().map(|key| (key.as_str(), Some("x"))).collect();
    append(&partition, &Batch::keyed(&batch));
    partition.set_config(PartitionConfig { segment_ms: 0, ..config });
    // 40 slots hold 30 keys.
    assert_eq!(partition.clean(10_000).unwrap().passes, 4);
}

#[test]
fn compaction_drops_aborted_data_and_keeps_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, partition) = create(folder.path(), compacted());
    let marker = |id, commit| {
        let marker = Batch::marker(id, 0, commit, 0);
        partition.append(marker.encode(), Origin::Coordinator, 0).unwrap();
    };
    append(&partition, &Batch::keyed(&[("a", Some("old"))]));
    append(&partition, &Batch::keyed(&[("a", Some("committed"))]).by(1, 0, 0).transactional());
    marker(1, true);
    append(&partition, &Batch::keyed(&[("a", Some("aborted"))]).by(2, 0, 0).transactional());
    marker(2, false);
    append(&partition, &Batch::keyed(&[("b", Some("aborted"))]).by(1, 0, 1).transactional());
    marker(1, false);
    append(&partition, &Batch::keyed(&[("c", Some("committed"))]).by(1, 0, 2).transactional());
    marker(1, true);
    append(&partition, &Batch::keyed(&[("d", Some("open"))]).by(3, 0, 0).transactional());
    append(&partition, &Batch::keyed(&[("a", Some("after"))]));

    let committed = |partition: &Partition| -> Vec<String> {
        read_committed(partition).iter().flat_map(values_of).collect()
    };
    for now_ms in [10_000, 20_000, 30_000] {
        clean(&partition, now_ms);
        let visible = committed(&partition);
        let expected = ["committed", "committed"];
        assert_eq!(visible, expected, "{:?}", read(&partition, Isolation::ReadUncommitted));
    }
    let everything: Vec<_> =
        read(&partition, Isolation::ReadUncommitted).iter().flat_map(values_of).collect();
    assert!(!everything.iter().any(|value| value == "old" || value == "aborted"), "{everything:?}");
    assert!(everything.iter().any(|value| value == "open"));

    drop(partition);
    dir.close();
    std::fs::remove_file(folder.path().join("partitions/orders-0/checkpoint")).unwrap();
    let dir = open(folder.path());
    let partition = dir.partition(&orders()).unwrap();
    assert_eq!(committed(&partition), ["committed", "committed"]);
    let open: Vec<_> = partition
        .producers()
        .into_iter()
        .filter(|known| known.open_transaction.is_some())
        .collect();
    assert_eq!(open.iter().map(|known| known.producer_id).collect::<Vec<_>>(), [3]);
    let sequences: BTreeMap<_, _> = partition
        .producers()
        .iter()
        .map(|known| (known.producer_id, known.last_sequence))
        .collect();
    assert_eq!(sequences.get(&1), Some(&2));
}

#[test]
fn what_was_written_before_compaction_without_a_key_or_undecodable_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (_dir, partition) =
        create(folder.path(), PartitionConfig { compact: false, ..compacted() });
    append(&partition, &Batch::of(&["no key"]));
    // Clients are refused with it; earlier versions were not.
    partition.append(undecodable(), Origin::Coordinator, 0).unwrap();
    partition.set_config(compacted());
    append(&partition, &Batch::keyed(&[("a", Some("newer"))]));
    clean(&partition, 10_000);
    let fetched = partition.read(0, limit(1 << 20, Isolation::ReadUncommitted)).unwrap();
    assert_eq!(fetched.records[22] & 7, 0);
    let fetched = partition.read(1, limit(0, Isolation::ReadUncommitted)).unwrap();
    assert_eq!(fetched.records[22] & 7, 4, "kept as it was received");
}

/// A batch that says it is compressed and is not.
fn undecodable() -> bytes::Bytes {
    let mut broken = bytes::BytesMut::from(&Batch::keyed(&[("a", Some("x"))]).encode()[..]);
    broken[22] = 4;
    crate::batches::seal(&mut broken);
    broken.freeze()
}

#[test]
fn a_compacted_partition_takes_only_records_with_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let (_dir, partition) = create(folder.path(), compacted());
    for codec in 0..5 {
        let mut batch = Batch::keyed(&[("", Some("x")), ("a", None), ("b", Some("y"))]);
        partition.append(batch.clone().codec(codec).encode(), Origin::Client, 0).unwrap();
        batch.records[0].key = None;
        batch.records[2].key = None;
        let end = partition.ends().log_end;
        let refused = partition.append(batch.codec(codec).encode(), Origin::Client, 0);
        let Err(AppendError::MissingKey { records }) = refused else {
            panic!("codec {codec}: {refused:?}");
        };
        assert_eq!((records, partition.ends().log_end), (vec![0, 2], end));
    }
    let refused = partition.append(undecodable(), Origin::Client, 0);
    let reason = BatchFault::Records;
    assert!(matches!(refused, Err(AppendError::Invalid { reason: found }) if found == reason));
}

#[test]
fn retention_by_time_and_size_removes_whole_segments_from_the_front() {
    let folder = tempfile::tempdir().unwrap();
    let config = PartitionConfig { segment_bytes: 1, ..PartitionConfig::default() };
    let (dir, partition) = create(folder.path(), config.clone());
    for number in 0..10 {
        append(&partition, &Batch::of(&["value"]).at(number * 100));
    }
    partition.clean(0).unwrap();
    let aged = PartitionConfig { retention_ms: Some(500), ..config.clone() };
    partition.set_config(aged);
    let report = clean_until(&partition, 850, |report| report.segments_deleted > 0);
    assert_eq!(partition.ends().log_start, 4, "{report:?}");
    assert!(matches!(
        partition.read(3, limit(1, Isolation::default())),
        Err(ReadError::OffsetOutOfRange { offset: 3, log_start: 4, high_watermark: 10 })
    ));
    let size = partition.size_bytes();
    let small = PartitionConfig { retention_ms: None, retention_bytes: Some(size / 2), ..config };
    partition.set_config(small);
    partition.clean(850).unwrap();
    assert_eq!(partition.ends().log_start, 7);
    assert_eq!(partition.size_bytes(), size / 2);
    dir.close();
    let dir = open(folder.path());
    assert_eq!(values(&dir.partition(&orders()).unwrap()).len(), 3);
}

/// The syncer writes checkpoints after acknowledging, so the first clean may come too early.
fn clean_until(
    partition: &Partition,
    now_ms: i64,
    done: impl Fn(&CleanReport) -> bool,
) -> CleanReport {
    loop {
        let report = partition.clean(now_ms).unwrap();
        if done(&report) {
            return report;
        }
        std::thread::yield_now();
    }
}

#[test]
fn an_idle_partition_loses_everything_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (_dir, partition) = create(folder.path(), PartitionConfig::default());
    append(&partition, &Batch::of(&["a", "b"]));
    let week = 7 * 24 * 60 * 60 * 1_000;
    assert_eq!(partition.clean(1_001 + week).unwrap().segments_deleted, 0);
    assert_eq!(partition.clean(1_002 + week).unwrap().segments_deleted, 1);
    let ends = partition.ends();
    assert_eq!((ends.log_start, ends.log_end), (2, 2));
    assert_eq!(append(&partition, &Batch::of(&["c"])).base_offset, 2);
}

#[test]
fn deleted_records_stay_deleted_and_the_log_start_never_moves_back() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, partition) = create(folder.path(), PartitionConfig::default());
    append(&partition, &Batch::of(&["a", "b", "c"]));
    assert_eq!(partition.delete_records(2).unwrap(), 2);
    assert_eq!(partition.delete_records(1).unwrap(), 2);
    let error = partition.delete_records(4).unwrap_err();
    assert!(matches!(error, LogError::OffsetOutOfRange { offset: 4, high_watermark: 3 }));
    dir.close();
    let dir = open(folder.path());
    let partition = dir.partition(&orders()).unwrap();
    assert_eq!(partition.ends().log_start, 2);
    assert_eq!(partition.delete_records(-1).unwrap(), 3);
    assert_eq!(append(&partition, &Batch::of(&["d"])).base_offset, 3);
}

#[test]
fn idle_producers_are_forgotten_by_the_clock_of_the_broker_not_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (_dir, partition) = create(folder.path(), PartitionConfig::default());
    let now_ms = 1_000_000_000_000;
    partition.append(Batch::of(&["old"]).by(1, 0, 0).encode(), Origin::Client, now_ms).unwrap();
    let day = 24 * 60 * 60 * 1_000;
    assert_eq!(partition.clean(now_ms + day).unwrap().producers_expired, 0);
    assert_eq!(partition.clean(now_ms + day + 1).unwrap().producers_expired, 1);
    assert!(partition.producers().is_empty());
}

/// Batches are compared as a whole in other tests; this one says what the type is for.
#[test]
fn a_batch_emptied_by_compaction_keeps_its_producers_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let (_dir, partition) = create(folder.path(), compacted());
    append(&partition, &Batch::keyed(&[("a", Some("1"))]).by(9, 0, 41));
    append(&partition, &Batch::keyed(&[("a", Some("2"))]));
    clean(&partition, 10_000);
    let batches: Vec<ReadBatch> = read(&partition, Isolation::ReadUncommitted);
    let emptied = &batches[0];
    assert_eq!((emptied.producer_id, emptied.sequence), (9, 41));
    assert_eq!((emptied.base_offset, emptied.last_offset, emptied.records.len()), (0, 0, 0));
}
