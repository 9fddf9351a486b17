//! Starting and stopping the registry.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use throughline_telemetry::http;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::{self, Api};
use crate::error::StartError;
use crate::options::RegistryOptions;
use crate::state::State;
use crate::store::Store;

/// How long requests in progress may take to end; the log's slowest append fits.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The schema registry as a service.
#[derive(Debug, Clone, Copy)]
pub struct Registry;

impl Registry {
    /// Reads the log, listens, and answers from then on in a task that the handle owns.
    ///
    /// # Errors
    ///
    /// [`StartError`] if an option is not allowed, the log cannot be read, or the address is taken.
    pub async fn start(options: RegistryOptions) -> Result<RegistryHandle, StartError> {
        options.validate()?;
        let RegistryOptions { listen, log, default_compatibility, max_body_bytes } = options;
        let store = Store::load(log, default_compatibility)
            .await
            .map_err(|source| StartError::Load { source })?;
        let bind = |source| StartError::Bind { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let subjects = store.read(State::subject_count);
        let (stop, mut stopped) = watch::channel(());
        let router = api::router(Arc::new(Api { store, max_body_bytes }));
        let stopping = async move { _ = stopped.changed().await };
        let task = tokio::spawn(http::serve(listener, router, stopping));
        tracing::info!(%address, subjects, "schema registry is ready");
        Ok(RegistryHandle { address, stop, task })
    }
}

/// A running registry. Dropping it stops the registry without waiting.
pub struct RegistryHandle {
    address: SocketAddr,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl RegistryHandle {
    /// Where it listens; the port is a real one even if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients are given as the registry's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting, lets requests in progress finish, and returns when all is quiet.
    ///
    /// Idle connections are closed. A client that stops in mid-request is cut off after a while.
    pub async fn shutdown(mut self) {
        _ = self.stop.send(());
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut self.task).await.is_err() {
            tracing::warn!("cut off schema registry connections that did not end");
            self.task.abort();
        }
    }
}

impl std::fmt::Debug for RegistryHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RegistryHandle").field("address", &self.address).finish()
    }
}
