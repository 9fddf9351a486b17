//! An embedded bus, numbers by key on a topic, and a sink that refuses what it is told to refuse.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;
use throughline_avro::{Cursor, Schema, SchemaId, put_long, put_str};
use throughline_bus::embedded::{self, Embedded, EmbeddedOptions};
use throughline_bus::{Bus, BusOptions, Cleanup, Outgoing, Partitions, TopicSpec};
use throughline_connector::{
    ConnectError, ConnectorOptions, DeliverError, Receipt, RecordPosition, Sink, SinkContext,
};
use throughline_event::{
    Offset, PartitionId, Path, Record, RecordBatch, Role, TopicName, TopicPartition, Violations,
    WorkerName,
};
use throughline_runtime::dead_letter::{DeadLetter, unresolved};
use throughline_runtime::{Host, Shutdown, SinkRegistry, Supervisor, Worker, WorkerState};
use throughline_telemetry::Metrics;

/// Enough for a busy machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const WORKER: &str = "shop";

/// Writes the number of each key to a file of that name. A file `refuse-<key>` makes it refuse, one
/// named `lie` makes it name a record that it was not given, once.
struct Fussy(PathBuf);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FussyOptions {
    folder: PathBuf,
}

impl ConnectorOptions for FussyOptions {
    type Settings = PathBuf;

    fn validate(self, _: &Path, _: &mut Violations) -> Option<PathBuf> {
        Some(self.folder)
    }
}

impl Fussy {
    fn take(&self, record: &Record<'_>) -> Result<(), DeliverError> {
        let key = Cursor::new(record.key.unwrap().bytes).str().unwrap().to_owned();
        if self.0.join(format!("refuse-{key}")).exists() {
            let partition =
                TopicPartition { topic: record.topic.clone(), partition: record.partition };
            let beside = if fs::remove_file(self.0.join("lie")).is_ok() { 1_000 } else { 0 };
            let position = RecordPosition { partition, offset: Offset(record.offset.0 + beside) };
            let reason = "told to refuse it".to_owned();
            return Err(DeliverError::Refused { code: "TL9999", position, reason });
        }
        let number = Cursor::new(record.value.unwrap().bytes).long().unwrap();
        fs::write(self.0.join(key), number.to_string()).unwrap();
        Ok(())
    }
}

impl Sink for Fussy {
    const KIND: &'static str = "fussy";
    type Options = FussyOptions;

    async fn connect(folder: PathBuf, _: SinkContext) -> Result<Self, ConnectError> {
        Ok(Self(folder))
    }

    async fn assigned(&mut self, _: &[TopicPartition]) -> Result<Receipt, DeliverError> {
        Ok(Receipt::default())
    }

    async fn revoked(&mut self, _: &[TopicPartition]) {}

    async fn deliver(&mut self, batch: &RecordBatch) -> Result<Receipt, DeliverError> {
        let mut receipt = Receipt::default();
        for record in batch.iter() {
            self.take(&record)?;
            let partition =
                TopicPartition { topic: record.topic.clone(), partition: record.partition };
            receipt.next.retain(|(known, _)| *known != partition);
            receipt.next.push((partition, record.offset.next()));
        }
        Ok(receipt)
    }

    async fn retry(&mut self, record: &Record<'_>) -> Result<bool, DeliverError> {
        self.take(record).map(|()| true)
    }

    fn flush_due(&self) -> Option<Duration> {
        None
    }

    async fn flush(&mut self, _: bool) -> Result<Receipt, DeliverError> {
        Ok(Receipt::default())
    }
}

/// A bus, a topic on it, and a target.
pub(crate) struct Flow {
    bus: Bus,
    topic: TopicName,
    ids: (SchemaId, SchemaId),
    target: tempfile::TempDir,
    _embedded: Embedded,
    _data: tempfile::TempDir,
    _reactor: tokio::runtime::Runtime,
}

impl Flow {
    pub(crate) fn start() -> Self {
        let reactor = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let data = tempfile::tempdir().unwrap();
        let embedded =
            reactor.block_on(embedded::start(EmbeddedOptions::new(data.path()))).unwrap();
        let address = embedded.kafka_address().to_string();
        let bus = Bus::connect(BusOptions::new(address, embedded.registry_url())).unwrap();
        let topic = TopicName::new("canonical.number").unwrap();
        let spec = TopicSpec::new(topic.clone(), Partitions::Exactly(1), Cleanup::Compact);
        bus.ensure_topic(&spec).unwrap();
        let value = r#"{"type":"record","name":"Number","fields":[{"name":"n","type":"long"}]}"#;
        let register =
            |subject: String, text| bus.register(&subject, &Schema::parse(text).unwrap()).unwrap();
        let ids =
            (register(topic.key_subject(), "\"string\""), register(topic.value_subject(), value));
        let target = tempfile::tempdir().unwrap();
        Self { bus, topic, ids, target, _embedded: embedded, _data: data, _reactor: reactor }
    }

    pub(crate) fn write(&self, records: &[(&str, i64)]) {
        let mut producer = self.bus.producer("writer").unwrap();
        producer.begin().unwrap();
        for (key, number) in records {
            let (mut key_datum, mut datum) = (Vec::new(), Vec::new());
            put_str(&mut key_datum, key);
            put_long(&mut datum, *number);
            producer
                .send(&Outgoing {
                    topic: &self.topic,
                    partition: None,
                    key: Some((self.ids.0, &key_datum)),
                    value: Some((self.ids.1, &datum)),
                    headers: &[],
                    timestamp: None,
                })
                .unwrap();
        }
        producer.commit().unwrap();
    }

    fn refusal(&self, key: &str) -> PathBuf {
        self.target.path().join(format!("refuse-{key}"))
    }

    pub(crate) fn refuse(&self, key: &str) {
        fs::write(self.refusal(key), "").unwrap();
    }

    /// The next refusal names a record that the sink was not given.
    pub(crate) fn lie(&self) {
        fs::write(self.target.path().join("lie"), "").unwrap();
    }

    pub(crate) fn mend(&self, key: &str) {
        fs::remove_file(self.refusal(key)).unwrap();
    }

    /// What the target holds of a key.
    pub(crate) fn held(&self, key: &str) -> Option<i64> {
        let number = fs::read_to_string(FilePath::new(self.target.path()).join(key)).ok()?;
        number.parse().ok()
    }

    /// The dead letters that are not resolved.
    pub(crate) fn letters(&self) -> Vec<DeadLetter> {
        let dead = TopicName::dead(&WorkerName::new(WORKER).unwrap());
        if self.bus.topic(&dead).is_err() {
            return Vec::new();
        }
        unresolved(&self.bus, &dead, 1).unwrap().letters
    }

    /// Deletes a topic, as anybody can who reaches the broker: DeleteTopics version 1.
    pub(crate) fn delete_topic(&self, topic: &TopicName) {
        let text = |text: &str| {
            let length = i16::try_from(text.len()).unwrap();
            [&length.to_be_bytes()[..], text.as_bytes()].concat()
        };
        let (header, client) = ([0, 20, 0, 1, 0, 0, 0, 7], text("test"));
        let (one, timeout) = (1_i32.to_be_bytes(), 5_000_i32.to_be_bytes());
        let request = [&header[..], &client, &one, &text(topic.as_str()), &timeout].concat();
        let length = i32::try_from(request.len()).unwrap().to_be_bytes();
        let mut stream = TcpStream::connect(&self.bus.options().brokers).unwrap();
        stream.write_all(&[&length[..], &request].concat()).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(answer)).unwrap()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[answer.len() - 2..], [0, 0], "it was not deleted");
    }

    /// Writes one record with these schemas to partition 0.
    pub(crate) fn write_to(
        &self,
        topic: &TopicName,
        key: Option<(SchemaId, &[u8])>,
        value: Option<(SchemaId, &[u8])>,
    ) {
        let mut producer = self.bus.producer("other").unwrap();
        producer.begin().unwrap();
        let (partition, headers, timestamp) = (Some(PartitionId(0)), &[][..], None);
        producer.send(&Outgoing { topic, partition, key, value, headers, timestamp }).unwrap();
        producer.commit().unwrap();
    }

    /// Waits until a condition holds.
    pub(crate) fn until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < deadline, "{what}: not in time");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the sink's group has committed.
    pub(crate) fn committed(&self) -> Option<Offset> {
        let group = WorkerName::new(WORKER).unwrap().in_role(Role::Sink);
        let committed = self.bus.committed(&group, std::slice::from_ref(&self.topic)).unwrap();
        committed[0].1.map(|committed| committed.offset)
    }

    pub(crate) fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// Where the state stores are.
    pub(crate) fn state(&self) -> &FilePath {
        self.target.path()
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) fn host(&self, shutdown: &Shutdown) -> Host {
        Host {
            state_bytes: 8 << 20,
            bus: self.bus.clone(),
            metrics: Metrics::new("0"),
            shutdown: shutdown.clone(),
            state: self.target.path().to_owned(),
            instance: "test".to_owned(),
            batch_bytes: 1 << 20,
            partitions: 1,
        }
    }

    /// Runs the sink until the condition holds, and drains it.
    pub(crate) fn run_until(&self, what: &str, done: impl Fn() -> bool) {
        let shutdown = Shutdown::new();
        run_until(self.sink(&shutdown), &shutdown, what, done);
    }

    /// The sink.
    pub(crate) fn sink(&self, shutdown: &Shutdown) -> Worker {
        let host = self.host(shutdown);
        let cx = SinkContext {
            name: WorkerName::new(WORKER).unwrap(),
            topics: vec![self.topic.clone()],
            base: self.target.path().to_owned(),
        };
        let kinds = SinkRegistry::new().with::<Fussy>();
        let options = serde_json::json!({"folder": self.target.path()});
        kinds.get("fussy").unwrap().worker(options, cx, host)
    }
}

/// Runs a worker until the condition holds, and drains it.
pub(crate) fn run_until(worker: Worker, shutdown: &Shutdown, what: &str, done: impl Fn() -> bool) {
    let supervisor = Supervisor::start(vec![worker], shutdown.clone()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: {:?}", supervisor.status());
        std::thread::sleep(Duration::from_millis(5));
    }
    shutdown.drain();
    supervisor.join();
}

/// Runs a worker until it halts, and returns why; does something before that.
pub(crate) fn run_until_halted(worker: Worker, shutdown: &Shutdown, act: impl FnOnce()) -> String {
    let supervisor = Supervisor::start(vec![worker], shutdown.clone()).unwrap();
    act();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = supervisor.status();
        if let WorkerState::Halted { error } = &status[0].state {
            supervisor.join();
            return error.clone();
        }
        assert!(Instant::now() < deadline, "it does not halt: {status:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
