//! Reading `__transaction_state` at start.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use throughline_log::Partition;
use tokio::{sync::Notify, time::Instant};

use crate::{
    batch::BatchError,
    catalogue::Catalogue,
    group::Groups,
    metrics::Metrics,
    store::{self, StoreError},
};

use super::{
    Ids, Live, Transaction, Transactions,
    records::{self, Entry, Status},
};

impl Transactions {
    /// Restores every transactional id from the log. Blocks. [`Transactions::recover`] is next.
    pub(crate) fn load(
        log: Arc<Partition>,
        catalogue: Arc<Catalogue>,
        groups: Arc<Groups>,
        metrics: Arc<Metrics>,
    ) -> Result<Transactions, StoreError> {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        replay(&log, |id, entry| match entry {
            Some(entry) => drop(entries.insert(id, entry)),
            None => drop(entries.remove(&id)),
        })?;
        let mut ids = Ids::default();
        for (id, entry) in entries {
            let undecided = !entry.partitions.is_empty();
            if undecided {
                metrics.open_transactions.inc();
            }
            let producer_id = entry.producer.id;
            let deadline = (entry.status == Status::Ongoing).then(|| deadline(&entry));
            let live = Live { entry, previous_epoch: None, deadline };
            let (turn, state) = (tokio::sync::Mutex::new(()), Mutex::new(live));
            let transaction = Arc::new(Transaction { id: id.clone(), turn, state });
            ids.by_producer.insert(producer_id, Arc::clone(&transaction));
            ids.by_name.insert(id, transaction);
        }
        let (ids, wake) = (Mutex::new(ids), Notify::new());
        Ok(Transactions { ids, log, catalogue, groups, metrics, wake })
    }
}

/// Shows every stored entry to `visit`, oldest first; `None` is a deletion.
pub(super) fn replay(
    log: &Arc<Partition>,
    mut visit: impl FnMut(String, Option<Entry>),
) -> Result<(), StoreError> {
    store::scan(log, |batch| {
        for record in batch.records()? {
            let base_offset = record.offset;
            let malformed = |source| BatchError::Malformed { base_offset, source };
            let key = record.key.unwrap_or_default();
            let id = records::decode_key(&key).map_err(malformed)?;
            let entry = match &record.value {
                Some(value) => Entry::decode(value).map_err(malformed)?,
                None => None,
            };
            visit(id, entry);
        }
        Ok(())
    })
}

/// When the open transaction times out, by its own start and not by ours.
fn deadline(entry: &Entry) -> Instant {
    let end = entry.started_ms.saturating_add(entry.timeout_ms.into());
    let left = u64::try_from(end.saturating_sub(store::now_ms())).unwrap_or(0);
    Instant::now() + Duration::from_millis(left)
}
