//! Rules for sinks.
//!
//! A connector's tests implement [`Harness`] and call [`all`]; it panics with the rule that is
//! broken. The suite plays the runtime: it delivers in offset order, delivers again what failed,
//! and goes on after a restart where the target or the last receipt says.
//!
//! | rule | |
//! | --- | --- |
//! | SINK-1 | what a receipt covers is held by the target, each record once, in order |
//! | SINK-2 | a batch that arrives again, whole or from any record on, changes nothing |
//! | SINK-3 | partitions are independent, in whatever order they are mixed |
//! | SINK-4 | while the target is away the answer is "retry"; afterwards nothing is lost or doubled |
//! | SINK-5 | `flush(all)` makes everything durable, and nothing is due afterwards |
//! | SINK-6 | after a restart delivery goes on where `assigned` or the last receipt says, also when the last receipt was never committed |
//! | SINK-7 | a revoked partition can be delivered again from the last receipt |
//! | SINK-8 | a receipt never goes back |
//! | SINK-9 | any mix of these ends with each record once |
//! | SINK-10 | a target that a receipt covered has seen the partition |

use std::collections::BTreeMap;
use std::future::Future;

use throughline_event::{Offset, RecordBatch, TopicPartition};

use crate::{ConnectError, DeliverError, Disposition, Receipt, Sink};

/// What the suite needs to know about one sink and its target.
pub trait Harness {
    /// The sink.
    type Sink: Sink;

    /// Waits for a future, on whatever the sink needs.
    fn wait<F: Future>(&self, future: F) -> F::Output;

    /// Connects to the target, which keeps what it holds: the first start, and each restart.
    fn connect(&mut self) -> Result<Self::Sink, ConnectError>;

    /// Two partitions or more that the sink can be given.
    fn partitions(&self) -> Vec<TopicPartition>;

    /// A batch of these records, in this order. Each pair of partition and number is a record of its
    /// own, that [`Harness::held`] knows again.
    fn batch(&self, records: &[(TopicPartition, Offset, usize)]) -> RecordBatch;

    /// The numbers of the records that the target holds of a partition, as often as it holds them,
    /// in its order, or sorted when it has none.
    fn held(&mut self, partition: &TopicPartition) -> Vec<usize>;

    /// Takes the target away: nothing can be made durable until [`Harness::heal`].
    fn fail(&mut self);

    /// Brings the target back with what it held.
    fn heal(&mut self);
}

/// Runs the whole suite; `make` gives an empty target each time.
///
/// # Panics
/// When a rule is broken, with its number; the random part prints its seed.
pub fn all<H: Harness>(mut make: impl FnMut() -> H) {
    durable_means_held(make());
    again_changes_nothing(make());
    partitions_are_independent(make());
    a_target_that_was_away(make());
    restart(make());
    revoked(make());
    for seed in 0..20 {
        random(make(), seed);
    }
}

/// The log, and what the runtime knows: how far each partition was committed and read.
struct Worker<H: Harness> {
    harness: H,
    sink: H::Sink,
    partitions: Vec<TopicPartition>,
    committed: BTreeMap<TopicPartition, Offset>,
    read: BTreeMap<TopicPartition, usize>,
}

/// Records of one partition; every fifth offset is a gap, as transaction markers leave them.
const RECORDS: usize = 40;

fn offset(number: usize) -> Offset {
    let number = i64::try_from(number).expect("a small number");
    Offset(number + number / 4)
}

/// How many records stand in front of an offset.
fn number_at(at: Offset) -> usize {
    (0..RECORDS).take_while(|&number| offset(number) < at).count()
}

impl<H: Harness> Worker<H> {
    fn start(mut harness: H) -> Self {
        let sink = connect(&mut harness);
        let partitions = harness.partitions();
        assert!(partitions.len() >= 2, "the harness has to name two partitions or more");
        let mut worker =
            Self { harness, sink, partitions, committed: BTreeMap::new(), read: BTreeMap::new() };
        worker.assign(&worker.partitions.clone());
        worker
    }

    fn assign(&mut self, partitions: &[TopicPartition]) {
        let receipt = self.harness.wait(self.sink.assigned(partitions));
        let receipt = receipt.expect("a target that is there can be assigned");
        for partition in partitions {
            let seen = self.sink.has_seen(partition);
            let committed = self.committed.get(partition).copied();
            assert!(seen || committed.is_none(), "SINK-10: the target forgot that it was written");
            let committed = committed.unwrap_or(Offset(0));
            let held = receipt.next.iter().find(|(p, _)| p == partition).map(|(_, next)| *next);
            if let Some(held) = held {
                assert!(held >= committed, "SINK-6: the target forgot what its receipt covered");
            }
            self.read.insert(partition.clone(), number_at(held.unwrap_or(committed)));
        }
    }

    /// The next `count` records of the partitions in turn.
    fn next(&self, partitions: &[TopicPartition], count: usize) -> Vec<(TopicPartition, usize)> {
        let mut records = Vec::new();
        for step in 0..count {
            for partition in partitions {
                let number = self.read[partition] + step;
                if number < RECORDS {
                    records.push((partition.clone(), number));
                }
            }
        }
        records
    }

    fn try_deliver(&mut self, records: &[(TopicPartition, usize)]) -> Result<(), DeliverError> {
        let records: Vec<_> =
            records.iter().map(|(p, number)| (p.clone(), offset(*number), *number)).collect();
        let batch = self.harness.batch(&records);
        let receipt = self.harness.wait(self.sink.deliver(&batch))?;
        for (partition, _, number) in records {
            let read = self.read.entry(partition).or_default();
            *read = (*read).max(number + 1);
        }
        self.commit(receipt);
        Ok(())
    }

    fn deliver(&mut self, records: &[(TopicPartition, usize)]) {
        self.try_deliver(records).expect("a target that is there takes a batch");
    }

    fn try_flush(&mut self, all: bool) -> Result<(), DeliverError> {
        let receipt = self.harness.wait(self.sink.flush(all))?;
        self.commit(receipt);
        Ok(())
    }

    fn flush(&mut self) {
        self.try_flush(true).expect("a target that is there can be flushed");
        assert_eq!(self.sink.flush_due(), None, "SINK-5: something is due after flush(all)");
    }

    /// The process dies between the target's answer and the commit.
    fn flush_unseen(&mut self) {
        let receipt = self.harness.wait(self.sink.flush(true));
        let _ = receipt.expect("a target that is there can be flushed");
    }

    fn commit(&mut self, receipt: Receipt) {
        for (partition, next) in receipt.next {
            let before = self.committed.insert(partition.clone(), next);
            assert!(before.is_none_or(|before| before <= next), "SINK-8: a receipt went back");
            let read = self.read[&partition];
            let most = if read == 0 { Offset(0) } else { offset(read - 1).next() };
            assert!(next <= most, "SINK-1: a receipt covers what was not delivered");
            let held = self.harness.held(&partition);
            let least: Vec<usize> = (0..number_at(next)).collect();
            assert!(held.starts_with(&least), "SINK-1: {partition} holds {held:?}, not {least:?}");
        }
    }

    /// The process dies: what is not durable is gone.
    fn restart(mut self) -> Self {
        drop(self.sink);
        self.sink = connect(&mut self.harness);
        self.assign(&self.partitions.clone());
        self
    }

    /// Delivers what is left and compares.
    fn finish(mut self, rule: &str) {
        let partitions = self.partitions.clone();
        loop {
            let records = self.next(&partitions, 7);
            if records.is_empty() {
                break;
            }
            self.deliver(&records);
        }
        self.flush();
        let all: Vec<usize> = (0..RECORDS).collect();
        for partition in &partitions {
            let next = self.committed.get(partition).copied();
            assert_eq!(next, Some(offset(RECORDS - 1).next()), "{rule}: {partition}'s receipt");
            assert_eq!(self.harness.held(partition), all, "{rule}: what {partition} holds");
        }
    }
}

fn connect<H: Harness>(harness: &mut H) -> H::Sink {
    harness.connect().expect("a target that is there can be connected to")
}

fn durable_means_held<H: Harness>(harness: H) {
    let mut worker = Worker::start(harness);
    assert_eq!(worker.sink.flush_due(), None, "SINK-5: something is due before the first batch");
    let partitions = worker.partitions.clone();
    let records = worker.next(&partitions, 10);
    worker.deliver(&records);
    worker.flush();
    worker.deliver(&[]);
    worker.finish("SINK-1");
}

fn again_changes_nothing<H: Harness>(harness: H) {
    let mut worker = Worker::start(harness);
    let partitions = worker.partitions.clone();
    for flushed in [false, true] {
        let records = worker.next(&partitions, 4);
        for from in 0..records.len() {
            worker.deliver(&records[from..]);
            worker.deliver(&records);
            if flushed {
                worker.flush();
            }
        }
    }
    worker.finish("SINK-2");
}

fn partitions_are_independent<H: Harness>(harness: H) {
    let mut worker = Worker::start(harness);
    let partitions = worker.partitions.clone();
    let [first, second] = [&partitions[0], &partitions[1]].map(std::slice::from_ref);
    let ahead = worker.next(first, RECORDS);
    worker.deliver(&ahead);
    let mut mixed = worker.next(second, 10);
    mixed.extend(ahead[5..].iter().cloned());
    worker.deliver(&mixed);
    worker.finish("SINK-3");
}

fn a_target_that_was_away<H: Harness>(harness: H) {
    let mut worker = Worker::start(harness);
    let partitions = worker.partitions.clone();
    let records = worker.next(&partitions, 5);
    worker.deliver(&records);
    worker.harness.fail();
    let records = worker.next(&partitions, 5);
    let mut failed = 0;
    for _ in 0..3 {
        let delivered = worker.try_deliver(&records);
        let done = delivered.and_then(|()| worker.try_flush(true));
        if let Err(error) = done {
            let disposition = error.disposition();
            let retry = matches!(disposition, Disposition::Retry { .. });
            assert!(retry, "SINK-4: {disposition:?} while the target is away: {error}");
            failed += 1;
        }
    }
    assert_eq!(failed, 3, "SINK-4: a target that is away has made something durable");
    worker.harness.heal();
    worker.deliver(&records);
    worker.flush();
    worker.finish("SINK-4");
}

fn restart<H: Harness>(harness: H) {
    let mut worker = Worker::start(harness);
    let partitions = worker.partitions.clone();
    for flushed in [true, false, false, true] {
        let records = worker.next(&partitions, 4);
        worker.deliver(&records);
        if flushed {
            worker.flush();
        }
        worker = worker.restart();
        let records = worker.next(&partitions, 2);
        worker.deliver(&records);
        worker.flush_unseen();
        worker = worker.restart();
    }
    worker.finish("SINK-6");
}

fn revoked<H: Harness>(harness: H) {
    let mut worker = Worker::start(harness);
    let partitions = worker.partitions.clone();
    let moved = std::slice::from_ref(&partitions[0]);
    for flushed in [false, true] {
        let records = worker.next(&partitions, 5);
        worker.deliver(&records);
        if flushed {
            worker.flush();
        }
        worker.harness.wait(worker.sink.revoked(moved));
        let others = worker.next(&partitions[1..], 2);
        worker.deliver(&others);
        worker.assign(moved);
    }
    worker.finish("SINK-7");
}

fn random<H: Harness>(harness: H, seed: u64) {
    let mut state = seed;
    // SplitMix64, so that the suite needs no random numbers of others.
    let mut pick = |below: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap_or(0)
    };
    let rule = format!("SINK-9, seed {seed}");
    let mut worker = Worker::start(harness);
    let partitions = worker.partitions.clone();
    for _ in 0..25 {
        let some = &partitions[pick(partitions.len())..];
        let records = worker.next(some, 1 + pick(4));
        match pick(8) {
            0 => {
                if pick(2) == 0 {
                    worker.flush_unseen();
                }
                worker = worker.restart();
            }
            1 => worker.flush(),
            2 => {
                worker.harness.fail();
                let _ = worker.try_deliver(&records);
                let _ = worker.try_flush(pick(2) == 0);
                worker.harness.heal();
                worker.deliver(&records);
            }
            3 => {
                worker.harness.wait(worker.sink.revoked(some));
                worker.assign(some);
            }
            4 => {
                worker.deliver(&records);
                worker.deliver(&records[pick(records.len())..]);
            }
            _ => worker.deliver(&records),
        }
    }
    worker.finish(&rule);
}
