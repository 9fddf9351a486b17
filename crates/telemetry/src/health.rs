//! Which workers turn, and which are ready.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The health of all workers of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health {
    hearts: Arc<Mutex<Vec<Weak<Heart>>>>,
    started: Instant,
}

/// The health of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerState {
    /// Its name.
    pub name: String,
    /// How long ago its loop turned last.
    pub silent: Duration,
    /// Whether it does its work.
    pub ready: bool,
    /// Whether its source had nothing more at the last look; only producers say so.
    pub caught_up: bool,
}

/// What one worker says about itself.
#[derive(Debug)]
pub(crate) struct Heart {
    name: String,
    started: Instant,
    /// Milliseconds from `started` to the last beat.
    last: AtomicU64,
    ready: AtomicBool,
    caught_up: AtomicBool,
}

impl Heart {
    pub(crate) fn beat(&self) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    pub(crate) fn caught_up(&self, caught_up: bool) {
        self.caught_up.store(caught_up, Ordering::Release);
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { hearts: Arc::default(), started: Instant::now() }
    }
}

impl Health {
    /// A new worker; it counts as beating now and as not ready.
    pub(crate) fn join(&self, name: &str) -> Arc<Heart> {
        let heart = Arc::new(Heart {
            name: name.to_owned(),
            started: self.started,
            last: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            caught_up: AtomicBool::new(false),
        });
        heart.beat();
        let mut hearts = self.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        hearts.retain(|heart| heart.strong_count() > 0);
        hearts.push(Arc::downgrade(&heart));
        heart
    }

    /// The workers that still run, by name.
    pub fn workers(&self) -> Vec<WorkerState> {
        let now = self.started.elapsed();
        let hearts = self.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut workers: Vec<_> = hearts
            .iter()
            .filter_map(Weak::upgrade)
            .map(|heart| WorkerState {
                name: heart.name.clone(),
                silent: now
                    .saturating_sub(Duration::from_millis(heart.last.load(Ordering::Relaxed))),
                ready: heart.ready.load(Ordering::Relaxed),
                caught_up: heart.caught_up.load(Ordering::Acquire),
            })
            .collect();
        workers.sort_by(|a, b| a.name.cmp(&b.name));
        workers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_beat_grows_silent_until_it_does() {
        let health = Health::default();
        let heart = health.join("lake");
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(health.workers()[0].silent, Duration::from_secs(40));
        heart.beat();
        assert_eq!(health.workers()[0].silent, Duration::ZERO);
    }

    #[test]
    fn a_worker_that_ended_is_not_reported() {
        let health = Health::default();
        let lake = health.join("lake");
        drop(health.join("shop"));
        lake.ready(true);
        let workers = health.workers();
        assert_eq!(workers.len(), 1);
        assert!(workers[0].ready && workers[0].name == "lake");
    }
}
