//! Committed offsets that the log of offsets has lost.
//!
//! A reader misses lost records, because it wanted to go on behind them. Nobody misses a lost offset:
//! its group goes on at an older one and does again what it has done, also where a transaction had
//! made the two one thing. The transaction is still known to `__transaction_state`.

use std::{collections::HashMap, sync::Arc};

use throughline_log::Partition;

use crate::{
    catalogue::OFFSETS_TOPIC,
    store::{self, StoreError},
};

use super::{Transactions, load, records::Status};

impl Transactions {
    /// Tells when the log of offsets ends before the newest transaction that was committed to it.
    /// Before [`Transactions::recover`], which writes what may be missing by right.
    pub(crate) fn tell_forgotten(&self, offsets: &Arc<Partition>) -> Result<(), StoreError> {
        let target = (OFFSETS_TOPIC.to_owned(), 0);
        let (mut decided, mut complete) = (HashMap::new(), None);
        load::replay(&self.log, |id, entry| match entry {
            Some(entry) if entry.status == Status::PrepareCommit => {
                if entry.partitions.contains(&target) {
                    decided.insert(id, entry.updated_ms);
                }
            }
            // Its markers were durable before.
            Some(entry) if entry.status == Status::CompleteCommit => {
                let time = decided.remove(&id);
                complete = complete.take().max(time.map(|time| (time, id)));
            }
            _ => drop(decided.remove(&id)),
        })?;
        let Some((time, transactional_id)) = complete else { return Ok(()) };
        // Markers carry the time of their decision, so the newest one is there or behind the end.
        let mut newest = i64::MIN;
        store::scan(offsets, |batch| {
            newest = newest.max(batch.timestamp_ms());
            Ok(())
        })?;
        if newest < time {
            tracing::error!(
                partition = %offsets.id(), transactional_id,
                "TL0319: the log of committed offsets has lost its end, which a transaction had \
                 written; groups go on at older offsets and do again what they have done, compare \
                 with a copy of the partition"
            );
        }
        Ok(())
    }
}
