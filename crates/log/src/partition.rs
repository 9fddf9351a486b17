//! One partition: append, read, wait, clean.
//!
//! Appends are serialised by the state lock, which is held over the one write call. Readers take it
//! only to find a segment. The ends are published through a watch channel, silently when only the
//! log end has moved.

mod append;
mod clean;
mod read;
mod recovery;
mod sync;
mod times;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use tokio::sync::watch;

use crate::checkpoint::StoredExtent;
use crate::error::{AppendError, LogError};
use crate::fetch::{Ends, ProducerInfo, Status};
use crate::folder::{Folder, lock};
use crate::options::{FlushPolicy, PartitionConfig, TopicPartition};
use crate::producers::Producers;
use crate::segment::Segment;
use crate::small_file;

/// One partition of a topic.
#[derive(Debug)]
pub struct Partition {
    id: TopicPartition,
    /// Its files.
    path: PathBuf,
    folder: Arc<Folder>,
    config: RwLock<Arc<PartitionConfig>>,
    state: Mutex<State>,
    /// Held while the set of closed segments changes.
    cleaning: Mutex<()>,
    /// What the extent file holds.
    extent: Mutex<StoredExtent>,
    /// Held for a round of syncing.
    syncing: Mutex<()>,
    ends: watch::Sender<Ends>,
    itself: Weak<Partition>,
}

/// What appends, reads and the syncer share.
#[derive(Debug)]
struct State {
    /// Never empty; the last one grows.
    segments: Vec<Arc<Segment>>,
    log_end: i64,
    high_watermark: i64,
    log_start: i64,
    producers: Producers,
    status: Status,
    /// In the queue of the syncer.
    queued: bool,
    /// Closed since the last sync.
    unsynced: Vec<Arc<Segment>>,
    /// Files were created since the last sync.
    folder_changed: bool,
    /// A checkpoint is due whatever its age.
    checkpoint_due: bool,
    /// The segment that was growing at the last checkpoint.
    checkpoint_segment: i64,
    since_checkpoint: u64,
    /// When the growing segment got its first batch, as far as this process knows.
    opened_ms: Option<i64>,
}

impl State {
    fn ends(&self) -> Ends {
        Ends {
            log_end: self.log_end,
            high_watermark: self.high_watermark,
            last_stable_offset: self.producers.stable_end(self.high_watermark),
            log_start: self.log_start,
            status: self.status,
        }
    }

    /// The position in `segments` of the one that may hold `offset`.
    fn segment_of(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }
}

impl Partition {
    fn new(
        id: TopicPartition,
        path: PathBuf,
        folder: Arc<Folder>,
        state: State,
        extent: StoredExtent,
    ) -> Arc<Self> {
        let ends = watch::Sender::new(state.ends());
        Arc::new_cyclic(|itself| Self {
            id,
            path,
            folder,
            config: RwLock::default(),
            state: Mutex::new(state),
            cleaning: Mutex::default(),
            extent: Mutex::new(extent),
            syncing: Mutex::default(),
            ends,
            itself: itself.clone(),
        })
    }

    /// Which partition this is.
    #[must_use]
    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> Arc<PartitionConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the settings; they apply from the next append or clean.
    pub fn set_config(&self, config: PartitionConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// When an append counts as durable.
    fn flush_policy(&self) -> FlushPolicy {
        self.config().flush.unwrap_or(self.folder.options.flush)
    }

    /// Waits until every offset below `upto` is durable under the flush policy.
    ///
    /// # Errors
    /// [`AppendError::Failed`] when a sync failed: the records must not be acknowledged.
    /// [`AppendError::Closed`] when the partition was deleted meanwhile.
    pub async fn durable(&self, upto: i64) -> Result<(), AppendError> {
        let mut ends = self.ends.subscribe();
        let reached = ends
            .wait_for(|ends| ends.high_watermark >= upto || ends.status != Status::Open)
            .await
            .map(|ends| *ends);
        match reached {
            Ok(ends) if ends.high_watermark >= upto => Ok(()),
            Ok(Ends { status: Status::Failed, .. }) => Err(self.refusal()),
            _ => Err(self.closed()),
        }
    }

    /// The ends now and every change; woken when the high watermark, the log start, the last
    /// stable offset or the status changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Ends> {
        self.ends.subscribe()
    }

    /// The ends now.
    #[must_use]
    pub fn ends(&self) -> Ends {
        *self.ends.borrow()
    }

    /// Idempotent producers and their open transactions, by producer id.
    #[must_use]
    pub fn producers(&self) -> Vec<ProducerInfo> {
        self.state().producers.infos()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.state().segments.iter().map(|segment| segment.size()).sum()
    }

    /// Moves the log start to `before` (-1: the high watermark), durably, and returns it. Never
    /// moves it back. The space is freed by [`Partition::clean`].
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] beyond the high watermark.
    pub fn delete_records(&self, before: i64) -> Result<i64, LogError> {
        let ends = self.ends();
        let before = if before == -1 { ends.high_watermark } else { before };
        if before < 0 || before > ends.high_watermark {
            return Err(LogError::OffsetOutOfRange {
                offset: before,
                high_watermark: ends.high_watermark,
            });
        }
        self.move_log_start(&mut lock(&self.extent), before)
    }

    /// Stores and publishes a later log start; answers the one in force.
    fn move_log_start(&self, extent: &mut StoredExtent, to: i64) -> Result<i64, LogError> {
        match self.ends().status {
            Status::Open => {}
            Status::Failed => return Err(self.refusal().into()),
            Status::Closed => return Err(self.closed().into()),
        }
        if to > extent.log_start {
            let changed = StoredExtent { log_start: to, ..extent.clone() };
            self.store_extent(&changed)?;
            *extent = changed;
        }
        let mut state = self.state();
        state.log_start = state.log_start.max(extent.log_start);
        self.publish(&state);
        Ok(state.log_start)
    }

    fn store_extent(&self, extent: &StoredExtent) -> Result<(), LogError> {
        let path = self.path.join("extent");
        Ok(small_file::replace(&*self.folder.files, &path, &extent.encode())?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Wakes waiters unless only the log end has moved.
    fn publish(&self, state: &State) {
        let new = state.ends();
        self.ends.send_if_modified(|ends| {
            let silent = Ends { log_end: new.log_end, ..*ends } == new;
            *ends = new;
            !silent
        });
    }

    fn closed(&self) -> AppendError {
        AppendError::Closed { partition: self.id.clone() }
    }

    fn refusal(&self) -> AppendError {
        self.folder.failure().unwrap_or_else(|| self.closed())
    }

    /// After a failed sync: reads go on up to the high watermark.
    pub(crate) fn refuse_writes(&self) {
        let mut state = self.state();
        if state.status == Status::Open {
            state.status = Status::Failed;
            self.publish(&state);
        }
    }

    /// The partition is gone or the folder is closing: wakes everybody, and returns when nothing
    /// under way can write to its files any more.
    pub(crate) fn retire(&self) {
        {
            let mut state = self.state();
            state.status = Status::Closed;
            self.publish(&state);
        }
        // Whoever takes one of these later sees the status first.
        drop(lock(&self.cleaning));
        drop(lock(&self.syncing));
        drop(lock(&self.extent));
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }
}
