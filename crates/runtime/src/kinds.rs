//! Connectors by their `kind`: typed inside, erased outside.

use serde_json::Value;
use throughline_connector::{
    CapturedEntity, ConnectError, ConnectorOptions, Holding, Producer, ProducerContext, Sink,
    SinkContext, options_from_json,
};
use throughline_event::{Path, Role, SystemName, TopicPartition, Violations, WorkerName};

use crate::{Host, Worker, WorkerError, producer, sink};

/// Checks options without I/O.
type Validate = fn(Value, &Path, &mut Violations);

/// One kind of producer.
#[derive(Debug, Clone, Copy)]
pub struct ProducerKind {
    /// The name in `kind:`.
    pub kind: &'static str,
    /// The JSON Schema of its options.
    pub schema: fn() -> schemars::Schema,
    /// Checks options without I/O.
    pub validate: Validate,
    /// What it will publish, as far as valid options alone say it; no I/O.
    pub declared: fn(Value, &SystemName) -> Result<Vec<CapturedEntity>, ConnectError>,
    /// Reaches the source and tells what it publishes.
    pub check: fn(Value, ProducerContext) -> Result<Reached, WorkerError>,
    /// Runs one until it is drained or fails.
    pub(crate) run: fn(Value, ProducerContext, &Host) -> Result<(), WorkerError>,
}

/// A source that was reached.
#[derive(Debug, Clone)]
pub struct Reached {
    /// What the producer publishes.
    pub entities: Vec<CapturedEntity>,
    /// What an operator may expect there and is not there.
    pub missing: Vec<String>,
}

/// One kind of sink.
#[derive(Debug, Clone, Copy)]
pub struct SinkKind {
    /// The name in `kind:`.
    pub kind: &'static str,
    /// The JSON Schema of its options.
    pub schema: fn() -> schemars::Schema,
    /// Checks options without I/O.
    pub validate: Validate,
    /// Reaches the target and leaves it as it is.
    pub check: fn(Value, SinkContext) -> Result<(), WorkerError>,
    /// What the target holds of a partition, where it can tell; see [`Sink::holds`].
    pub holds: fn(Value, SinkContext, &TopicPartition) -> Result<Option<Holding>, WorkerError>,
    /// Runs one until it is drained or fails.
    pub(crate) run: fn(Value, SinkContext, &Host) -> Result<(), WorkerError>,
}

fn validate<O: ConnectorOptions>(options: Value, at: &Path, violations: &mut Violations) {
    let _settings: Option<O::Settings> = options_from_json::<O>(options, at, violations);
}

/// Settings of options that were validated before the worker started.
pub(crate) fn settings<O: ConnectorOptions>(
    options: Value,
    worker: &WorkerName,
) -> Result<O::Settings, WorkerError> {
    options_from_json::<O>(options, &Path::root(), &mut Violations::default())
        .ok_or_else(|| WorkerError::Options { worker: worker.clone() })
}

/// The thread's own reactor: each worker has one.
pub(crate) fn reactor() -> Result<tokio::runtime::Runtime, WorkerError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| WorkerError::Io { what: "start the worker's reactor", source })
}

fn declared<P: Producer>(
    options: Value,
    system: &SystemName,
) -> Result<Vec<CapturedEntity>, ConnectError> {
    let settings =
        options_from_json::<P::Options>(options, &Path::root(), &mut Violations::default());
    settings.map_or_else(|| Ok(Vec::new()), |settings| P::declared(&settings, system))
}

fn check_producer<P: Producer>(
    options: Value,
    cx: ProducerContext,
) -> Result<Reached, WorkerError> {
    let settings = settings::<P::Options>(options, &cx.name)?;
    let connected = reactor()?.block_on(P::connect(settings, cx))?;
    Ok(Reached { entities: connected.entities().to_vec(), missing: connected.missing() })
}

fn check_sink<S: Sink>(options: Value, cx: SinkContext) -> Result<(), WorkerError> {
    let settings = settings::<S::Options>(options, &cx.name)?;
    Ok(reactor()?.block_on(S::check(settings, cx))?)
}

fn holds<S: Sink>(
    options: Value,
    cx: SinkContext,
    partition: &TopicPartition,
) -> Result<Option<Holding>, WorkerError> {
    let settings = settings::<S::Options>(options, &cx.name)?;
    Ok(reactor()?.block_on(S::holds(settings, cx, partition))?)
}

impl ProducerKind {
    /// A worker of this kind, for the supervisor.
    pub fn worker(self, options: Value, cx: ProducerContext, host: Host) -> Worker {
        Worker::new(cx.name.clone(), Role::Producer, host, move |host| {
            (self.run)(options.clone(), cx.clone(), host)
        })
    }
}

impl SinkKind {
    /// A worker of this kind, for the supervisor.
    pub fn worker(self, options: Value, cx: SinkContext, host: Host) -> Worker {
        Worker::new(cx.name.clone(), Role::Sink, host, move |host| {
            (self.run)(options.clone(), cx.clone(), host)
        })
    }
}

/// A kind of connector.
pub trait Kind {
    /// The name in `kind:`.
    fn name(&self) -> &'static str;
}

impl Kind for ProducerKind {
    fn name(&self) -> &'static str {
        self.kind
    }
}

impl Kind for SinkKind {
    fn name(&self) -> &'static str {
        self.kind
    }
}

/// Every kind of one role that a build knows, in the order in which they were added.
#[derive(Debug, Clone)]
pub struct Kinds<K>(Vec<K>);

/// Every kind of producer that this build knows.
pub type ProducerRegistry = Kinds<ProducerKind>;

/// Every kind of sink that this build knows.
pub type SinkRegistry = Kinds<SinkKind>;

impl<K> Default for Kinds<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Kind> Kinds<K> {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// The kind of this name.
    pub fn get(&self, name: &str) -> Option<&K> {
        self.0.iter().find(|known| known.name() == name)
    }

    /// All kinds in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &K> {
        self.0.iter()
    }
}

impl Kinds<ProducerKind> {
    /// Adds a kind.
    #[must_use]
    pub fn with<P: Producer>(mut self) -> Self {
        self.0.push(ProducerKind {
            kind: P::KIND,
            schema: || schemars::schema_for!(P::Options),
            validate: validate::<P::Options>,
            declared: declared::<P>,
            check: check_producer::<P>,
            run: producer::run::<P>,
        });
        self
    }
}

impl Kinds<SinkKind> {
    /// Adds a kind.
    #[must_use]
    pub fn with<S: Sink>(mut self) -> Self {
        self.0.push(SinkKind {
            kind: S::KIND,
            schema: || schemars::schema_for!(S::Options),
            validate: validate::<S::Options>,
            check: check_sink::<S>,
            holds: holds::<S>,
            run: sink::run::<S>,
        });
        self
    }
}
