//! The state and its log together: reads answer from memory, writes go through the log.
//!
//! One write at a time: it reads what it may have missed, decides, appends, applies. A write that
//! failed or whose client went away half-way leaves `behind` set, and the next request reads on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;

use crate::api::ApiError;
use crate::error::LogFailure;
use crate::level::CompatibilityLevel;
use crate::log::SchemaLog;
use crate::record::Change;
use crate::state::State;

pub(crate) struct Store {
    log: Arc<dyn SchemaLog>,
    state: RwLock<State>,
    /// The offset to read on from. Held for a whole write.
    next: Mutex<i64>,
    behind: AtomicBool,
}

impl Store {
    /// Reads the whole log.
    pub(crate) async fn load(
        log: Arc<dyn SchemaLog>,
        default_level: CompatibilityLevel,
    ) -> Result<Self, LogFailure> {
        let store = Self {
            log,
            state: RwLock::new(State::new(default_level)),
            next: Mutex::new(0),
            behind: AtomicBool::new(false),
        };
        let mut next = store.next.lock().await;
        store.catch_up(&mut next).await?;
        drop(next);
        Ok(store)
    }

    pub(crate) fn read<T>(&self, answer: impl FnOnce(&State) -> T) -> T {
        answer(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a write in progress, and learns the outcome of one that was cut short.
    ///
    /// When the log cannot be read, what is known is still answered.
    pub(crate) async fn settle(&self) {
        if self.behind.load(Ordering::Acquire) {
            let mut next = self.next.lock().await;
            if self.behind.load(Ordering::Acquire)
                && let Err(error) = self.catch_up(&mut next).await
            {
                tracing::warn!(error = %error.cause(), "could not read the schemas log");
            }
        }
    }

    /// Appends what `decide` plans and answers once it is durable and applied.
    pub(crate) async fn write<T>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<Change>, T), ApiError>,
    ) -> Result<T, ApiError> {
        let mut next = self.next.lock().await;
        self.catch_up(&mut next).await?;
        let (changes, answer) = self.read(decide)?;
        if changes.is_empty() {
            return Ok(answer);
        }
        for change in changes {
            let (key, value) = change.encode();
            self.behind.store(true, Ordering::Release);
            let offset = self.log.append(key, value).await?;
            if offset == *next {
                self.state.write().unwrap_or_else(PoisonError::into_inner).apply(change);
                *next = offset + 1;
            } else {
                // Offsets may jump (markers, another writer's record): the log has the truth.
                self.catch_up(&mut next).await?;
            }
        }
        self.behind.store(false, Ordering::Release);
        Ok(answer)
    }

    async fn catch_up(&self, next: &mut i64) -> Result<(), LogFailure> {
        let records = self.log.read(*next).await?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            if record.offset < *next {
                continue;
            }
            match Change::decode(&record.key, record.value.as_deref()) {
                Ok(change) => state.apply(change),
                Err(reason) => {
                    let offset = record.offset;
                    tracing::warn!(offset, %reason, "ignored a record of the schemas log");
                }
            }
            *next = record.offset.saturating_add(1);
        }
        drop(state);
        self.behind.store(false, Ordering::Release);
        Ok(())
    }
}
