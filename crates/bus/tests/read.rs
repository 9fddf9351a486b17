//! Reading without a group: to the end, and tails.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use throughline_bus::*;
use throughline_event::*;

use crate::support::*;

#[test]
fn an_empty_partition_ends_at_once() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Compact);
    assert_eq!(read_all(&bus, &topic, Isolation::ReadCommitted), (Vec::new(), Offset(0)));
}

#[test]
fn reading_goes_on_at_the_offset_that_the_last_reading_returned() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Compact);
    let ids = register(&bus, &topic);
    let (mut numbers, mut next) = (Vec::new(), Offset(0));
    for round in 0..3 {
        write(&bus, &topic, ids, round * 5..round * 5 + 5);
        let at = partition(&topic, 0);
        next = bus
            .read_to_end(&at, next, Isolation::ReadCommitted, |entry| {
                let Entry::Record(record) = entry else { panic!("{entry:?}") };
                numbers.extend(number(&record));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(next, Offset((round + 1) * 6), "five records and a marker each");
    }
    assert_eq!(numbers, (0..15).collect::<Vec<_>>());
}

#[test]
fn a_reader_may_break_off_and_go_on() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..10);
    let at = partition(&topic, 0);
    let mut seen = 0;
    let next = bus.read_to_end(&at, Offset(2), Isolation::ReadCommitted, |_| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((seen, next.unwrap()), (3, Offset(5)));
}

#[test]
fn a_tail_of_aborted_records_and_markers_is_passed_over() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..3);
    let mut producer = bus.producer(&unique("p")).unwrap();
    for n in 0..3 {
        producer.begin().unwrap();
        send(&mut producer, &topic, None, ids, "k", Some(100 + n));
        wait_for_end(&bus, &topic, 4 + 2 * n + 1);
        producer.abort().unwrap();
    }
    let (numbers, next) = read_all(&bus, &topic, Isolation::ReadCommitted);
    assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
    assert_eq!(next, Offset(10));
}

#[test]
fn gaps_of_compaction_are_passed_over_and_every_key_keeps_its_newest_value() {
    let bus = start();
    let topic = TopicName::new(unique("bus-test")).unwrap();
    let mut spec = TopicSpec::new(topic.clone(), Partitions::Exactly(1), Cleanup::Compact);
    for (key, value) in [("min.cleanable.dirty.ratio", "0.01"), ("segment.ms", "100")] {
        spec.configs.push((key.to_owned(), value.to_owned()));
    }
    bus.ensure_topic(&spec).unwrap();
    let ids = register(&bus, &topic);
    let mut producer = bus.producer(&unique("p")).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut last = 0;
    // Writing goes on, since only closed segments are compacted.
    loop {
        producer.begin().unwrap();
        for n in 0..200 {
            last += 1;
            send(&mut producer, &topic, None, ids, &format!("k{}", n % 5), Some(last));
        }
        producer.commit().unwrap();
        let (numbers, next) = read_all(&bus, &topic, Isolation::ReadCommitted);
        assert_eq!(numbers.last().unwrap(), &Some(last));
        let newest = &numbers[numbers.len() - 5..];
        assert_eq!(newest, (last - 4..=last).map(Some).collect::<Vec<_>>());
        assert_eq!(next, bus.describe(&topic).unwrap()[0].end);
        if i64::try_from(numbers.len()).unwrap() < last {
            return;
        }
        assert!(Instant::now() < deadline, "the topic was never compacted");
        std::thread::sleep(Duration::from_millis(150));
    }
}

#[test]
fn an_open_transaction_before_the_end_is_waited_for_and_then_told() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..1);
    let mut open = bus.producer(&unique("open")).unwrap();
    open.begin().unwrap();
    send(&mut open, &topic, None, ids, "k", Some(1));
    wait_for_end(&bus, &topic, 3);
    write(&bus, &topic, ids, 2..3);

    let at = partition(&topic, 0);
    // Long enough that a busy broker has told its last stable offset.
    let patience = Duration::from_secs(5);
    let committed = Isolation::ReadCommitted;
    let read = bus.read_to_end_within(patience, &at, Offset(0), committed, |_| panic!("too early"));
    let error = read.unwrap_err();
    let BusError::OpenTransaction { stable, end, .. } = &error else { panic!("{error}") };
    assert_eq!((*stable, *end), (Offset(2), Offset(5)));
    assert_eq!(error.recovery(), Recovery::Retry);

    // A reader that waits is let through by the end of the transaction.
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_all(&bus, &topic, Isolation::ReadCommitted));
        std::thread::sleep(Duration::from_millis(50));
        open.commit().unwrap();
        let (numbers, next) = reader.join().unwrap();
        assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
        assert!(next >= Offset(5), "{next}");
    });
}

#[test]
fn an_offset_beyond_the_end_is_an_error_and_not_a_reading_from_the_start() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let at = partition(&topic, 0);
    let read = bus.read_to_end(&at, Offset(7), Isolation::ReadCommitted, |_| panic!("no record"));
    let error = read.unwrap_err();
    assert!(
        matches!(error, BusError::BeyondEnd { from: Offset(7), end: Offset(0), .. }),
        "{error}"
    );
}

#[test]
fn a_partition_that_does_not_exist_is_told() {
    let bus = start();
    let at = partition(&TopicName::new(unique("missing")).unwrap(), 0);
    let read = bus.read_to_end(&at, Offset(0), Isolation::ReadCommitted, |_| panic!("no record"));
    assert!(matches!(read, Err(BusError::UnknownTopic { .. })), "{read:?}");
}

fn tail_options(topic: &TopicName, from: TailFrom, follow: bool) -> TailOptions {
    let (topic, isolation) = (topic.clone(), Isolation::ReadCommitted);
    TailOptions { topic, partitions: Vec::new(), from, follow, isolation }
}

fn tail_to_end(bus: &Bus, options: &TailOptions) -> Vec<i64> {
    let mut tail = bus.tail(options).unwrap();
    let mut numbers = Vec::new();
    loop {
        let end = tail.next(PATIENCE, |tailed| match tailed {
            Tailed::Entry(Entry::Record(record)) => {
                numbers.extend(number(&record));
                false
            }
            Tailed::Entry(entry) => panic!("{entry:?}"),
            Tailed::Nothing => panic!("no end"),
            Tailed::End => true,
        });
        if end.unwrap() {
            numbers.sort_unstable();
            return numbers;
        }
    }
}

#[test]
fn a_tail_begins_where_it_is_told_and_ends_at_the_end() {
    let bus = start();
    let topic = topic(&bus, 3, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut producer = bus.producer(&unique("p")).unwrap();
    producer.begin().unwrap();
    for n in 0..9 {
        send(&mut producer, &topic, Some(n % 3), ids, "k", Some(i64::from(n)));
    }
    producer.commit().unwrap();
    let tail = |from| tail_to_end(&bus, &tail_options(&topic, from, false));
    assert_eq!(tail(TailFrom::Earliest), (0..9).collect::<Vec<_>>());
    assert_eq!(tail(TailFrom::Latest), [0; 0]);
    assert_eq!(tail(TailFrom::Offset(Offset(2))), [6, 7, 8]);
    // Each partition ends with a marker.
    assert_eq!(tail(TailFrom::Last(2)), [6, 7, 8]);
    let mut one = tail_options(&topic, TailFrom::Earliest, false);
    one.partitions = vec![PartitionId(1)];
    assert_eq!(tail_to_end(&bus, &one), [1, 4, 7]);
    one.partitions = vec![PartitionId(9)];
    assert!(matches!(bus.tail(&one), Err(BusError::Options { option: "tail", .. })));
}

#[test]
fn a_tail_that_follows_shows_new_records_and_can_be_woken() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..1);
    let mut tail = bus.tail(&tail_options(&topic, TailFrom::Latest, true)).unwrap();
    write(&bus, &topic, ids, 1..2);
    let seen = tail.next(PATIENCE, |tailed| match tailed {
        Tailed::Entry(Entry::Record(record)) => number(&record),
        other => panic!("{other:?}"),
    });
    assert_eq!(seen.unwrap(), Some(1));
    let waker = tail.waker();
    std::thread::scope(|scope| {
        scope.spawn(move || waker.wake());
        let nothing = |tailed: Tailed<'_>| matches!(tailed, Tailed::Nothing);
        assert!(tail.next(Duration::from_secs(3_600), nothing).unwrap());
    });
}
