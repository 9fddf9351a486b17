//! The client's queue, taken apart event by event on the caller's thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use throughline_event::PartitionId;

use super::Isolation;
use super::context::GroupContext;
use crate::BusError;
use crate::client::{ClientLog, base_config};
use crate::options::BusOptions;
use crate::signal::Signal;

/// The longest a fetch waits at the broker for the first record. New records end the wait at once;
/// only a partition that joins while a fetch of others is waiting has to wait for its end.
const FETCH_WAIT: Duration = Duration::from_millis(250);

/// The same for a reader that only wants to reach the end: the client tells the end when a fetch
/// came back without records.
const FETCH_WAIT_TO_END: Duration = Duration::from_millis(5);

/// How often a closing consumer is looked at. The library looks every 100 ms.
const CLOSE_POLL: Duration = Duration::from_millis(2);

/// How long a consumer may take to leave its group before the library's own closing takes over.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How soon a client looks again whether its queue has room. The default of a second would leave
/// a fast worker waiting; this costs something only while a slow worker has its queue full.
const FULL_QUEUE_BACKOFF: Duration = Duration::from_millis(10);

/// What a record is taken to cost in the queue. The client counts the bytes of values only, so that
/// keys, headers and its own 400 bytes for each record are bounded by the number of records.
const QUEUED_RECORD: usize = 1_024;

/// How often lag is measured.
const STATISTICS: Duration = Duration::from_secs(5);

/// A consumer whose events are taken one by one.
pub(crate) struct Pump {
    pub(super) consumer: BaseConsumer<GroupContext>,
    pub(super) signal: Arc<Signal>,
}

/// What the queue held next.
pub(crate) enum Next<'a> {
    Message(BorrowedMessage<'a>),
    End(PartitionId),
    Failed(KafkaError),
    Empty,
}

/// The settings that readers with and without a group share.
pub(crate) fn config(options: &BusOptions, group: &str, isolation: Isolation) -> ClientConfig {
    // Half of a worker's memory is for what it writes. The queue overshoots by one fetch.
    let memory = options.memory / 2;
    let (queue, fetch) = (memory / 2, (memory / 2).min(50 << 20));
    let mut config = base_config(options);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", isolation.name())
        .set("check.crcs", "true")
        .set("queued.max.messages.kbytes", (queue >> 10).to_string())
        .set("queued.min.messages", (queue / QUEUED_RECORD).to_string())
        .set("fetch.max.bytes", fetch.to_string())
        .set("max.partition.fetch.bytes", (fetch / 2).to_string())
        .set("fetch.wait.max.ms", FETCH_WAIT.as_millis().to_string())
        .set("fetch.queue.backoff.ms", FULL_QUEUE_BACKOFF.as_millis().to_string())
        .set("fetch.error.backoff.ms", "100");
    if fetch < 1_000_000 {
        // The client wants a fetch to hold one record of the largest size.
        config.set("message.max.bytes", fetch.to_string());
    }
    config
}

/// The settings of a reader that wants to know the end of each partition.
pub(crate) fn with_ends(config: &mut ClientConfig, follow: bool) {
    config.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
    if !follow {
        config.set("fetch.wait.max.ms", FETCH_WAIT_TO_END.as_millis().to_string());
    }
}

/// The settings of a member of a group.
pub(crate) fn with_statistics(config: &mut ClientConfig) {
    config.set("statistics.interval.ms", STATISTICS.as_millis().to_string());
}

impl Pump {
    pub(crate) fn new(config: &ClientConfig, name: &str) -> Result<Self, BusError> {
        let context = GroupContext::new(ClientLog::new(name));
        let mut consumer: BaseConsumer<GroupContext> = config
            .create_with_context(context)
            .map_err(|cause| BusError::Client { name: name.to_owned(), cause: Box::new(cause) })?;
        let signal = Arc::new(Signal::default());
        consumer.set_nonempty_callback({
            let signal = Arc::clone(&signal);
            move || signal.fill()
        });
        Ok(Self { consumer, signal })
    }

    pub(crate) fn consumer(&self) -> &BaseConsumer<GroupContext> {
        &self.consumer
    }

    pub(crate) fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// The next event that is in the queue. Stops early when a rebalance was asked for.
    pub(crate) fn next(&self) -> Next<'_> {
        let context = self.consumer.context();
        loop {
            if context.has_change() {
                return Next::Empty;
            }
            let before = context.log().events();
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => return Next::Message(message),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    return Next::End(PartitionId(partition));
                }
                Some(Err(error)) => return Next::Failed(error),
                // Nothing, or an event that was handled in a callback: there may be more behind it.
                None if context.log().events() == before => return Next::Empty,
                None => {}
            }
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.consumer.context().close();
        if let Err(error) = self.consumer.close_queue() {
            tracing::warn!(error = %error, "could not close a consumer");
            return;
        }
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while !self.consumer.closed() && Instant::now() < deadline {
            drop(self.consumer.poll(CLOSE_POLL));
        }
    }
}
