//! The addresses of a running process, for commands in other terminals: `running.json` in the data
//! folder, written when everything listens.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use throughline_bus::{Bus, BusOptions, LEAST_MEMORY};
use throughline_config::{Bus as BusConfig, Config};

use crate::exit::{Exit, Fail, Failure};

/// A listener on this machine answers at once.
const ANSWER: Duration = Duration::from_secs(1);

/// What runs on a data folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The process that serves the bus.
    pub(crate) pid: u32,
    /// The broker.
    pub(crate) kafka: SocketAddr,
    /// The registry.
    pub(crate) registry: String,
    /// Metrics and health.
    pub(crate) metrics: Option<SocketAddr>,
}

fn file(data: &Path) -> PathBuf {
    data.join("running.json")
}

impl Running {
    /// Writes the file; a reader sees the old one or the new one.
    pub(crate) fn write(&self, data: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).exit(Exit::Internal)?;
        let temporary = data.join("running.json.new");
        let written = std::fs::write(&temporary, text);
        written.and_then(|()| std::fs::rename(&temporary, file(data))).map_err(|error| {
            let path = temporary.display();
            let text = format!(
                "TL9030: could not write {path}: {error}; free some disk space, or let this user \
                 write there, and start again"
            );
            Failure::new(Exit::Unavailable, text)
        })
    }

    /// Removes the file at the end of a drain. One that stays behind a crash does no harm: nothing
    /// answers at its addresses.
    pub(crate) fn remove(data: &Path) {
        if let Err(error) = std::fs::remove_file(file(data)) {
            tracing::debug!(%error, "running.json could not be removed");
        }
    }

    /// Whether the bus answers; the file may be that of a process that crashed.
    pub(crate) fn answers(&self) -> bool {
        TcpStream::connect_timeout(&self.kafka, ANSWER).is_ok()
    }

    pub(crate) fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(file(data)).ok()?).ok()
    }
}

/// Where the bus of a configuration is, for a command that does not start one.
pub(crate) fn bus_options(config: &Config) -> Result<BusOptions, Failure> {
    let options = match &config.bus {
        BusConfig::Kafka { brokers, registry } => BusOptions::new(brokers.join(","), registry),
        BusConfig::Embedded(_) => {
            let running = Running::read(&config.data).ok_or_else(|| {
                Failure::new(
                    Exit::Unavailable,
                    format!(
                        "TL9002: nothing runs on {}; start it with `throughline up`, or with \
                         `throughline run bus` when its workers run on their own",
                        config.data.display()
                    ),
                )
            })?;
            BusOptions::new(running.kafka.to_string(), running.registry)
        }
    };
    Ok(BusOptions { memory: worker_memory(config), ..options })
}

/// Bytes for the queues of each worker, whatever the number of workers.
pub(crate) fn worker_memory(config: &Config) -> usize {
    config.worker_memory().as_usize().max(LEAST_MEMORY)
}

/// Connects to the bus of a configuration.
pub(crate) fn connect(config: &Config) -> Result<Bus, Failure> {
    Bus::connect(bus_options(config)?).exit(Exit::Unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_written_are_told_with_their_place() {
        let data = tempfile::tempdir().unwrap();
        let bus = SocketAddr::from(([127, 0, 0, 1], 9));
        let registry = "http://127.0.0.1:8".to_owned();
        let running = Running { pid: 7, kafka: bus, registry, metrics: None };
        running.write(data.path()).unwrap();
        assert_eq!(Running::read(data.path()).unwrap().kafka, bus);
        let taken = data.path().join("running.json.new");
        std::fs::create_dir(&taken).unwrap();
        let error = running.write(data.path()).unwrap_err().error.unwrap().to_string();
        let told = format!("TL9030: could not write {}: ", taken.display());
        assert!(error.starts_with(&told), "{error}");
    }
}
