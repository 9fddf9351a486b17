//! A bus to test on, names that nobody else uses, and records to write.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use throughline_avro::{Schema, SchemaId, put_long, put_str};
use throughline_bus::embedded::{self, Embedded, EmbeddedOptions};
use throughline_bus::*;
use throughline_event::*;
use throughline_registry::{MemorySchemaLog, Registry, RegistryHandle, RegistryOptions};
use tokio::runtime::Runtime;

/// Enough for a busy machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A bus for one test, and what keeps it running.
pub(crate) struct TestBus {
    bus: Bus,
    /// Stops what runs when the test ends.
    _home: Home,
}

/// Where the bus of a test lives. The fields are what must outlive the test.
struct Home {
    _embedded: Option<(Embedded, tempfile::TempDir)>,
    _registry: Option<RegistryHandle>,
    /// Last: the others stop on it.
    _runtime: Runtime,
}

impl std::ops::Deref for TestBus {
    type Target = Bus;
    fn deref(&self) -> &Bus {
        &self.bus
    }
}

pub(crate) fn start() -> TestBus {
    start_with(|_| ())
}

pub(crate) fn start_with(change: impl FnOnce(&mut BusOptions)) -> TestBus {
    let (mut options, home) = match std::env::var("THROUGHLINE_TEST_KAFKA") {
        Ok(brokers) => on_kafka(&brokers),
        Err(_) => on_embedded(),
    };
    change(&mut options);
    TestBus { bus: Bus::connect(options).unwrap(), _home: home }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// An embedded bus in a folder of its own.
fn on_embedded() -> (BusOptions, Home) {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let mut options = EmbeddedOptions::new(folder.path());
    options.maintenance_interval = Duration::from_millis(200);
    let embedded = runtime.block_on(embedded::start(options)).unwrap();
    let options = BusOptions::new(embedded.kafka_address().to_string(), embedded.registry_url());
    let home = Home { _embedded: Some((embedded, folder)), _registry: None, _runtime: runtime };
    (options, home)
}

/// The cluster that was named, and the registry that was named or one of this process.
fn on_kafka(brokers: &str) -> (BusOptions, Home) {
    let runtime = runtime();
    let (url, registry) = match std::env::var("THROUGHLINE_TEST_REGISTRY") {
        Ok(url) => (url, None),
        Err(_) => {
            let listen = SocketAddr::from(([127, 0, 0, 1], 0));
            let log = Arc::new(MemorySchemaLog::new());
            let registry = Registry::start(RegistryOptions::new(listen, log));
            let registry = runtime.block_on(registry).unwrap();
            (registry.url(), Some(registry))
        }
    };
    let home = Home { _embedded: None, _registry: registry, _runtime: runtime };
    (BusOptions::new(brokers, url), home)
}

/// A name that no other test, and no earlier run on the same cluster, has used.
pub(crate) fn unique(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let random: u64 = rand::random();
    format!("{word}-{}-{random:016x}-{count}", std::process::id())
}

/// A new topic.
pub(crate) fn topic(bus: &Bus, partitions: i32, cleanup: Cleanup) -> TopicName {
    let topic = TopicName::new(unique("bus-test")).unwrap();
    bus.ensure_topic(&TopicSpec::new(topic.clone(), Partitions::Exactly(partitions), cleanup))
        .unwrap();
    topic
}

pub(crate) fn partition(topic: &TopicName, number: i32) -> TopicPartition {
    TopicPartition { topic: topic.clone(), partition: PartitionId(number) }
}

/// Ids of the schemas that the tests write with: a string key and a record value.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) key: SchemaId,
    pub(crate) value: SchemaId,
}

pub(crate) fn schemas() -> (Schema, Schema) {
    let value = r#"{"type":"record","name":"Counted","fields":[{"name":"n","type":"long"}]}"#;
    (Schema::parse("\"string\"").unwrap(), Schema::parse(value).unwrap())
}

pub(crate) fn register(bus: &Bus, topic: &TopicName) -> Ids {
    let (key, value) = schemas();
    Ids {
        key: bus.register(&topic.key_subject(), &key).unwrap(),
        value: bus.register(&topic.value_subject(), &value).unwrap(),
    }
}

/// Sends `key` with the number `n`, or a tombstone.
pub(crate) fn send(
    producer: &mut TransactionalProducer,
    topic: &TopicName,
    at: Option<i32>,
    ids: Ids,
    key: &str,
    n: Option<i64>,
) {
    let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
    put_str(&mut key_bytes, key);
    if let Some(n) = n {
        put_long(&mut value_bytes, n);
    }
    let outgoing = Outgoing {
        topic,
        partition: at.map(PartitionId),
        key: Some((ids.key, &key_bytes)),
        value: n.map(|_| (ids.value, value_bytes.as_slice())),
        headers: &[],
        timestamp: None,
    };
    producer.send(&outgoing).unwrap();
}

/// Writes the numbers to partition 0 in one committed transaction.
pub(crate) fn write(bus: &Bus, topic: &TopicName, ids: Ids, numbers: std::ops::Range<i64>) {
    let mut producer = bus.producer(&unique("writer")).unwrap();
    producer.begin().unwrap();
    for n in numbers {
        send(&mut producer, topic, Some(0), ids, "k", Some(n));
    }
    producer.commit().unwrap();
}

/// Waits until a partition of one ends there: until what was sent is on the log.
pub(crate) fn wait_for_end(bus: &Bus, topic: &TopicName, end: i64) {
    let deadline = Instant::now() + PATIENCE;
    while bus.describe(topic).unwrap()[0].end < Offset(end) {
        assert!(Instant::now() < deadline, "the records were not written");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The number in a value.
pub(crate) fn number(record: &Record<'_>) -> Option<i64> {
    let bytes = record.value?.bytes;
    Some(throughline_avro::Cursor::new(bytes).long().unwrap())
}

/// A consumer with a group of its own.
pub(crate) fn consumer(bus: &Bus, topic: &TopicName) -> Consumer {
    bus.consumer(ConsumerOptions::new(unique("group"), [topic.clone()])).unwrap()
}

/// Polls until the condition holds, and fails the test when it takes too long.
pub(crate) fn poll_until(
    consumer: &mut Consumer,
    mut done: impl FnMut(Polled, &RecordBatch) -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    let mut batch = RecordBatch::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "nothing came in time");
        let polled = consumer.poll(&mut batch, 1_000, 1 << 20, left).unwrap();
        if done(polled, &batch) {
            return;
        }
    }
}

/// Polls until so many numbers were read.
pub(crate) fn read_numbers(consumer: &mut Consumer, count: usize) -> Vec<i64> {
    let mut numbers = Vec::new();
    poll_until(consumer, |_, batch| {
        numbers.extend(batch.iter().filter_map(|record| number(&record)));
        numbers.len() >= count
    });
    numbers
}

/// Reads a partition to its end: the numbers, the undecodable ones, and the next offset.
pub(crate) fn read_all(
    bus: &Bus,
    topic: &TopicName,
    isolation: Isolation,
) -> (Vec<Option<i64>>, Offset) {
    let mut numbers = Vec::new();
    let next = bus.read_to_end(&partition(topic, 0), Offset(0), isolation, |entry| {
        if let Entry::Record(record) = entry {
            numbers.push(number(&record));
        }
        std::ops::ControlFlow::Continue(())
    });
    (numbers, next.unwrap())
}
