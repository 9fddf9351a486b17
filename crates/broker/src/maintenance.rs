//! Retention, compaction and expiry, now and then.

use std::{collections::HashMap, sync::Arc};

use throughline_log::{Partition, TopicPartition};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::{core::Core, store};

/// A partition that was not written is still looked at every so many rounds: records grow old.
const IDLE_ROUNDS: u64 = 10;

/// Runs until `shutdown`.
pub(crate) async fn run(core: Arc<Core>, mut shutdown: watch::Receiver<bool>) {
    let mut ticks = interval(core.options.maintenance_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = HashMap::new();
    for round in 0u64.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        if round > 0 {
            core.groups.expire_offsets(store::now_ms()).await;
            core.transactions.expire_ids(store::now_ms()).await;
        }
        let (worker, idle) = (Arc::clone(&core), round % IDLE_ROUNDS == IDLE_ROUNDS - 1);
        let swept = tokio::task::spawn_blocking(move || {
            sweep(&worker, &mut seen, idle);
            seen
        });
        match swept.await {
            Ok(next) => seen = next,
            Err(error) => {
                tracing::error!(%error, "maintenance failed and will go on");
                seen = HashMap::new();
            }
        }
    }
}

/// Cleans what was written since the last round; with `idle`, everything that has records.
fn sweep(core: &Core, seen: &mut HashMap<TopicPartition, i64>, idle: bool) {
    let mut bytes = 0u64;
    let mut ends = HashMap::new();
    let partitions = core.log.partitions();
    core.metrics.partitions.set(i64::try_from(partitions.len()).unwrap_or(i64::MAX));
    for partition in partitions {
        let now = partition.ends();
        let id = partition.id().clone();
        let written = seen.get(&id) != Some(&now.log_end);
        if now.log_end > now.log_start && (written || idle) {
            clean(&partition);
        }
        bytes = bytes.saturating_add(partition.size_bytes());
        ends.insert(id, partition.ends().log_end);
    }
    core.metrics.log_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    *seen = ends;
}

fn clean(partition: &Partition) {
    match partition.clean(store::now_ms()) {
        Ok(report) if report.bytes_deleted + report.bytes_compacted > 0 => {
            tracing::info!(
                partition = %partition.id(),
                deleted = report.bytes_deleted,
                compacted = report.bytes_compacted,
                "freed bytes"
            );
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(partition = %partition.id(), %error, "could not clean, will try again");
        }
    }
}
