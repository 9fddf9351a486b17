//! What a scraper and a probe see.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{net::SocketAddr, time::Duration};

use throughline_telemetry::{
    Metrics, MetricsServer, Options, ServeError, Stage,
    metrics::{DEFINITIONS, Kind},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

fn loopback() -> Options {
    Options::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Status and body of a request.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn serve(options: Options, metrics: &Metrics) -> (SocketAddr, oneshot::Sender<()>) {
    let server = MetricsServer::bind(options, metrics.clone()).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    (address, stop)
}

#[tokio::test]
async fn every_defined_metric_is_scraped_with_its_labels() {
    let metrics = Metrics::new("1.2.3");
    let worker = metrics.worker("lake");
    worker.records_in("shop", "order", 3);
    worker.records_out("shop", "order", 2);
    worker.stage(Stage::Deliver, Duration::from_millis(30));
    worker.end_to_end("order", Duration::from_secs(2));
    worker.lag(7, Duration::from_millis(1_500));
    worker.watermark("order", 1_700_000_000.5);
    worker.dead_letters("mapping", 1);
    worker.parked_keys(4);
    let (address, _stop) = serve(loopback(), &metrics).await;
    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    for definition in DEFINITIONS {
        let kind = format!("# TYPE {} {}\n", definition.name, definition.kind.as_str());
        assert!(text.contains(&kind), "{kind}{text}");
    }
    for line in [
        r#"throughline_records_in_total{entity="order",flow="lake",system="shop"} 3"#,
        r#"throughline_stage_seconds_bucket{flow="lake",stage="deliver",le="0.05"} 1"#,
        r#"throughline_stage_seconds_bucket{flow="lake",stage="deliver",le="0.025"} 0"#,
        r#"throughline_end_to_end_seconds_count{entity="order",target="lake"} 1"#,
        r#"throughline_consumer_lag_seconds{flow="lake"} 1.5"#,
        r#"throughline_build_info{version="1.2.3"} 1"#,
        r#"throughline_parked_keys{flow="lake"} 4"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn names_follow_prometheus_conventions() {
    for definition in DEFINITIONS {
        let name = definition.name;
        assert!(name.starts_with("throughline_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), definition.kind == Kind::Counter, "{name}");
        assert!(definition.labels.iter().all(|label| {
            ["system", "entity", "flow", "stage", "reason", "target", "version"].contains(label)
        }));
    }
    let names = Metrics::names();
    assert_eq!(names.len(), DEFINITIONS.len());
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
}

#[tokio::test]
async fn a_process_is_ready_when_every_worker_is() {
    let metrics = Metrics::new("0");
    let (address, _stop) = serve(loopback(), &metrics).await;
    assert_eq!(get(address, "/readyz").await.0, 503);
    let (lake, shop) = (metrics.worker("lake"), metrics.worker("shop"));
    lake.ready(true);
    assert_eq!(get(address, "/readyz").await, (503, "shop is not ready\n".into()));
    shop.ready(true);
    assert_eq!(get(address, "/readyz").await, (200, "ok\n".into()));
}

#[tokio::test]
async fn a_worker_that_failed_is_not_ready_and_says_why() {
    let metrics = Metrics::new("0");
    let (address, _stop) = serve(loopback(), &metrics).await;
    let lake = metrics.worker("lake");
    lake.ready(true);
    metrics.health().failed("shop", "is halted: TL1030: it shrank".into());
    lake.failed("waits for its target: TL3003".into());
    let told = "lake waits for its target: TL3003\nshop is halted: TL1030: it shrank\n";
    assert_eq!(get(address, "/readyz").await, (503, told.into()));
    let (status, workers) = get(address, "/workers").await;
    assert_eq!(status, 200);
    for told in [
        r#"{"name":"lake","ready":false,"caught_up":false,"problem":"waits for its target: TL3003"}"#,
        r#""problem":"is halted: TL1030: it shrank""#,
    ] {
        assert!(workers.contains(told), "{workers}");
    }
    // A halted worker is no reason to restart the process.
    assert_eq!(get(address, "/livez").await.0, 200);
    lake.ready(true);
    lake.progressed();
    metrics.health().ended("shop");
    assert_eq!(get(address, "/readyz").await, (200, "ok\n".into()));
}

#[tokio::test]
async fn a_worker_that_hangs_ends_liveness_and_one_that_left_does_not() {
    let metrics = Metrics::new("0");
    let mut options = loopback();
    options.stale_after = Duration::ZERO;
    let (address, _stop) = serve(options, &metrics).await;
    let lake = metrics.worker("lake");
    while metrics.health().workers()[0].silent.is_zero() {
        tokio::task::yield_now().await;
    }
    let (status, text) = get(address, "/livez").await;
    assert_eq!(status, 503);
    assert!(text.starts_with("lake has been silent"), "{text}");
    drop(lake);
    assert_eq!(get(address, "/livez").await, (200, "ok\n".into()));
}

#[tokio::test]
async fn an_address_that_other_machines_reach_is_refused() {
    let options = Options::new(SocketAddr::from(([0, 0, 0, 0], 0)));
    let error = MetricsServer::bind(options, Metrics::new("0")).await.unwrap_err();
    assert!(matches!(error, ServeError::NotLoopback { .. }), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = MetricsServer::bind(loopback(), Metrics::new("0")).await.unwrap();
    let options = Options::new(first.address());
    let error = MetricsServer::bind(options, Metrics::new("0")).await.unwrap_err();
    assert!(error.to_string().contains(&first.address().to_string()), "{error}");
}

#[tokio::test]
async fn the_server_ends_when_it_is_asked_to() {
    let server = MetricsServer::bind(loopback(), Metrics::new("0")).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let run = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    stop.send(()).unwrap();
    run.await.unwrap();
}

/// A request that never ends, on a connection of its own.
async fn dawdle(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    stream
}

/// With the clock paused, the time of a test is that of the timers it waits for.
#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_request_is_cut_off() {
    let (address, _stop) = serve(loopback(), &Metrics::new("1")).await;
    let mut slow = dawdle(address).await;
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_half_open_connections_hold_up_nobody() {
    let (address, _stop) = serve(loopback(), &Metrics::new("1")).await;
    let began = tokio::time::Instant::now();
    let mut slow = Vec::new();
    for _ in 0..600 {
        slow.push(dawdle(address).await);
    }
    for _ in 0..3 {
        assert_eq!(get(address, "/metrics").await.0, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // The oldest were closed for the newest.
    let mut answer = Vec::new();
    let _ = slow[0].read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{answer:?}");
    drop(slow);
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let (address, _stop) = serve(loopback(), &Metrics::new("1")).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /livez HTTP/1.1\r\nx: {}", "x".repeat(200_000));
    let written = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    // A connection that is closed before all of the head was read is reset, and the answer can be
    // lost with it. One that waits for the end of the head is closed in order.
    let reset = written.is_err() || read.is_err();
    assert!(reset || answer.starts_with(b"HTTP/1.1 431"), "{answer:?}");
}

#[tokio::test]
async fn a_server_that_stops_closes_idle_connections() {
    let server = MetricsServer::bind(loopback(), Metrics::new("1")).await.unwrap();
    let (address, (stop, stopped)) = (server.address(), oneshot::channel());
    let running = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_ne!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    stop.send(()).unwrap();
    running.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
