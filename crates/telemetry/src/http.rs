//! HTTP for the servers of this process: bounded in connections and in time.

mod connections;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use connections::{Busy, Connections};

/// How long the head of a request may take, from when it could begin: a client that says nothing, or
/// says it slowly, is cut off. Clients open another connection for what comes later.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request: longer than any path and header that clients send.
const MOST_HEAD: usize = 64 << 10;

/// The wait after a failed accept: the process has no file left, and needs time to close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` ends and the requests in progress are answered. A client never waits for
/// others that say nothing: when all connections are taken, the one that has been idle for longest
/// is closed.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(());
    let mut connections = Connections::default();
    let accepting = async {
        loop {
            let stream = accept(&listener).await;
            connections.add(|busy| connection(stream, router.clone(), busy, stopped.clone())).await;
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    drop((listener, stop));
    connections.ended().await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // That client is gone; the next one may be waiting.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    busy: Busy,
    mut stopped: watch::Receiver<()>,
) {
    let router = router
        .layer(axum::middleware::from_fn(move |request, next| busy.clone().answer(request, next)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MOST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        _ = stopped.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
