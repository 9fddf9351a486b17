//! Crashes in the middle of compaction, retention and opening.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use throughline_log::faults::FaultyFiles;
use throughline_log::{LogDir, LogOptions, Origin, Partition, PartitionConfig, TopicPartition};

use crate::batches::Batch;
use crate::world::{read_committed, values_of};

const KEYS: usize = 8;

struct Table {
    files: FaultyFiles,
    random: SmallRng,
    options: LogOptions,
    dir: Option<LogDir>,
    partition: Option<Arc<Partition>>,
    /// Appended in this life and not yet durable: key, offset, value; `None` for a tombstone.
    pending: Vec<(usize, i64, Option<String>)>,
    /// The newest durable value of each key.
    newest: BTreeMap<usize, (i64, Option<String>)>,
    written: BTreeSet<String>,
    /// Where tombstones of each key may be, acknowledged or not.
    tombstones: BTreeSet<(usize, i64)>,
    next: u64,
    now_ms: i64,
}

fn config() -> PartitionConfig {
    PartitionConfig {
        segment_bytes: 600,
        compact: true,
        delete: false,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: 50,
        ..PartitionConfig::default()
    }
}

impl Table {
    fn open(&mut self) {
        let id = TopicPartition::new("table", 0).unwrap();
        for attempt in 0.. {
            if attempt < 3 && self.random.random_bool(0.3) {
                self.files.crash_after(self.random.random_range(0..30));
            }
            let files = Arc::new(self.files.clone());
            let dir = LogDir::open(Path::new("/data"), self.options.clone(), files);
            let opened = dir.ok().and_then(|dir| {
                let partition = match dir.partition(&id) {
                    Some(partition) => partition,
                    None => dir.create(id.clone(), config()).ok()?,
                };
                partition.set_config(config());
                Some((dir, partition))
            });
            if let Some((dir, partition)) = opened
                && !self.files.crashed()
            {
                self.files.crash_after(u64::MAX);
                (self.dir, self.partition) = (Some(dir), Some(partition));
                return;
            }
            assert!(attempt < 10, "could not open the log");
            self.files.power_cut();
        }
    }

    fn restart(&mut self) {
        if self.random.random_bool(0.7) {
            self.files.power_cut();
        } else {
            self.files.kill();
        }
        (self.dir, self.partition) = (None, None);
        self.pending.clear();
        self.open();
        self.check();
        // Transactions that the crash has left open are aborted.
        let partition = self.partition.clone().unwrap();
        for known in partition.producers() {
            if known.open_transaction.is_some() {
                let marker = Batch::marker(known.producer_id, known.epoch, false, 0);
                partition.append(marker.encode(), Origin::Coordinator, self.now_ms).unwrap();
            }
        }
    }

    fn put(&mut self) {
        let partition = self.partition.clone().unwrap();
        let key = self.random.random_range(0..KEYS);
        self.next += 1;
        let value = self.random.random_bool(0.8).then(|| format!("{} of {key}", self.next));
        let name = format!("key {key}");
        let codec = self.random.random_range(0..5);
        let batch = Batch::keyed(&[(name.as_str(), value.as_deref())]).codec(codec);
        self.written.extend(value.clone());
        if value.is_none() {
            // A write that a crash interrupts may be whole all the same.
            self.tombstones.insert((key, partition.ends().log_end));
        }
        if let Ok(appended) = partition.append(batch.encode(), Origin::Client, self.now_ms) {
            self.pending.push((key, appended.base_offset, value));
        }
    }

    /// A whole transaction that is aborted, by a producer of its own.
    fn abort(&mut self) {
        let partition = self.partition.clone().unwrap();
        self.next += 1;
        let id = i64::try_from(self.next).unwrap() % 3;
        let key = format!("key {}", self.random.random_range(0..KEYS));
        let epoch = partition
            .producers()
            .iter()
            .find(|known| known.producer_id == id)
            .map_or(0, |known| known.epoch + 1);
        let batch = Batch::keyed(&[(key.as_str(), Some("aborted"))]).by(id, epoch, 0);
        let batch = batch.transactional().encode();
        if partition.append(batch, Origin::Client, self.now_ms).is_ok() {
            let marker = Batch::marker(id, epoch, false, 0).encode();
            let _ = partition.append(marker, Origin::Coordinator, self.now_ms);
        }
    }

    fn sync(&mut self) {
        self.dir.as_ref().unwrap().sync_now();
        let durable = self.partition.as_ref().unwrap().ends().high_watermark;
        for (key, offset, value) in self.pending.extract_if(.., |(_, offset, _)| *offset < durable)
        {
            self.newest.insert(key, (offset, value));
        }
    }

    fn check(&self) {
        let partition = self.partition.as_ref().unwrap();
        let mut found: BTreeMap<usize, (i64, Option<String>)> = BTreeMap::new();
        let mut last = -1;
        for batch in read_committed(partition) {
            assert!(batch.base_offset > last, "offsets go back");
            last = batch.last_offset;
            assert!(!values_of(&batch).iter().any(|value| value == "aborted"));
            for (offset, record) in &batch.records {
                let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
                let key = text(record.key.as_ref().unwrap());
                let key = key.strip_prefix("key ").unwrap().parse().unwrap();
                let value = record.value.as_ref().map(text);
                assert!(value.iter().all(|value| self.written.contains(value)));
                found.insert(key, (*offset, value));
            }
        }
        // What an open transaction holds back is checked once it is aborted.
        let stable = partition.ends().last_stable_offset;
        for (key, (offset, value)) in self.newest.iter().filter(|(_, (at, _))| *at < stable) {
            match found.get(key) {
                Some((newer, _)) if newer > offset => {}
                Some((_, same)) => assert_eq!((value, found[key].0), (same, *offset), "key {key}"),
                None => {
                    let deleted = self.tombstones.range((*key, *offset)..(*key, i64::MAX)).next();
                    assert!(deleted.is_some(), "key {key} at {offset} is gone: {value:?}");
                }
            }
        }
    }
}

fn run(seed: u64) -> u64 {
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let options = LogOptions {
        index_interval_bytes: random.random_range(0..300),
        min_free_bytes: 0,
        checkpoint_bytes: random.random_range(300..2_000),
        compaction_bytes: 24 * random.random_range(4..40),
        manual_sync: true,
        ..LogOptions::default()
    };
    let mut table = Table {
        files: FaultyFiles::new(seed),
        random,
        options,
        dir: None,
        partition: None,
        pending: Vec::new(),
        newest: BTreeMap::new(),
        written: BTreeSet::new(),
        tombstones: BTreeSet::new(),
        next: 0,
        now_ms: 0,
    };
    table.open();
    let mut compacted = 0;
    for _ in 0..6 {
        for _ in 0..120 {
            table.now_ms += 1;
            match table.random.random_range(0..20) {
                0..12 => table.put(),
                12..14 => table.abort(),
                14..18 => table.sync(),
                18 => {
                    let partition = table.partition.clone().unwrap();
                    if let Ok(report) = partition.clean(table.now_ms) {
                        compacted += report.bytes_compacted;
                        table.check();
                    }
                }
                _ if table.random.random_bool(0.3) => {
                    table.files.crash_after(table.random.random_range(0..60));
                }
                _ => {}
            }
            if table.files.crashed() {
                break;
            }
        }
        table.restart();
    }
    compacted
}

#[test]
fn the_newest_value_of_each_key_survives_crashes_during_compaction() {
    if let Ok(seed) = std::env::var("THROUGHLINE_SEED") {
        run(seed.parse().expect("a number"));
        return;
    }
    let wanted = std::env::var("THROUGHLINE_CRASHES").map_or(200, |text| text.parse().unwrap());
    let compacted: u64 = (0..wanted / 6 + 1).map(run).sum();
    assert!(compacted > 0, "nothing was ever compacted");
}
