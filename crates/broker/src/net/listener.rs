//! Accepts connections and owns their tasks.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{core::Core, metrics::Refusal};

use super::connection;

/// Pause after a failed accept, which is almost always "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `shutdown`, then waits for every connection to end.
pub(crate) async fn accept(
    core: Arc<Core>,
    listener: TcpListener,
    mut shutdown: watch::Receiver<bool>,
) {
    let budget = Arc::new(Semaphore::new(core.options.in_flight_bytes));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                note_end(&core, ended);
                continue;
            }
            _ = shutdown.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, address)) if connections.len() < core.options.max_connections => {
                core.metrics.connections.inc();
                let (core, budget) = (Arc::clone(&core), Arc::clone(&budget));
                let shutdown = shutdown.clone();
                connections.spawn(connection::serve(core, stream, address, budget, shutdown));
            }
            Ok((_, address)) => {
                core.metrics.refuse(Refusal::Connections);
                tracing::warn!(client = %address, "closed a connection: too many");
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        note_end(&core, ended);
    }
}

fn note_end(core: &Core, ended: Result<(), tokio::task::JoinError>) {
    core.metrics.connections.dec();
    if ended.is_err_and(|error| error.is_panic()) {
        core.metrics.refuse(Refusal::Internal);
        tracing::error!("a handler panicked; its connection was closed");
    }
}
