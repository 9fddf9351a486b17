//! A disk in memory that fails as real ones do, from a seed. For tests only (feature `faults`).
//!
//! - What was not synced may be lost at a power cut, wholly or in part: the tail is torn, single
//!   writes are missing with zeros in their place, bits flip, garbage follows.
//! - Names (creations, renames, removals) survive only when their folder was synced; of the rest a
//!   prefix, in order, as a journaling file system does it.
//! - After a failed sync the cache has the bytes, the disk has not, and the next sync succeeds
//!   without writing them.
//! - A full disk takes part of a write.

mod disk;

use std::any::Any;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::files::{FileLayer, LockError, LogFile};
use crate::folder::lock;
use disk::Disk;

/// How often each fault has really happened, so that a test can show that it met them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Power cuts.
    pub power_cuts: u64,
    /// Operations stopped by a crash point.
    pub crash_points: u64,
    /// Files that lost everything unsynced.
    pub lost: u64,
    /// Files whose last write survived in part.
    pub torn: u64,
    /// Files that lost writes before ones that survived.
    pub holes: u64,
    /// Files with flipped bits where they were not synced.
    pub flipped: u64,
    /// Files with garbage at their end.
    pub garbage: u64,
    /// Changes of names that were lost.
    pub names_lost: u64,
    /// Syncs that failed.
    pub sync_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Writes refused for lack of room.
    pub disk_full: u64,
}

/// See the module. Clones share one disk.
#[derive(Clone, Debug)]
pub struct FaultyFiles {
    disk: Arc<Mutex<Disk>>,
}

impl FaultyFiles {
    /// An empty disk; the same seed and the same operations give the same faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { disk: Arc::new(Mutex::new(Disk::new(seed))) }
    }

    /// From the `operations`-th change on, everything fails until [`FaultyFiles::power_cut`] or
    /// [`FaultyFiles::kill`]; the change itself happens in part.
    pub fn crash_after(&self, operations: u64) {
        self.disk().crash_in = Some(operations);
    }

    /// Whether the point set by [`FaultyFiles::crash_after`] was reached.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.disk().crashed
    }

    /// The machine stops: open files die, and only what survived is there.
    pub fn power_cut(&self) {
        self.disk().power_cut();
    }

    /// The process stops: open files die, the cache survives.
    pub fn kill(&self) {
        self.disk().restart();
    }

    /// Limits the bytes of all files together.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// The next so many syncs fail.
    pub fn fail_syncs(&self, count: u32) {
        self.disk().failing_syncs = count;
    }

    /// The next so many writes to files fail after a part.
    pub fn fail_writes(&self, count: u32) {
        self.disk().failing_writes = count;
    }

    /// Changes a file behind the log's back, durably. Does nothing when it does not exist.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        self.disk().edit(path, change);
    }

    /// Paths of all files.
    #[must_use]
    pub fn paths(&self) -> Vec<std::path::PathBuf> {
        self.disk().paths()
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.disk().counts
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }
}

/// An open file; dies with the process that opened it.
#[derive(Debug)]
struct FaultyFile {
    disk: Arc<Mutex<Disk>>,
    file: usize,
    life: u64,
}

impl FaultyFile {
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = lock(&self.disk);
        disk.check_alive(self.life)?;
        Ok(disk)
    }
}

impl LogFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk()?.content(self.file).len() as u64)
    }

    fn append(&self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        self.disk()?.append(self.file, &bytes)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let disk = self.disk()?;
        let from = usize::try_from(position).unwrap_or(usize::MAX);
        let rest = disk.content(self.file).get(from..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk()?.set_len(self.file, usize::try_from(len).unwrap_or(usize::MAX))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk()?.sync(self.file)
    }
}

/// Releases the lock unless a later life holds it.
#[derive(Debug)]
struct Held {
    disk: Arc<Mutex<Disk>>,
    life: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut disk = lock(&self.disk);
        if disk.locked_by == Some(self.life) {
            disk.locked_by = None;
        }
    }
}

impl FileLayer for FaultyFiles {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn LogFile>> {
        let mut disk = self.disk();
        let file = disk.open(path, create)?;
        Ok(Arc::new(FaultyFile { disk: Arc::clone(&self.disk), file, life: disk.life }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk().remove(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk().remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk().create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk().list(folder)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.disk().sync_folder(folder)
    }

    fn available_space(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.disk().available())
    }

    fn lock(&self, _path: &Path) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        let mut disk = self.disk();
        if disk.locked_by.is_some() {
            return Err(LockError::Held(Some(std::process::id())));
        }
        let life = disk.life;
        disk.locked_by = Some(life);
        Ok(Box::new(Held { disk: Arc::clone(&self.disk), life }))
    }
}
