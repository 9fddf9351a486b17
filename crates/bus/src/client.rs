//! What every Kafka client of a bus has in common: its configuration, its log, its last error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::options::BusOptions;

/// Lines of one client's log in a [`WINDOW`]; a broken network makes hundreds of them a second.
const LINES: u32 = 20;
/// The time in which [`LINES`] are let through.
const WINDOW: Duration = Duration::from_secs(10);

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
    unlimited: bool,
    window: Mutex<Window>,
    last_error: Mutex<Option<String>>,
    /// When the connection to a broker last failed.
    lost: Mutex<Option<Instant>>,
    events: AtomicU64,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    held_back: u64,
}

impl ClientLog {
    pub(crate) fn new(name: impl Into<String>, options: &BusOptions) -> Self {
        Self {
            name: name.into(),
            unlimited: options.debug.is_some(),
            window: Mutex::new(Window { began: Instant::now(), lines: 0, held_back: 0 }),
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

    /// Whether one more line may be written, and how many were held back before it.
    fn admit(&self, now: Instant) -> Option<u64> {
        if self.unlimited {
            return Some(0);
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(window.began) >= WINDOW {
            let held_back = window.held_back;
            *window = Window { began: now, lines: 1, held_back: 0 };
            return Some(held_back);
        }
        if window.lines == LINES {
            window.held_back += 1;
            return None;
        }
        window.lines += 1;
        Some(0)
    }

    fn note_held_back(&self, held_back: u64) {
        if held_back > 0 {
            tracing::info!(client = self.name, held_back, "lines of the client's log held back");
        }
    }
}

impl ClientContext for ClientLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.event();
        let Some(held_back) = self.admit(Instant::now()) else { return };
        self.note_held_back(held_back);
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
        let Some(held_back) = self.admit(Instant::now()) else { return };
        self.note_held_back(held_back);
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
    fn a_storm_of_lines_is_held_back_and_counted() {
        let log = ClientLog::new("c", &BusOptions::new("a:1", "http://a"));
        let now = Instant::now();
        assert_eq!((0..100).filter_map(|_| log.admit(now)).count(), LINES as usize);
        assert_eq!(log.admit(now + WINDOW), Some(80));
        assert_eq!(log.admit(now + WINDOW), Some(0));
    }

    #[test]
    fn the_last_error_is_kept_and_the_end_of_a_partition_is_none() {
        let log = ClientLog::new("c", &BusOptions::new("a:1", "http://a"));
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
