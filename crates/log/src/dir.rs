//! The data folder: its lock, its partitions, its syncer.

use std::path::Path;
use std::sync::Arc;

use crate::error::{LogError, OpenError};
use crate::files::FileLayer;
use crate::options::{LogOptions, PartitionConfig, TopicPartition};
use crate::partition::Partition;

/// An open data folder. Cheap to clone; the last clone dropped closes it.
#[derive(Clone, Debug)]
pub struct LogDir {
    inner: Arc<()>,
}

impl LogDir {
    /// Opens or creates a data folder: takes its lock and recovers every partition. Partitions
    /// have default settings until [`Partition::set_config`].
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another process has it.
    pub fn open(
        _path: &Path,
        _options: LogOptions,
        _files: Arc<dyn FileLayer>,
    ) -> Result<Self, OpenError> {
        Ok(Self { inner: Arc::new(()) })
    }

    /// A partition, if it exists.
    #[must_use]
    pub fn partition(&self, _id: &TopicPartition) -> Option<Arc<Partition>> {
        None
    }

    /// All partitions, ordered by topic and number.
    #[must_use]
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        Vec::new()
    }

    /// Creates an empty partition; it survives a power cut when this returns.
    ///
    /// # Errors
    /// [`LogError::Exists`], or what the file system answers.
    pub fn create(
        &self,
        id: TopicPartition,
        _config: PartitionConfig,
    ) -> Result<Arc<Partition>, LogError> {
        Err(LogError::Exists { partition: id })
    }

    /// Deletes a partition; readers and waiters are woken and see it closed.
    ///
    /// # Errors
    /// [`LogError::Missing`], or what the file system answers.
    pub fn delete(&self, id: &TopicPartition) -> Result<(), LogError> {
        Err(LogError::Missing { partition: id.clone() })
    }

    /// Syncs everything, writes checkpoints so that the next open reads nothing, releases the
    /// lock. Later calls on partitions fail as closed.
    pub fn close(&self) {}
}
