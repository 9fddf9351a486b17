//! The embedded bus itself: restarts, and what keeps it from starting.

use std::net::SocketAddr;

use throughline_avro::Schema;
use throughline_bus::embedded::{self, EmbeddedOptions, StartError};
use throughline_bus::*;

use crate::support::*;

#[test]
fn records_and_schemas_are_there_after_a_restart() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let start = || runtime.block_on(embedded::start(EmbeddedOptions::new(folder.path()))).unwrap();
    let connect = |home: &embedded::Embedded| {
        Bus::connect(BusOptions::new(home.kafka_address().to_string(), home.registry_url()))
            .unwrap()
    };
    let home = start();
    let bus = connect(&home);
    let topic = topic(&bus, 1, Cleanup::Compact);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..3);
    drop(bus);
    runtime.block_on(home.shutdown());

    let home = start();
    let bus = connect(&home);
    assert_eq!(read_all(&bus, &topic, Isolation::ReadCommitted).0, [Some(0), Some(1), Some(2)]);
    assert_eq!(register(&bus, &topic).value, ids.value);
    let other = bus.register(&unique("s"), &Schema::parse("\"float\"").unwrap()).unwrap();
    assert!(other > ids.key.max(ids.value), "an id was given twice");
    // The registry's records are on a topic that every Kafka client can read.
    assert!(bus.topics().unwrap().iter().any(|info| info.topic.as_str() == "_schemas"));
    runtime.block_on(home.shutdown());
}

#[test]
fn a_folder_or_address_that_is_taken_is_told() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let options = EmbeddedOptions::new(folder.path());
    let home = runtime.block_on(embedded::start(options.clone())).unwrap();
    let error = runtime.block_on(embedded::start(options)).unwrap_err();
    assert!(matches!(error, StartError::Broker(_)), "{error}");

    let elsewhere = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::new(elsewhere.path());
    options.registry = home.registry_url().strip_prefix("http://").unwrap().parse().unwrap();
    let error = runtime.block_on(embedded::start(options)).unwrap_err();
    assert!(matches!(error, StartError::Registry(_)), "{error}");
    // What had started is stopped: the folder is free again.
    let home_again = runtime.block_on(embedded::start(EmbeddedOptions::new(elsewhere.path())));
    runtime.block_on(home_again.unwrap().shutdown());
    runtime.block_on(home.shutdown());
}

#[test]
fn a_schemas_topic_of_several_partitions_is_refused() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let mut options = throughline_broker::BrokerOptions::new(folder.path());
    options.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    runtime.block_on(async {
        let broker = throughline_broker::Broker::start(options).await.unwrap();
        broker.local().create_topic("_schemas", 3, &[]).await.unwrap();
        broker.shutdown().await;
        let error = embedded::start(EmbeddedOptions::new(folder.path())).await.unwrap_err();
        assert!(error.to_string().contains("TL0524") && error.to_string().contains("3 partitions"));
    });
}
