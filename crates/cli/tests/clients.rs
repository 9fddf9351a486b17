//! Tools that know nothing of Throughline read its streams: Debian's kcat, and confluent-kafka for
//! Python with its Avro deserialiser. Kafka's own jars are used by the bus's tests on Apache Kafka.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::oracle;
use crate::sandbox::Sandbox;

const READER: &str = r#"
import json, sys
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

kafka, registry, topic, wanted = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer({"bootstrap.servers": kafka, "group.id": "reader", "auto.offset.reset": "earliest"})
consumer.subscribe([topic])
stock = {}
while len(stock) < wanted:
    record = consumer.poll(30)
    if record is None:
        sys.exit("nothing came for 30 s after %d keys" % len(stock))
    if record.error():
        sys.exit(str(record.error()))
    value = decode(record.value(), SerializationContext(topic, MessageField.VALUE))
    if value is not None:
        stock[value["sku"] + "|" + value["location"]] = value["on_hand"]
consumer.close()
print(json.dumps(stock))
"#;

/// Python with the client, installed once per target folder.
fn python() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("confluent-kafka-2.16.0");
    let program = folder.join("bin/python");
    if !folder.join("installed").exists() {
        let venv = Command::new("python3").args(["-m", "venv"]).arg(&folder).status();
        assert!(venv.unwrap().success(), "python3 -m venv failed; install python3-venv");
        let pip = Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "confluent-kafka[avro,schemaregistry]==2.16.0"])
            .status();
        assert!(pip.unwrap().success(), "confluent-kafka could not be installed");
        fs::write(folder.join("installed"), "").unwrap();
    }
    program
}

#[test]
fn kcat_and_confluent_kafka_read_the_same_streams() {
    let sandbox = Sandbox::new();
    let rows: String = (0..300).map(|n| format!("SKU{n},{},\n", n % 17)).collect();
    let header = "sku,quantityOnStock,supplyChannel\n";
    sandbox.replace("exports/inventory.csv", &format!("{header}{rows}"));
    let up = sandbox.start(&["up"]);
    let expected = oracle::expected(&sandbox);
    sandbox.until("the target never held what the files say", || {
        oracle::difference(&expected, &oracle::at_target(&sandbox))
    });
    let running = fs::read(sandbox.path("data/running.json")).unwrap();
    let running: Value = serde_json::from_slice(&running).unwrap();
    let kafka = running["kafka"].as_str().unwrap();

    let kcat = Command::new("kcat")
        .args(["-b", kafka, "-C", "-t", "canonical.inventory", "-e", "-q", "-f", "%o %K\n"])
        .output()
        .expect("kcat is installed (Debian: apt-get install kcat)");
    assert!(kcat.status.success(), "{}", String::from_utf8_lossy(&kcat.stderr));
    assert_eq!(String::from_utf8_lossy(&kcat.stdout).lines().count(), 300);

    let registry = running["registry"].as_str().unwrap();
    let output = Command::new(python())
        .args(["-c", READER, kafka, registry, "canonical.inventory", "300"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stock: Value = serde_json::from_slice(&output.stdout).unwrap();
    for ((sku, location), on_hand) in &expected.stock {
        assert_eq!(stock[format!("{sku}|{location}")], *on_hand, "{sku} {location}");
    }
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}
