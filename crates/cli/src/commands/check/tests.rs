use std::fs;
use std::path::Path;

use throughline_avro::Schema;
use throughline_bus::{Bus, BusOptions, Cleanup, Partitions, TopicSpec, embedded};
use throughline_event::TopicName;

use super::*;

/// A folder with exports and a configuration whose bus is elsewhere.
fn sandbox(bus: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("exports")).unwrap();
    let yaml = format!(
        "data: ./data\nbus: {bus}\nmetrics: 127.0.0.1:0\n\
         systems: {{shop: {{pack: sunrise, settings: {{currency: EUR}}}}}}\n\
         ownership: {{order: shop, inventory: shop, customer: shop, location: shop}}\n\
         producers: {{shop-exports: {{kind: files, system: shop, folder: ./exports}}}}\n\
         sinks: {{lake: {{kind: files, topics: [canonical.order], folder: ./target, format: jsonl}}}}\n"
    );
    fs::write(folder.path().join("throughline.yaml"), yaml).unwrap();
    folder
}

/// Everything that is wrong, by what it is wrong with.
fn problems(folder: &Path) -> Vec<(String, String)> {
    let flow = crate::flow::load(&folder.join("throughline.yaml")).unwrap();
    let looked = look(&flow);
    let all =
        looked.into_iter().flat_map(|l| l.problems.into_iter().map(move |p| (l.what.clone(), p)));
    all.collect()
}

fn has(problems: &[(String, String)], what: &str, words: &[&str]) {
    let found = problems
        .iter()
        .any(|(place, problem)| place.contains(what) && words.iter().all(|w| problem.contains(w)));
    assert!(found, "{what} {words:?} in {problems:#?}");
}

/// An embedded bus that is reached as a cluster is.
fn cluster() -> (tokio::runtime::Runtime, tempfile::TempDir, embedded::Embedded) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = embedded::EmbeddedOptions::new(folder.path());
    let bus = runtime.block_on(embedded::start(options)).unwrap();
    (runtime, folder, bus)
}

fn named(bus: &embedded::Embedded) -> String {
    format!("{{brokers: [\"{}\"], registry: \"{}\"}}", bus.kafka_address(), bus.registry_url())
}

#[test]
fn a_configuration_whose_every_part_is_there_has_no_problem() {
    let embedded = sandbox("{embedded: {kafka: 127.0.0.1:0, registry: 127.0.0.1:0}}");
    assert_eq!(problems(embedded.path()), []);
    let (_runtime, _folder, bus) = cluster();
    let remote = sandbox(&named(&bus));
    assert_eq!(problems(remote.path()), []);
    assert!(!remote.path().join("target").exists(), "a check makes no folder");
    let bus = Bus::connect(BusOptions::new(bus.kafka_address().to_string(), bus.registry_url()));
    let topics = bus.unwrap().topics().unwrap();
    assert!(topics.iter().all(|topic| topic.topic.as_str().starts_with('_')), "{topics:?}");
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = sandbox(&format!("{{brokers: [\"{nobody}\"], registry: \"http://{nobody}\"}}"));
    fs::remove_dir(folder.path().join("exports")).unwrap();
    fs::write(folder.path().join("target"), "not a folder").unwrap();
    fs::write(folder.path().join("data"), "not a folder").unwrap();
    let found = problems(folder.path());
    has(&found, "data folder", &["TL9010", "make it a folder"]);
    has(&found, "brokers", &["TL0502", "refused"]);
    has(&found, "registry", &["TL0503", "refused"]);
    has(&found, "producer shop-exports, source", &["TL1002", "create the folder"]);
    has(&found, "sink lake, target", &["TL3002", "create the folder"]);
}

#[test]
fn topics_and_schemas_that_do_not_fit_are_told_with_the_worker_and_the_fix() {
    let (_runtime, _folder, bus) = cluster();
    let folder = sandbox(&named(&bus));
    let bus = Bus::connect(BusOptions::new(bus.kafka_address().to_string(), bus.registry_url()));
    let bus = bus.unwrap();
    let topic = |name: &str, partitions, cleanup| {
        let topic = TopicName::new(name).unwrap();
        bus.ensure_topic(&TopicSpec::new(topic, Partitions::Exactly(partitions), cleanup)).unwrap();
    };
    topic("cdc.shop.inventory", 3, Cleanup::Compact);
    topic("canonical.order", 1, Cleanup::Delete);
    let other = Schema::parse(
        r#"{"type": "record", "name": "Other", "fields": [{"name": "x", "type": "long"}]}"#,
    );
    bus.register("canonical.order-value", &other.unwrap()).unwrap();
    let found = problems(folder.path());
    has(&found, "producer shop-exports", &["TL0509", "cdc.shop.inventory", "partitions=3"]);
    has(&found, "processor shop", &["TL0509", "cleanup.policy=compact", "kafka-configs"]);
    has(&found, "processor shop", &["TL9015", "canonical.order-value"]);
    has(&found, "sink lake", &["TL0509", "canonical.order"]);
}

#[test]
fn a_port_that_is_taken_is_told_before_the_start() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = sandbox(&format!(
        "{{embedded: {{kafka: \"127.0.0.1:{port}\", registry: \"127.0.0.1:0\"}}}}"
    ));
    has(&problems(folder.path()), "embedded bus", &["TL9013", "bus.embedded.kafka"]);
}

#[test]
fn only_what_does_not_answer_is_worth_waiting_for() {
    let fine = || Looked::new("folder", "writable", vec![]);
    let absent = || Looked { absent: true, ..Looked::new("bus", "", vec!["away".to_owned()]) };
    let wrong = || Looked::new("folder", "", vec!["read-only".to_owned()]);
    assert_eq!(verdict(&[fine()]), Exit::Ok);
    assert_eq!(verdict(&[fine(), absent()]), Exit::Unavailable);
    assert_eq!(verdict(&[absent(), wrong()]), Exit::Findings);
}
