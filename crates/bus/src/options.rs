//! What decides how a bus is reached, and the memory that its clients may use.

use std::time::Duration;

use crate::BusError;

/// Memory for the queues of one worker when nobody says otherwise: enough for the fetch of the next
/// batch while one is worked on, small enough for dozens of workers in a process.
pub const DEFAULT_MEMORY: usize = 64 << 20;

/// The least of [`BusOptions::memory`]: below it a client cannot hold two of the largest records.
pub const LEAST_MEMORY: usize = 4 << 20;

/// How long `connect` waits for the first answer.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a transaction may be open when nobody says otherwise: what a worker leaves behind when
/// it dies hides what follows from readers for no longer.
pub const DEFAULT_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// How a bus is reached.
#[derive(Debug, Clone)]
pub struct BusOptions {
    /// Addresses of brokers: `host:port`, separated by commas.
    pub brokers: String,
    /// Base address of the schema registry: `http://host:port`, with a path where it has one.
    pub registry: String,
    /// Bytes for the queues of one worker: half for what it reads, half for what it writes.
    pub memory: usize,
    /// The name of this process in the broker's log and metrics.
    pub client_id: String,
    /// How long `connect` and calls about topics wait for an answer.
    pub timeout: Duration,
    /// The broker ends a transaction that is open for longer. Also how long a record may take.
    pub transaction_timeout: Duration,
    /// librdkafka's debug contexts, `cgrp,fetch`; logged at DEBUG. For finding faults only.
    pub debug: Option<String>,
}

impl BusOptions {
    /// The defaults for these addresses.
    pub fn new(brokers: impl Into<String>, registry: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            registry: registry.into(),
            memory: DEFAULT_MEMORY,
            client_id: "throughline".to_owned(),
            timeout: DEFAULT_CONNECT_TIMEOUT,
            transaction_timeout: DEFAULT_TRANSACTION_TIMEOUT,
            debug: None,
        }
    }

    /// Refuses what cannot work, before anything is reached.
    pub(crate) fn validate(&self) -> Result<(), BusError> {
        let wrong = |option, problem: String, fix| Err(BusError::Options { option, problem, fix });
        let address = |text: &str| {
            text.trim().rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            })
        };
        if !self.brokers.split(',').all(address) {
            let problem = format!("{:?} is not a list of addresses", self.brokers);
            return wrong("bus.brokers", problem, "write host:port, separated by commas");
        }
        if !self.registry.starts_with("http://") {
            let problem = format!("{:?} is not an http address", self.registry);
            return wrong("bus.registry", problem, "write http://host:port");
        }
        if self.memory < LEAST_MEMORY {
            let problem = format!("{} bytes are too few", self.memory);
            return wrong("bus.memory", problem, "give each worker at least 4MiB");
        }
        if self.client_id.is_empty() || self.client_id.contains('\0') {
            let problem = format!("{:?} is not a name", self.client_id);
            return wrong("bus.client_id", problem, "give the process a name");
        }
        Ok(())
    }
}

/// The registry's address without the slash that people write at its end.
pub(crate) fn base_url(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut BusOptions)) -> String {
        let mut options = BusOptions::new("localhost:9092,[::1]:9093", "http://localhost:8081");
        options.validate().unwrap();
        change(&mut options);
        options.validate().unwrap_err().to_string()
    }

    #[test]
    fn an_option_that_cannot_work_is_named_with_its_fix() {
        for brokers in ["", "localhost", "localhost:", ":9092", "a:1,", "a:b", "a:0"] {
            let error = refused(|options| options.brokers = brokers.to_owned());
            assert!(
                error.contains("TL0501: bus.brokers") && error.contains("host:port"),
                "{error}"
            );
        }
        let error = refused(|options| options.registry = "https://x".to_owned());
        assert!(error.contains("bus.registry") && error.contains("http://host:port"), "{error}");
        let error = refused(|options| options.memory = 1 << 20);
        assert!(error.contains("bus.memory") && error.contains("4MiB"), "{error}");
        let error = refused(|options| options.client_id.clear());
        assert!(error.contains("bus.client_id"), "{error}");
    }
}
