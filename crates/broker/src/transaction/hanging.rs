//! Hanging transactions: open in a partition, and over for the coordinator.
//!
//! A marker is durable before its transaction counts as complete. Only a partition that lost its
//! tail misses one: by a damaged disk, or by a power cut when the page cache counts as durable.
//! Readers of committed records would wait there for ever, so a start writes the marker again, as
//! it was decided in `__transaction_state`. Without a decision the transaction is aborted.
//!
//! Markers carry the time of their decision, and decisions of one transactional id have rising
//! times: the first decision after the last marker of a producer belongs to what it left open.
//! Both can be compacted away in the course of days; then the oldest decision left counts.

use std::sync::Arc;

use throughline_log::{Origin, Partition};

use crate::{
    batch::{self, Marker, Producer},
    catalogue::OFFSETS_TOPIC,
    store::{self, StoreError},
};

use super::{
    Transactions,
    finish::COORDINATOR_EPOCH,
    load,
    records::{Entry, Status, Target},
};

/// A transaction that nobody is going to end.
struct Hanging {
    partition: Arc<Partition>,
    target: Target,
    /// As the partition knows it.
    producer: Producer,
}

impl Transactions {
    /// Ends every hanging transaction. Before clients are served, after [`Transactions::recover`].
    pub(crate) async fn end_hanging(&self) -> Result<(), StoreError> {
        for hanging in self.hanging() {
            let Hanging { partition, target, producer } = &hanging;
            let decided = self.decision(&hanging)?;
            let now = store::now_ms();
            let (commit, epoch, time) = decided.unwrap_or((false, producer.epoch, now));
            let marker = if commit { Marker::Commit } else { Marker::Abort };
            let producer = Producer { epoch, ..*producer };
            let batch = batch::marker(producer, marker, COORDINATOR_EPOCH, time);
            let appended = partition.append(batch, Origin::Coordinator, now)?;
            partition.durable(appended.last_offset + 1).await?;
            if target.0 == OFFSETS_TOPIC {
                self.groups.end_transaction(producer.id, commit);
            }
            tracing::error!(
                partition = %partition.id(), producer_id = producer.id, commit,
                decided = decided.is_some(),
                "TL0318: a partition had lost the end of a transaction, which was written again; \
                 records behind it may be lost, compare with a copy of the partition"
            );
        }
        Ok(())
    }

    fn hanging(&self) -> Vec<Hanging> {
        let mut hanging = Vec::new();
        for topic in self.catalogue.topics() {
            for (index, partition) in topic.numbered() {
                let open = partition.producers().into_iter();
                for found in open.filter(|found| found.open_transaction.is_some()) {
                    let target = (topic.name.to_string(), index);
                    let producer = Producer { id: found.producer_id, epoch: found.epoch };
                    let owner = self.ids().by_producer.get(&producer.id).cloned();
                    let known =
                        owner.is_some_and(|one| one.state().entry.partitions.contains(&target));
                    if !known {
                        let partition = Arc::clone(partition);
                        hanging.push(Hanging { partition, target, producer });
                    }
                }
            }
        }
        hanging
    }

    /// Whether the coordinator has committed it, with which epoch, and when it decided so.
    fn decision(&self, hanging: &Hanging) -> Result<Option<(bool, i16, i64)>, StoreError> {
        let Hanging { partition, target, producer } = hanging;
        let mut after = i64::MIN;
        store::scan(partition, |batch| {
            if batch.control() && batch.producer.is_some_and(|found| found.id == producer.id) {
                after = batch.timestamp_ms();
            }
            Ok(())
        })?;
        let mut decided = None;
        load::replay(&self.log, |_, entry: Option<Entry>| {
            let Some(entry) = entry else { return };
            let commit = match entry.status {
                Status::PrepareCommit => true,
                Status::PrepareAbort => false,
                _ => return,
            };
            // Aborting a producer that is gone takes one epoch more.
            let last = producer.epoch.saturating_add(i16::from(!commit));
            let epoch = entry.producer.epoch;
            let about = entry.producer.id == producer.id && entry.partitions.contains(target);
            if about && (producer.epoch..=last).contains(&epoch) && entry.updated_ms > after {
                decided.get_or_insert((commit, epoch, entry.updated_ms));
            }
        })?;
        Ok(decided)
    }
}
