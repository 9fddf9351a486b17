//! One signal for everything that runs: drain, then stop.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Tells workers to drain. Cheap to clone; a thread that waits for work waits here, so a drain
/// wakes it at once.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    draining: Mutex<bool>,
    changed: Condvar,
}

impl Shutdown {
    /// A signal that was not given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal.
    pub fn drain(&self) {
        *self.0.draining.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }

    /// Whether it was given.
    pub fn is_draining(&self) -> bool {
        *self.0.draining.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the signal, at most this long; returns whether it was given.
    pub fn wait(&self, limit: Duration) -> bool {
        let draining = self.0.draining.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.changed.wait_timeout_while(draining, limit, |draining| !*draining);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_wakes_a_waiting_thread() {
        let shutdown = Shutdown::new();
        let waiting = shutdown.clone();
        let thread = std::thread::spawn(move || waiting.wait(Duration::from_secs(3600)));
        shutdown.drain();
        assert!(thread.join().unwrap());
        assert!(shutdown.is_draining());
    }

    #[test]
    fn a_wait_ends_by_itself() {
        assert!(!Shutdown::new().wait(Duration::from_millis(1)));
    }
}
