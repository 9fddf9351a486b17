//! What a correct file becomes.

use std::path::Path;

use serde_json::json;
use throughline_config::{Bus, ByteSize, Config, Embedded, Flush, Owner, load};
use throughline_event::{EntityName, SystemName};

use crate::catalog::{GOOD, TestCatalog, read};

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn defaults_are_filled_in() {
    let config = config(GOOD);
    assert_eq!(config.folder, Path::new("/etc/shop"));
    assert_eq!(config.data, Path::new("/etc/shop/./throughline-data"));
    assert_eq!(config.memory, ByteSize::mib(256));
    assert_eq!(config.metrics.to_string(), "127.0.0.1:9464");
    let Bus::Embedded(Embedded { kafka, registry, flush }) = config.bus else { panic!() };
    assert_eq!(kafka.to_string(), "127.0.0.1:9092");
    assert_eq!(registry.to_string(), "127.0.0.1:8081");
    assert_eq!(flush, Flush::EveryAck);
    let shop = &config.systems[&SystemName::new("shop").unwrap()];
    assert_eq!(shop.settings["currency"], "EUR");
    assert_eq!(shop.settings["decimals"], 2);
}

#[test]
fn a_system_gets_a_normalizer_of_its_own_name_unless_one_is_written() {
    let implied = config(GOOD);
    assert_eq!(implied.processors.len(), 1);
    assert_eq!(implied.processors[0].name.as_str(), "shop");
    assert_eq!(implied.processors[0].kind, "normalizer");
    let written =
        config(&format!("{GOOD}processors: {{mapper: {{kind: normalizer, system: shop}}}}\n"));
    assert_eq!(written.processors.len(), 1);
    assert_eq!(written.processors[0].name.as_str(), "mapper");
}

#[test]
fn the_options_of_a_worker_are_what_its_role_does_not_know() {
    let config = config(GOOD);
    assert_eq!(json!(config.producers[0].options), json!({"folder": "./exports"}));
    assert_eq!(json!(config.sinks[0].options), json!({"folder": "./target"}));
    assert_eq!(config.sinks[0].topics[1].as_str(), "canonical.inventory");
}

#[test]
fn every_way_to_write_the_bus_is_understood() {
    let bus = |text: &str| config(&format!("bus: {text}\n{GOOD}")).bus;
    let defaults = bus("embedded");
    assert_eq!(bus("{embedded: }"), defaults);
    assert_eq!(bus("{embedded: {}}"), defaults);
    let Bus::Embedded(other) =
        bus("{embedded: {kafka: 'localhost:0', registry: '[::1]:8082', flush: page_cache}}")
    else {
        panic!()
    };
    assert_eq!(other.kafka.to_string(), "127.0.0.1:0");
    assert_eq!(other.registry.to_string(), "[::1]:8082");
    assert_eq!(other.flush, Flush::PageCache);
    let cluster = bus("{brokers: ['kafka-1:9092'], registry: 'http://registry:8081'}");
    let brokers = vec!["kafka-1:9092".to_owned()];
    assert_eq!(cluster, Bus::Kafka { brokers, registry: "http://registry:8081".into() });
}

#[test]
fn owned_records_are_canonical_and_others_are_observed() {
    let config =
        config(&GOOD.replace(
            "systems:\n",
            "systems:\n  erp: {pack: test-shop, settings: {currency: EUR}}\n",
        ));
    let [shop, erp] = ["shop", "erp"].map(|name| SystemName::new(name).unwrap());
    let [order, inventory] = ["order", "inventory"].map(|name| EntityName::new(name).unwrap());
    assert_eq!(config.ownership[&order], Owner::Each);
    assert_eq!(config.topic(&erp, &order).as_str(), "canonical.order");
    assert_eq!(config.topic(&shop, &inventory).as_str(), "canonical.inventory");
    assert_eq!(config.topic(&erp, &inventory).as_str(), "observed.erp.inventory");
}

#[test]
fn a_sink_may_read_what_a_system_observes() {
    let text = GOOD
        .replace("systems:\n", "systems:\n  erp: {pack: test-shop, settings: {currency: EUR}}\n")
        .replace("canonical.inventory]", "observed.erp.inventory]");
    assert_eq!(config(&text).sinks[0].topics[1].as_str(), "observed.erp.inventory");
}

#[test]
fn the_memory_is_shared_by_all_workers_and_a_producer_has_two_shares() {
    let config = config(&format!("memory: 80MiB\n{GOOD}"));
    assert_eq!(config.worker_memory(), ByteSize::mib(20));
}

#[test]
fn empty_sections_are_sections_without_entries() {
    let config = config("systems:\nownership: {}\nproducers:\nsinks: {}\n");
    assert!(config.systems.is_empty() && config.producers.is_empty());
}

#[test]
fn a_file_on_disk_is_read_and_its_folder_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("throughline.yaml");
    std::fs::write(&file, GOOD).unwrap();
    assert_eq!(load(&file, &TestCatalog).unwrap().folder, folder.path());
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_missing() {
    let report = load(Path::new("/nowhere/throughline.yaml"), &TestCatalog).unwrap_err();
    assert_eq!(report.findings().len(), 1);
    assert_eq!(report.findings()[0].code, "TL0101");
    assert!(report.to_string().contains("/nowhere/throughline.yaml:1:1"));
}
