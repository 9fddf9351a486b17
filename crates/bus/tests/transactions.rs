//! Producers: commit, abort, fencing, offsets in transactions.

use std::time::Duration;

use throughline_bus::*;
use throughline_event::*;

use crate::support::*;

#[test]
fn committed_records_come_back_with_key_value_headers_and_time() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut producer = bus.producer(&unique("p")).unwrap();
    producer.begin().unwrap();
    let headers = [("version".to_owned(), b"7".to_vec()), ("empty".to_owned(), Vec::new())];
    let outgoing = Outgoing {
        topic: &topic,
        partition: None,
        key: Some((ids.key, b"\x02a")),
        value: Some((ids.value, b"\x0e")),
        headers: &headers,
        timestamp: Some(Micros::from_millis(1_700_000_000_123)),
    };
    producer.send(&outgoing).unwrap();
    producer.send(&Outgoing { value: None, headers: &[], ..outgoing }).unwrap();
    let next = producer.commit().unwrap();
    assert_eq!(next, [(partition(&topic, 0), Offset(2))]);

    let (key, value) = schemas();
    let mut seen = 0;
    bus.read_to_end(&partition(&topic, 0), Offset(0), Isolation::ReadCommitted, |entry| {
        let Entry::Record(record) = entry else { panic!("{entry:?}") };
        assert_eq!((record.topic, record.partition.0, record.offset.0), (&topic, 0, seen));
        assert_eq!(record.timestamp, Micros::from_millis(1_700_000_000_123));
        assert_eq!(
            (&**record.key.unwrap().schema, record.key.unwrap().bytes),
            (&key, &b"\x02a"[..])
        );
        match seen {
            0 => {
                let datum = record.value.unwrap();
                assert_eq!((&**datum.schema, datum.bytes), (&value, &b"\x0e"[..]));
                assert_eq!(record.headers, headers);
            }
            _ => assert!(record.value.is_none() && record.headers.is_empty()),
        }
        seen += 1;
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn aborted_records_are_hidden_from_readers_of_committed_ones() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut producer = bus.producer(&unique("p")).unwrap();
    for (n, commit) in [(1, true), (2, false), (3, true)] {
        producer.begin().unwrap();
        send(&mut producer, &topic, None, ids, "k", Some(n));
        if commit {
            producer.commit().unwrap();
        } else {
            // The record must reach the log, or there is nothing to hide.
            wait_for_end(&bus, &topic, 3);
            producer.abort().unwrap();
        }
    }
    let (committed, next) = read_all(&bus, &topic, Isolation::ReadCommitted);
    assert_eq!(committed, [Some(1), Some(3)]);
    assert_eq!(next, Offset(6), "three records and three markers");
    let (all, next) = read_all(&bus, &topic, Isolation::ReadUncommitted);
    assert_eq!(all, [Some(1), Some(2), Some(3)]);
    assert_eq!(next, Offset(6));
}

#[test]
fn a_newer_producer_of_the_same_name_fences_the_older() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let name = unique("p");
    let mut older = bus.producer(&name).unwrap();
    older.begin().unwrap();
    send(&mut older, &topic, None, ids, "k", Some(1));

    let mut newer = bus.producer(&name).unwrap();
    newer.begin().unwrap();
    send(&mut newer, &topic, None, ids, "k", Some(2));
    newer.commit().unwrap();

    let error = older.commit().unwrap_err();
    assert!(matches!(&error, BusError::Fenced { name: fenced } if *fenced == name), "{error}");
    assert_eq!(error.recovery(), Recovery::Stop);
    assert!(error.to_string().contains("another worker with the name"), "{error}");
    assert_eq!(read_all(&bus, &topic, Isolation::ReadCommitted).0, [Some(2)]);
}

#[test]
fn a_transaction_that_outlived_its_time_is_no_takeover_and_the_work_can_be_done_again() {
    let bus = start_with(|options| options.transaction_timeout = Duration::from_secs(2));
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let name = unique("p");
    let mut stopped = bus.producer(&name).unwrap();
    stopped.begin().unwrap();
    send(&mut stopped, &topic, None, ids, "k", Some(1));
    wait_for_end(&bus, &topic, 1);
    // Until the broker has ended it, nothing behind its begin can be read.
    assert_eq!(read_all(&bus, &topic, Isolation::ReadCommitted).0, []);

    let error = stopped.commit().unwrap_err();
    assert!(matches!(&error, BusError::Transaction { .. }), "{error}");
    assert_eq!(error.recovery(), Recovery::Restart);
    drop(stopped);
    let mut next = bus.producer(&name).unwrap();
    next.begin().unwrap();
    send(&mut next, &topic, None, ids, "k", Some(2));
    next.commit().unwrap();
    assert_eq!(read_all(&bus, &topic, Isolation::ReadCommitted).0, [Some(2)]);
}

#[test]
fn a_producer_that_is_dropped_in_a_transaction_aborts_it() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut producer = bus.producer(&unique("p")).unwrap();
    producer.begin().unwrap();
    send(&mut producer, &topic, None, ids, "k", Some(1));
    wait_for_end(&bus, &topic, 1);
    drop(producer);
    // Left open, the transaction would make this wait for its end, a minute.
    let read = bus.read_to_end_within(
        Duration::from_secs(40),
        &partition(&topic, 0),
        Offset(0),
        Isolation::ReadCommitted,
        |entry| panic!("{entry:?}"),
    );
    assert_eq!(read.unwrap(), Offset(2));
}

#[test]
fn offsets_and_outputs_are_exactly_once_over_crashes() {
    let bus = start();
    let (input, output) = (topic(&bus, 1, Cleanup::Delete), topic(&bus, 1, Cleanup::Delete));
    let ids = register(&bus, &input);
    write(&bus, &input, ids, 0..100);
    let (group, name) = (unique("group"), unique("p"));

    // Each life works on a few batches and then dies in the middle of one.
    for life in 0..4 {
        let mut producer = bus.producer(&name).unwrap();
        let mut options = ConsumerOptions::new(group.clone(), [input.clone()]);
        options.rebalance = Rebalance::Eager;
        options.instance = Some("the-one".to_owned());
        let mut consumer = bus.consumer(options).unwrap();
        let (mut batch, mut done) = (RecordBatch::new(), 0);
        loop {
            let polled = consumer.poll(&mut batch, 7, 1 << 20, PATIENCE).unwrap();
            let Polled::Records { next, .. } = polled else { continue };
            producer.begin().unwrap();
            for record in batch.iter() {
                send(&mut producer, &output, None, ids, "k", number(&record));
            }
            producer.send_offsets(&consumer.group().unwrap(), &next).unwrap();
            done += 1;
            if life < 3 && done == 3 {
                // As with kill -9: the transaction stays open, nobody leaves the group.
                std::mem::forget((producer, consumer));
                break;
            }
            producer.commit().unwrap();
            if next[0].1 >= Offset(100) {
                break;
            }
        }
    }
    let expected: Vec<_> = (0..100).map(Some).collect();
    assert_eq!(read_all(&bus, &output, Isolation::ReadCommitted).0, expected);
    assert_eq!(
        bus.committed(&group, std::slice::from_ref(&input)).unwrap(),
        [(partition(&input, 0), Some(Committed { offset: Offset(100), by: CommittedBy::Worker }))]
    );
}

#[test]
fn offsets_of_a_member_that_was_replaced_are_refused_and_the_work_can_be_done_again() {
    let bus = start();
    let (input, output) = (topic(&bus, 1, Cleanup::Delete), topic(&bus, 1, Cleanup::Delete));
    let ids = register(&bus, &input);
    write(&bus, &input, ids, 0..1);
    let mut producer = bus.producer(&unique("p")).unwrap();
    let group = unique("group");
    let mut old = bus.consumer(ConsumerOptions::new(group.clone(), [input.clone()])).unwrap();
    read_numbers(&mut old, 1);
    let state = old.group().unwrap();
    old.close();

    producer.begin().unwrap();
    send(&mut producer, &output, None, ids, "k", Some(1));
    let next = [(partition(&input, 0), Offset(1))];
    let error = producer.send_offsets(&state, &next).unwrap_err();
    assert!(matches!(error, BusError::Transaction { .. }), "{error}");
    assert_eq!(error.recovery(), Recovery::Abort, "{error}");
    producer.abort().unwrap();

    let mut new = bus.consumer(ConsumerOptions::new(group, [input.clone()])).unwrap();
    assert_eq!(read_numbers(&mut new, 1), [0]);
    producer.begin().unwrap();
    send(&mut producer, &output, None, ids, "k", Some(2));
    producer.send_offsets(&new.group().unwrap(), &next).unwrap();
    producer.commit().unwrap();
    assert_eq!(read_all(&bus, &output, Isolation::ReadCommitted).0, [Some(2)]);
}

#[test]
fn a_record_that_is_too_large_is_refused_and_the_transaction_goes_on() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut producer = bus.producer(&unique("p")).unwrap();
    producer.begin().unwrap();
    send(&mut producer, &topic, None, ids, "k", Some(1));
    let large = vec![0; 2 << 20];
    let outgoing = Outgoing {
        topic: &topic,
        partition: None,
        key: None,
        value: Some((ids.value, &large)),
        headers: &[],
        timestamp: None,
    };
    let error = producer.send(&outgoing).unwrap_err();
    assert!(matches!(error, BusError::RecordTooLarge { size, .. } if size > 2 << 20), "{error}");
    assert_eq!(error.recovery(), Recovery::Refuse);
    producer.commit().unwrap();
    assert_eq!(read_all(&bus, &topic, Isolation::ReadCommitted).0, [Some(1)]);
}

#[test]
fn a_record_for_a_topic_that_does_not_exist_aborts_the_transaction() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let missing = TopicName::new(unique("missing")).unwrap();
    let mut producer = bus.producer(&unique("p")).unwrap();
    producer.begin().unwrap();
    send(&mut producer, &topic, None, ids, "k", Some(1));
    send(&mut producer, &missing, None, ids, "k", Some(2));
    let error = producer.commit().unwrap_err();
    assert!(
        matches!(&error, BusError::Delivery { topic, .. } if topic == missing.as_str()),
        "{error}"
    );
    assert_eq!(error.recovery(), Recovery::Stop);

    // The producer itself is as good as before.
    producer.begin().unwrap();
    send(&mut producer, &topic, None, ids, "k", Some(3));
    producer.commit().unwrap();
    assert_eq!(read_all(&bus, &topic, Isolation::ReadCommitted).0, [Some(3)]);
}

#[test]
fn a_step_out_of_order_is_an_error_and_no_panic() {
    let bus = start();
    let mut producer = bus.producer(&unique("p")).unwrap();
    producer.abort().unwrap();
    let error = producer.commit().unwrap_err();
    assert!(matches!(error, BusError::Transaction { action: "commit", .. }), "{error}");
    producer.begin().unwrap();
    let error = producer.begin().unwrap_err();
    assert!(matches!(error, BusError::Transaction { action: "begin", .. }), "{error}");
}

#[test]
fn more_records_than_fit_the_memory_are_all_written() {
    let bus = start_with(|options| options.memory = 4 << 20);
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    let mut producer = bus.producer(&unique("p")).unwrap();
    producer.begin().unwrap();
    for n in 0..20_000 {
        send(&mut producer, &topic, None, ids, &"k".repeat(400), Some(n));
    }
    let next = producer.commit().unwrap();
    assert_eq!(next, [(partition(&topic, 0), Offset(20_000))]);
}
