//! Metrics of the broker, `throughline_broker_*`.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector};

use crate::api::ROUTES;

/// Why a connection was closed by the broker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    /// A length prefix that is negative or beyond the limit, or a frame that never ended.
    Frame,
    /// A body that does not match its API's layout.
    Malformed,
    /// An unknown API key, or a version that is not served.
    Version,
    /// More connections than allowed.
    Connections,
    /// Records sent with `acks=0` could not be appended.
    Unacknowledged,
    /// A handler failed; the log says how.
    Internal,
}

impl Refusal {
    fn label(self) -> &'static str {
        match self {
            Refusal::Frame => "frame",
            Refusal::Malformed => "malformed",
            Refusal::Version => "version",
            Refusal::Connections => "connections",
            Refusal::Unacknowledged => "unacknowledged",
            Refusal::Internal => "internal",
        }
    }
}

/// What is known about one metric of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its labels, all with a fixed set of values.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

impl Metric {
    const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, labels: &[], help }
    }

    /// The type as Prometheus names it: what only goes up is called a total.
    pub fn kind(&self) -> &'static str {
        if self.name.ends_with("_total") { "counter" } else { "gauge" }
    }
}

const REQUESTS: Metric = Metric {
    name: "throughline_broker_requests_total",
    labels: &["api"],
    help: "Requests handled, by API.",
};
const REFUSED: Metric = Metric {
    name: "throughline_broker_refused_total",
    labels: &["reason"],
    help: "Connections closed by the broker, by reason.",
};
const CONNECTIONS: Metric =
    Metric::new("throughline_broker_connections", "Open client connections.");
const NETWORK_IN: Metric =
    Metric::new("throughline_broker_network_in_bytes_total", "Bytes of requests received.");
const NETWORK_OUT: Metric =
    Metric::new("throughline_broker_network_out_bytes_total", "Bytes of answers sent.");
const RECORDS_IN: Metric =
    Metric::new("throughline_broker_records_in_total", "Records appended by clients.");
const RECORD_BYTES_IN: Metric = Metric::new(
    "throughline_broker_record_in_bytes_total",
    "Bytes of record batches appended by clients.",
);
const RECORD_BYTES_OUT: Metric = Metric::new(
    "throughline_broker_record_out_bytes_total",
    "Bytes of record batches sent to consumers.",
);
const LOG_BYTES: Metric = Metric::new(
    "throughline_broker_log_bytes",
    "Bytes of all segments, as of the last maintenance.",
);
const PARTITIONS: Metric =
    Metric::new("throughline_broker_partitions", "Partitions, as of the last maintenance.");
const GROUPS: Metric = Metric::new("throughline_broker_groups", "Consumer groups in memory.");
const REBALANCES: Metric =
    Metric::new("throughline_broker_rebalances_total", "Generations of consumer groups begun.");
const OPEN_TRANSACTIONS: Metric =
    Metric::new("throughline_broker_open_transactions", "Transactions in progress.");
const TRANSACTIONS: Metric = Metric {
    name: "throughline_broker_transactions_total",
    labels: &["outcome"],
    help: "Transactions ended, by outcome.",
};

/// Every metric, in the order of the reference page.
pub const METRICS: &[Metric] = &[
    REQUESTS,
    REFUSED,
    CONNECTIONS,
    NETWORK_IN,
    NETWORK_OUT,
    RECORDS_IN,
    RECORD_BYTES_IN,
    RECORD_BYTES_OUT,
    LOG_BYTES,
    PARTITIONS,
    GROUPS,
    REBALANCES,
    OPEN_TRANSACTIONS,
    TRANSACTIONS,
];

/// All counters and gauges.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Vec<(i16, IntCounter)>,
    refused: IntCounterVec,
    pub(crate) connections: IntGauge,
    pub(crate) network_in: IntCounter,
    pub(crate) network_out: IntCounter,
    pub(crate) records_in: IntCounter,
    pub(crate) record_bytes_in: IntCounter,
    pub(crate) record_bytes_out: IntCounter,
    pub(crate) log_bytes: IntGauge,
    pub(crate) partitions: IntGauge,
    pub(crate) groups: IntGauge,
    pub(crate) rebalances: IntCounter,
    pub(crate) open_transactions: IntGauge,
    pub(crate) transactions: IntCounterVec,
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: prometheus::Result<C>,
) -> prometheus::Result<C> {
    let collector = collector?;
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counter(registry: &Registry, metric: Metric) -> prometheus::Result<IntCounter> {
    register(registry, IntCounter::new(metric.name, metric.help))
}

fn gauge(registry: &Registry, metric: Metric) -> prometheus::Result<IntGauge> {
    register(registry, IntGauge::new(metric.name, metric.help))
}

fn counters(registry: &Registry, metric: Metric) -> prometheus::Result<IntCounterVec> {
    register(registry, IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels))
}

impl Metrics {
    /// Registers every metric.
    pub(crate) fn new(r: &Registry) -> prometheus::Result<Self> {
        let by_api = counters(r, REQUESTS)?;
        let requests = ROUTES
            .iter()
            .map(|route| (route.key as i16, by_api.with_label_values(&[&route.name()])))
            .collect();
        Ok(Self {
            requests,
            refused: counters(r, REFUSED)?,
            connections: gauge(r, CONNECTIONS)?,
            network_in: counter(r, NETWORK_IN)?,
            network_out: counter(r, NETWORK_OUT)?,
            records_in: counter(r, RECORDS_IN)?,
            record_bytes_in: counter(r, RECORD_BYTES_IN)?,
            record_bytes_out: counter(r, RECORD_BYTES_OUT)?,
            log_bytes: gauge(r, LOG_BYTES)?,
            partitions: gauge(r, PARTITIONS)?,
            groups: gauge(r, GROUPS)?,
            rebalances: counter(r, REBALANCES)?,
            open_transactions: gauge(r, OPEN_TRANSACTIONS)?,
            transactions: counters(r, TRANSACTIONS)?,
        })
    }

    /// Counts one request.
    pub(crate) fn request(&self, api_key: i16) {
        if let Some((_, counter)) = self.requests.iter().find(|(key, _)| *key == api_key) {
            counter.inc();
        }
    }

    /// Counts a connection that the broker closed.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.refused.with_label_values(&[refusal.label()]).inc();
    }
}
