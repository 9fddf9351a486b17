//! Consumers: order, rebalances, seeking, waiting, what cannot be read.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use throughline_avro::SchemaId;
use throughline_bus::*;
use throughline_event::*;

use crate::support::*;

#[test]
fn an_assignment_is_told_before_its_records_and_begins_where_the_worker_seeks() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..10);
    let mut consumer = consumer(&bus, &topic);
    let mut batch = RecordBatch::new();
    let polled = consumer.poll(&mut batch, 100, 1 << 20, PATIENCE).unwrap();
    let Polled::Assigned(partitions) = polled else { panic!("{polled:?}") };
    assert_eq!(partitions, [partition(&topic, 0)]);
    consumer.seek(&partitions[0], Offset(4)).unwrap();
    assert_eq!(read_numbers(&mut consumer, 6), [4, 5, 6, 7, 8, 9]);
    assert_eq!(consumer.assignment(), partitions);

    consumer.seek(&partitions[0], Offset(8)).unwrap();
    assert_eq!(read_numbers(&mut consumer, 2), [8, 9]);
    let other = partition(&topic, 7);
    let error = consumer.seek(&other, Offset(0)).unwrap_err();
    assert!(matches!(error, BusError::Consumer { action: "seek", .. }), "{error}");
}

#[test]
fn a_batch_ends_at_its_limits_and_says_what_to_commit() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..10);
    let group = unique("group");
    let options = ConsumerOptions::new(group.clone(), [topic.clone()]);
    let mut consumer = bus.consumer(options.clone()).unwrap();
    let mut batch = RecordBatch::new();
    let mut commits = Vec::new();
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < 10 {
        if let Polled::Records { next, .. } =
            consumer.poll(&mut batch, 4, 1 << 20, PATIENCE).unwrap()
        {
            sizes.push(batch.len());
            commits.push(next);
        }
    }
    assert!(sizes.iter().all(|size| *size <= 4), "{sizes:?}");
    assert_eq!(commits.last().unwrap()[..], [(partition(&topic, 0), Offset(10))]);
    consumer.commit(&commits[0]).unwrap();
    let committed = consumer.committed(&[partition(&topic, 0)]).unwrap();
    let ours = Committed { offset: commits[0][0].1, by: CommittedBy::Worker };
    assert_eq!(committed, [(partition(&topic, 0), Some(ours))]);
    consumer.close();

    // The next member of the group goes on behind what was committed.
    let mut next = bus.consumer(options).unwrap();
    let first = commits[0][0].1.0;
    let expected: Vec<_> = (first..10).collect();
    assert_eq!(read_numbers(&mut next, expected.len()), expected);
}

#[test]
fn a_committed_offset_that_the_log_does_not_hold_stops_the_member() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..10);
    let group = unique("group");
    let options = ConsumerOptions::new(group.clone(), [topic.clone()]);
    let mut consumer = bus.consumer(options.clone()).unwrap();
    assert_eq!(read_numbers(&mut consumer, 10).len(), 10);
    let at = partition(&topic, 0);
    consumer.commit(&[(at.clone(), Offset(900))]).unwrap();
    consumer.close();

    let mut next = bus.consumer(options).unwrap();
    let end = bus.describe(&topic).unwrap()[0].end;
    let mut batch = RecordBatch::new();
    let polled = next.poll(&mut batch, 100, 1 << 20, PATIENCE).unwrap();
    assert!(matches!(polled, Polled::Assigned(_)), "{polled:?}");
    let stopped = |next: &mut Consumer, batch: &mut RecordBatch, code: &str, told: &str| {
        let error = next.poll(batch, 100, 1 << 20, PATIENCE).unwrap_err();
        assert_eq!((error.code(), error.recovery()), (code, Recovery::Stop), "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert!(batch.is_empty());
    };
    let place = format!("{group} goes on at offset 900 of {at}, and the log holds 0 to {end}");
    stopped(&mut next, &mut batch, "TL0526", &place);
    // It does not go on when it is asked again, or when its target names a place that the log holds
    // by now: what stands there may be new.
    let place = format!("{group} was to go on at offset 900 of {at}");
    stopped(&mut next, &mut batch, "TL0530", &place);
    next.seek(&at, Offset(8)).unwrap();
    stopped(&mut next, &mut batch, "TL0530", &place);
    // A place that a person sets mends it.
    next.commit(&[(at, Offset(8))]).unwrap();
    assert_eq!(read_numbers(&mut next, 2), [8, 9]);
}

#[test]
fn a_place_that_is_sought_outside_of_the_log_stops_the_member() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..10);
    let mut consumer = consumer(&bus, &topic);
    let mut batch = RecordBatch::new();
    let polled = consumer.poll(&mut batch, 100, 1 << 20, PATIENCE).unwrap();
    assert!(matches!(polled, Polled::Assigned(_)), "{polled:?}");
    consumer.seek(&partition(&topic, 0), Offset(50)).unwrap();
    let error = consumer.poll(&mut batch, 100, 1 << 20, PATIENCE).unwrap_err();
    assert_eq!(error.code(), "TL0526", "{error}");
}

#[test]
fn a_rebalance_keeps_the_order_in_each_partition_and_loses_nothing() {
    for rebalance in [Rebalance::Cooperative, Rebalance::Eager] {
        rebalance_keeps_order(rebalance);
    }
}

fn rebalance_keeps_order(rebalance: Rebalance) {
    const PARTITIONS: i32 = 4;
    const EACH: i64 = 400;
    let bus = start();
    let topic = topic(&bus, PARTITIONS, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut options = ConsumerOptions::new(unique("group"), [topic.clone()]);
    options.rebalance = rebalance;
    // What was committed, in order, by partition.
    let done: Mutex<HashMap<i32, Vec<i64>>> = Mutex::default();
    let (stop_second, finished) = (AtomicBool::new(false), AtomicBool::new(false));
    let (first_told, second_told) = (AtomicBool::new(false), AtomicBool::new(false));
    let work = |stop: &AtomicBool, told: &AtomicBool| {
        let mut worker = Worker::new(bus.consumer(options.clone()).unwrap());
        while !stop.load(Ordering::SeqCst) {
            worker.step(&done);
            told.fetch_or(worker.told, Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        // Also when something fails, so that the test ends and says what.
        let _stop = StopAll([&stop_second, &finished]);
        scope.spawn(|| work(&finished, &first_told));
        scope.spawn(|| work(&stop_second, &second_told));
        let mut producer = bus.producer(&unique("p")).unwrap();
        for n in 0..EACH {
            producer.begin().unwrap();
            for partition in 0..PARTITIONS {
                send(&mut producer, &topic, Some(partition), ids, "k", Some(n));
            }
            producer.commit().unwrap();
            if n == EACH / 2 {
                // The second member comes and goes in the middle of the writing.
                let deadline = Instant::now() + PATIENCE;
                while !second_told.load(Ordering::SeqCst) {
                    assert!(Instant::now() < deadline, "the second member was given nothing");
                    std::thread::sleep(Duration::from_millis(5));
                }
                stop_second.store(true, Ordering::SeqCst);
            }
        }
        let deadline = Instant::now() + PATIENCE;
        let all = usize::try_from(EACH * i64::from(PARTITIONS)).unwrap();
        while done.lock().unwrap().values().map(Vec::len).sum::<usize>() < all
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let expected: Vec<_> = (0..EACH).collect();
    for partition in 0..PARTITIONS {
        assert_eq!(done.lock().unwrap()[&partition], expected, "{rebalance:?} {partition}");
    }
}

pub(crate) struct StopAll<'a>(pub(crate) [&'a AtomicBool; 2]);

impl Drop for StopAll<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|stop| stop.store(true, Ordering::SeqCst));
    }
}

/// A member that counts what it read as done when its offset is committed.
struct Worker {
    consumer: Consumer,
    batch: RecordBatch,
    undone: HashMap<TopicPartition, (Vec<i64>, Offset)>,
    /// Whether it was given partitions.
    told: bool,
}

impl Worker {
    fn new(consumer: Consumer) -> Self {
        Self { consumer, batch: RecordBatch::new(), undone: HashMap::new(), told: false }
    }

    fn step(&mut self, done: &Mutex<HashMap<i32, Vec<i64>>>) {
        let wait = Duration::from_millis(50);
        match self.consumer.poll(&mut self.batch, 10, 1 << 20, wait).unwrap() {
            Polled::Records { next, .. } => {
                for (partition, next) in next {
                    let of = |r: &Record<'_>| r.partition == partition.partition;
                    let numbers = self.batch.iter().filter(of).filter_map(|r| number(&r));
                    let (undone, offset) =
                        self.undone.entry(partition.clone()).or_insert((Vec::new(), next));
                    undone.extend(numbers);
                    *offset = next;
                }
                self.commit(done);
            }
            Polled::Revoked { partitions, .. } => {
                self.commit(done);
                // What could not be committed is read again by whoever is next.
                self.undone.retain(|partition, _| !partitions.contains(partition));
            }
            Polled::Assigned(partitions) => self.told |= !partitions.is_empty(),
            Polled::Nothing => {}
        }
    }

    fn commit(&mut self, done: &Mutex<HashMap<i32, Vec<i64>>>) {
        let next: Vec<_> =
            self.undone.iter().map(|(partition, (_, next))| (partition.clone(), *next)).collect();
        if let Err(error) = self.consumer.commit(&next) {
            assert_eq!(error.recovery(), Recovery::Retry, "{error}");
            return;
        }
        let mut done = done.lock().unwrap();
        for (partition, (numbers, _)) in self.undone.drain() {
            done.entry(partition.partition.0).or_default().extend(numbers);
        }
    }
}

#[test]
fn a_revocation_is_told_while_offsets_can_still_be_committed() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..5);
    let mut options = ConsumerOptions::new(unique("group"), [topic.clone()]);
    options.rebalance = Rebalance::Eager;
    let mut first = bus.consumer(options.clone()).unwrap();
    assert_eq!(read_numbers(&mut first, 5).len(), 5);

    let mut second = bus.consumer(options).unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(move || read_numbers(&mut second, 1));
        poll_until(&mut first, |polled, _| match polled {
            Polled::Revoked { partitions, lost } => {
                assert_eq!((partitions, lost), (vec![partition(&topic, 0)], false));
                true
            }
            _ => false,
        });
        first.commit(&[(partition(&topic, 0), Offset(5))]).unwrap();
        first.close();
        write(&bus, &topic, ids, 5..6);
        assert_eq!(second.join().unwrap(), [5], "it goes on behind the last commit");
    });
}

#[test]
fn paused_partitions_are_not_read_until_they_are_resumed() {
    let bus = start();
    let topic = topic(&bus, 2, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut consumer = consumer(&bus, &topic);
    poll_until(&mut consumer, |polled, _| matches!(polled, Polled::Assigned(_)));
    let mut batch = RecordBatch::new();
    consumer.poll(&mut batch, 1, 1, Duration::ZERO).unwrap();
    consumer.pause(&[partition(&topic, 0)]).unwrap();
    let mut producer = bus.producer(&unique("p")).unwrap();
    producer.begin().unwrap();
    send(&mut producer, &topic, Some(0), ids, "k", Some(0));
    send(&mut producer, &topic, Some(1), ids, "k", Some(1));
    producer.commit().unwrap();
    assert_eq!(read_numbers(&mut consumer, 1), [1]);
    let polled = consumer.poll(&mut batch, 10, 1 << 20, Duration::from_millis(200)).unwrap();
    assert!(matches!(polled, Polled::Nothing), "{polled:?}");
    consumer.resume(&[partition(&topic, 0)]).unwrap();
    assert_eq!(read_numbers(&mut consumer, 1), [0]);
}

#[test]
fn a_waker_ends_a_poll_that_would_wait_for_long() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let mut consumer = consumer(&bus, &topic);
    poll_until(&mut consumer, |polled, _| matches!(polled, Polled::Assigned(_)));
    let waker = consumer.waker();
    std::thread::scope(|scope| {
        scope.spawn(move || waker.wake());
        let mut batch = RecordBatch::new();
        let polled = consumer.poll(&mut batch, 10, 1 << 20, Duration::from_secs(3_600)).unwrap();
        assert!(matches!(polled, Polled::Nothing), "{polled:?}");
    });
}

#[test]
fn what_cannot_be_decoded_is_handed_over_between_the_records() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut producer = bus.producer(&unique("p")).unwrap();
    producer.begin().unwrap();
    send(&mut producer, &topic, None, ids, "k", Some(0));
    let unknown = Ids { key: ids.key, value: SchemaId(i32::MAX) };
    send(&mut producer, &topic, None, unknown, "k", Some(1));
    send(&mut producer, &topic, None, ids, "k", Some(2));
    producer.commit().unwrap();

    let mut consumer = consumer(&bus, &topic);
    let (mut numbers, mut bad, mut next) = (Vec::new(), Vec::new(), Vec::new());
    poll_until(&mut consumer, |polled, batch| {
        numbers.extend(batch.iter().filter_map(|record| number(&record)));
        if let Polled::Records { undecodable, next: offsets } = polled {
            bad.extend(undecodable);
            next = offsets;
        }
        numbers.len() + bad.len() == 3
    });
    assert_eq!(numbers, [0, 2]);
    assert_eq!(next, [(partition(&topic, 0), Offset(3))]);
    let bad = &bad[0];
    assert_eq!((&bad.partition, bad.offset), (&partition(&topic, 0), Offset(1)));
    assert_eq!(bad.value.as_deref(), Some(&b"\0\x7f\xff\xff\xff\x02"[..]));
    let Unreadable::Schema { part: Part::Value, source } = &bad.reason else { panic!("{bad:?}") };
    assert!(
        matches!(&**source, BusError::UnknownSchema { id: SchemaId(i32::MAX), .. }),
        "{source}"
    );
}

#[test]
fn a_slow_consumer_holds_bounded_memory_and_gets_everything() {
    const COUNT: i64 = 60_000;
    let bus = start_with(|options| options.memory = 8 << 20);
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut producer = bus.producer(&unique("p")).unwrap();
    let key = "k".repeat(1_000);
    for chunk in 0..COUNT / 10_000 {
        producer.begin().unwrap();
        for n in 0..10_000 {
            send(&mut producer, &topic, None, ids, &key, Some(chunk * 10_000 + n));
        }
        producer.commit().unwrap();
    }
    drop(producer);
    let mut consumer = consumer(&bus, &topic);
    let mut batch = RecordBatch::new();
    // It takes one record and is busy then: the client's queue fills meanwhile.
    let mut first = 0;
    while first == 0 {
        consumer.poll(&mut batch, 1, 1 << 20, PATIENCE).unwrap();
        first = batch.len();
    }
    let before = resident();
    std::thread::sleep(Duration::from_millis(500));
    let grown = resident().saturating_sub(before);
    assert!(grown < 24 << 20, "grew by {grown} bytes with 60 MB to read");
    let rest = read_numbers(&mut consumer, usize::try_from(COUNT).unwrap() - 1);
    assert_eq!(rest, (1..COUNT).collect::<Vec<_>>());
}

/// Bytes of memory that this process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

#[test]
fn a_member_of_no_topic_or_group_is_refused() {
    let bus = start();
    let error = bus.consumer(ConsumerOptions::new("g", [])).unwrap_err();
    assert!(matches!(error, BusError::Options { option: "consumer", .. }), "{error}");
}

#[test]
fn two_members_of_one_instance_name_fence_each_other() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let mut options = ConsumerOptions::new(unique("group"), [topic]);
    options.instance = Some("the-one".to_owned());
    let mut older = bus.consumer(options.clone()).unwrap();
    poll_until(&mut older, |polled, _| matches!(polled, Polled::Assigned(_)));
    let mut newer = bus.consumer(options).unwrap();
    poll_until(&mut newer, |polled, _| matches!(polled, Polled::Assigned(_)));
    let deadline = Instant::now() + PATIENCE;
    let mut batch = RecordBatch::new();
    let error = loop {
        assert!(Instant::now() < deadline, "the older member was not told");
        if let Err(error) = older.poll(&mut batch, 1, 1, Duration::from_millis(100)) {
            break error;
        }
    };
    assert!(matches!(&error, BusError::Fenced { name } if name == "the-one"), "{error}");
}

#[test]
fn lag_falls_to_nothing_when_everything_was_read() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..10);
    let mut consumer = consumer(&bus, &topic);
    assert_eq!(read_numbers(&mut consumer, 10).len(), 10);
    let deadline = Instant::now() + PATIENCE;
    let mut batch = RecordBatch::new();
    while consumer.lag().is_empty() {
        assert!(Instant::now() < deadline, "no statistics came");
        consumer.poll(&mut batch, 1, 1, Duration::from_millis(500)).unwrap();
    }
    let expected = PartitionLag { partition: partition(&topic, 0), lag: 0, end: Offset(11) };
    assert_eq!(consumer.lag(), [expected]);
}
