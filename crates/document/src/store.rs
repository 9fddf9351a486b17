//! The file: opened, checked, rebuilt; entities and offsets.

mod format;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use throughline_event::{Offset, TopicPartition};

use crate::differ::Differ;
use crate::error::StoreError;
use crate::shape::{Comparer, EntityShape};
use crate::sweep::Sweeps;

pub(crate) use format::set_offset;

/// The number that a store gave to an entity; see [`Store::entity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(pub(crate) u32);

/// Rows of one entity that came from one scope, or from none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GroupId(pub(crate) u32);

impl GroupId {
    /// Row ids are positive 64-bit numbers, 40 bits of which number the keys of a group.
    pub(crate) const MAX: u32 = (1 << 23) - 1;
}

/// What was last published for every key, in one SQLite file.
///
/// One process and one transaction at a time.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) memory: Memory,
}

/// What a store knows beside the file. It survives transactions, not a restart.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) path: PathBuf,
    pub(crate) entities: HashMap<EntityId, Comparer>,
    pub(crate) offsets: HashMap<TopicPartition, Offset>,
    pub(crate) groups: HashMap<EntityId, HashMap<String, GroupId>>,
    /// The last row id that was given out in a group. Never goes back, so that a key that is added
    /// after a rollback does not inherit a mark.
    pub(crate) last_ids: HashMap<GroupId, i64>,
    pub(crate) sweeps: Sweeps,
}

impl Store {
    /// Opens the store at `path`, or makes an empty one when there is no file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let connection = format::open(path)?;
        let offsets =
            format::offsets(&connection).map_err(|source| StoreError::from_sqlite(path, source))?;
        let memory = Memory { path: path.to_owned(), offsets, ..Memory::default() };
        Ok(Self { connection, memory })
    }

    /// Like [`Store::open`], but a file that is damaged or too new is replaced by an empty one.
    ///
    /// Nothing is lost: an empty store is behind its topics and is caught up like any other.
    pub fn open_or_rebuild(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        match Self::open(path) {
            Err(error) if error.is_repaired_by_rebuild() => {
                format::remove(path)?;
                Self::open(path)
            }
            opened => opened,
        }
    }

    /// An empty store at `path`, in place of what stands there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        format::remove(path.as_ref())?;
        Self::open(path)
    }

    /// Closes the store and removes its file.
    pub fn remove(self) -> Result<(), StoreError> {
        let Self { connection, memory } = self;
        drop(connection);
        format::remove(&memory.path)
    }

    /// Keeps at most so many bytes of the file in memory, in place of 64 MiB. What is read and written
    /// at one time is kept whatever the limit.
    pub fn limit_cache(&self, bytes: usize) -> Result<(), StoreError> {
        format::limit_cache(&self.connection, bytes).map_err(|source| self.failed(source))
    }

    /// Names an entity before its documents are used. The number is the same after a restart.
    ///
    /// When the schema of its documents has changed, what is stored could no longer stand as
    /// `before` in an event. Its documents and the offsets of its topic are then forgotten: the
    /// next catch-up starts at the beginning of the topic.
    pub fn entity(&mut self, shape: &EntityShape) -> Result<EntityId, StoreError> {
        let comparer = Comparer::new(shape)?;
        let id = self.named(shape).map_err(|source| self.failed(source))?;
        self.memory.entities.insert(id, comparer);
        Ok(id)
    }

    fn named(&mut self, shape: &EntityShape) -> rusqlite::Result<EntityId> {
        let (name, schema) = (shape.entity.as_str(), shape.document.text());
        let transaction = self.connection.transaction()?;
        let known: Option<(u32, String)> = transaction
            .query_row("SELECT id, schema FROM entity WHERE name=?1", [name], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let id = match known {
            Some((id, old)) => {
                if old != schema {
                    format::forget(&transaction, id, shape)?;
                    self.memory.offsets.retain(|at, _| at.topic != shape.topic);
                }
                id
            }
            None => transaction.query_row(
                "INSERT INTO entity(name, schema) VALUES(?1, ?2) RETURNING id",
                params![name, schema],
                |row| row.get(0),
            )?,
        };
        transaction.commit()?;
        Ok(EntityId(id))
    }

    /// The first offset of a partition that the store does not know yet; 0 for one it never saw.
    pub fn next_offset(&self, at: &TopicPartition) -> Offset {
        self.memory.offsets.get(at).copied().unwrap_or(Offset(0))
    }

    /// The newest version of any document or delete; 0 for an empty store. Looks at all of them.
    pub fn newest_version(&self) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(version), 0) FROM document";
        let newest = self.connection.query_row(sql, [], |row| row.get(0));
        newest.map_err(|source| self.failed(source))
    }

    /// Begins a transaction, which spans one Kafka transaction. Dropping it takes it back.
    pub fn transaction(&mut self) -> Result<Differ<'_>, StoreError> {
        Differ::begin(&self.connection, &mut self.memory)
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&self.memory.path, source)
    }
}

#[cfg(test)]
mod tests;
