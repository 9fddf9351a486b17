//! Committed offsets: those of workers, and those of other programs in their groups.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use throughline_bus::*;
use throughline_event::*;

use crate::consume::StopAll;
use crate::support::*;

/// Commits as a program does that knows nothing of workers, and is no member of the group.
fn commit_as_another_program(bus: &Bus, group: &str, at: &TopicPartition, offset: i64) {
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", &bus.options().brokers).set("group.id", group);
    let other: BaseConsumer = config.create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    let offset = rdkafka::Offset::Offset(offset);
    list.add_partition_offset(at.topic.as_str(), at.partition.0, offset).unwrap();
    other.commit(&list, CommitMode::Sync).unwrap();
}

#[test]
fn an_offset_that_another_program_has_committed_stops_the_member_until_it_is_set_again() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..10);
    let (group, at) = (unique("group"), partition(&topic, 0));
    let options = ConsumerOptions::new(group.clone(), [topic.clone()]);
    commit_as_another_program(&bus, &group, &at, 7);
    let foreign = Committed { offset: Offset(7), by: CommittedBy::OtherProgram };
    let committed = bus.committed(&group, std::slice::from_ref(&topic)).unwrap();
    assert_eq!(committed, [(at.clone(), Some(foreign))]);

    let mut member = bus.consumer(options.clone()).unwrap();
    let mut batch = RecordBatch::new();
    let polled = member.poll(&mut batch, 100, 1 << 20, PATIENCE).unwrap();
    assert!(matches!(polled, Polled::Assigned(_)), "{polled:?}");
    // It does not go on when it is asked again, either.
    for _ in 0..2 {
        let error = member.poll(&mut batch, 100, 1 << 20, PATIENCE).unwrap_err();
        assert_eq!((error.code(), error.recovery()), ("TL0527", Recovery::Stop), "{error}");
        let place = format!("{group} would go on at offset 7 of {at}");
        let fix = format!("throughline offsets set {group} {topic} 0 7`");
        let text = error.to_string();
        assert!(text.contains(&place) && text.contains(&fix), "{text}");
        assert!(batch.is_empty());
    }
    let error = bus.set_committed(&group, &[(at.clone(), Offset(3))]).unwrap_err();
    assert_eq!(error.code(), "TL0528", "{error}");
    member.close();

    bus.set_committed(&group, &[(at.clone(), Offset(3))]).unwrap();
    let mut member = bus.consumer(options).unwrap();
    assert_eq!(read_numbers(&mut member, 7), (3..10).collect::<Vec<_>>());
}

#[test]
fn a_partition_that_comes_back_from_another_program_stops_the_member() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..5);
    let group = unique("group");
    let mut options = ConsumerOptions::new(group.clone(), [topic.clone()]);
    options.rebalance = Rebalance::Eager;
    let mut member = bus.consumer(options).unwrap();
    assert_eq!(read_numbers(&mut member, 5).len(), 5);
    member.commit(&[(partition(&topic, 0), Offset(5))]).unwrap();

    // It joins, takes the partition or not, reads, commits and leaves: what `kcat -G` does. Members
    // are sorted by their names, and the one with the first name gets the only partition.
    let mut config = rdkafka::ClientConfig::new();
    config
        .set("bootstrap.servers", &bus.options().brokers)
        .set("group.id", &group)
        .set("client.id", "!first")
        .set("enable.auto.commit", "true");
    let other: BaseConsumer = config.create().unwrap();
    other.subscribe(&[topic.as_str()]).unwrap();
    let leave = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopAll([&leave, &leave]);
        scope.spawn(|| {
            let other = other;
            while !leave.load(Ordering::SeqCst) {
                if let Some(Ok(_)) = other.poll(Duration::from_millis(50)) {
                    leave.store(true, Ordering::SeqCst);
                }
            }
        });
        let mut batch = RecordBatch::new();
        let deadline = Instant::now() + PATIENCE;
        let mut written = false;
        let error = loop {
            assert!(Instant::now() < deadline, "the other program's offset was taken");
            match member.poll(&mut batch, 10, 1 << 20, Duration::from_millis(50)) {
                Ok(Polled::Revoked { .. }) if !written => {
                    member.poll(&mut batch, 10, 1 << 20, Duration::ZERO).unwrap();
                    write(&bus, &topic, ids, 5..8);
                    written = true;
                }
                Ok(_) => assert!(batch.is_empty(), "it was given what the other one took"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), "TL0527", "{error}");
    });
}
