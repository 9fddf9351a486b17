//! `/metrics`, `/livez`, `/readyz` and `/workers`.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Encoder, TextEncoder};
use tokio::net::TcpListener;

use crate::{Metrics, WorkerState};

/// Longer than any batch takes and shorter than anybody waits for a restart.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// Where the server listens and how patient it is.
#[derive(Debug, Clone)]
pub struct Options {
    /// A loopback address; port 0 takes any free port.
    pub address: SocketAddr,
    /// A worker that was silent for longer does not live.
    pub stale_after: Duration,
}

impl Options {
    /// Listens at `address` and allows a minute of silence.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stale_after: STALE_AFTER }
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can be reached from other machines.
    #[error(
        "TL0150: metrics cannot listen at {address}, which other machines reach; use 127.0.0.1:{}",
        address.port()
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address is taken, or cannot be used.
    #[error(
        "TL0151: metrics cannot listen at {address}; free the port, or write another, or 0 for any: \
         `metrics: \"127.0.0.1:0\"`"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// Serves the metrics and the health of one process.
///
/// - `/metrics`: Prometheus text.
/// - `/livez`: 200 while every worker's loop turns, else 503 with the silent ones.
/// - `/workers`: what each worker does, as JSON, for `throughline lag`.
/// - `/readyz`: 200 when there are workers and all are ready, else 503 with the others and what is
///   wrong with them: halted, or started again without getting anything done. A worker that drains
///   is not ready, so that traffic leaves before it does.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
    site: Site,
}

#[derive(Debug, Clone)]
struct Site {
    metrics: Metrics,
    stale_after: Duration,
}

impl MetricsServer {
    /// Opens the port.
    ///
    /// # Errors
    /// When the address is no loopback address, or cannot be listened at.
    pub async fn bind(options: Options, metrics: Metrics) -> Result<Self, ServeError> {
        let address = options.address;
        if !address.ip().is_loopback() {
            return Err(ServeError::NotLoopback { address });
        }
        let bind = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let site = Site { metrics, stale_after: options.stale_after };
        Ok(Self { listener, address, site })
    }

    /// The address with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` ends; requests in progress are answered.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/workers", get(workers))
            .with_state(self.site);
        crate::http::serve(self.listener, router, shutdown).await;
    }
}

async fn metrics(State(site): State<Site>) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&site.metrics.registry().gather(), &mut text) {
        Ok(()) => {
            ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn livez(State(site): State<Site>) -> Response {
    let workers = site.metrics.health().workers();
    let silent: Vec<String> = workers
        .iter()
        .filter(|worker| worker.silent > site.stale_after)
        .map(|worker| format!("{} has been silent for {} s", worker.name, worker.silent.as_secs()))
        .collect();
    verdict(silent)
}

async fn readyz(State(site): State<Site>) -> Response {
    let workers = site.metrics.health().workers();
    let mut waiting: Vec<String> = workers
        .iter()
        .filter(|worker| !worker.ready)
        .map(|WorkerState { name, problem, .. }| {
            format!("{name} {}", problem.as_deref().unwrap_or("is not ready"))
        })
        .collect();
    if workers.is_empty() {
        waiting.push("no worker runs yet".into());
    }
    verdict(waiting)
}

async fn workers(State(site): State<Site>) -> Response {
    let told = |worker: WorkerState| {
        let WorkerState { name, ready, caught_up, problem, missing, .. } = worker;
        let mut told = serde_json::json!({
            "name": name, "ready": ready, "caught_up": caught_up, "problem": problem,
        });
        if let Some(missing) = missing {
            told["missing"] = missing.into();
        }
        told
    };
    let all: serde_json::Value = site.metrics.health().workers().into_iter().map(told).collect();
    ([(header::CONTENT_TYPE, "application/json")], all.to_string()).into_response()
}

fn verdict(problems: Vec<String>) -> Response {
    if problems.is_empty() {
        return (StatusCode::OK, "ok\n").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n").into_response()
}
