//! The metrics of the workers.

use std::{sync::Arc, time::Duration};

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    core::Collector,
};

use crate::{
    health::{Health, Heart},
    process::Process,
};

mod definitions;

pub use definitions::{BUCKETS, DEFINITIONS, Definition, Kind};
use definitions::{
    BUILD_INFO, CONSUMER_LAG_RECORDS, CONSUMER_LAG_SECONDS, DEAD_LETTERS, END_TO_END_SECONDS,
    PARKED_KEYS, RECORDS_IN, RECORDS_OUT, STAGE_SECONDS, WATERMARK,
};
pub(crate) use definitions::{CPU_SECONDS, RESIDENT_BYTES};

/// A step of a worker, as the label `stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Comparing a document with what was published.
    Diff,
    /// Turning values into canonical ones.
    Map,
    /// Writing to a target.
    Deliver,
    /// Making the position durable.
    Commit,
}

impl Stage {
    /// All stages, in the order in which a record meets them.
    pub const ALL: [Stage; 4] = [Self::Diff, Self::Map, Self::Deliver, Self::Commit];

    /// The value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Diff => "diff",
            Self::Map => "map",
            Self::Deliver => "deliver",
            Self::Commit => "commit",
        }
    }
}

/// Every metric of one process. Cheap to clone; all clones count into the same registry.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    health: Health,
    records_in: IntCounterVec,
    records_out: IntCounterVec,
    stage_seconds: HistogramVec,
    end_to_end_seconds: HistogramVec,
    consumer_lag_records: IntGaugeVec,
    consumer_lag_seconds: GaugeVec,
    watermark: GaugeVec,
    dead_letters: IntCounterVec,
    parked_keys: IntGaugeVec,
}

impl Metrics {
    /// Registers every metric in a registry of its own. `version` is the version of the program.
    ///
    /// # Panics
    /// Never: the definitions are constants, and a test registers all of them.
    pub fn new(version: &str) -> Self {
        let registry = Registry::new();
        let build = gauges(&registry, &BUILD_INFO);
        build.with_label_values(&[version]).set(1);
        register(&registry, Process::new());
        let inner = Inner {
            records_in: counters(&registry, &RECORDS_IN),
            records_out: counters(&registry, &RECORDS_OUT),
            stage_seconds: histograms(&registry, &STAGE_SECONDS),
            end_to_end_seconds: histograms(&registry, &END_TO_END_SECONDS),
            consumer_lag_records: gauges(&registry, &CONSUMER_LAG_RECORDS),
            consumer_lag_seconds: float_gauges(&registry, &CONSUMER_LAG_SECONDS),
            watermark: float_gauges(&registry, &WATERMARK),
            dead_letters: counters(&registry, &DEAD_LETTERS),
            parked_keys: gauges(&registry, &PARKED_KEYS),
            health: Health::default(),
            registry,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The names of every metric of the workers, sorted: what dashboards and alerts may ask for.
    pub fn names() -> Vec<&'static str> {
        let mut names: Vec<_> = DEFINITIONS.iter().map(|definition| definition.name).collect();
        names.sort_unstable();
        names
    }

    /// The registry, for metrics that another part owns (the broker's).
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Which workers turn and which are ready.
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// The metrics and the heartbeat of one worker, by its name in the configuration. The worker
    /// leaves the health report when the last clone is dropped.
    pub fn worker(&self, flow: &str) -> WorkerMetrics {
        let heart = self.inner.health.join(flow);
        WorkerMetrics { inner: Arc::clone(&self.inner), flow: flow.into(), heart }
    }
}

/// What one worker counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkerMetrics {
    inner: Arc<Inner>,
    flow: Arc<str>,
    heart: Arc<Heart>,
}

impl WorkerMetrics {
    /// The name of the worker.
    pub fn flow(&self) -> &str {
        &self.flow
    }

    /// Says that the loop of the worker turns. Call it once per turn, waiting included.
    pub fn beat(&self) {
        self.heart.beat();
    }

    /// Says whether the worker does its work: schemas loaded, partitions assigned.
    pub fn ready(&self, ready: bool) {
        self.heart.ready(ready);
    }

    /// Says whether the source had nothing more, all of it published.
    pub fn caught_up(&self, caught_up: bool) {
        self.heart.caught_up(caught_up);
    }

    /// Says what is not there of the source, which keeps the worker from nothing.
    pub fn missing(&self, missing: Option<String>) {
        *self.heart.missing() = missing;
    }

    /// Says that some work is done: a failure before it is over.
    pub fn progressed(&self) {
        self.heart.progressed(true);
    }

    /// Says that the worker cannot do its work and tries again: `problem` follows its name. It is
    /// over when the worker is ready again and has [`progressed`](Self::progressed).
    pub fn failed(&self, problem: String) {
        self.heart.ready(false);
        self.heart.progressed(false);
        self.inner.health.failed(self.heart.name(), problem);
    }

    /// Counts records taken in.
    pub fn records_in(&self, system: &str, entity: &str, count: u64) {
        self.inner.records_in.with_label_values(&[&*self.flow, system, entity]).inc_by(count);
    }

    /// Counts records handed on: acknowledged by the log or by the target.
    pub fn records_out(&self, system: &str, entity: &str, count: u64) {
        self.inner.records_out.with_label_values(&[&*self.flow, system, entity]).inc_by(count);
    }

    /// Notes how long a batch spent in a stage.
    pub fn stage(&self, stage: Stage, took: Duration) {
        let labels = [&*self.flow, stage.as_str()];
        self.inner.stage_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Notes how long a record took from its capture to the acknowledgment here.
    pub fn end_to_end(&self, entity: &str, took: Duration) {
        let labels = [entity, &*self.flow];
        self.inner.end_to_end_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Sets how far the worker is behind its topics.
    pub fn lag(&self, records: u64, behind: Duration) {
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        self.inner.consumer_lag_records.with_label_values(&[&*self.flow]).set(records);
        let seconds = self.inner.consumer_lag_seconds.with_label_values(&[&*self.flow]);
        seconds.set(behind.as_secs_f64());
    }

    /// Sets the time up to which the worker has handled an entity, in seconds since 1970 at the
    /// source.
    pub fn watermark(&self, entity: &str, seconds: f64) {
        self.inner.watermark.with_label_values(&[&*self.flow, entity]).set(seconds);
    }

    /// Counts records written to the dead letters. `reason` is a fixed word or a code.
    pub fn dead_letters(&self, reason: &'static str, count: u64) {
        self.inner.dead_letters.with_label_values(&[&*self.flow, reason]).inc_by(count);
    }

    /// Sets how many keys wait behind a dead letter.
    pub fn parked_keys(&self, keys: u64) {
        let keys = i64::try_from(keys).unwrap_or(i64::MAX);
        self.inner.parked_keys.with_label_values(&[&*self.flow]).set(keys);
    }
}

fn register<C: Collector + 'static>(registry: &Registry, collector: C) {
    registry.register(Box::new(collector)).expect("each metric is defined once");
}

fn counters(registry: &Registry, of: &Definition) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(of.name, of.help), of.labels);
    let counters = counters.expect("definitions are valid");
    register(registry, counters.clone());
    counters
}

fn gauges(registry: &Registry, of: &Definition) -> IntGaugeVec {
    let gauges = IntGaugeVec::new(Opts::new(of.name, of.help), of.labels);
    let gauges = gauges.expect("definitions are valid");
    register(registry, gauges.clone());
    gauges
}

fn float_gauges(registry: &Registry, of: &Definition) -> GaugeVec {
    let gauges = GaugeVec::new(Opts::new(of.name, of.help), of.labels);
    let gauges = gauges.expect("definitions are valid");
    register(registry, gauges.clone());
    gauges
}

fn histograms(registry: &Registry, of: &Definition) -> HistogramVec {
    let options = HistogramOpts::new(of.name, of.help).buckets(BUCKETS.to_vec());
    let histograms = HistogramVec::new(options, of.labels).expect("definitions are valid");
    register(registry, histograms.clone());
    histograms
}
