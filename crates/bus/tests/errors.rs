//! Errors that no other test meets on its way.

use std::ops::ControlFlow;
use std::time::Duration;

use throughline_bus::embedded::{self, EmbeddedOptions};
use throughline_bus::*;

use crate::support::*;

/// What every error says for itself.
#[track_caller]
fn check(error: &BusError, code: &str, recovery: Recovery, words: &str) {
    assert_eq!((error.code(), error.recovery()), (code, recovery), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(code) && text.contains(words), "{text}");
}

#[test]
fn a_client_that_the_library_refuses_is_named() {
    let bus = start();
    let mut options = bus.options().clone();
    options.debug = Some("no-such-context".to_owned());
    let bus = Bus::connect(options).unwrap();
    let name = unique("p");
    check(&bus.producer(&name).unwrap_err(), "TL0520", Recovery::Stop, &name);
}

#[test]
fn a_read_that_loses_its_broker_gives_up_with_its_place() {
    // A home of its own, because it is taken away.
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let home = runtime.block_on(embedded::start(EmbeddedOptions::new(folder.path()))).unwrap();
    let mut options = BusOptions::new(home.kafka_address().to_string(), home.registry_url());
    options.memory = 4 << 20;
    let bus = Bus::connect(options).unwrap();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    // Far more than the reader holds at a time.
    let key = "k".repeat(1_000);
    let mut producer = bus.producer(&unique("p")).unwrap();
    for n in 0..3 {
        producer.begin().unwrap();
        (0..10_000).for_each(|_| send(&mut producer, &topic, Some(0), ids, &key, Some(n)));
        producer.commit().unwrap();
    }
    drop(producer);
    let (mut home, mut read) = (Some(home), 0);
    let (at, begin) = (partition(&topic, 0), throughline_event::Offset(0));
    let patience = Duration::from_secs(2);
    let committed = Isolation::ReadCommitted;
    let ended = bus.read_to_end_within(patience, &at, begin, committed, |_| {
        read += 1;
        if let Some(home) = home.take() {
            runtime.block_on(home.shutdown());
        }
        ControlFlow::Continue(())
    });
    let error = ended.unwrap_err();
    check(&error, "TL0518", Recovery::Retry, &at.to_string());
    let BusError::Stalled { position, end, .. } = &error else { panic!("{error}") };
    assert!(position.0 >= read && position < end && read > 0, "{error} after {read} records");
}

#[test]
fn a_queue_that_stays_full_aborts_the_transaction() {
    let (brokers, waited) = ("shop:9092".to_owned(), Duration::from_secs(60));
    let error = BusError::QueueFull { brokers, waited };
    check(&error, "TL0515", Recovery::Abort, "shop:9092 stayed full for 60s");
}
