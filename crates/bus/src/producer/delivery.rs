//! Delivery reports: how many are outstanding, what failed, where the records went, and the thread
//! that serves them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, ProducerContext};
use throughline_event::{Offset, PartitionId, TopicPartition};

use crate::client::ClientLog;
use crate::decode::topic_name;

/// How long one poll of the client lasts while reports are expected. Each is handled when it comes,
/// but the library looks at the queue without pause in the last millisecond of a poll: shorter polls
/// would cost more, longer ones would delay the end of the thread.
const BUSY_POLL: Duration = Duration::from_millis(100);

/// How often the client's log and errors are looked at while nothing is to be done.
const IDLE_POLL: Duration = Duration::from_secs(1);

/// The first record that was not written.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) topic: String,
    pub(super) code: RDKafkaErrorCode,
}

#[derive(Debug, Default)]
struct State {
    /// Records given to the client whose report has not come.
    outstanding: u64,
    /// The producer's thread waits until no more than these are outstanding.
    wake_at: Option<u64>,
    failure: Option<Failure>,
    next: Vec<(TopicPartition, Offset)>,
    /// Reports are expected although none is outstanding: the client purges its queue.
    purging: bool,
    stopped: bool,
}

#[derive(Debug)]
pub(super) struct DeliveryContext {
    log: ClientLog,
    state: Mutex<State>,
    /// So many reports have come as the producer's thread waits for.
    progress: Condvar,
    /// The serving thread has something to do.
    work: Condvar,
}

impl DeliveryContext {
    pub(super) fn new(log: ClientLog) -> Self {
        Self { log, state: Mutex::default(), progress: Condvar::new(), work: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self) -> &ClientLog {
        &self.log
    }

    /// One more record is about to be given to the client.
    pub(super) fn sending(&self) {
        let mut state = self.lock();
        state.outstanding += 1;
        if state.outstanding == 1 {
            self.work.notify_one();
        }
    }

    /// The client did not take it.
    pub(super) fn not_sent(&self) {
        self.lock().outstanding -= 1;
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    /// Forgets the last transaction.
    pub(super) fn reset(&self) {
        let mut state = self.lock();
        state.failure = None;
        state.next.clear();
    }

    /// The offset behind the last record of each partition.
    pub(super) fn take_next(&self) -> Vec<(TopicPartition, Offset)> {
        std::mem::take(&mut self.lock().next)
    }

    /// Waits until at least one report has come, or the time is up. Returns whether one came.
    pub(super) fn wait_for_progress(&self, deadline: Instant) -> bool {
        let state = self.lock();
        let most = state.outstanding.saturating_sub(1);
        self.wait_for(state, most, deadline)
    }

    /// Waits until every report has come, or the time is up. Returns whether all came.
    pub(super) fn wait_for_all(&self, deadline: Instant) -> bool {
        self.wait_for(self.lock(), 0, deadline)
    }

    /// Waits until at most so many reports are outstanding. Only the report that makes it so wakes
    /// the thread: a transaction has thousands, and each wake is a system call.
    fn wait_for(&self, mut state: MutexGuard<'_, State>, most: u64, deadline: Instant) -> bool {
        state.wake_at = Some(most);
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.progress.wait_timeout_while(state, left, |s| s.outstanding > most);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.wake_at = None;
        !waited.timed_out()
    }

    /// Serves reports during the call, which waits for them.
    pub(super) fn while_purging<T>(&self, call: impl FnOnce() -> T) -> T {
        self.lock().purging = true;
        self.work.notify_one();
        let result = call();
        self.lock().purging = false;
        result
    }

    /// Ends [`DeliveryContext::serve`].
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.work.notify_one();
    }

    /// Polls the client until it is stopped; sleeps while no report is expected. The library's own
    /// threaded producer polls all the time, which costs a hundredth of a core for each.
    pub(super) fn serve(&self, producer: &BaseProducer<Self>) {
        loop {
            let state = self.lock();
            let idle =
                |state: &mut State| state.outstanding == 0 && !state.purging && !state.stopped;
            let waited = self.work.wait_timeout_while(state, IDLE_POLL, idle);
            let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.stopped {
                return;
            }
            drop(state);
            producer.poll(if waited.timed_out() { Duration::ZERO } else { BUSY_POLL });
        }
    }

    fn report(&self, topic: &str, partition: i32, result: Result<i64, RDKafkaErrorCode>) {
        let mut state = self.lock();
        state.outstanding = state.outstanding.saturating_sub(1);
        match result {
            Ok(offset) => {
                let next = Offset(offset).next();
                let known = state.next.iter_mut().rev().find(|(known, _)| {
                    known.partition.0 == partition && known.topic.as_str() == topic
                });
                match known {
                    Some((_, known)) => *known = (*known).max(next),
                    None => {
                        let topic = topic_name(topic);
                        let partition = PartitionId(partition);
                        state.next.push((TopicPartition { topic, partition }, next));
                    }
                }
            }
            Err(code) => {
                // The first one is the cause; what follows was purged because of it.
                state.failure.get_or_insert_with(|| Failure { topic: topic.to_owned(), code });
            }
        }
        let wake = state.wake_at.is_some_and(|most| state.outstanding <= most);
        drop(state);
        if wake {
            self.progress.notify_one();
        }
    }
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.log.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => self.report(message.topic(), message.partition(), Ok(message.offset())),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                self.report(message.topic(), message.partition(), Err(code));
            }
        }
    }
}
