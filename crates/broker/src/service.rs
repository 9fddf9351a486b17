//! Starting and stopping.

use std::{net::SocketAddr, sync::Arc};

use throughline_log::{LogDir, LogOptions};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    blocking::blocking,
    catalogue::{Catalogue, OFFSETS_TOPIC, TRANSACTIONS_TOPIC},
    core::Core,
    error::StartError,
    group::Groups,
    local::LocalLog,
    maintenance,
    metrics::Metrics,
    net::listener,
    options::BrokerOptions,
    transaction::Transactions,
};

/// The broker.
#[derive(Debug)]
pub struct Broker;

impl Broker {
    /// Opens the data folder, finishes what a crash interrupted, and listens. When this returns,
    /// clients are served.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: BrokerOptions) -> Result<BrokerHandle, StartError> {
        options.validate()?;
        let metrics = Arc::new(Metrics::new(&options.metrics)?);
        let log = open(&options).await?;
        match Self::serve(options, metrics, log.clone()).await {
            Ok(handle) => Ok(handle),
            Err(error) => {
                // The lock must be free again for the next attempt.
                close(log).await;
                Err(error)
            }
        }
    }

    async fn serve(
        options: BrokerOptions,
        metrics: Arc<Metrics>,
        log: LogDir,
    ) -> Result<BrokerHandle, StartError> {
        let core = load(options, metrics, log).await?;
        let listen = core.options.listen;
        let bind = |source| StartError::Bind { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let core = Arc::new(Core { port: address.port(), ..core });
        let (stop, shutdown) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(listener::accept(Arc::clone(&core), listener, shutdown.clone()));
        tasks.spawn(maintenance::run(Arc::clone(&core), shutdown.clone()));
        let (timers, stopped) = (Arc::clone(&core), shutdown.clone());
        tasks.spawn(async move { timers.groups.run_timers(stopped).await });
        let timers = Arc::clone(&core);
        tasks.spawn(async move { timers.transactions.run_timers(shutdown).await });
        tracing::info!(%address, folder = %core.options.data_dir.display(), "broker is listening");
        Ok(BrokerHandle { core, address, stop, tasks })
    }
}

/// Opening reads the log, so it happens on a thread that may block.
async fn open(options: &BrokerOptions) -> Result<LogDir, StartError> {
    let log_options = LogOptions { flush: options.flush, ..LogOptions::default() };
    let (folder, files) = (options.data_dir.clone(), Arc::clone(&options.files));
    Ok(blocking(move || LogDir::open(&folder, log_options, files)).await??)
}

async fn close(log: LogDir) {
    if let Err(error) = blocking(move || log.close()).await {
        tracing::warn!(%error, "could not close the log; the next start recovers it");
    }
}

async fn load(
    options: BrokerOptions,
    metrics: Arc<Metrics>,
    log: LogDir,
) -> Result<Core, StartError> {
    let failed = |what| move |source| StartError::load(what, source);
    let opened = log.clone();
    let catalogue = blocking(move || Catalogue::open(opened)).await?;
    let catalogue = Arc::new(catalogue?);
    let initialized = catalogue.initialize().await;
    initialized.map_err(|source| StartError::load("the topic catalogue", source))?;
    let partition = |topic| {
        let missing = || StartError::load("the topic catalogue", format!("{topic} is missing"));
        catalogue.partition(topic, 0).ok_or_else(missing)
    };
    let (offsets, states) = (partition(OFFSETS_TOPIC)?, partition(TRANSACTIONS_TOPIC)?);
    let (group_options, group_metrics) = (options.clone(), Arc::clone(&metrics));
    let kept = Arc::clone(&offsets);
    let groups = blocking(move || Groups::load(kept, &group_options, group_metrics)).await?;
    let groups = Arc::new(groups.map_err(failed("the consumer groups"))?);
    let parts = (Arc::clone(&catalogue), Arc::clone(&groups), Arc::clone(&metrics));
    let transactions =
        blocking(move || Transactions::load(states, parts.0, parts.1, parts.2)).await?;
    let transactions = transactions.map_err(failed("the transactions"))?;
    transactions.tell_forgotten(&offsets).map_err(failed("the transactions"))?;
    transactions.recover().await.map_err(|source| StartError::load("the transactions", source))?;
    transactions.end_hanging().await.map_err(failed("the transactions"))?;
    let host = options.advertised_host.clone();
    Ok(Core {
        host: host.unwrap_or_else(|| options.listen.ip().to_string()),
        port: 0,
        responses: Arc::new(Semaphore::new(options.in_flight_bytes)),
        options,
        log,
        catalogue,
        groups,
        transactions,
        metrics,
    })
}

/// A running broker. Dropping it stops the broker without waiting; the log recovers at the next
/// start.
#[derive(Debug)]
pub struct BrokerHandle {
    pub(crate) core: Arc<Core>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl BrokerHandle {
    /// Where the broker listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The log for code in this process.
    pub fn local(&self) -> LocalLog {
        LocalLog::new(Arc::clone(&self.core))
    }

    /// Stops accepting, ends the connections, and closes the log so that the next start reads
    /// nothing. What was acknowledged is durable already.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the broker failed");
            }
        }
        close(self.core.log.clone()).await;
        tracing::info!(address = %self.address, "broker has stopped");
    }
}
