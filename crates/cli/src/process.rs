//! A running process: the embedded bus, the metrics server, the workers, and their end.

mod signals;

use std::net::SocketAddr;
use std::time::Duration;

use throughline_broker::FlushPolicy;
use throughline_bus::embedded::{self, Embedded, EmbeddedOptions};
use throughline_bus::{Bus, BusOptions, Recovery};
use throughline_config::{Bus as BusConfig, Config, Flush};
use throughline_runtime::{
    Host, ProcessorOptions, Shutdown, Supervisor, Worker, WorkerState, WorkerStatus,
};
use throughline_telemetry::{Metrics, MetricsServer, Options as MetricsOptions};
use tokio::runtime::Runtime;

use crate::args::Part;
use crate::exit::{Exit, Fail, Failure};
use crate::flow::{Flow, folders};
use crate::output;
use crate::running::{self, Running};
use signals::Signals;

/// Partitions of topics that a process creates, where the entity allows more than one.
pub(crate) const PARTITIONS: i32 = 1;

/// More of a producer's state is not kept in memory: the system's own cache does as well.
const MOST_STATE: usize = 64 << 20;

/// The first wait for a bus that does not answer.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest: one that was away for hours is found again within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A process that serves a flow or a part of it.
pub(crate) struct Process {
    runtime: Runtime,
    signals: Signals,
    embedded: Option<Embedded>,
    supervisor: Supervisor,
    shutdown: Shutdown,
    metrics: Metrics,
    bus: Bus,
    metrics_address: Option<SocketAddr>,
    served: Option<Running>,
    data: std::path::PathBuf,
}

/// What of a flow runs in this process.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// Everything.
    All,
    /// One part.
    Part(Part),
}

impl Process {
    /// Starts everything in scope.
    pub(crate) fn start(flow: &Flow, scope: &Scope) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("throughline")
            .enable_all()
            .build()
            .exit(Exit::Internal)?;
        let mut signals = Signals::listen(&runtime).exit(Exit::Internal)?;
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
        let config = &flow.config;
        let embedded = match (&config.bus, scope) {
            (BusConfig::Embedded(options), Scope::All | Scope::Part(Part::Bus)) => {
                let options = EmbeddedOptions {
                    kafka: options.kafka,
                    registry: options.registry,
                    flush: match options.flush {
                        Flush::EveryAck => FlushPolicy::EveryAck,
                        Flush::PageCache => FlushPolicy::PageCache,
                    },
                    metrics: metrics.registry().clone(),
                    ..EmbeddedOptions::new(config.data.join(folders::BUS))
                };
                Some(runtime.block_on(embedded::start(options)).exit(Exit::Unavailable)?)
            }
            (BusConfig::Kafka { .. }, Scope::Part(Part::Bus)) => {
                let message =
                    "TL9003: `run bus` serves the embedded bus, and `bus:` names a cluster";
                return Err(Failure::new(Exit::Config, message));
            }
            _ => None,
        };
        let metrics_address = serve_metrics(&runtime, config, &metrics, scope)?;
        let memory = running::worker_memory(config);
        let bus = match &embedded {
            Some(bus) => {
                let (kafka, registry) = (bus.kafka_address().to_string(), bus.registry_url());
                Bus::connect(BusOptions { memory, ..BusOptions::new(kafka, registry) })
                    .exit(Exit::Unavailable)?
            }
            None => connect(&runtime, &mut signals, config)?,
        };
        let shutdown = Shutdown::new();
        let host = Host {
            bus: bus.clone(),
            metrics: metrics.clone(),
            shutdown: shutdown.clone(),
            state: config.data.join(folders::STATE),
            instance: "0".to_owned(),
            state_bytes: memory.min(MOST_STATE),
            batch_bytes: (memory / 4).clamp(64 << 10, 4 << 20),
            partitions: PARTITIONS,
        };
        let supervisor = Supervisor::start(workers(flow, scope, &host)?, shutdown.clone())
            .exit(Exit::Internal)?;
        let served = embedded.as_ref().map(|bus| Running {
            pid: std::process::id(),
            kafka: bus.kafka_address(),
            registry: bus.registry_url(),
            metrics: metrics_address,
        });
        if let Some(served) = &served {
            served.write(&config.data)?;
        }
        Ok(Self {
            runtime,
            signals,
            embedded,
            supervisor,
            shutdown,
            metrics,
            metrics_address,
            bus,
            served,
            data: config.data.clone(),
        })
    }

    /// Where the bus listens, when this process serves it.
    pub(crate) fn served(&self) -> Option<&Running> {
        self.served.as_ref()
    }

    /// Where metrics and health are, when they are served.
    pub(crate) fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The metrics of this process.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The bus.
    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// What the workers are doing.
    pub(crate) fn status(&self) -> Vec<WorkerStatus> {
        self.supervisor.status()
    }

    /// Waits for SIGTERM or Ctrl-C, at most this long; returns whether one came.
    pub(crate) fn signalled(&mut self, limit: Duration) -> bool {
        self.signals.within(&self.runtime, limit)
    }

    /// Drains the workers, then closes the bus. A second signal ends the process at once.
    pub(crate) fn drain(self) -> Result<(), Failure> {
        self.shutdown.drain();
        let mut signals = self.signals;
        self.runtime.spawn(async move {
            signals.next().await;
            output::note("second signal: ending without draining; the next start recovers");
            std::process::exit(143);
        });
        let halted: Vec<_> = self.supervisor.join().into_iter().filter(is_halted).collect();
        if let Some(embedded) = self.embedded {
            self.runtime.block_on(embedded.shutdown());
            Running::remove(&self.data);
        }
        match halted.first() {
            None => Ok(()),
            Some(WorkerStatus { name, role, state: WorkerState::Halted { error }, .. }) => {
                Err(Failure::new(Exit::Findings, format!("{role} {name} had halted: {error}")))
            }
            Some(_) => Ok(()),
        }
    }
}

pub(crate) fn is_halted(status: &WorkerStatus) -> bool {
    matches!(status.state, WorkerState::Halted { .. })
}

/// Reaches a bus that runs elsewhere. Processes start in any order and a bus is restarted: one that
/// does not answer is waited for, as the workers wait for it later on.
fn connect(runtime: &Runtime, signals: &mut Signals, config: &Config) -> Result<Bus, Failure> {
    let mut wait = FIRST_WAIT;
    loop {
        // Read again each time: an embedded bus may come back at another address.
        let options = running::bus_options(config)?;
        let error = match Bus::connect(options) {
            Ok(bus) => return Ok(bus),
            Err(error) => error,
        };
        if error.recovery() == Recovery::Retry {
            tracing::warn!(
                error = throughline_runtime::chain(&error),
                wait_ms = wait.as_millis(),
                "the bus was not reached and will be tried again"
            );
            if !signals.within(runtime, wait) {
                wait = (wait * 2).min(LONGEST_WAIT);
                continue;
            }
        }
        return Err(error).exit(Exit::Unavailable);
    }
}

/// Serves metrics at the configured address; parts of one flow on one machine take any free port.
fn serve_metrics(
    runtime: &Runtime,
    config: &Config,
    metrics: &Metrics,
    scope: &Scope,
) -> Result<Option<SocketAddr>, Failure> {
    let address = match scope {
        Scope::All | Scope::Part(Part::Bus) => config.metrics,
        Scope::Part(_) => SocketAddr::new(config.metrics.ip(), 0),
    };
    let server = MetricsServer::bind(MetricsOptions::new(address), metrics.clone());
    let server = runtime.block_on(server).exit(Exit::Unavailable)?;
    let address = server.address();
    runtime.spawn(server.run(std::future::pending()));
    Ok(Some(address))
}

fn workers(flow: &Flow, scope: &Scope, host: &Host) -> Result<Vec<Worker>, Failure> {
    let wanted = |role: &str, name: &str| match scope {
        Scope::All => true,
        Scope::Part(Part::Bus) => false,
        Scope::Part(Part::Producer { name: one }) => role == "producer" && one == name,
        Scope::Part(Part::Processor { name: one }) => role == "processor" && one == name,
        Scope::Part(Part::Sink { name: one }) => role == "sink" && one == name,
    };
    let mut workers = Vec::new();
    for planned in flow.producers.iter().filter(|p| wanted("producer", p.name.as_str())) {
        let cx = planned.context(flow);
        workers.push(planned.known().worker(planned.options.clone(), cx, host.clone()));
    }
    for planned in flow.processors.iter().filter(|p| wanted("processor", p.name.as_str())) {
        let processor = planned.normalizer.clone();
        let options = ProcessorOptions { name: planned.name.clone(), processor };
        workers.push(options.worker(host.clone()));
    }
    for planned in flow.sinks.iter().filter(|p| wanted("sink", p.name.as_str())) {
        let cx = planned.context(flow);
        workers.push(planned.known().worker(planned.options.clone(), cx, host.clone()));
    }
    match scope {
        Scope::Part(part) if workers.is_empty() && !matches!(part, Part::Bus) => {
            Err(unknown_part(flow, part))
        }
        _ => Ok(workers),
    }
}

fn unknown_part(flow: &Flow, part: &Part) -> Failure {
    let (role, name, known): (_, _, Vec<&str>) = match part {
        Part::Bus => ("bus", "", Vec::new()),
        Part::Producer { name } => {
            ("producer", name.as_str(), flow.producers.iter().map(|p| p.name.as_str()).collect())
        }
        Part::Processor { name } => {
            ("processor", name.as_str(), flow.processors.iter().map(|p| p.name.as_str()).collect())
        }
        Part::Sink { name } => {
            ("sink", name.as_str(), flow.sinks.iter().map(|p| p.name.as_str()).collect())
        }
    };
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Failure::new(
        Exit::Usage,
        format!("TL9004: there is no {role} {name:?} in the configuration; it has: {known}"),
    )
}
