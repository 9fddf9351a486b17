//! Random clients on a faulty disk, and what they may expect of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use throughline_log::faults::FaultyFiles;
use throughline_log::{
    AppendError, Appended, FlushPolicy, Isolation, LogDir, LogOptions, Origin, Partition,
    PartitionConfig, ReadLimit, Status, TopicPartition,
};

use crate::batches::{Batch, ReadBatch, decode};

/// A batch that was sent and not acknowledged yet.
#[derive(Clone, Debug)]
struct Sent {
    values: Vec<String>,
    sequence: i32,
    /// Where the log has put it; `None` after a refusal or a crash.
    offsets: Option<(i64, i64)>,
}

/// An idempotent producer: sends what is not acknowledged again, in order.
#[derive(Debug)]
struct Idempotent {
    id: i64,
    next_sequence: i32,
    pending: Vec<Sent>,
}

/// A transactional producer with its coordinator's decision.
#[derive(Debug)]
struct Transactional {
    id: i64,
    epoch: i16,
    next_sequence: i32,
    pending: Vec<Sent>,
    /// Values of the open transaction.
    open: Vec<String>,
    acknowledged: Vec<(i64, Vec<String>)>,
    decided: Option<bool>,
    /// Offset of the marker, once appended.
    marker: Option<i64>,
}

impl Transactional {
    /// What happened to the batches that are out is not known: they may be in the log, so their
    /// sequence numbers are used for nothing else, and a new epoch begins, as in Kafka's clients.
    fn begin_epoch(&mut self) {
        self.pending.retain(|sent| sent.offsets.is_some());
        self.epoch += 1;
        self.next_sequence = 0;
    }

    /// The first batch that has no offsets yet.
    fn unsent(&self) -> Option<usize> {
        self.pending.iter().position(|sent| sent.offsets.is_none())
    }
}

/// What must be true of the log, whatever happens.
#[derive(Debug, Default)]
struct Expected {
    /// First offset and values of acknowledged batches.
    acknowledged: BTreeMap<i64, Vec<String>>,
    /// Values that a reader of committed records must see, by first offset.
    committed: BTreeMap<i64, Vec<String>>,
    /// Values that such a reader must never see.
    aborted: BTreeSet<String>,
    log_start: i64,
}

/// One disk, one log, its clients.
pub(crate) struct World {
    pub(crate) files: FaultyFiles,
    random: SmallRng,
    options: LogOptions,
    dir: Option<LogDir>,
    partition: Option<Arc<Partition>>,
    idempotent: Vec<Idempotent>,
    transactional: Vec<Transactional>,
    plain: Vec<Sent>,
    expected: Expected,
    next_value: u64,
    /// Syncs that had failed when the log was opened.
    failed_before: u64,
    pub(crate) restarts: u64,
}

fn id() -> TopicPartition {
    TopicPartition::new("orders", 3).unwrap()
}

/// Whether a future is done now.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let options = LogOptions {
            flush: FlushPolicy::EveryAck,
            index_interval_bytes: random.random_range(0..600),
            min_free_bytes: 2_000,
            checkpoint_bytes: random.random_range(500..5_000),
            manual_sync: true,
            ..LogOptions::default()
        };
        let idempotent =
            (1..=2).map(|id| Idempotent { id, next_sequence: 0, pending: Vec::new() }).collect();
        let transactional = (10..=12)
            .map(|id| Transactional {
                id,
                epoch: 0,
                next_sequence: 0,
                pending: Vec::new(),
                open: Vec::new(),
                acknowledged: Vec::new(),
                decided: None,
                marker: None,
            })
            .collect();
        Self {
            files: FaultyFiles::new(seed ^ 0x5eed),
            random,
            options,
            dir: None,
            partition: None,
            idempotent,
            transactional,
            plain: Vec::new(),
            expected: Expected::default(),
            next_value: 0,
            failed_before: 0,
            restarts: 0,
        }
    }

    fn partition(&self) -> Arc<Partition> {
        self.partition.clone().unwrap()
    }

    fn values(&mut self) -> Vec<String> {
        let count = self.random.random_range(1..5);
        let length = self.random.random_range(0..120);
        (0..count)
            .map(|_| {
                self.next_value += 1;
                format!("{} {}", self.next_value, "x".repeat(length))
            })
            .collect()
    }

    /// Opens the log, through crashes in the middle of it, until it is open.
    pub(crate) fn open(&mut self) {
        for attempt in 0.. {
            if attempt < 3 && self.random.random_bool(0.2) {
                let after = self.random.random_range(0..25);
                self.files.crash_after(after);
            }
            let files = Arc::new(self.files.clone());
            let opened = LogDir::open(Path::new("/data"), self.options.clone(), files);
            if opened.is_err() {
                // After a failed sync, opening writes the tail again and needs room for it.
                self.files.set_capacity(None);
            }
            let opened = opened.ok().and_then(|dir| {
                let config = PartitionConfig { segment_bytes: 2_500, ..PartitionConfig::default() };
                let found = dir.partition(&id());
                let partition = match found {
                    Some(found) => found,
                    None => dir.create(id(), config.clone()).ok()?,
                };
                partition.set_config(config);
                Some((dir, partition))
            });
            if let Some((dir, partition)) = opened
                && !self.files.crashed()
            {
                self.dir = Some(dir);
                self.partition = Some(partition);
                self.failed_before = self.files.counts().sync_errors;
                return;
            }
            assert!(attempt < 10, "could not open the log on a healthy disk");
            self.files.power_cut();
        }
    }

    /// The process or the machine ends, and the log is opened again.
    pub(crate) fn restart(&mut self) {
        self.restarts += 1;
        let clean = !self.files.crashed() && self.random.random_bool(0.15);
        if clean {
            self.dir.as_ref().unwrap().close();
        }
        // Without a clean close the process is gone before it can sync anything.
        if clean || (self.random.random_bool(0.5) && !self.died_before_the_mark()) {
            self.files.kill();
            self.drop_log();
            if clean && self.random.random_bool(0.5) {
                self.files.power_cut();
            }
        } else {
            self.files.power_cut();
            self.drop_log();
        }
        self.open();
        for sent in self.idempotent.iter_mut().flat_map(|producer| &mut producer.pending) {
            sent.offsets = None;
        }
        self.plain.clear();
        self.check();
        self.resolve_transactions();
        self.resend();
    }

    /// A sync failed and the process died before it could leave its mark. When only the process
    /// is gone then, nothing tells the next one to distrust the cache: a limit of the log, which
    /// its documentation names. The machine stops with it here.
    fn died_before_the_mark(&self) -> bool {
        let failed = self.files.counts().sync_errors > self.failed_before;
        let marked = self.files.paths().iter().any(|path| path.ends_with("sync-failed"));
        self.files.crashed() && failed && !marked
    }

    fn drop_log(&mut self) {
        self.partition = None;
        self.dir = None;
    }

    /// The coordinator decides what it had not decided, and writes every marker again.
    fn resolve_transactions(&mut self) {
        for producer in &mut self.transactional {
            producer.pending.clear();
            producer.marker = None;
            if producer.decided.is_none() && (!producer.open.is_empty()) {
                producer.decided = Some(false);
            }
            if producer.decided == Some(false) {
                producer.begin_epoch();
            }
        }
    }

    fn send(&self, batch: &Batch, origin: Origin) -> Result<Appended, AppendError> {
        let partition = self.partition();
        let before = partition.ends().log_end;
        let result = partition.append(batch.encode(), origin, 0);
        match result {
            Ok(appended) => Ok(appended),
            Err(error) => {
                assert_eq!(partition.ends().log_end, before, "{error}");
                let expected = self.files.crashed()
                    || partition.ends().status == Status::Failed
                    || matches!(error, AppendError::DiskFull { .. } | AppendError::Io(_));
                assert!(expected, "{error}");
                Err(error)
            }
        }
    }

    /// Sends again what has no offsets.
    fn resend(&mut self) {
        for at in 0..self.idempotent.len() {
            let id = self.idempotent[at].id;
            for pending in 0..self.idempotent[at].pending.len() {
                let sent = self.idempotent[at].pending[pending].clone();
                if sent.offsets.is_none() {
                    let batch = batch_of(&sent.values).by(id, 0, sent.sequence);
                    let Ok(appended) = self.send(&batch, Origin::Client) else { break };
                    self.idempotent[at].pending[pending].offsets = Some(offsets(&appended));
                }
            }
        }
    }

    /// One random step of one client, or of the disk.
    pub(crate) fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..15 => self.send_plain(),
            15..40 => self.send_idempotent(),
            40..70 => self.step_transaction(),
            70..90 => self.sync(),
            90..92 => self.delete_records(),
            92..94 => self.check(),
            94 => self.files.fail_writes(1),
            95 => {
                let count = self.random.random_range(1..3);
                self.files.fail_syncs(count);
            }
            96 | 97 => self.files.set_capacity(Some(0)),
            _ => self.files.set_capacity(None),
        }
    }

    fn send_plain(&mut self) {
        let values = self.values();
        if let Ok(appended) = self.send(&batch_of(&values), Origin::Client) {
            let offsets = Some(offsets(&appended));
            self.plain.push(Sent { values, sequence: -1, offsets });
        }
    }

    fn send_idempotent(&mut self) {
        self.resend();
        let at = self.random.random_range(0..self.idempotent.len());
        if self.idempotent[at].pending.len() >= 5 {
            return;
        }
        let values = self.values();
        let producer = &mut self.idempotent[at];
        let sequence = producer.next_sequence;
        producer.next_sequence += values.len() as i32;
        producer.pending.push(Sent { values, sequence, offsets: None });
        self.resend();
    }

    fn step_transaction(&mut self) {
        let at = self.random.random_range(0..self.transactional.len());
        let producer = &self.transactional[at];
        if producer.marker.is_some() {
            return;
        }
        let decided = producer.decided;
        let flushed = producer.pending.is_empty();
        match (decided, self.random.random_range(0..4)) {
            (Some(commit), _) => self.write_marker(at, commit),
            (None, 0) if flushed && !self.transactional[at].open.is_empty() => {
                self.transactional[at].decided = Some(true);
            }
            (None, 1) if !self.transactional[at].open.is_empty() => {
                let producer = &mut self.transactional[at];
                producer.decided = Some(false);
                if producer.unsent().is_some() {
                    producer.begin_epoch();
                }
            }
            _ => self.send_transactional(at),
        }
    }

    /// Sends new values, or the batch that failed before, with its sequence.
    fn send_transactional(&mut self, at: usize) {
        if self.transactional[at].unsent().is_none() {
            let values = self.values();
            let producer = &mut self.transactional[at];
            let sequence = producer.next_sequence;
            producer.next_sequence += values.len() as i32;
            // From now on they may be in the log, whatever is answered.
            producer.open.extend(values.iter().cloned());
            producer.pending.push(Sent { values, sequence, offsets: None });
        }
        let producer = &self.transactional[at];
        let Some(unsent) = producer.unsent() else { return };
        let Sent { values, sequence, .. } = &producer.pending[unsent];
        let batch = batch_of(values).by(producer.id, producer.epoch, *sequence).transactional();
        if let Ok(appended) = self.send(&batch, Origin::Client) {
            assert!(!appended.duplicate, "other values were taken for a duplicate");
            self.transactional[at].pending[unsent].offsets = Some(offsets(&appended));
        }
    }

    fn write_marker(&mut self, at: usize, commit: bool) {
        let producer = &self.transactional[at];
        let marker = Batch::marker(producer.id, producer.epoch, commit, 0);
        if let Ok(appended) = self.send(&marker, Origin::Coordinator) {
            self.transactional[at].marker = Some(appended.base_offset);
        }
    }

    /// A round of the syncer, and everything that it acknowledges.
    fn sync(&mut self) {
        self.dir.as_ref().unwrap().sync_now();
        let partition = self.partition();
        let durable = |offset: i64| now(partition.durable(offset + 1)).is_some_and(|r| r.is_ok());
        let expected = &mut self.expected;
        let mut acknowledge = |pending: &mut Vec<Sent>, committed: bool| {
            let mut done = Vec::new();
            pending.retain(|sent| match sent.offsets {
                Some((base, last)) if durable(last) => {
                    let before = expected.acknowledged.insert(base, sent.values.clone());
                    assert_eq!(before, None, "two batches at offset {base}");
                    if committed {
                        expected.committed.insert(base, sent.values.clone());
                    }
                    done.push((base, sent.values.clone()));
                    false
                }
                _ => true,
            });
            done
        };
        acknowledge(&mut self.plain, true);
        for producer in &mut self.idempotent {
            acknowledge(&mut producer.pending, true);
        }
        for producer in &mut self.transactional {
            let done = acknowledge(&mut producer.pending, false);
            producer.acknowledged.extend(done);
        }
        for producer in &mut self.transactional {
            if producer.marker.is_some_and(durable) {
                let acknowledged = std::mem::take(&mut producer.acknowledged);
                let open = std::mem::take(&mut producer.open);
                if producer.decided == Some(true) {
                    self.expected.committed.extend(acknowledged);
                } else {
                    self.expected.aborted.extend(open);
                }
                producer.decided = None;
                producer.marker = None;
            }
        }
    }

    fn delete_records(&mut self) {
        let partition = self.partition();
        let ends = partition.ends();
        let to = self.random.random_range(ends.log_start..=ends.high_watermark);
        // A crash in the middle may or may not have moved it.
        if self.random.random_bool(0.3)
            && let Ok(log_start) = partition.delete_records(to)
        {
            self.expected.log_start = log_start;
        }
    }

    /// Compares the log with what is expected.
    pub(crate) fn check(&self) {
        if self.files.crashed() {
            return;
        }
        let partition = self.partition();
        let ends = partition.ends();
        assert!(ends.log_start >= self.expected.log_start);
        assert!(ends.last_stable_offset <= ends.high_watermark);
        let mut next = None;
        let mut seen = BTreeSet::new();
        let mut found = BTreeMap::new();
        for batch in read(&partition, Isolation::ReadUncommitted) {
            assert!(next.is_none_or(|next| next == batch.base_offset), "offsets have a gap");
            assert!(batch.last_offset < ends.high_watermark, "not durable, but read");
            next = Some(batch.last_offset + 1);
            if !batch.is_control() {
                let values = values_of(&batch);
                for value in &values {
                    assert!(seen.insert(value.clone()), "twice in the log: {value}");
                }
                found.insert(batch.base_offset, values);
            }
        }
        if let Some(next) = next {
            assert_eq!(next, ends.high_watermark);
        }
        for (base, values) in self.expected.acknowledged.range(ends.log_start..) {
            assert_eq!(found.get(base), Some(values), "acknowledged at {base}");
        }
        self.check_committed(&partition);
    }

    fn check_committed(&self, partition: &Partition) {
        let ends = partition.ends();
        let undecided: BTreeSet<_> = self
            .transactional
            .iter()
            .filter(|producer| producer.decided != Some(true))
            .flat_map(|producer| &producer.open)
            .collect();
        let mut found = BTreeMap::new();
        for batch in read_committed(partition) {
            assert!(batch.last_offset < ends.last_stable_offset);
            for value in values_of(&batch) {
                assert!(!self.expected.aborted.contains(&value), "aborted, but read: {value}");
                assert!(!undecided.contains(&value), "undecided, but read: {value}");
            }
            found.insert(batch.base_offset, values_of(&batch));
        }
        let readable = ends.log_start..ends.last_stable_offset.max(ends.log_start);
        for (base, values) in self.expected.committed.range(readable) {
            assert_eq!(found.get(base), Some(values), "committed at {base}");
        }
    }

    /// Ends everything that is open and checks that nothing holds back readers.
    pub(crate) fn finish(&mut self) {
        self.files.set_capacity(None);
        self.files.fail_syncs(0);
        self.files.fail_writes(0);
        self.restart();
        self.files.power_cut();
        self.drop_log();
        self.files.set_capacity(None);
        self.open();
        while self.files.crashed() {
            self.files.power_cut();
            self.drop_log();
            self.open();
        }
        for sent in self.idempotent.iter_mut().flat_map(|producer| &mut producer.pending) {
            sent.offsets = None;
        }
        self.resolve_transactions();
        self.files.crash_after(u64::MAX);
        self.resend();
        for at in 0..self.transactional.len() {
            if let Some(commit) = self.transactional[at].decided {
                self.write_marker(at, commit);
            }
        }
        self.sync();
        assert!(self.idempotent.iter().all(|producer| producer.pending.is_empty()));
        self.check();
        let ends = self.partition().ends();
        assert_eq!(ends.last_stable_offset, ends.log_end);
    }

    /// Whether nothing can be written before the next restart.
    pub(crate) fn broken(&self) -> bool {
        self.files.crashed() || self.partition().ends().status != Status::Open
    }

    pub(crate) fn crash_soon(&mut self) {
        let after = self.random.random_range(0..120);
        self.files.crash_after(after);
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }
}

/// First and last offset.
fn offsets(appended: &Appended) -> (i64, i64) {
    (appended.base_offset, appended.last_offset)
}

fn batch_of(values: &[String]) -> Batch {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    Batch::of(&values)
}

pub(crate) fn values_of(batch: &ReadBatch) -> Vec<String> {
    let value = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    batch.records.iter().filter_map(|(_, record)| record.value.as_deref().map(value)).collect()
}

/// All batches that a reader gets.
pub(crate) fn read(partition: &Partition, isolation: Isolation) -> Vec<ReadBatch> {
    let mut from = partition.ends().log_start;
    let mut batches = Vec::new();
    loop {
        let fetched = partition.read(from, ReadLimit { max_bytes: 700, isolation }).unwrap();
        let read = decode(&fetched.records);
        let Some(last) = read.last() else { return batches };
        from = last.last_offset + 1;
        batches.extend(read);
    }
}

/// All data batches that a consumer under `read_committed` delivers, by the rules of the Java
/// client: per response, a producer counts as aborted from its transaction's first offset to its
/// abort marker.
pub(crate) fn read_committed(partition: &Partition) -> Vec<ReadBatch> {
    let mut from = partition.ends().log_start;
    let mut delivered = Vec::new();
    loop {
        let limit = ReadLimit { max_bytes: 700, isolation: Isolation::ReadCommitted };
        let fetched = partition.read(from, limit).unwrap();
        let mut aborted = fetched.aborted.iter().peekable();
        let mut skipping = BTreeSet::new();
        let read = decode(&fetched.records);
        let Some(last) = read.last() else { return delivered };
        from = last.last_offset + 1;
        for batch in read {
            while let Some(entry) = aborted.next_if(|entry| entry.first_offset <= batch.last_offset)
            {
                skipping.insert(entry.producer_id);
            }
            if batch.is_control() {
                let abort = batch.records.iter().any(|(_, marker)| {
                    marker.key.as_deref().is_some_and(|key| key[2..4] == [0, 0])
                });
                if abort {
                    skipping.remove(&batch.producer_id);
                }
            } else if batch.attributes & 16 == 0 || !skipping.contains(&batch.producer_id) {
                delivered.push(batch);
            }
        }
    }
}
