//! Idempotent and transactional producers, waiting for durability, and what is refused.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proptest::prelude::{Strategy, any, prop, proptest};
use throughline_log::faults::FaultyFiles;
use throughline_log::{
    AbortedTxn, AppendError, BatchFault, FileLayer, FlushPolicy, InvalidTopic, Isolation, LogDir,
    LogError, LogOptions, OpenError, Origin, Partition, PartitionConfig, ReadError, Status,
    TimedOffset, TopicPartition,
};

use crate::appending::{append, limit, open, open_with, orders, values, wait};
use crate::batches::{Batch, decode, seal};
use crate::world::now;

struct Log {
    _folder: tempfile::TempDir,
    dir: LogDir,
    partition: Arc<Partition>,
}

fn log() -> Log {
    log_with(PartitionConfig::default())
}

fn log_with(config: PartitionConfig) -> Log {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path());
    let partition = dir.create(orders(), config).unwrap();
    Log { _folder: folder, dir, partition }
}

fn send(log: &Log, batch: &Batch) -> Result<i64, AppendError> {
    let appended = log.partition.append(batch.encode(), Origin::Client, 0)?;
    Ok(appended.base_offset)
}

fn refused(log: &Log, bytes: impl Into<Bytes>) -> AppendError {
    let end = log.partition.ends().log_end;
    let error = log.partition.append(bytes.into(), Origin::Client, 0).unwrap_err();
    assert_eq!(log.partition.ends().log_end, end);
    error
}

#[test]
fn the_last_five_batches_of_a_producer_can_be_sent_again() {
    let log = log();
    for sequence in 0..6 {
        send(&log, &Batch::of(&["x"]).by(1, 0, sequence)).unwrap();
    }
    for sequence in 1..6 {
        let again = Batch::of(&["x"]).by(1, 0, sequence).encode();
        let appended = log.partition.append(again, Origin::Client, 0).unwrap();
        assert!(appended.duplicate);
        assert_eq!(appended.base_offset, i64::from(sequence));
    }
    let error = refused(&log, Batch::of(&["x"]).by(1, 0, 0).encode());
    assert!(matches!(error, AppendError::OutOfOrderSequence { expected: 6, found: 0, .. }));
}

#[test]
fn sequences_begin_at_zero_in_a_new_epoch_and_wrap_at_their_end() {
    let log = log();
    send(&log, &Batch::of(&["a"]).by(1, 0, i32::MAX)).unwrap();
    send(&log, &Batch::of(&["b"]).by(1, 0, 0)).unwrap();
    let error = refused(&log, Batch::of(&["c"]).by(1, 1, 1).encode());
    assert!(matches!(error, AppendError::OutOfOrderSequence { expected: 0, found: 1, .. }));
    send(&log, &Batch::of(&["c"]).by(1, 1, 0)).unwrap();
    let error = refused(&log, Batch::of(&["d"]).by(1, 0, 1).encode());
    assert!(matches!(error, AppendError::InvalidProducerEpoch { current: 1, found: 0, .. }));
}

#[test]
fn several_batches_in_one_request_are_stored_together_or_not_at_all() {
    let log = log();
    let mut request = BytesMut::from(&Batch::of(&["a", "b"]).by(1, 0, 0).encode()[..]);
    request.extend_from_slice(&Batch::of(&["c"]).by(1, 0, 2).encode());
    let appended = log.partition.append(request.clone().freeze(), Origin::Client, 0).unwrap();
    assert_eq!((appended.base_offset, appended.last_offset), (0, 2));
    let mut gap = BytesMut::from(&Batch::of(&["d"]).by(1, 0, 3).encode()[..]);
    gap.extend_from_slice(&Batch::of(&["e"]).by(1, 0, 9).encode());
    assert!(matches!(refused(&log, gap), AppendError::OutOfOrderSequence { expected: 4, .. }));
}

#[test]
fn readers_of_committed_records_wait_for_the_decision_and_learn_what_was_aborted() {
    let log = log();
    append(&log.partition, &Batch::of(&["before"]));
    append(&log.partition, &Batch::of(&["aborted"]).by(1, 0, 0).transactional());
    append(&log.partition, &Batch::of(&["after"]));
    assert_eq!(log.partition.ends().last_stable_offset, 1);
    let plain = refused(&log, Batch::of(&["x"]).by(1, 0, 1).encode());
    assert!(matches!(plain, AppendError::InvalidTxnState { producer_id: 1 }));
    let marker = |coordinator_epoch| Batch::marker(1, 0, false, coordinator_epoch).encode();
    let appended = log.partition.append(marker(5), Origin::Coordinator, 0).unwrap();
    assert_eq!(log.partition.producers()[0].coordinator_epoch, 5);
    wait(log.partition.durable(appended.last_offset + 1)).unwrap();
    assert_eq!(log.partition.ends().last_stable_offset, 4);
    let fetched = log.partition.read(0, limit(1 << 20, Isolation::ReadCommitted)).unwrap();
    assert_eq!(fetched.aborted, [AbortedTxn { producer_id: 1, first_offset: 1 }]);
    let fenced = log.partition.append(marker(4), Origin::Coordinator, 0).unwrap_err();
    assert!(matches!(fenced, AppendError::CoordinatorFenced { current: 5, found: 4, .. }));
}

#[test]
fn a_transaction_stays_undecided_until_its_marker_is_durable() {
    let dir = faulty(&FaultyFiles::new(6));
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    let data = Batch::of(&["x"]).by(1, 0, 0).transactional().encode();
    partition.append(data, Origin::Client, 0).unwrap();
    dir.sync_now();
    let marker = Batch::marker(1, 0, true, 0).encode();
    partition.append(marker, Origin::Coordinator, 0).unwrap();
    assert_eq!((partition.ends().high_watermark, partition.ends().last_stable_offset), (1, 0));
    dir.sync_now();
    assert_eq!((partition.ends().high_watermark, partition.ends().last_stable_offset), (2, 2));
}

#[test]
fn clients_cannot_write_markers_and_coordinators_need_no_sequence() {
    let log = log();
    let marker = refused(&log, Batch::marker(1, 0, true, 0).encode());
    assert!(matches!(marker, AppendError::Invalid { reason: BatchFault::Control }));
    let unsequenced = Batch::of(&["x"]).by(1, 0, -1).transactional().encode();
    let error = refused(&log, unsequenced.clone());
    assert!(matches!(error, AppendError::Invalid { reason: BatchFault::Producer }));
    log.partition.append(unsequenced, Origin::Coordinator, 0).unwrap();
    let mut odd = Batch::of(&["not a marker"]).by(1, 0, -1);
    odd.attributes = 48;
    let error = log.partition.append(odd.encode(), Origin::Coordinator, 0).unwrap_err();
    assert!(matches!(error, AppendError::Invalid { reason: BatchFault::Marker }));
}

#[test]
fn log_append_time_replaces_the_times_of_the_producer() {
    let log = log_with(PartitionConfig { log_append_time: true, ..PartitionConfig::default() });
    let appended = append(&log.partition, &Batch::of(&["a", "b"]));
    assert_eq!(appended.log_append_time, 5_000);
    let fetched = log.partition.read(0, limit(1, Isolation::default())).unwrap();
    let batch = &decode(&fetched.records)[0];
    assert_eq!((batch.max_timestamp, batch.attributes), (5_000, 8));
    let found = log.partition.offset_for_time(4_000).unwrap();
    assert_eq!(found, Some(TimedOffset { offset: 0, timestamp: 5_000 }));
}

#[test]
fn records_are_found_by_time_across_segments_batches_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path());
    let config = PartitionConfig { segment_bytes: 300, ..PartitionConfig::default() };
    let partition = dir.create(orders(), config).unwrap();
    for start in [100, 300, 200, 500, 400] {
        for codec in [0, 4] {
            append(&partition, &Batch::of(&["a", "b", "c"]).at(start).codec(codec));
        }
    }
    let check = |partition: &Partition| {
        let find = |time| partition.offset_for_time(time).unwrap();
        assert_eq!(find(0), Some(TimedOffset { offset: 0, timestamp: 100 }));
        assert_eq!(find(102), Some(TimedOffset { offset: 2, timestamp: 102 }));
        assert_eq!(find(103), Some(TimedOffset { offset: 6, timestamp: 300 }));
        assert_eq!(find(301), Some(TimedOffset { offset: 7, timestamp: 301 }));
        assert_eq!(find(303), Some(TimedOffset { offset: 18, timestamp: 500 }));
        assert_eq!(find(503), None);
        let latest = Some(TimedOffset { offset: 20, timestamp: 502 });
        assert_eq!(partition.max_timestamp().unwrap(), latest);
    };
    check(&partition);
    dir.close();
    check(&open(folder.path()).partition(&orders()).unwrap_or_else(|| unreachable!()));
}

#[test]
fn a_missing_or_wrong_index_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions { index_interval_bytes: 100, ..LogOptions::default() };
    let dir = open_with(folder.path(), options.clone());
    let config = PartitionConfig { segment_bytes: 2_000, ..PartitionConfig::default() };
    let partition = dir.create(orders(), config).unwrap();
    for number in 0..100 {
        append(&partition, &Batch::of(&["value"]).at(number));
    }
    dir.close();
    let path = folder.path().join("partitions/orders-0");
    let mut damaged = 0;
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("index") if damaged % 2 == 0 => std::fs::remove_file(path).unwrap(),
            Some("timeindex") if damaged % 2 == 1 => std::fs::remove_file(path).unwrap(),
            Some("index") => std::fs::write(path, [0xff; 16]).unwrap(),
            _ => continue,
        }
        damaged += 1;
    }
    assert!(damaged > 2);
    let dir = open_with(folder.path(), options);
    let partition = dir.partition(&orders()).unwrap();
    assert_eq!(values(&partition).len(), 100);
    for number in 0..100 {
        let found = partition.offset_for_time(number).unwrap();
        assert_eq!(found, Some(TimedOffset { offset: number, timestamp: number }));
    }
}

#[test]
fn a_wrong_entry_within_an_index_does_not_hide_records() {
    let files = FaultyFiles::new(5);
    let options =
        LogOptions { index_interval_bytes: 0, manual_sync: true, ..LogOptions::default() };
    let dir = LogDir::open(Path::new("/data"), options, Arc::new(files.clone())).unwrap();
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    for _ in 0..100 {
        partition.append(Batch::of(&["value"]).encode(), Origin::Client, 0).unwrap();
    }
    drop(partition);
    dir.close();
    let dir = LogDir::open(Path::new("/data"), LogOptions::default(), Arc::new(files.clone()));
    let dir = dir.unwrap();
    let path = Path::new("/data/partitions/orders-0/00000000000000000000.index");
    // Entry 50 points to the batch of entry 60.
    files.edit(path, |bytes| bytes.copy_within(60 * 8 + 4..60 * 8 + 8, 50 * 8 + 4));
    let partition = dir.partition(&orders()).unwrap();
    let fetched = partition.read(50, limit(1, Isolation::default())).unwrap();
    assert_eq!(decode(&fetched.records)[0].base_offset, 50);
}

fn patched(change: impl FnOnce(&mut [u8])) -> Bytes {
    let mut batch = BytesMut::from(&Batch::of(&["a", "b"]).encode()[..]);
    change(&mut batch);
    seal(&mut batch);
    batch.freeze()
}

#[test]
fn malformed_batches_are_refused_with_their_fault() {
    let log = log();
    let whole = Batch::of(&["a", "b"]).encode();
    let fault = |error: AppendError| match error {
        AppendError::Corrupt { reason, .. } | AppendError::Invalid { reason } => reason,
        other => panic!("{other}"),
    };
    assert_eq!(fault(refused(&log, Bytes::new())), BatchFault::Empty);
    for length in 1..whole.len() {
        assert_eq!(fault(refused(&log, whole.slice(..length))), BatchFault::CutShort);
    }
    let set_i32 = |at: usize, value: i32| {
        patched(|batch| batch[at..at + 4].copy_from_slice(&value.to_be_bytes()))
    };
    assert_eq!(fault(refused(&log, set_i32(8, -1))), BatchFault::Length);
    assert_eq!(fault(refused(&log, set_i32(8, 48))), BatchFault::Length);
    assert_eq!(fault(refused(&log, patched(|batch| batch[16] = 1))), BatchFault::Magic);
    assert_eq!(fault(refused(&log, patched(|batch| batch[22] = 5))), BatchFault::Codec);
    for count in [-1, 0, 1, 3, i32::MIN, i32::MAX] {
        assert_eq!(fault(refused(&log, set_i32(57, count))), BatchFault::Count);
    }
    for delta in [-1, 0, 2, i32::MAX] {
        assert_eq!(fault(refused(&log, set_i32(23, delta))), BatchFault::Count);
    }
    assert_eq!(fault(refused(&log, set_i32(53, 7))), BatchFault::Producer);
    let mut flipped = BytesMut::from(&whole[..]);
    flipped[62] ^= 1;
    assert_eq!(fault(refused(&log, flipped)), BatchFault::Checksum);
}

#[test]
fn records_that_no_consumer_could_decode_are_refused_in_every_codec() {
    let log = log();
    let records = |error: AppendError| match error {
        AppendError::Invalid { reason } => assert_eq!(reason, BatchFault::Records),
        other => panic!("{other}"),
    };
    for codec in 0..5 {
        let whole = Batch::of(&["a", "b"]).codec(codec).encode();
        let mut zeros = BytesMut::from(&whole[..]);
        zeros[61..].fill(0);
        seal(&mut zeros);
        records(refused(&log, zeros));
        // Half of the records' bytes, in a batch that is whole otherwise.
        let mut half = BytesMut::from(&whole[..61 + (whole.len() - 61) / 2]);
        let length = i32::try_from(half.len()).unwrap() - 12;
        half[8..12].copy_from_slice(&length.to_be_bytes());
        seal(&mut half);
        records(refused(&log, half));
        assert!(log.partition.append(whole, Origin::Client, 0).is_ok(), "codec {codec}");
    }
    // The length of the first value, the number of headers of the last record, a byte too many.
    let plain = Batch::of(&["a", "b"]).encode();
    for (at, value) in [(plain.len() - 1, 2), (plain.len() - 3, 9), (plain.len() - 3, 0)] {
        records(refused(&log, patched(|batch| batch[at] = value)));
    }
}

#[test]
fn a_batch_that_claims_two_gigabytes_is_refused_without_reading_on() {
    let log = log();
    let huge = patched(|batch| batch[8..12].copy_from_slice(&i32::MAX.to_be_bytes()));
    let error = refused(&log, huge.clone());
    assert!(matches!(error, AppendError::TooLarge { bytes: 2_147_483_659, limit: 1_048_588 }));
    let error = log.partition.append(huge, Origin::Coordinator, 0).unwrap_err();
    assert!(matches!(error, AppendError::Corrupt { reason: BatchFault::CutShort, .. }));
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic_and_never_get_in(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        tail in prop::collection::vec(any::<u8>(), 0..80).prop_map(Bytes::from),
    ) {
        let dir = faulty(&FaultyFiles::new(0));
        let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
        let whole = Batch::of(&["a", "b"]).by(1, 0, 0).encode();
        let mut bytes = BytesMut::from(&whole[..]);
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        // Base offset and leader epoch are the log's own and may be anything.
        let same = bytes[8..12] == whole[8..12] && bytes[16..] == whole[16..];
        bytes.extend_from_slice(&tail);
        let result = partition.append(bytes.freeze(), Origin::Client, 0);
        assert_eq!(result.is_ok(), same && tail.is_empty());
    }
}

fn faulty(files: &FaultyFiles) -> LogDir {
    let options = LogOptions { manual_sync: true, min_free_bytes: 1_000, ..LogOptions::default() };
    LogDir::open(Path::new("/data"), options, Arc::new(files.clone())).unwrap()
}

#[test]
fn a_full_disk_refuses_writes_keeps_reading_and_resumes_by_itself() {
    let files = FaultyFiles::new(1);
    let dir = faulty(&files);
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    let batch = Batch::of(&["value"]).encode();
    let append = || partition.append(batch.clone(), Origin::Client, 0);
    append().unwrap();
    dir.sync_now();
    // The free space is asked for now and then only, so that the write itself meets the limit.
    let room = 1 << 40;
    files.set_capacity(Some(room));
    let used = room - files.available_space(Path::new("/data")).unwrap();
    files.set_capacity(Some(used + 20));
    let error = append().unwrap_err();
    assert!(matches!(error, AppendError::DiskFull { reserved: 1_000, .. }));
    assert!(error.retriable() && error.to_string().starts_with("TL0205"));
    // From now on the reserve is kept.
    files.set_capacity(Some(used + 1_020));
    assert!(matches!(append(), Err(AppendError::DiskFull { .. })));
    assert_eq!(values(&partition), ["value"]);
    files.set_capacity(None);
    assert_eq!(append().unwrap().base_offset, 1);
    dir.sync_now();
    assert_eq!(values(&partition), ["value", "value"]);
    assert!(files.counts().disk_full > 0);
}

#[test]
fn a_failed_write_is_taken_back_and_the_next_one_succeeds() {
    let files = FaultyFiles::new(3);
    let dir = faulty(&files);
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    files.fail_writes(1);
    let batch = Batch::of(&["value"]).encode();
    let error = partition.append(batch.clone(), Origin::Client, 0).unwrap_err();
    assert!(matches!(error, AppendError::Io(_)) && error.retriable());
    assert_eq!(partition.append(batch, Origin::Client, 0).unwrap().base_offset, 0);
    dir.sync_now();
    assert_eq!(values(&partition), ["value"]);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_or_written_until_the_next_open() {
    let files = FaultyFiles::new(2);
    let dir = faulty(&files);
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    let other = TopicPartition::new("other", 0).unwrap();
    let other = dir.create(other, PartitionConfig::default()).unwrap();
    let batch = Batch::of(&["value"]).encode();
    partition.append(batch.clone(), Origin::Client, 0).unwrap();
    dir.sync_now();
    partition.append(batch.clone(), Origin::Client, 0).unwrap();
    files.fail_syncs(1);
    dir.sync_now();
    dir.sync_now();
    let error = now(partition.durable(2)).unwrap().unwrap_err();
    assert!(error.to_string().starts_with("TL0206"), "{error}");
    assert_eq!(values(&partition), ["value"]);
    for partition in [&partition, &other] {
        assert_eq!(partition.ends().status, Status::Failed);
        let refused = partition.append(batch.clone(), Origin::Client, 0).unwrap_err();
        assert!(matches!(refused, AppendError::Failed { .. }));
        assert!(matches!(partition.clean(0), Err(LogError::Refused(_))));
        assert!(matches!(partition.delete_records(-1), Err(LogError::Refused(_))));
    }
    drop((partition, other, dir));
    // The process starts again and finds the batch in the cache, though the disk has it not.
    files.kill();
    let dir = faulty(&files);
    let found = values(&dir.partition(&orders()).unwrap());
    drop(dir);
    files.power_cut();
    let dir = faulty(&files);
    assert_eq!(values(&dir.partition(&orders()).unwrap()), found);
}

#[test]
fn waiters_wake_when_the_partition_is_deleted() {
    let log = log();
    let partition = Arc::clone(&log.partition);
    assert!(now(partition.durable(5)).is_none());
    let mut ends = partition.watch();
    ends.mark_unchanged();
    log.dir.delete(&orders()).unwrap();
    assert!(ends.has_changed().unwrap());
    let error = now(partition.durable(5)).unwrap().unwrap_err();
    assert!(matches!(error, AppendError::Closed { .. }));
    assert!(matches!(log.dir.delete(&orders()), Err(LogError::Missing { .. })));
    let read = partition.read(0, limit(1, Isolation::default()));
    assert!(matches!(read, Err(ReadError::Closed { .. })));
    let again = log.dir.create(orders(), PartitionConfig::default()).unwrap();
    assert_eq!(again.ends().log_end, 0);
    let twice = log.dir.create(orders(), PartitionConfig::default());
    assert!(matches!(twice, Err(LogError::Exists { .. })));
}

#[test]
fn the_page_cache_policy_acknowledges_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        LogOptions { flush: FlushPolicy::PageCache, manual_sync: true, ..LogOptions::default() };
    let dir = open_with(folder.path(), options);
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    partition.append(Batch::of(&["a"]).encode(), Origin::Client, 0).unwrap();
    assert!(now(partition.durable(1)).unwrap().is_ok());
}

#[test]
fn a_folder_from_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close();
    let version = 2u32.to_be_bytes();
    let mut layout = version.to_vec();
    layout.extend_from_slice(&crc32c::crc32c(&version).to_be_bytes());
    std::fs::write(folder.path().join("layout"), layout).unwrap();
    let files = Arc::new(throughline_log::StdFiles);
    let error = LogDir::open(folder.path(), LogOptions::default(), files).unwrap_err();
    assert!(matches!(error, OpenError::Layout { found: 2, known: 1, .. }));
    assert!(error.to_string().starts_with("TL0203"));
}

#[test]
fn a_folder_that_cannot_be_used_is_named_in_the_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let files = Arc::new(throughline_log::StdFiles);
    let error = LogDir::open(file.path(), LogOptions::default(), files).unwrap_err();
    assert!(matches!(error, OpenError::Io(_)));
    let text = error.to_string();
    assert!(text.starts_with("TL0204") && text.contains(file.path().to_str().unwrap()), "{text}");
}

#[test]
fn damaged_bytes_in_a_segment_are_reported_with_their_place() {
    let files = FaultyFiles::new(4);
    let dir = faulty(&files);
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    partition.append(Batch::of(&["a"]).encode(), Origin::Client, 0).unwrap();
    dir.sync_now();
    let path = Path::new("/data/partitions/orders-0/00000000000000000000.log");
    files.edit(path, |bytes| bytes[16] = 0);
    let error = partition.read(0, limit(1, Isolation::default())).unwrap_err();
    assert!(matches!(error, ReadError::Damaged { position: 0, .. }));
    assert!(error.to_string().starts_with("TL0207"));
}

#[test]
fn topic_names_follow_kafkas_rule() {
    for name in ["a", "A.b_c-9", "x".repeat(249).as_str()] {
        assert_eq!(TopicPartition::new(name, 0).unwrap().topic(), name);
    }
    for name in ["", ".", "..", "a/b", "ä", "a b", "x".repeat(250).as_str()] {
        let error: InvalidTopic = TopicPartition::new(name, 0).unwrap_err();
        assert!(error.to_string().starts_with("TL0201"));
    }
    assert!(TopicPartition::new("a", -1).is_err());
}
