//! Connectors by their `kind`: typed inside, erased outside.

use serde_json::Value;
use throughline_connector::{
    CapturedEntity, ConnectError, ConnectorOptions, Producer, ProducerContext, Sink, SinkContext,
    options_from_json,
};
use throughline_event::{Path, SystemName, Violations, WorkerName};

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
    pub check: fn(Value, ProducerContext) -> Result<Vec<CapturedEntity>, WorkerError>,
    /// Runs one until it is drained or fails.
    pub(crate) run: fn(Value, ProducerContext, &Host) -> Result<(), WorkerError>,
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
) -> Result<Vec<CapturedEntity>, WorkerError> {
    let settings = settings::<P::Options>(options, &cx.name)?;
    let connected = reactor()?.block_on(P::connect(settings, cx))?;
    Ok(connected.entities().to_vec())
}

fn check_sink<S: Sink>(options: Value, cx: SinkContext) -> Result<(), WorkerError> {
    let settings = settings::<S::Options>(options, &cx.name)?;
    Ok(reactor()?.block_on(S::check(settings, cx))?)
}

macro_rules! registry {
    (
        $(#[$doc:meta])* $registry:ident, $kind:ident, $trait:ident, $cx:ident, $module:ident,
        $($field:ident: $function:ident),*
    ) => {
        impl $kind {
            /// A worker of this kind, for the supervisor.
            pub fn worker(self, options: Value, cx: $cx, host: Host) -> Worker {
                let (name, health) = (cx.name.clone(), host.metrics.health().clone());
                let run = move || (self.run)(options.clone(), cx.clone(), &host);
                Worker { name, role: stringify!($module), health, run: Box::new(run) }
            }
        }

        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $registry(Vec<$kind>);

        impl $registry {
            /// An empty list.
            pub fn new() -> Self {
                Self::default()
            }

            /// Adds a kind.
            #[must_use]
            pub fn with<C: $trait>(mut self) -> Self {
                self.0.push($kind {
                    kind: C::KIND,
                    schema: || schemars::schema_for!(C::Options),
                    validate: validate::<C::Options>,
                    $($field: $function::<C>,)*
                    run: $module::run::<C>,
                });
                self
            }

            /// The kind of this name.
            pub fn get(&self, kind: &str) -> Option<&$kind> {
                self.0.iter().find(|known| known.kind == kind)
            }

            /// All kinds in the order they were added.
            pub fn iter(&self) -> impl Iterator<Item = &$kind> {
                self.0.iter()
            }
        }
    };
}

registry!(
    /// Every kind of producer that this build knows.
    ProducerRegistry, ProducerKind, Producer, ProducerContext, producer,
    declared: declared, check: check_producer
);
registry!(
    /// Every kind of sink that this build knows.
    SinkRegistry, SinkKind, Sink, SinkContext, sink,
    check: check_sink
);
