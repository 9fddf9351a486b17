//! What every Kafka client of a bus has in common: its configuration, its log, its last error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::options::BusOptions;

/// The settings that do not depend on what the client is for.
pub(crate) fn base_config(options: &BusOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", &options.client_id)
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        // A topic is created by `ensure_topic` with the right settings, or not at all.
        .set("allow.auto.create.topics", "false")
        // A broker that comes back is found again within two seconds, not ten.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "2000")
        // Idle connections are closed by brokers as a matter of course.
        .set("log.connection.close", "false")
        // Otherwise the client asks every broker for a metrics subscription.
        .set("enable.metrics.push", "false");
    config.set_log_level(RDKafkaLogLevel::Notice);
    if let Some(contexts) = &options.debug {
        config.set("debug", contexts).set_log_level(RDKafkaLogLevel::Debug);
    }
    config
}

/// Receives what a client has to say: log lines, errors, and the number of events it was given.
#[derive(Debug)]
pub(crate) struct ClientLog {
    name: String,
    last_error: Mutex<Option<String>>,
    /// When the connection to a broker last failed.
    lost: Mutex<Option<Instant>>,
    events: AtomicU64,
}

impl ClientLog {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            last_error: Mutex::new(None),
            lost: Mutex::new(None),
            events: AtomicU64::new(0),
        }
    }

    /// What the client last complained of.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a connection failed within this time.
    pub(crate) fn lost_within(&self, time: Duration) -> bool {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_some_and(|at| at.elapsed() < time)
    }

    /// How many callbacks were made; tells a poll that found nothing from one that handled an event.
    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Notes that a callback was made.
    pub(crate) fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for ClientLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.event();
        use RDKafkaLogLevel as Level;
        match level {
            Level::Emerg | Level::Alert | Level::Critical | Level::Error | Level::Warning => {
                tracing::warn!(client = self.name, facility, "{line}");
            }
            Level::Notice | Level::Info => {
                tracing::info!(client = self.name, facility, "{line}");
            }
            Level::Debug => tracing::debug!(client = self.name, facility, "{line}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.event();
        // The end of a partition is told as an error; it is none.
        if error.rdkafka_error_code() == Some(Code::PartitionEOF) {
            return;
        }
        if matches!(
            error.rdkafka_error_code(),
            Some(Code::BrokerTransportFailure | Code::AllBrokersDown)
        ) {
            *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        tracing::warn!(client = self.name, error = %error, "{reason}");
    }

    fn stats_raw(&self, _statistics: &[u8]) {
        self.event();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_kept_and_the_end_of_a_partition_is_none() {
        let log = ClientLog::new("c");
        log.error(KafkaError::Global(Code::PartitionEOF), "end");
        assert_eq!(log.last_error(), None);
        log.error(KafkaError::Global(Code::FencedInstanceId), "fenced");
        assert!(!log.lost_within(Duration::MAX));
        log.error(KafkaError::Global(Code::BrokerTransportFailure), "refused");
        assert_eq!(log.last_error().as_deref(), Some("refused"));
        assert!(log.lost_within(Duration::MAX) && !log.lost_within(Duration::ZERO));
        assert_eq!(log.events(), 3);
    }
}
