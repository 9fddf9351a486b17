//! Keeps workers running: one named thread each, restarted with back-off, stopped when a person
//! must act.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use throughline_event::{Role, WorkerName};
use throughline_telemetry::Health;

use crate::backoff::Backoff;
use crate::{Host, Shutdown, WorkerError, chain};

/// One worker and how to run it; called again after a failure.
pub struct Worker {
    /// Its name.
    pub name: WorkerName,
    /// What it is.
    pub role: Role,
    /// Where it is said that it starts, failed or halted.
    pub health: Health,
    /// Runs it until it is drained or fails.
    pub run: Box<dyn Fn() -> Result<(), WorkerError> + Send>,
}

impl Worker {
    pub(crate) fn new(
        name: WorkerName,
        role: Role,
        host: Host,
        run: impl Fn(&Host) -> Result<(), WorkerError> + Send + 'static,
    ) -> Self {
        let health = host.metrics.health().clone();
        Self { name, role, health, run: Box::new(move || run(&host)) }
    }
}

/// What a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerState {
    /// It runs.
    Running,
    /// It failed and will be started again.
    Waiting {
        /// The error and its causes.
        error: String,
    },
    /// It failed in a way that a person must look at.
    Halted {
        /// The error and its causes.
        error: String,
    },
    /// It was drained.
    Drained,
}

/// A worker's name and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its name.
    pub name: WorkerName,
    /// What it is.
    pub role: Role,
    /// What it is doing.
    pub state: WorkerState,
    /// How often it was started again.
    pub restarts: u64,
}

/// Runs workers until they are drained.
#[derive(Debug)]
pub struct Supervisor {
    threads: Vec<JoinHandle<()>>,
    status: Arc<Mutex<Vec<WorkerStatus>>>,
    shutdown: Shutdown,
}

impl Supervisor {
    /// Starts every worker on a thread of its own.
    pub fn start(workers: Vec<Worker>, shutdown: Shutdown) -> Result<Self, WorkerError> {
        let running = |worker: &Worker| WorkerStatus {
            name: worker.name.clone(),
            role: worker.role,
            state: WorkerState::Running,
            restarts: 0,
        };
        let status = Arc::new(Mutex::new(workers.iter().map(running).collect::<Vec<_>>()));
        let mut supervisor = Self { threads: Vec::new(), status, shutdown };
        for (at, worker) in workers.into_iter().enumerate() {
            let keeper = Keeper {
                at,
                status: Arc::clone(&supervisor.status),
                shutdown: supervisor.shutdown.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("{}-{}", worker.role, worker.name))
                .spawn(move || keeper.keep(&worker));
            match thread {
                Ok(thread) => supervisor.threads.push(thread),
                Err(source) => {
                    supervisor.shutdown.drain();
                    supervisor.join();
                    return Err(WorkerError::Io { what: "start a thread", source });
                }
            }
        }
        Ok(supervisor)
    }

    /// What every worker is doing.
    pub fn status(&self) -> Vec<WorkerStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until every worker has ended: after a drain, or when all are halted.
    pub fn join(self) -> Vec<WorkerStatus> {
        for thread in self.threads {
            // The thread catches panics; an error here has nothing left to report.
            let _ended: std::thread::Result<()> = thread.join();
        }
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Keeper {
    at: usize,
    status: Arc<Mutex<Vec<WorkerStatus>>>,
    shutdown: Shutdown,
}

impl Keeper {
    fn keep(&self, worker: &Worker) {
        let mut backoff = Backoff::default();
        loop {
            self.set(WorkerState::Running);
            worker.health.starting(worker.name.as_str());
            let started = Instant::now();
            let Err(error) = run_once(worker) else { return self.drained(worker) };
            let text = chain(&error);
            if error.is_final() {
                tracing::error!(worker = %worker.name, role = %worker.role, error = text, "worker halted");
                worker.health.failed(worker.name.as_str(), format!("is halted: {text}"));
                return self.set(WorkerState::Halted { error: text });
            }
            let wait = backoff.after(started.elapsed());
            tracing::warn!(
                worker = %worker.name, role = %worker.role, error = text, wait_ms = wait.as_millis(),
                "worker failed and will be started again"
            );
            let problem = format!("failed and is started again: {text}");
            worker.health.failed(worker.name.as_str(), problem);
            self.set(WorkerState::Waiting { error: text });
            if self.shutdown.wait(wait) {
                return self.drained(worker);
            }
            self.status.lock().unwrap_or_else(PoisonError::into_inner)[self.at].restarts += 1;
        }
    }

    fn drained(&self, worker: &Worker) {
        worker.health.ended(worker.name.as_str());
        self.set(WorkerState::Drained);
    }

    fn set(&self, state: WorkerState) {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)[self.at].state = state;
    }
}

fn run_once(worker: &Worker) -> Result<(), WorkerError> {
    catch_unwind(AssertUnwindSafe(|| (worker.run)())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(WorkerError::Panicked { worker: worker.name.clone(), message })
    })
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("name", &self.name).field("role", &self.role).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn worker(run: impl Fn() -> Result<(), WorkerError> + Send + 'static) -> Worker {
        let (name, health) = (WorkerName::new("w").unwrap(), Health::default());
        Worker { name, role: Role::Sink, health, run: Box::new(run) }
    }

    fn transient() -> WorkerError {
        WorkerError::Io { what: "reach it", source: std::io::Error::other("down") }
    }

    #[test]
    fn a_worker_that_fails_or_panics_is_started_again() {
        let calls = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&calls);
        let run = move || match seen.fetch_add(1, Ordering::SeqCst) {
            0 => Err(transient()),
            1 => panic!("defect"),
            _ => Ok(()),
        };
        let supervisor = Supervisor::start(vec![worker(run)], Shutdown::new()).unwrap();
        let status = supervisor.join();
        assert_eq!((status[0].restarts, &status[0].state), (2, &WorkerState::Drained));
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_worker_that_needs_a_person_stops_and_says_why() {
        let halt = || {
            Err(WorkerError::TooManyParked {
                worker: WorkerName::new("w").unwrap(),
                parked: 2,
                limit: 1,
            })
        };
        let worker = worker(halt);
        let health = worker.health.clone();
        let supervisor = Supervisor::start(vec![worker], Shutdown::new()).unwrap();
        let status = supervisor.join();
        let told = &health.workers()[0];
        let problem = told.problem.as_deref().unwrap_or_default();
        assert!(!told.ready && problem.starts_with("is halted: TL0605"), "{told:?}");
        let WorkerState::Halted { error } = &status[0].state else { panic!("{status:?}") };
        assert!(error.contains("TL0605") && error.contains("mend the mapping"), "{error}");
    }

    #[test]
    fn a_drain_ends_the_wait_of_a_failing_worker() {
        let shutdown = Shutdown::new();
        let supervisor =
            Supervisor::start(vec![worker(|| Err(transient()))], shutdown.clone()).unwrap();
        shutdown.drain();
        assert_eq!(supervisor.join()[0].state, WorkerState::Drained);
    }
}
