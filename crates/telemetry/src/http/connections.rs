//! The open connections of one server, and which of them can be spared.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tokio::task::{AbortHandle, Id, JoinSet};

/// Far more than the clients of one machine have, far fewer than the files a process may open.
const MOST: usize = 256;

/// What a connection that answers a request has in place of the number of its last step.
const ANSWERS: u64 = u64::MAX;

/// Counts steps of all connections, so that they have an order without a clock.
#[derive(Debug, Clone, Default)]
struct Steps(Arc<AtomicU64>);

impl Steps {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Where a connection notes what it does.
#[derive(Debug, Clone)]
pub(super) struct Busy {
    steps: Steps,
    /// The number of the step since which it is idle, or [`ANSWERS`].
    idle_since: Arc<AtomicU64>,
}

impl Busy {
    /// Answers one request; the connection is not idle meanwhile. It is while the body, which is
    /// ready then, is still being sent: a client that does not take it has no claim to its place.
    pub(super) async fn answer(self, request: Request, next: Next) -> Response {
        self.idle_since.store(ANSWERS, Ordering::Relaxed);
        let response = next.run(request).await;
        self.idle_since.store(self.steps.next(), Ordering::Relaxed);
        response
    }
}

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    open: HashMap<Id, (AbortHandle, Busy)>,
    steps: Steps,
}

impl Connections {
    /// Runs one more connection. When there are too many the one is closed that has been idle for
    /// longest; when all answer requests it waits for the first that ends.
    pub(super) async fn add<F>(&mut self, run: impl FnOnce(Busy) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(ended);
        }
        while self.open.len() >= MOST {
            let since = |(_, (_, busy)): &(&Id, &(AbortHandle, Busy))| {
                busy.idle_since.load(Ordering::Relaxed)
            };
            let oldest = self.open.iter().min_by_key(since);
            if let Some((_, (task, busy))) = oldest
                && busy.idle_since.load(Ordering::Relaxed) != ANSWERS
            {
                task.abort();
            }
            match self.tasks.join_next_with_id().await {
                Some(ended) => self.forget(ended),
                None => self.open.clear(),
            }
        }
        let idle_since = Arc::new(AtomicU64::new(self.steps.next()));
        let busy = Busy { steps: self.steps.clone(), idle_since };
        let task = self.tasks.spawn(run(busy.clone()));
        self.open.insert(task.id(), (task, busy));
    }

    /// Waits until all have ended.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn forget(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.open.remove(&id);
    }
}
