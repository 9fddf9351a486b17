//! Which workers turn, and which are ready.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// A worker that failed has recovered when it was ready for so long, had it nothing to do: longer
/// than a step takes that fails by its time limit.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);

/// The health of all workers of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health {
    hearts: Arc<Mutex<Vec<Weak<Heart>>>>,
    /// Workers that start, or that failed and have done nothing since, by name.
    problems: Arc<Mutex<BTreeMap<String, Problem>>>,
    started: Instant,
}

#[derive(Debug)]
struct Problem {
    text: String,
    /// How long the worker has to be ready until it is over; at once when it makes progress.
    over_after: Duration,
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
    /// Why not, when it said so: `failed: TL0514: ...`.
    pub problem: Option<String>,
    /// What is not there of its source, which keeps it from nothing; only producers say so.
    pub missing: Option<String>,
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
    missing: Mutex<Option<String>>,
    /// Milliseconds from `started` to the moment in which it became ready.
    ready_since: AtomicU64,
    /// Whether it finished some work since its last failure.
    progressed: AtomicBool,
}

impl Heart {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    pub(crate) fn ready(&self, ready: bool) {
        if !self.ready.swap(ready, Ordering::Relaxed) {
            self.ready_since.store(self.now(), Ordering::Relaxed);
        }
    }

    pub(crate) fn progressed(&self, progressed: bool) {
        self.progressed.store(progressed, Ordering::Relaxed);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the problem of this worker is over.
    fn is_over(&self, problem: &Problem) -> bool {
        let since = Duration::from_millis(self.ready_since.load(Ordering::Relaxed));
        let long = self.started.elapsed().saturating_sub(since) >= problem.over_after;
        let progressed = self.progressed.load(Ordering::Relaxed);
        self.ready.load(Ordering::Relaxed) && (long || progressed)
    }

    pub(crate) fn caught_up(&self, caught_up: bool) {
        self.caught_up.store(caught_up, Ordering::Release);
    }

    pub(crate) fn missing(&self) -> MutexGuard<'_, Option<String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { hearts: Arc::default(), problems: Arc::default(), started: Instant::now() }
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
            missing: Mutex::default(),
            ready_since: AtomicU64::new(0),
            progressed: AtomicBool::new(false),
        });
        heart.beat();
        let mut hearts = self.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        hearts.retain(|heart| heart.strong_count() > 0);
        hearts.push(Arc::downgrade(&heart));
        heart
    }

    /// A worker is about to run: it is not ready until it says so.
    pub fn starting(&self, worker: &str) {
        let problem = Problem { text: "is starting".to_owned(), over_after: Duration::ZERO };
        self.lock().entry(worker.to_owned()).or_insert(problem);
    }

    /// A worker cannot do its work: `problem` follows its name and tells the code. That is over when
    /// it gets something done, or was ready for a minute.
    pub fn failed(&self, worker: &str, problem: String) {
        let problem = Problem { text: problem, over_after: RECOVERED_AFTER };
        self.lock().insert(worker.to_owned(), problem);
    }

    /// A worker ended because it was asked to.
    pub fn ended(&self, worker: &str) {
        self.lock().remove(worker);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Problem>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The workers that run, start or failed, by name.
    pub fn workers(&self) -> Vec<WorkerState> {
        let now = self.started.elapsed();
        let hearts = self.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        let hearts: Vec<_> = hearts.iter().filter_map(Weak::upgrade).collect();
        let mut problems = self.lock();
        for heart in &hearts {
            if problems.get(&heart.name).is_some_and(|problem| heart.is_over(problem)) {
                problems.remove(&heart.name);
            }
        }
        let problem = |name: &str| problems.get(name).map(|problem| problem.text.clone());
        let mut workers: Vec<_> = hearts
            .iter()
            .map(|heart| WorkerState {
                name: heart.name.clone(),
                silent: now
                    .saturating_sub(Duration::from_millis(heart.last.load(Ordering::Relaxed))),
                caught_up: heart.caught_up.load(Ordering::Acquire),
                missing: heart.missing().clone(),
                ready: heart.ready.load(Ordering::Relaxed) && !problems.contains_key(&heart.name),
                problem: problem(&heart.name),
            })
            .collect();
        let absent = |name: &&String| hearts.iter().all(|heart| heart.name != **name);
        workers.extend(problems.keys().filter(absent).map(|name| WorkerState {
            name: name.clone(),
            silent: Duration::ZERO,
            ready: false,
            caught_up: false,
            problem: problem(name),
            missing: None,
        }));
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

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_failed_is_ready_when_it_got_something_done_or_was_ready_for_a_minute() {
        let health = Health::default();
        let states = || -> Vec<_> {
            let workers = health.workers().into_iter();
            workers.map(|worker| (worker.ready, worker.problem)).collect()
        };
        health.starting("lake");
        assert_eq!(states(), [(false, Some("is starting".to_owned()))]);
        let heart = health.join("lake");
        assert_eq!(states(), [(false, Some("is starting".to_owned()))]);
        heart.ready(true);
        assert_eq!(states(), [(true, None)]);

        drop(heart);
        health.failed("lake", "failed: TL0514".to_owned());
        health.starting("lake");
        let heart = health.join("lake");
        heart.ready(true);
        let failed = [(false, Some("failed: TL0514".to_owned()))];
        assert_eq!(states(), failed);
        tokio::time::advance(RECOVERED_AFTER).await;
        assert_eq!(states(), [(true, None)]);

        drop(heart);
        health.failed("lake", "failed: TL0514".to_owned());
        assert_eq!(states(), failed);
        let heart = health.join("lake");
        heart.ready(true);
        heart.progressed(true);
        assert_eq!(states(), [(true, None)]);

        drop(heart);
        health.failed("lake", "is halted".to_owned());
        health.ended("lake");
        assert_eq!(states(), []);
    }
}
