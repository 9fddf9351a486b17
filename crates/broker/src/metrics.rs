//! Metrics of the broker, `throughline_broker_*`.

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    core::{Collector, GenericCounter},
};

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

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    register(registry, GenericCounter::new(format!("throughline_broker_{name}"), help))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    register(registry, IntGauge::new(format!("throughline_broker_{name}"), help))
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> prometheus::Result<IntCounterVec> {
    let options = Opts::new(format!("throughline_broker_{name}"), help);
    register(registry, IntCounterVec::new(options, &[label]))
}

impl Metrics {
    /// Registers every metric.
    pub(crate) fn new(r: &Registry) -> prometheus::Result<Self> {
        let by_api = counters(r, "requests_total", "Requests handled, by API.", "api")?;
        let requests = ROUTES
            .iter()
            .map(|route| (route.key as i16, by_api.with_label_values(&[&route.name()])))
            .collect();
        Ok(Self {
            requests,
            refused: counters(
                r,
                "refused_total",
                "Connections closed by the broker, by reason.",
                "reason",
            )?,
            connections: gauge(r, "connections", "Open client connections.")?,
            network_in: counter(r, "network_in_bytes_total", "Bytes of requests received.")?,
            network_out: counter(r, "network_out_bytes_total", "Bytes of answers sent.")?,
            records_in: counter(r, "records_in_total", "Records appended by clients.")?,
            record_bytes_in: counter(
                r,
                "record_in_bytes_total",
                "Bytes of record batches appended by clients.",
            )?,
            record_bytes_out: counter(
                r,
                "record_out_bytes_total",
                "Bytes of record batches sent to consumers.",
            )?,
            log_bytes: gauge(r, "log_bytes", "Bytes of all segments, as of the last maintenance.")?,
            partitions: gauge(r, "partitions", "Partitions, as of the last maintenance.")?,
            groups: gauge(r, "groups", "Consumer groups in memory.")?,
            rebalances: counter(r, "rebalances_total", "Generations of consumer groups begun.")?,
            open_transactions: gauge(r, "open_transactions", "Transactions in progress.")?,
            transactions: counters(
                r,
                "transactions_total",
                "Transactions ended, by outcome.",
                "outcome",
            )?,
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
