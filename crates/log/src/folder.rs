//! What all partitions of a data folder share: settings, files, the queue of the syncer, free
//! space, and whether a sync has failed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::buffers::Buffers;
use crate::error::{AppendError, Attempt, IoFault};
use crate::files::FileLayer;
use crate::options::{LogOptions, TopicPartition};
use crate::partition::Partition;

/// The free space is asked for again after this many appended bytes.
const SPACE_STEP: u64 = 64 << 20;

/// Written when a sync fails, so that the next open distrusts the page cache.
pub(crate) const SYNC_FAILED: &str = "sync-failed";

/// See the module.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) options: LogOptions,
    pub(crate) files: Arc<dyn FileLayer>,
    pub(crate) partitions: RwLock<BTreeMap<TopicPartition, Arc<Partition>>>,
    pub(crate) buffers: Arc<Buffers>,
    failed: OnceLock<(TopicPartition, &'static str)>,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Bytes that may be appended before the free space is asked for.
    allowance: Mutex<u64>,
}

#[derive(Debug, Default)]
struct Queue {
    dirty: Vec<Arc<Partition>>,
    stopped: bool,
}

/// Locks that a panicking thread has left behind hold consistent data: every change is one
/// assignment or is checked again.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folder {
    pub(crate) fn new(path: PathBuf, options: LogOptions, files: Arc<dyn FileLayer>) -> Self {
        Self {
            path,
            options,
            files,
            partitions: RwLock::default(),
            buffers: Arc::default(),
            failed: OnceLock::new(),
            queue: Mutex::default(),
            wake: Condvar::new(),
            allowance: Mutex::new(0),
        }
    }

    /// Puts a partition into the next round of the syncer.
    pub(crate) fn enqueue(&self, partition: Arc<Partition>) {
        lock(&self.queue).dirty.push(partition);
        self.wake.notify_one();
    }

    /// Ends [`Folder::next_round`].
    pub(crate) fn stop(&self) {
        lock(&self.queue).stopped = true;
        self.wake.notify_all();
    }

    /// Waits for partitions to sync; `None` once stopped.
    pub(crate) fn next_round(&self) -> Option<Vec<Arc<Partition>>> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.stopped {
                return None;
            }
            if !queue.dirty.is_empty() {
                return Some(std::mem::take(&mut queue.dirty));
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The partitions waiting for a sync, without waiting for any.
    pub(crate) fn take_dirty(&self) -> Vec<Arc<Partition>> {
        std::mem::take(&mut lock(&self.queue).dirty)
    }

    /// All partitions, in order.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.values().cloned().collect()
    }

    /// A sync has failed: nothing in this folder is written or acknowledged any more.
    pub(crate) fn fail(&self, partition: &TopicPartition, action: &'static str, error: &io::Error) {
        if self.failed.set((partition.clone(), action)).is_err() {
            return;
        }
        tracing::error!(%partition, action, %error, "data folder refuses writes");
        self.mark_failed_sync();
        for partition in self.all() {
            partition.refuse_writes();
        }
    }

    /// Makes the next open write again what may be in the cache only. After a power cut, when the
    /// mark may be missing, the cache is empty as well. A process that is killed between the failed
    /// sync and this leaves no mark in a cache that lives on; see the crate's limits.
    pub(crate) fn mark_failed_sync(&self) {
        let mark = self.path.join(SYNC_FAILED);
        let marked = self.files.open(&mark, true).and_then(|file| file.sync());
        if let Err(error) = marked.and_then(|()| self.files.sync_dir(&self.path)) {
            tracing::warn!(path = %mark.display(), %error, "could not store the mark of a failure");
        }
    }

    /// Whether the process before has left its mark.
    pub(crate) fn has_failed_before(&self) -> Result<bool, IoFault> {
        let names = self.files.list(&self.path).at("list", &self.path)?;
        Ok(names.iter().any(|name| name == SYNC_FAILED))
    }

    /// Whether a sync has failed.
    pub(crate) fn failure(&self) -> Option<AppendError> {
        self.failed.get().map(|(partition, action)| AppendError::Failed {
            folder: self.path.clone(),
            partition: partition.clone(),
            action,
        })
    }

    /// Takes `bytes` of the free space.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), AppendError> {
        let mut allowance = lock(&self.allowance);
        if *allowance < bytes {
            let reserved = self.options.min_free_bytes;
            // A file system that cannot tell is written to until it refuses.
            let available = self.files.available_space(&self.path).unwrap_or(u64::MAX);
            let usable = available.saturating_sub(reserved);
            if usable < bytes {
                *allowance = 0;
                return Err(self.full(available));
            }
            *allowance = usable.min(SPACE_STEP.max(bytes));
        }
        *allowance -= bytes;
        Ok(())
    }

    /// The error for a full disk; the next append asks for the free space again.
    pub(crate) fn disk_full(&self) -> AppendError {
        *lock(&self.allowance) = 0;
        self.full(self.files.available_space(&self.path).unwrap_or(0))
    }

    fn full(&self, available: u64) -> AppendError {
        AppendError::DiskFull {
            folder: self.path.clone(),
            available,
            reserved: self.options.min_free_bytes,
        }
    }
}

/// Whether an error means that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
