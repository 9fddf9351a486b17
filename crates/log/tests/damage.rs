//! Damaged files: nothing that may have been acknowledged is destroyed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use throughline_log::faults::FaultyFiles;
use throughline_log::{FileLayer, LogDir, LogOptions, OpenError, Origin, PartitionConfig};

use crate::appending::{orders, values};
use crate::batches::Batch;

const SEGMENT: &str = "/data/partitions/orders-0/00000000000000000000.log";
const CHECKPOINT: &str = "/data/partitions/orders-0/checkpoint";

fn open(files: &FaultyFiles) -> Result<LogDir, OpenError> {
    let options = LogOptions { manual_sync: true, min_free_bytes: 0, ..LogOptions::default() };
    LogDir::open(Path::new("/data"), options, Arc::new(files.clone()))
}

/// Batches a, b and c, synced; behind the checkpoint unless closed. Returns their size.
fn three(files: &FaultyFiles, close: bool) -> usize {
    let dir = open(files).unwrap();
    let partition = dir.create(orders(), PartitionConfig::default()).unwrap();
    for value in ["a", "b", "c"] {
        partition.append(Batch::of(&[value]).encode(), Origin::Client, 0).unwrap();
    }
    dir.sync_now();
    assert_eq!(partition.ends().high_watermark, 3);
    if close {
        dir.close();
    }
    files.kill();
    usize::try_from(partition.size_bytes()).unwrap() / 3
}

fn content(files: &FaultyFiles, path: &Path) -> Vec<u8> {
    let file = files.open(path, false).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn kept(files: &FaultyFiles) -> Vec<PathBuf> {
    files.paths().into_iter().filter(|path| path.starts_with("/data/damaged")).collect()
}

#[test]
fn what_stands_behind_a_damaged_batch_is_cut_and_kept() {
    // The value, the length, the format and the offset of the second batch.
    for (at, value) in [(60, 0xff), (8, 0x7f), (16, 9), (0, 0x40)] {
        let files = FaultyFiles::new(1);
        let size = three(&files, false);
        files.edit(Path::new(SEGMENT), |bytes| bytes[size + at] = value);
        let before = content(&files, Path::new(SEGMENT));
        let dir = open(&files).unwrap();
        let partition = dir.partition(&orders()).unwrap();
        assert_eq!(values(&partition), ["a"], "byte {at}");
        let [kept] = &kept(&files)[..] else { panic!("byte {at}: nothing kept") };
        assert!(kept.extension().is_some_and(|end| end == "damaged"), "{kept:?}");
        assert_eq!(content(&files, kept), before[size..], "byte {at}");
    }
}

#[test]
fn a_second_cut_at_the_same_place_keeps_both() {
    let files = FaultyFiles::new(2);
    let size = three(&files, false);
    for round in 1..3 {
        files.edit(Path::new(SEGMENT), |bytes| bytes[size + 60] ^= 1);
        let dir = open(&files).unwrap();
        let partition = dir.partition(&orders()).unwrap();
        assert_eq!(kept(&files).len(), round);
        partition.append(Batch::of(&["d"]).encode(), Origin::Client, 0).unwrap();
        partition.append(Batch::of(&["e"]).encode(), Origin::Client, 0).unwrap();
        dir.sync_now();
        files.kill();
    }
}

#[test]
fn an_unfinished_write_is_cut_and_not_kept() {
    let files = FaultyFiles::new(3);
    let size = three(&files, false);
    files.edit(Path::new(SEGMENT), |bytes| bytes.truncate(3 * size - 5));
    let dir = open(&files).unwrap();
    assert_eq!(values(&dir.partition(&orders()).unwrap()), ["a", "b"]);
    assert_eq!(kept(&files), Vec::<PathBuf>::new());
}

#[test]
fn a_log_that_ends_before_its_checkpoint_is_refused_and_left_as_it_is() {
    // In the middle of a batch, between two, and all of it.
    for cut in
        [5, 1, 0].map(|part| move |size: usize| if part == 5 { size + 5 } else { size * part })
    {
        let files = FaultyFiles::new(4);
        let size = three(&files, true);
        files.edit(Path::new(SEGMENT), |bytes| bytes.truncate(cut(size)));
        for _ in 0..2 {
            let error = open(&files).unwrap_err();
            assert!(matches!(error, OpenError::Lost { synced: 3, .. }), "{error}");
            let text = error.to_string();
            assert!(text.starts_with("TL0210") && text.contains(SEGMENT), "{text}");
            assert_eq!(content(&files, Path::new(SEGMENT)).len(), cut(size));
        }
        // What the message tells to do when there is no copy.
        files.remove_file(Path::new(CHECKPOINT)).unwrap();
        assert_eq!(
            values(&open(&files).unwrap().partition(&orders()).unwrap()).len(),
            cut(size) / size
        );
    }
}

#[test]
fn a_log_whose_checkpointed_segment_is_gone_is_refused() {
    let files = FaultyFiles::new(5);
    three(&files, true);
    files.remove_file(Path::new(SEGMENT)).unwrap();
    let error = open(&files).unwrap_err();
    assert!(matches!(error, OpenError::Lost { end: 0, synced: 3, .. }), "{error}");
}

#[test]
fn segments_behind_a_damaged_one_are_kept() {
    let files = FaultyFiles::new(6);
    let dir = open(&files).unwrap();
    let config = PartitionConfig { segment_bytes: 100, ..PartitionConfig::default() };
    let partition = dir.create(orders(), config).unwrap();
    for value in ["a", "b", "c"] {
        partition.append(Batch::of(&[value]).encode(), Origin::Client, 0).unwrap();
    }
    dir.sync_now();
    files.kill();
    let segments = |files: &FaultyFiles| {
        let all = files.paths();
        all.into_iter().filter(|path| path.extension().is_some_and(|end| end == "log")).count()
    };
    assert_eq!(segments(&files), 3);
    files.remove_file(Path::new(CHECKPOINT)).unwrap();
    files.edit(Path::new(SEGMENT), |bytes| bytes[60] ^= 1);
    let dir = open(&files).unwrap();
    assert_eq!(values(&dir.partition(&orders()).unwrap()), Vec::<String>::new());
    assert_eq!((segments(&files), kept(&files).len()), (1, 3));
}
