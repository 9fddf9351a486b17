//! The group commit's share of one partition: one `fdatasync` for everything appended since the
//! last round, then the high watermark moves.

use std::sync::Arc;

use super::{Partition, State};
use crate::aborted;
use crate::checkpoint::Checkpoint;
use crate::error::{Attempt, IoFault};
use crate::fetch::Status;
use crate::folder::lock;
use crate::options::FlushPolicy;
use crate::segment::Segment;
use crate::small_file;

/// What one round makes durable.
struct Round {
    closed: Vec<Arc<Segment>>,
    growing: Option<Arc<Segment>>,
    folder_changed: bool,
    upto: i64,
    /// The checkpoint's bytes when one is due.
    checkpoint: Option<Vec<u8>>,
}

impl Partition {
    /// Syncs what has been appended; a failure stops the whole folder.
    pub(crate) fn sync(&self) {
        if let Err(fault) = self.try_sync()
            && self.ends().status != Status::Closed
        {
            self.folder.fail(&self.id, fault.action, &fault.source);
        }
    }

    /// Makes the next [`Partition::sync`] write a checkpoint.
    pub(crate) fn want_checkpoint(&self) {
        self.state().checkpoint_due = true;
    }

    pub(super) fn try_sync(&self) -> Result<(), IoFault> {
        let _syncing = lock(&self.syncing);
        let Some(round) = self.begin_round() else { return Ok(()) };
        if let Some(growing) = &round.growing {
            growing.file.sync().at("sync segment", &growing.path())?;
        }
        let mut indexed = true;
        for segment in &round.closed {
            segment.file.sync().at("sync segment", &segment.path())?;
            indexed &= self.sync_indexes(segment)? && self.store_aborted(segment);
        }
        if round.folder_changed {
            self.folder.files.sync_dir(&self.path).at("sync folder", &self.path)?;
        }
        {
            let mut state = self.state();
            let upto = round.upto.max(state.high_watermark);
            state.high_watermark = upto;
            state.producers.durable(upto);
            self.publish(&state);
        }
        let stored = match (&round.checkpoint, &round.growing) {
            (Some(bytes), Some(growing)) => {
                indexed && self.sync_indexes(growing)? && self.store_checkpoint(bytes)
            }
            _ => indexed,
        };
        self.end_round(round, stored);
        Ok(())
    }

    fn begin_round(&self) -> Option<Round> {
        let mut state = self.state();
        state.queued = false;
        if state.status != Status::Open {
            return None;
        }
        let growing = state.segments.last().cloned()?;
        let due =
            state.checkpoint_due || state.since_checkpoint >= self.folder.options.checkpoint_bytes;
        let behind = state.high_watermark < state.log_end;
        let page_cache = self.flush_policy() == FlushPolicy::PageCache;
        let checkpoint = due.then(|| checkpoint(&state, &growing));
        if due {
            state.checkpoint_due = false;
            state.since_checkpoint = 0;
        }
        Some(Round {
            closed: std::mem::take(&mut state.unsynced),
            growing: ((behind && !page_cache) || due).then_some(growing),
            folder_changed: std::mem::take(&mut state.folder_changed),
            upto: state.log_end,
            checkpoint,
        })
    }

    /// After a failure that can be made good, the next round does this part again.
    fn end_round(&self, round: Round, stored: bool) {
        let mut state = self.state();
        if stored {
            if let (Some(_), Some(growing)) = (&round.checkpoint, &round.growing) {
                state.checkpoint_segment = growing.base;
            }
            return;
        }
        state.checkpoint_due = true;
        state.unsynced.splice(0..0, round.closed);
    }

    /// `false` when there was no room for the index.
    pub(super) fn sync_indexes(&self, segment: &Segment) -> Result<bool, IoFault> {
        let mut extent = segment.extent();
        if let Err(error) = extent.indexes.flush() {
            tracing::warn!(partition = %self.id, %error, "could not write index, will try again");
            return Ok(false);
        }
        extent.indexes.sync().at("sync index of", &segment.path())?;
        Ok(true)
    }

    fn store_aborted(&self, segment: &Segment) -> bool {
        let bytes = aborted::encode(&segment.extent().aborted);
        let path = segment.stem.with_extension("aborted");
        bytes.is_empty() || self.stored(small_file::replace(&*self.folder.files, &path, &bytes))
    }

    fn store_checkpoint(&self, bytes: &[u8]) -> bool {
        let path = self.path.join("checkpoint");
        self.stored(small_file::replace(&*self.folder.files, &path, bytes))
    }

    /// These files are written anew as a whole, so that a failure may be tried again.
    fn stored(&self, result: Result<(), IoFault>) -> bool {
        if let Err(fault) = &result {
            let error = &fault.source;
            tracing::warn!(partition = %self.id, %error, action = fault.action, "will try again");
        }
        result.is_ok()
    }
}

/// The checkpoint of this moment.
fn checkpoint(state: &State, growing: &Segment) -> Vec<u8> {
    let extent = growing.extent();
    Checkpoint {
        offset: state.log_end,
        segment: growing.base,
        position: extent.size,
        offset_entries: extent.indexes.offsets.len(),
        time_entries: extent.indexes.times.len(),
        latest: extent.latest,
        aborted: extent.aborted.clone(),
        producers: Vec::new(),
    }
    .encode(&state.producers)
}
