//! Topics: created, checked, described; and a bus that is not there.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use throughline_bus::*;
use throughline_event::*;

use crate::support::*;

#[test]
fn a_topic_is_created_once_and_found_again() {
    let bus = start();
    let topic = TopicName::new(unique("bus-test")).unwrap();
    let mut spec = TopicSpec::new(topic.clone(), Partitions::Exactly(3), Cleanup::Delete);
    spec.retention = Some(Duration::from_secs(3_600));
    let expected = TopicInfo { topic: topic.clone(), partitions: 3 };
    assert_eq!(bus.ensure_topic(&spec).unwrap(), expected);
    assert_eq!(bus.ensure_topic(&spec).unwrap(), expected);
    assert!(bus.topics().unwrap().contains(&expected));
    let described = bus.describe(&topic).unwrap();
    let empty = |partition| PartitionInfo {
        partition: PartitionId(partition),
        start: Offset(0),
        end: Offset(0),
    };
    assert_eq!(described, [empty(0), empty(1), empty(2)]);
}

#[test]
fn a_topic_that_is_not_what_it_must_be_is_refused() {
    let bus = start();
    let topic = topic(&bus, 2, Cleanup::Delete);
    let compacted = TopicSpec::new(topic.clone(), Partitions::Exactly(2), Cleanup::Compact);
    let error = bus.ensure_topic(&compacted).unwrap_err();
    let BusError::TopicMismatch { setting: "cleanup.policy", wanted, found, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((wanted.as_str(), found.as_str()), ("compact", "delete"));
    assert_eq!(error.recovery(), Recovery::Stop);

    let one = TopicSpec::new(topic.clone(), Partitions::Exactly(1), Cleanup::Delete);
    let error = bus.ensure_topic(&one).unwrap_err();
    assert!(error.to_string().contains("partitions=2, it must be 1"), "{error}");
    let initially = TopicSpec::new(topic, Partitions::Initially(1), Cleanup::Delete);
    assert_eq!(bus.ensure_topic(&initially).unwrap().partitions, 2);
}

#[test]
fn a_topic_is_inspected_without_being_created() {
    let bus = start();
    let missing = TopicName::new(unique("bus-test")).unwrap();
    let mut spec = TopicSpec::new(missing.clone(), Partitions::Exactly(1), Cleanup::Compact);
    assert_eq!(bus.inspect_topic(&spec).unwrap(), None);
    assert!(bus.topics().unwrap().iter().all(|topic| topic.topic != missing));
    spec.configs.push(("retention.ms".to_owned(), "soon".to_owned()));
    let error = bus.inspect_topic(&spec).unwrap_err();
    assert!(matches!(error, BusError::TopicRefused { action: "create", .. }), "{error}");

    let topic = topic(&bus, 2, Cleanup::Delete);
    let found = TopicSpec::new(topic.clone(), Partitions::Initially(1), Cleanup::Delete);
    assert_eq!(bus.inspect_topic(&found).unwrap().unwrap().partitions, 2);
    let other = TopicSpec::new(topic, Partitions::Initially(1), Cleanup::Compact);
    let error = bus.inspect_topic(&other).unwrap_err();
    assert!(matches!(error, BusError::TopicMismatch { .. }), "{error}");
}

#[test]
fn brokers_and_registry_are_probed_each_on_its_own() {
    let bus = start();
    let probed = probe(bus.options()).unwrap();
    assert!(probed.brokers.is_ok(), "{probed:?}");
    assert_eq!(probed.registry.unwrap().as_deref(), Some("BACKWARD"));

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = BusOptions::new(nobody.to_string(), format!("http://{nobody}"));
    options.timeout = Duration::from_secs(1);
    let probed = probe(&options).unwrap();
    assert_eq!(probed.brokers.unwrap_err().code(), "TL0502");
    assert_eq!(probed.registry.unwrap_err().code(), "TL0503");
}

#[test]
fn a_setting_that_the_broker_does_not_know_is_refused_with_the_topic() {
    let bus = start();
    let topic = TopicName::new(unique("bus-test")).unwrap();
    let mut spec = TopicSpec::new(topic.clone(), Partitions::Exactly(1), Cleanup::Delete);
    spec.configs.push(("retention.ms".to_owned(), "soon".to_owned()));
    let error = bus.ensure_topic(&spec).unwrap_err();
    assert!(matches!(error, BusError::TopicRefused { action: "create", .. }), "{error}");
    assert!(error.to_string().contains(topic.as_str()), "{error}");
    assert_eq!(error.recovery(), Recovery::Stop);
}

#[test]
fn a_topic_that_does_not_exist_is_told_and_not_created() {
    let bus = start();
    let topic = TopicName::new(unique("missing")).unwrap();
    for _ in 0..2 {
        let error = bus.describe(&topic).unwrap_err();
        assert!(
            matches!(&error, BusError::UnknownTopic { topic: t, .. } if *t == topic),
            "{error}"
        );
    }
    assert!(bus.topics().unwrap().iter().all(|info| info.topic != topic));
}

#[test]
fn a_mistyped_topic_is_told_with_the_one_that_is_there() {
    let bus = start();
    let known = topic(&bus, 1, Cleanup::Delete);
    let mistyped = TopicName::new(format!("{known}x")).unwrap();
    let error = bus.describe(&mistyped).unwrap_err().to_string();
    assert!(error.contains(&format!("TL0508: topic {mistyped} does not exist")), "{error}");
    assert!(error.contains(&format!("did you mean `{known}`?")), "{error}");
}

#[test]
fn brokers_that_are_not_there_are_named_with_the_reason() {
    // A port that was free a moment ago, and one that takes connections and says nothing.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (address, reason) in
        [(free, "refused"), (silent.local_addr().unwrap(), "does not answer like a broker")]
    {
        let mut options = BusOptions::new(address.to_string(), "http://127.0.0.1:1");
        // Long enough that a busy machine has tried once.
        options.timeout = Duration::from_secs(3);
        let error = Bus::connect(options).unwrap_err();
        assert!(matches!(error, BusError::BrokersUnreachable { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&address.to_string()) && text.contains(reason), "{text}");
        assert_eq!(error.recovery(), Recovery::Retry);
    }
}

#[test]
fn options_that_cannot_work_are_refused_before_anything_is_reached() {
    let error = Bus::connect(BusOptions::new("", "http://127.0.0.1:1")).unwrap_err();
    assert!(matches!(error, BusError::Options { option: "bus.brokers", .. }), "{error}");
}

#[test]
fn a_topic_that_is_deleted_under_a_member_stops_it_and_is_named() {
    use rdkafka::admin::{AdminClient, AdminOptions};
    use rdkafka::client::DefaultClientContext;
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..3);
    let mut member = consumer(&bus, &topic);
    assert_eq!(read_numbers(&mut member, 3).len(), 3);

    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", &bus.options().brokers);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let options = AdminOptions::new();
    let deleted = runtime().block_on(admin.delete_topics(&[topic.as_str()], &options)).unwrap();
    assert!(deleted[0].is_ok(), "{deleted:?}");
    let deadline = Instant::now() + PATIENCE;
    let mut batch = RecordBatch::new();
    let error = loop {
        assert!(Instant::now() < deadline, "the member was not told");
        if let Err(error) = member.poll(&mut batch, 10, 1 << 20, Duration::from_millis(100)) {
            break error;
        }
    };
    assert_eq!((error.code(), error.recovery()), ("TL0529", Recovery::Stop), "{error}");
    assert!(error.to_string().contains(topic.as_str()), "{error}");
}
