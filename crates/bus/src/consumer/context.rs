//! What happens in the client's callbacks: rebalances are noted, statistics become lag.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};

use super::lag::{self, PartitionLag};
use crate::client::ClientLog;

/// A rebalance that the client asks for and that is carried out by a later poll, after the worker
/// was told.
#[derive(Debug)]
pub(crate) enum Change {
    Assign(TopicPartitionList),
    Revoke { partitions: TopicPartitionList, lost: bool },
}

#[derive(Debug)]
pub(crate) struct GroupContext {
    log: ClientLog,
    changes: Mutex<VecDeque<Change>>,
    lag: Mutex<Vec<PartitionLag>>,
    closing: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GroupContext {
    pub(crate) fn new(log: ClientLog) -> Self {
        Self {
            log,
            changes: Mutex::default(),
            lag: Mutex::default(),
            closing: AtomicBool::new(false),
        }
    }

    pub(crate) fn log(&self) -> &ClientLog {
        &self.log
    }

    pub(crate) fn next_change(&self) -> Option<Change> {
        lock(&self.changes).pop_front()
    }

    pub(crate) fn has_change(&self) -> bool {
        !lock(&self.changes).is_empty()
    }

    pub(crate) fn lag(&self) -> Vec<PartitionLag> {
        lock(&self.lag).clone()
    }

    /// From now on partitions are given back as soon as the client asks.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

/// Carries out an assignment or its end, as the group's protocol wants it.
pub(crate) fn carry_out(consumer: &BaseConsumer<GroupContext>, change: &Change) -> KafkaResult<()> {
    let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
    match change {
        Change::Assign(partitions) if cooperative => consumer.incremental_assign(partitions),
        Change::Assign(partitions) => consumer.assign(partitions),
        Change::Revoke { partitions, .. } if cooperative => {
            consumer.incremental_unassign(partitions)
        }
        Change::Revoke { .. } => consumer.unassign(),
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.log.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.log.event();
        match lag::from_statistics(statistics) {
            Ok(found) => *lock(&self.lag) = found,
            Err(error) => tracing::warn!(error = %error, "could not read the client's statistics"),
        }
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        self.log.event();
        let partitions = partitions.clone();
        let change = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Change::Assign(partitions),
            _ => Change::Revoke { partitions, lost: consumer.assignment_lost() },
        };
        if !self.closing.load(Ordering::Relaxed) {
            lock(&self.changes).push_back(change);
        } else if let Err(error) = carry_out(consumer, &change) {
            tracing::warn!(error = %error, "could not give partitions back while closing");
        }
    }

    fn commit_callback(&self, _result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.log.event();
    }
}
