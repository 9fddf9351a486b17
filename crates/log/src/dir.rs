//! The data folder: its lock, its partitions, its syncer.

use std::any::Any;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Attempt, IoFault, LogError, OpenError};
use crate::files::{FileLayer, LockError};
use crate::folder::{Folder, SYNC_FAILED, lock};
use crate::options::{LogOptions, PartitionConfig, TopicPartition};
use crate::partition::Partition;
use crate::small_file::{self, Content};

/// The layout described in the crate's documentation.
const LAYOUT: u32 = 1;

/// An open data folder. Cheap to clone; the last clone dropped closes it.
#[derive(Clone, Debug)]
pub struct LogDir {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    folder: Arc<Folder>,
    syncer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<Box<dyn Any + Send + Sync>>>,
    deletions: AtomicU64,
}

impl LogDir {
    /// Opens or creates a data folder: takes its lock and recovers every partition. Partitions
    /// have default settings until [`Partition::set_config`].
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another process has it.
    pub fn open(
        path: &Path,
        options: LogOptions,
        files: Arc<dyn FileLayer>,
    ) -> Result<Self, OpenError> {
        let partitions = path.join("partitions");
        files.create_dir_all(&partitions).at("create", &partitions)?;
        let held = take_lock(&*files, path)?;
        check_layout(&*files, path)?;
        files.sync_dir(path).at("sync folder", path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
            && let Err(error) = files.sync_dir(parent)
        {
            // Only matters for a new folder, and the parent may belong to somebody else.
            tracing::debug!(path = %parent.display(), %error, "could not sync parent folder");
        }
        let deleted = path.join("deleted");
        files.remove_dir_all(&deleted).at("remove", &deleted)?;
        let folder = Arc::new(Folder::new(path.to_owned(), options, files));
        if let Err(error) = recover(&folder, &partitions) {
            if let OpenError::Io(_) = error {
                folder.mark_failed_sync();
            }
            return Err(error);
        }
        let dir = Self {
            open: Arc::new(Open {
                folder,
                syncer: Mutex::new(None),
                lock: Mutex::new(Some(held)),
                deletions: AtomicU64::new(0),
            }),
        };
        dir.start_syncer().at("start syncer of", path)?;
        Ok(dir)
    }

    fn start_syncer(&self) -> std::io::Result<()> {
        #[cfg(feature = "faults")]
        if self.open.folder.options.manual_sync {
            return Ok(());
        }
        let folder = Arc::clone(&self.open.folder);
        let run = move || {
            while let Some(round) = folder.next_round() {
                round.iter().for_each(|partition| partition.sync());
            }
        };
        let thread = std::thread::Builder::new().name("log-syncer".to_owned()).spawn(run)?;
        *lock(&self.open.syncer) = Some(thread);
        Ok(())
    }

    /// Does the syncer's next round on this thread; see `LogOptions::manual_sync`.
    #[cfg(feature = "faults")]
    pub fn sync_now(&self) {
        self.open.folder.take_dirty().iter().for_each(|partition| partition.sync());
    }

    /// The data folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.open.folder.path
    }

    /// A partition, if it exists.
    #[must_use]
    pub fn partition(&self, id: &TopicPartition) -> Option<Arc<Partition>> {
        let partitions = &self.open.folder.partitions;
        partitions.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All partitions, ordered by topic and number.
    #[must_use]
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.open.folder.all()
    }

    /// Creates an empty partition; it survives a power cut when this returns.
    ///
    /// # Errors
    /// [`LogError::Exists`], or what the file system answers.
    pub fn create(
        &self,
        id: TopicPartition,
        config: PartitionConfig,
    ) -> Result<Arc<Partition>, LogError> {
        let folder = &self.open.folder;
        if let Some(failure) = folder.failure() {
            return Err(failure.into());
        }
        let mut partitions = folder.partitions.write().unwrap_or_else(PoisonError::into_inner);
        if partitions.contains_key(&id) {
            return Err(LogError::Exists { partition: id });
        }
        let parent = folder.path.join("partitions");
        let path = parent.join(id.to_string());
        let partition = Partition::create(id.clone(), path, Arc::clone(folder))?;
        folder.files.sync_dir(&parent).at("sync folder", &parent)?;
        partition.set_config(config);
        partitions.insert(id, Arc::clone(&partition));
        Ok(partition)
    }

    /// Deletes a partition; readers and waiters are woken and see it closed. Waits for a
    /// [`Partition::clean`] under way.
    ///
    /// # Errors
    /// [`LogError::Missing`], or what the file system answers.
    pub fn delete(&self, id: &TopicPartition) -> Result<(), LogError> {
        let folder = &self.open.folder;
        let partition = {
            let mut partitions = folder.partitions.write().unwrap_or_else(PoisonError::into_inner);
            partitions.remove(id).ok_or_else(|| LogError::Missing { partition: id.clone() })?
        };
        partition.retire();
        let parent = folder.path.join("deleted");
        folder.files.create_dir_all(&parent).at("create", &parent)?;
        let number = self.open.deletions.fetch_add(1, Ordering::Relaxed);
        let grave: PathBuf = parent.join(number.to_string());
        folder.files.rename(partition.path(), &grave).at("rename", partition.path())?;
        let partitions = folder.path.join("partitions");
        folder.files.sync_dir(&partitions).at("sync folder", &partitions)?;
        folder.files.remove_dir_all(&grave).at("remove", &grave)?;
        Ok(())
    }

    /// Syncs everything, writes checkpoints so that the next open reads nothing, releases the
    /// lock. Later calls on partitions fail as closed.
    pub fn close(&self) {
        self.open.close();
    }
}

impl Open {
    fn close(&self) {
        let Some(held) = lock(&self.lock).take() else { return };
        self.folder.stop();
        if let Some(syncer) = lock(&self.syncer).take()
            && syncer.join().is_err()
        {
            tracing::error!("syncer had stopped early");
        }
        self.folder.take_dirty();
        // Not under the map's lock: a sync that fails walks through the map.
        for partition in self.folder.all() {
            partition.want_checkpoint();
            partition.sync();
            partition.retire();
        }
        self.folder.partitions.write().unwrap_or_else(PoisonError::into_inner).clear();
        drop(held);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}

fn take_lock(files: &dyn FileLayer, path: &Path) -> Result<Box<dyn Any + Send + Sync>, OpenError> {
    let lock = path.join("lock");
    files.lock(&lock).map_err(|error| match error {
        LockError::Held(pid) => OpenError::Locked { folder: path.to_owned(), pid },
        LockError::Io(source) => IoFault { action: "lock", path: lock, source }.into(),
    })
}

/// Writes the layout's number into a new folder; refuses one from the future.
fn check_layout(files: &dyn FileLayer, folder: &Path) -> Result<(), OpenError> {
    let path = folder.join("layout");
    let found = match small_file::read(files, &path)? {
        Content::Missing | Content::Damaged => None,
        Content::Whole(bytes) => bytes.try_into().ok().map(u32::from_be_bytes),
    };
    match found {
        Some(found) if found > LAYOUT => {
            Err(OpenError::Layout { folder: folder.to_owned(), found, known: LAYOUT })
        }
        Some(_) => Ok(()),
        None => Ok(small_file::replace(files, &path, &LAYOUT.to_be_bytes())?),
    }
}

fn recover(folder: &Arc<Folder>, partitions: &Path) -> Result<(), OpenError> {
    let distrust = folder.has_failed_before()?;
    for name in folder.files.list(partitions).at("list", partitions)? {
        let id = name.rsplit_once('-').and_then(|(topic, partition)| {
            TopicPartition::new(topic, partition.parse().ok()?).ok()
        });
        let Some(id) = id.filter(|id| id.to_string() == name) else {
            tracing::warn!(name, "ignoring a folder that is not a partition");
            continue;
        };
        let path = partitions.join(&name);
        let partition = match Partition::open(id.clone(), path, Arc::clone(folder), distrust) {
            Err(OpenError::Io(fault)) if fault.source.kind() == ErrorKind::NotADirectory => {
                tracing::warn!(name, "ignoring a file where partitions have folders");
                continue;
            }
            opened => opened?,
        };
        folder.partitions.write().unwrap_or_else(PoisonError::into_inner).insert(id, partition);
    }
    let mark = folder.path.join(SYNC_FAILED);
    folder.files.remove_file(&mark).at("remove", &mark)?;
    Ok(())
}
