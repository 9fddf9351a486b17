//! The transaction coordinator.
//!
//! Ending a transaction takes two steps: the decision (`PrepareCommit` or `PrepareAbort`) is made
//! durable in `__transaction_state`, then a marker is made durable in every partition, then the
//! transaction counts as complete. A start finishes what was decided.
//!
//! One transactional id does one thing at a time ([`Transaction::turn`]). Its state is behind a
//! second, short lock that a transactional append holds too: nothing can be appended to a
//! transaction that has been decided, and a fenced producer is refused before the abort markers
//! are written.

mod describe;
mod finish;
mod forgotten;
mod hanging;
mod load;
pub(crate) mod records;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kafka_protocol::ResponseError;
use throughline_log::Partition;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use crate::{
    batch::Producer,
    catalogue::Catalogue,
    group::Groups,
    metrics::Metrics,
    store::{self, StoreError},
    wire::MAX_NAME,
};

pub(crate) use describe::Description;
use records::{Entry, Status, Target};

/// The longest timeout a producer may ask for, as in Kafka (`transaction.max.timeout.ms`).
const MAX_TIMEOUT_MS: i32 = 15 * 60 * 1000;
/// An unused transactional id is forgotten after a week, as in Kafka.
const ID_EXPIRY_MS: i64 = 7 * 24 * 3600 * 1000;
/// Pause before a decided transaction whose markers could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// All transactional ids.
#[derive(Debug)]
pub(crate) struct Transactions {
    ids: Mutex<Ids>,
    log: Arc<Partition>,
    catalogue: Arc<Catalogue>,
    groups: Arc<Groups>,
    metrics: Arc<Metrics>,
    /// A deadline may have come nearer.
    wake: Notify,
}

#[derive(Debug, Default)]
struct Ids {
    by_name: BTreeMap<String, Arc<Transaction>>,
    by_producer: HashMap<i64, Arc<Transaction>>,
}

/// One transactional id.
#[derive(Debug)]
pub(crate) struct Transaction {
    id: String,
    /// Held by whoever changes the state, over writes and waits.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<Live>,
}

/// The state of a transactional id in memory.
#[derive(Debug, Clone)]
struct Live {
    entry: Entry,
    /// The epoch before the last bump by InitProducerId, for its retry.
    previous_epoch: Option<i16>,
    /// When an open transaction is aborted, or the end of a decided one is tried again.
    deadline: Option<Instant>,
}

impl Transaction {
    fn state(&self) -> MutexGuard<'_, Live> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transactions {
    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Result<Arc<Transaction>, ResponseError> {
        self.ids().by_name.get(id).cloned().ok_or(ResponseError::InvalidProducerIdMapping)
    }

    /// Gives a producer its id and epoch, and ends whatever an earlier instance left open. The
    /// epoch grows, which fences that instance. `known` is the producer's own idea of its id and
    /// epoch after an error.
    pub(crate) async fn init(
        &self,
        id: &str,
        timeout_ms: i32,
        known: Option<Producer>,
    ) -> Result<Producer, ResponseError> {
        if id.is_empty() || id.len() > MAX_NAME {
            return Err(ResponseError::InvalidRequest);
        }
        if !(1..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        let transaction = self.find_or_begin(id, timeout_ms).await?;
        let _turn = transaction.turn.lock().await;
        let current = transaction.state().clone();
        if let Some(known) = known {
            let producer = current.entry.producer;
            if known.id == producer.id && current.previous_epoch == Some(known.epoch) {
                return Ok(producer);
            }
            if known != producer {
                return Err(ResponseError::ProducerFenced);
            }
        }
        match current.entry.status {
            Status::Ongoing => {
                self.fence(&transaction);
                self.finish(&transaction, false).await?;
            }
            Status::PrepareCommit | Status::PrepareAbort => {
                let commit = current.entry.status == Status::PrepareCommit;
                self.finish(&transaction, commit).await?;
            }
            Status::Empty | Status::CompleteCommit | Status::CompleteAbort => {}
        }
        self.bump(&transaction, timeout_ms).await
    }

    /// The transactional id; a new one gets a producer id and is stored by its first bump.
    async fn find_or_begin(
        &self,
        id: &str,
        timeout_ms: i32,
    ) -> Result<Arc<Transaction>, ResponseError> {
        if let Ok(found) = self.find(id) {
            return Ok(found);
        }
        let producer = Producer { id: self.catalogue.next_producer_id().await?, epoch: -1 };
        let entry = Entry {
            producer,
            timeout_ms,
            status: Status::Empty,
            partitions: Default::default(),
            updated_ms: store::now_ms(),
            started_ms: -1,
        };
        let transaction = Arc::new(Transaction {
            id: id.to_owned(),
            turn: tokio::sync::Mutex::new(()),
            state: Mutex::new(Live { entry, previous_epoch: None, deadline: None }),
        });
        let mut ids = self.ids();
        let kept = Arc::clone(ids.by_name.entry(id.to_owned()).or_insert(transaction));
        let producer_id = kept.state().entry.producer.id;
        ids.by_producer.insert(producer_id, Arc::clone(&kept));
        Ok(kept)
    }

    /// The next epoch, or a new producer id when the epochs are used up.
    async fn bump(&self, transaction: &Arc<Transaction>, timeout_ms: i32) -> Reply {
        let current = transaction.state().clone();
        let mut entry = current.entry;
        let exhausted = entry.producer.epoch >= i16::MAX - 1;
        let previous_epoch = Some(entry.producer.epoch).filter(|epoch| *epoch >= 0 && !exhausted);
        let retired = entry.producer.id;
        if exhausted {
            entry.producer = Producer { id: self.catalogue.next_producer_id().await?, epoch: 0 };
        } else {
            entry.producer.epoch += 1;
        }
        entry.timeout_ms = timeout_ms;
        entry.status = Status::Empty;
        entry.updated_ms = entry.next_ms();
        entry.started_ms = -1;
        self.store(&transaction.id, &entry).await?;
        let producer = entry.producer;
        if exhausted {
            let mut ids = self.ids();
            ids.by_producer.remove(&retired);
            ids.by_producer.insert(producer.id, Arc::clone(transaction));
        }
        *transaction.state() = Live { entry, previous_epoch, deadline: None };
        Ok(producer)
    }

    /// Adds partitions to the open transaction, or begins one with them; durable when this returns.
    pub(crate) async fn add_partitions(
        &self,
        id: &str,
        producer: Producer,
        partitions: &[Target],
    ) -> Result<(), ResponseError> {
        let transaction = self.find(id)?;
        let _turn = transaction.turn.lock().await;
        let mut live = transaction.state().clone();
        check(&live.entry, producer)?;
        let begins = match live.entry.status {
            Status::PrepareCommit | Status::PrepareAbort => {
                return Err(ResponseError::ConcurrentTransactions);
            }
            Status::Ongoing => false,
            Status::Empty | Status::CompleteCommit | Status::CompleteAbort => true,
        };
        if !begins && partitions.iter().all(|target| live.entry.partitions.contains(target)) {
            return Ok(());
        }
        live.entry.updated_ms = live.entry.next_ms();
        if begins {
            live.entry.status = Status::Ongoing;
            live.entry.started_ms = live.entry.updated_ms;
            let timeout = u64::try_from(live.entry.timeout_ms).unwrap_or(0);
            live.deadline = Some(Instant::now() + Duration::from_millis(timeout));
        }
        live.entry.partitions.extend(partitions.iter().cloned());
        self.store(id, &live.entry).await?;
        *transaction.state() = live;
        if begins {
            self.metrics.open_transactions.inc();
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Runs `append` if the producer's transaction is open and holds the partition, and keeps it
    /// open meanwhile.
    pub(crate) fn while_open<T>(
        &self,
        id: Option<&str>,
        producer: Producer,
        topic: &str,
        partition: i32,
        append: impl FnOnce() -> T,
    ) -> Result<T, ResponseError> {
        let transaction = self.ids().by_producer.get(&producer.id).cloned();
        let transaction = transaction
            .filter(|transaction| id == Some(transaction.id.as_str()))
            .ok_or(ResponseError::InvalidProducerIdMapping)?;
        let live = transaction.state();
        if live.entry.producer != producer {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let holds = live.entry.partitions.contains(&(topic.to_owned(), partition));
        if live.entry.status != Status::Ongoing || !holds {
            return Err(ResponseError::InvalidTxnState);
        }
        Ok(append())
    }

    /// Commits or aborts; every marker is durable when this returns.
    pub(crate) async fn end(
        &self,
        id: &str,
        producer: Producer,
        commit: bool,
    ) -> Result<(), ResponseError> {
        let transaction = self.find(id)?;
        let _turn = transaction.turn.lock().await;
        let entry = transaction.state().entry.clone();
        check(&entry, producer)?;
        match (entry.status, commit) {
            (Status::Ongoing, _)
            | (Status::PrepareCommit, true)
            | (Status::PrepareAbort, false) => self.finish(&transaction, commit).await,
            (Status::CompleteCommit, true) | (Status::CompleteAbort, false) => Ok(()),
            _ => Err(ResponseError::InvalidTxnState),
        }
    }

    async fn store(&self, id: &str, entry: &Entry) -> Result<(), ResponseError> {
        let stored = store::put(&self.log, records::key(id), Some(entry.encode())).await;
        stored.map_err(|error| report(id, &error))
    }

    /// Aborts transactions that are open for too long and retries ends that failed, until
    /// `shutdown`. Sleeps in between.
    pub(crate) async fn run_timers(&self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let now = Instant::now();
            let all: Vec<_> = self.ids().by_name.values().cloned().collect();
            let mut next: Option<Instant> = None;
            for transaction in all {
                let deadline = transaction.state().deadline;
                if deadline.is_some_and(|deadline| deadline <= now) {
                    self.overdue(&transaction, now).await;
                }
                next = [next, transaction.state().deadline].into_iter().flatten().min();
            }
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.wake.notified() => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn overdue(&self, transaction: &Arc<Transaction>, now: Instant) {
        let _turn = transaction.turn.lock().await;
        let live = transaction.state().clone();
        if live.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        let outcome = match live.entry.status {
            Status::Ongoing => {
                tracing::warn!(transactional_id = transaction.id, "aborting: timed out");
                self.fence(transaction);
                self.finish(transaction, false).await
            }
            Status::PrepareCommit => self.finish(transaction, true).await,
            Status::PrepareAbort => self.finish(transaction, false).await,
            Status::Empty | Status::CompleteCommit | Status::CompleteAbort => {
                transaction.state().deadline = None;
                return;
            }
        };
        if let Err(error) = outcome {
            tracing::error!(transactional_id = transaction.id, %error, "will try again");
        }
    }

    /// Forgets transactional ids that nobody has used for a week.
    pub(crate) async fn expire_ids(&self, now_ms: i64) {
        let all: Vec<_> = self.ids().by_name.values().cloned().collect();
        for transaction in all {
            let _turn = transaction.turn.lock().await;
            let entry = transaction.state().entry.clone();
            let settled = matches!(
                entry.status,
                Status::Empty | Status::CompleteCommit | Status::CompleteAbort
            );
            if !settled || now_ms.saturating_sub(entry.updated_ms) < ID_EXPIRY_MS {
                continue;
            }
            if let Err(error) = store::put(&self.log, records::key(&transaction.id), None).await {
                report(&transaction.id, &error);
                return;
            }
            let mut ids = self.ids();
            ids.by_name.remove(&transaction.id);
            ids.by_producer.remove(&entry.producer.id);
        }
    }
}

type Reply = Result<Producer, ResponseError>;

fn check(entry: &Entry, producer: Producer) -> Result<(), ResponseError> {
    if entry.producer.id != producer.id {
        Err(ResponseError::InvalidProducerIdMapping)
    } else if entry.producer.epoch != producer.epoch {
        Err(ResponseError::ProducerFenced)
    } else {
        Ok(())
    }
}

fn report(id: &str, error: &StoreError) -> ResponseError {
    tracing::error!(transactional_id = id, %error, "could not store a transaction");
    error.coordinator_error()
}
