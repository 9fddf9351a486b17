//! The end of a transaction: decision, markers, completion.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use throughline_log::{AppendError, Origin};
use tokio::time::Instant;

use crate::{
    batch::{self, Marker, Producer},
    store,
};

use super::{
    RETRY, Transaction, Transactions,
    records::{self, Entry, Status},
    report,
};

/// The epoch of the only coordinator there is.
pub(super) const COORDINATOR_EPOCH: i32 = 0;

impl Transactions {
    /// Shuts out the producer of an open transaction before its abort markers are written: from
    /// here on its appends, whatever is on the way, are refused. The turn is held by the caller.
    pub(super) fn fence(&self, transaction: &Transaction) {
        let mut live = transaction.state();
        live.entry.producer.epoch = live.entry.producer.epoch.saturating_add(1);
        live.previous_epoch = None;
    }

    /// Ends the open or already decided transaction. The turn is held by the caller. On failure
    /// the transaction stays decided; a later call, from the producer or the timer, goes on.
    pub(super) async fn finish(
        &self,
        transaction: &Arc<Transaction>,
        commit: bool,
    ) -> Result<(), ResponseError> {
        let decided = {
            let mut live = transaction.state();
            if live.entry.status == Status::Ongoing {
                let status = if commit { Status::PrepareCommit } else { Status::PrepareAbort };
                live.entry.status = status;
                live.entry.updated_ms = live.entry.next_ms();
            }
            live.deadline = Some(Instant::now() + RETRY);
            live.entry.clone()
        };
        self.wake.notify_one();
        self.store(&transaction.id, &decided).await?;
        self.write_markers(&decided, commit).await.map_err(|error| {
            tracing::error!(transactional_id = transaction.id, %error, "could not write markers");
            ResponseError::CoordinatorNotAvailable
        })?;
        self.groups.end_transaction(decided.producer.id, commit);
        self.complete(transaction, commit);
        Ok(())
    }

    /// Writes a marker to every partition and returns when all are durable.
    async fn write_markers(&self, decided: &Entry, commit: bool) -> Result<(), AppendError> {
        let marker = if commit { Marker::Commit } else { Marker::Abort };
        let Entry { producer, partitions, updated_ms, .. } = decided;
        let mut written = Vec::with_capacity(partitions.len());
        for (topic, index) in partitions {
            // A topic that was deleted meanwhile needs no marker.
            let Some(partition) = self.catalogue.partition(topic, *index) else { continue };
            // The time of the decision, so that it can be found again by its marker.
            let batch = batch::marker(*producer, marker, COORDINATOR_EPOCH, *updated_ms);
            match partition.append(batch, Origin::Coordinator, store::now_ms()) {
                Ok(appended) => written.push((partition, appended.last_offset + 1)),
                Err(AppendError::Closed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        for (partition, end) in written {
            match partition.durable(end).await {
                Ok(()) | Err(AppendError::Closed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Notes that nothing is left to do. Not waited for: if the record is lost, the next start
    /// writes the markers once more, which changes nothing.
    fn complete(&self, transaction: &Transaction, commit: bool) {
        let entry = {
            let mut live = transaction.state();
            let status = if commit { Status::CompleteCommit } else { Status::CompleteAbort };
            live.entry.status = status;
            live.entry.partitions.clear();
            live.entry.updated_ms = live.entry.next_ms();
            live.deadline = None;
            live.entry.clone()
        };
        self.metrics.open_transactions.dec();
        let outcome = if commit { "committed" } else { "aborted" };
        self.metrics.transactions.with_label_values(&[outcome]).inc();
        let record = (Some(records::key(&transaction.id)), Some(entry.encode()));
        if let Err(error) = store::append(&self.log, &[record], None) {
            report(&transaction.id, &error);
        }
    }

    /// Ends every transaction that was decided before the last stop.
    pub(crate) async fn recover(&self) -> Result<(), ResponseError> {
        let all: Vec<_> = self.ids().by_name.values().cloned().collect();
        for transaction in all {
            let _turn = transaction.turn.lock().await;
            let Entry { status, producer: Producer { id, .. }, .. } =
                transaction.state().entry.clone();
            let commit = match status {
                Status::PrepareCommit => true,
                Status::PrepareAbort => false,
                _ => continue,
            };
            tracing::info!(
                transactional_id = transaction.id,
                producer_id = id,
                commit,
                "finishing"
            );
            self.finish(&transaction, commit).await?;
        }
        Ok(())
    }
}
