//! How a thread that waits for records is woken.
//!
//! librdkafka can wait by itself, but nothing can then interrupt it short of the end of its timeout.
//! Here its callback, which fires when an empty queue gets its first event, and a [`Waker`] set the
//! same flag, so a worker waits as long as it likes, costs nothing meanwhile, and stops at once.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A wait is cut into pieces of this length, and the queue looked at in between: the client expects
/// to be polled now and then, and a lost callback would cost no more than this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct State {
    /// The queue went from empty to not empty.
    filled: bool,
    /// Somebody called [`Waker::wake`]; stays until a wait has seen it.
    woken: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The queue may have events.
    Look,
    /// A [`Waker`] was used.
    Woken,
    /// The time is up.
    TimedOut,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue has something. Called on a thread of librdkafka, under its lock.
    pub(crate) fn fill(&self) {
        self.lock().filled = true;
        self.changed.notify_one();
    }

    /// To be called before the queue is emptied: what comes later sets the flag again.
    pub(crate) fn look(&self) {
        self.lock().filled = false;
    }

    /// Waits until the queue has something, a waker was used, or the time is up.
    pub(crate) fn wait(&self, deadline: Instant) -> Waited {
        let mut state = self.lock();
        if !state.filled && !state.woken {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Waited::TimedOut;
            }
            let wait = left.min(LONGEST_WAIT);
            state =
                self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        if std::mem::take(&mut state.woken) { Waited::Woken } else { Waited::Look }
    }
}

/// Wakes one consumer or tail out of its poll, from any thread. Cheap to clone.
///
/// A wake that comes while nobody waits ends the next wait.
#[derive(Debug, Clone)]
pub struct Waker(pub(crate) Arc<Signal>);

impl Waker {
    /// Ends the wait of the present poll, or of the next one.
    pub fn wake(&self) {
        self.0.lock().woken = true;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_wait_is_not_lost_and_counts_once() {
        let signal = Arc::new(Signal::default());
        Waker(Arc::clone(&signal)).wake();
        signal.look();
        assert_eq!(signal.wait(Instant::now() + Duration::from_secs(60)), Waited::Woken);
        assert_eq!(signal.wait(Instant::now()), Waited::TimedOut);
    }

    #[test]
    fn a_queue_that_fills_after_the_look_ends_the_wait() {
        let signal = Arc::new(Signal::default());
        signal.look();
        signal.fill();
        assert_eq!(signal.wait(Instant::now() + Duration::from_secs(60)), Waited::Look);
    }

    #[test]
    fn a_waiting_thread_is_woken_by_another_one() {
        let signal = Arc::new(Signal::default());
        let waker = Waker(Arc::clone(&signal));
        std::thread::scope(|scope| {
            scope.spawn(move || waker.wake());
            let end = Instant::now() + Duration::from_secs(60);
            while signal.wait(end) != Waited::Woken {}
        });
    }
}
