//! The comparison, inside one transaction.

mod letters;

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use throughline_event::{Change, Offset, Op, TopicPartition};

use crate::error::StoreError;
use crate::group;
use crate::shape::Comparer;
use crate::statements::Statements;
use crate::store::{EntityId, GroupId, Memory, set_offset};
use crate::sweep::{first_id, group_of, last_id};

/// The scope of keys that belong to no sweep.
const NO_SCOPE: &str = "";

/// One transaction of a [`Store`](crate::Store): reads see what it wrote.
///
/// Begun before and committed after the Kafka transaction that publishes its changes. Dropping it
/// takes everything back; the producer then reads its items again.
pub struct Differ<'s> {
    connection: &'s Connection,
    memory: &'s mut Memory,
    statements: Statements<'s>,
    open: bool,
}

/// A key that a sweep did not see. It is deleted by [`Differ::gone`], with a version of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The key's datum.
    pub key: Vec<u8>,
}

/// What the store has for a key.
struct Stored<'a> {
    id: i64,
    version: i64,
    /// Nothing after a delete.
    document: Option<&'a [u8]>,
}

/// What becomes of a key.
enum Verdict {
    /// Nothing to publish and nothing to write; the row, when there is one.
    Keep(Option<i64>),
    /// A new row.
    Insert(Change),
    /// Another document, or a delete, in this row.
    Update(i64, Change),
    /// A delete of what is not there: only its version is remembered.
    Remember(Option<i64>),
}

impl<'s> Differ<'s> {
    pub(crate) fn begin(
        connection: &'s Connection,
        memory: &'s mut Memory,
    ) -> Result<Self, StoreError> {
        let begun = connection
            .execute_batch("BEGIN IMMEDIATE")
            .and_then(|()| Statements::prepare(connection));
        match begun {
            Ok(statements) => Ok(Self { connection, memory, statements, open: true }),
            Err(source) => Err(StoreError::from_sqlite(&memory.path, source)),
        }
    }

    /// The document of `key` as it is now. Nothing when it is the same as, or older than, what was
    /// published; a first document is an [`Op::Create`].
    ///
    /// `scope` is the full dump that the key came from, if it was one: the key then belongs to it,
    /// and counts as seen by its sweep.
    pub fn document(
        &mut self,
        entity: EntityId,
        key: &[u8],
        version: i64,
        after: &[u8],
        scope: Option<&str>,
    ) -> Result<Option<Change>, StoreError> {
        let verdict = self.judge(entity, key, |comparer, stored| {
            let Some(stored) = stored else { return Ok(Verdict::Insert(created(after))) };
            if version < stored.version {
                return Ok(Verdict::Keep(Some(stored.id)));
            }
            match stored.document {
                None => Ok(Verdict::Update(stored.id, created(after))),
                Some(before) if comparer.same(before, after)? => Ok(Verdict::Keep(Some(stored.id))),
                Some(before) => Ok(Verdict::Update(stored.id, updated(before, after.to_vec()))),
            }
        })?;
        let (id, change) = self.execute(entity, key, version, scope, verdict)?;
        if let (Some(id), Some(scope)) = (id, scope) {
            let id = self.moved(id, entity, scope)?;
            self.memory.sweeps.mark(id);
        }
        Ok(change)
    }

    /// Rows that join the grouped document of `key` behind the rows it has; see [`group`].
    ///
    /// Rows cannot be told from a repetition of themselves: give each once.
    pub fn append_rows(
        &mut self,
        entity: EntityId,
        key: &[u8],
        version: i64,
        rows: &[impl AsRef<[u8]>],
    ) -> Result<Option<Change>, StoreError> {
        if rows.is_empty() {
            return Ok(None);
        }
        let verdict = self.judge(entity, key, |comparer, stored| {
            let Some(stored) = stored else {
                return Ok(Verdict::Insert(created(&group::build(key, rows))));
            };
            let entity = || comparer.entity.clone();
            if version < stored.version {
                let published = stored.version;
                return Err(StoreError::RowsOutOfOrder { entity: entity(), version, published });
            }
            let change = match stored.document {
                None => created(&group::build(key, rows)),
                Some(before) => {
                    let after = group::append(before, key, rows)
                        .map_err(|source| StoreError::Group { entity: entity(), source })?;
                    updated(before, after)
                }
            };
            Ok(Verdict::Update(stored.id, change))
        })?;
        self.execute(entity, key, version, None, verdict).map(|(_, change)| change)
    }

    /// The key is gone. Nothing when it was not there, or has a newer document. The version stays
    /// for good, so that an older document that arrives late is dropped.
    pub fn gone(
        &mut self,
        entity: EntityId,
        key: &[u8],
        version: i64,
    ) -> Result<Option<Change>, StoreError> {
        let verdict = self.judge(entity, key, |_, stored| {
            Ok(match stored {
                None => Verdict::Remember(None),
                Some(stored) if version < stored.version => Verdict::Keep(Some(stored.id)),
                Some(Stored { document: None, id, .. }) => Verdict::Remember(Some(id)),
                Some(Stored { document: Some(before), id, .. }) => {
                    let before = Some(before.to_vec());
                    Verdict::Update(id, Change { op: Op::Delete, before, after: None })
                }
            })
        })?;
        self.execute(entity, key, version, None, verdict).map(|(_, change)| change)
    }

    /// The key stands in the dump, but what stands there cannot be used: it counts as seen.
    pub fn kept(&mut self, entity: EntityId, key: &[u8], scope: &str) -> Result<(), StoreError> {
        let find = |_: &Comparer, stored: Option<Stored<'_>>| {
            Ok(Verdict::Keep(stored.map(|stored| stored.id)))
        };
        if let Verdict::Keep(Some(id)) = self.judge(entity, key, find)? {
            let id = self.moved(id, entity, scope)?;
            self.memory.sweeps.mark(id);
        }
        Ok(())
    }

    /// A full dump begins. One that had begun in the same scope is given up.
    pub fn sweep_begin(&mut self, entity: EntityId, scope: &str) -> Result<(), StoreError> {
        let group = self.group(entity, scope)?;
        self.memory.sweeps.begin(group);
        Ok(())
    }

    /// The dump is given up: nothing is deleted.
    pub fn sweep_cancel(&mut self, entity: EntityId, scope: &str) -> Result<(), StoreError> {
        let group = self.group(entity, scope)?;
        self.memory.sweeps.cancel(group);
        Ok(())
    }

    /// The dump is complete: keys of this scope that it did not show, at most `limit` of them.
    ///
    /// Give each to [`Differ::gone`]. With fewer than `limit` the sweep is over; else call again,
    /// in this transaction or the next one.
    pub fn sweep_end(
        &mut self,
        entity: EntityId,
        scope: &str,
        limit: usize,
    ) -> Result<Vec<Gone>, StoreError> {
        let group = self.group(entity, scope)?;
        let Some(sweep) = self.memory.sweeps.get_mut(group) else {
            let entity = comparer(&self.memory.entities, entity).entity.clone();
            return Err(StoreError::NoSweep { entity, scope: scope.to_owned() });
        };
        let mut gone = Vec::new();
        let unseen = (|| {
            let mut statement = self.connection.prepare(
                "SELECT id, key FROM document
                 WHERE id>?1 AND id<=?2 AND document IS NOT NULL ORDER BY id",
            )?;
            let mut rows = statement.query([sweep.reached, last_id(group)])?;
            while gone.len() < limit {
                let Some(row) = rows.next()? else {
                    sweep.end();
                    break;
                };
                let id = row.get(0)?;
                sweep.reached = id;
                if !sweep.saw(id) {
                    gone.push(Gone { key: row.get(1)? });
                }
            }
            Ok(())
        })();
        unseen.map_err(|source| self.failed(source))?;
        Ok(gone)
    }

    /// What a record of the entity's topic says was published: catching up after a start.
    ///
    /// Records below [`Store::next_offset`](crate::Store::next_offset) are known and ignored. `after`
    /// is nothing for a delete and for a tombstone. `scope` is the dump that the document came from,
    /// which the publisher has to note in the record: a rebuilt store cannot know it otherwise, and
    /// the next dump would not delete the key. Without one a known key keeps the scope it has.
    pub fn apply_published(
        &mut self,
        entity: EntityId,
        key: &[u8],
        after: Option<&[u8]>,
        version: i64,
        scope: Option<&str>,
        at: (&TopicPartition, Offset),
    ) -> Result<(), StoreError> {
        if self.memory.offsets.get(at.0).is_some_and(|next| at.1 < *next) {
            return Ok(());
        }
        let verdict = self.judge(entity, key, |_, stored| {
            Ok(match (stored, after) {
                (None, Some(after)) => Verdict::Insert(created(after)),
                (None, None) => Verdict::Remember(None),
                (Some(stored), _) if version < stored.version => Verdict::Keep(Some(stored.id)),
                (Some(stored), Some(after)) => Verdict::Update(stored.id, created(after)),
                (Some(stored), None) => Verdict::Remember(Some(stored.id)),
            })
        })?;
        let (id, _) = self.execute(entity, key, version, scope, verdict)?;
        if let (Some(id), Some(scope)) = (id, scope) {
            self.moved(id, entity, scope)?;
        }
        Ok(())
    }

    /// Makes everything durable, with the offsets behind what was published or applied.
    pub fn commit(mut self, offsets: &[(TopicPartition, Offset)]) -> Result<(), StoreError> {
        offsets
            .iter()
            .try_for_each(|(at, next)| set_offset(self.connection, at, *next))
            .and_then(|()| self.connection.execute_batch("COMMIT"))
            .map_err(|source| self.failed(source))?;
        self.open = false;
        self.memory.sweeps.committed();
        self.memory.offsets.extend(offsets.iter().cloned());
        Ok(())
    }

    /// Finds what is stored for the key and lets `decide` see it without a copy.
    fn judge(
        &mut self,
        entity: EntityId,
        key: &[u8],
        decide: impl FnOnce(&Comparer, Option<Stored<'_>>) -> Result<Verdict, StoreError>,
    ) -> Result<Verdict, StoreError> {
        let comparer = comparer(&self.memory.entities, entity);
        let path = &self.memory.path;
        let failed = |source| StoreError::from_sqlite(path, source);
        let mut rows = self.statements.find.query(params![entity.0, key]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return decide(comparer, None) };
        let document = match row.get_ref(2).map_err(failed)? {
            ValueRef::Blob(document) => Some(document),
            _ => None,
        };
        let stored = Stored {
            id: row.get(0).map_err(failed)?,
            version: row.get(1).map_err(failed)?,
            document,
        };
        decide(comparer, Some(stored))
    }

    /// Writes what was decided. Returns the row, when there is one, and what is to be published.
    fn execute(
        &mut self,
        entity: EntityId,
        key: &[u8],
        version: i64,
        scope: Option<&str>,
        verdict: Verdict,
    ) -> Result<(Option<i64>, Option<Change>), StoreError> {
        let (id, change) = match verdict {
            Verdict::Keep(id) => return Ok((id, None)),
            Verdict::Insert(change) => (None, Some(change)),
            Verdict::Update(id, change) => (Some(id), Some(change)),
            Verdict::Remember(id) => (id, None),
        };
        let document = change.as_ref().and_then(|change| change.after.as_deref());
        let written = match id {
            Some(id) => self.statements.update.execute(params![id, version, document]).map(|_| id),
            None => {
                let id = self.new_id(entity, scope.unwrap_or(NO_SCOPE))?;
                let row = params![id, entity.0, key, version, document];
                self.statements.insert.execute(row).map(|_| id)
            }
        };
        let id = written.map_err(|source| self.failed(source))?;
        Ok((Some(id), change))
    }

    /// The row's id after it was moved to `scope`, where it belongs from now on.
    fn moved(&mut self, id: i64, entity: EntityId, scope: &str) -> Result<i64, StoreError> {
        if group_of(id) == self.group(entity, scope)? {
            return Ok(id);
        }
        let new = self.new_id(entity, scope)?;
        let moved = self.statements.renumber.execute([id, new]);
        moved.map(|_| new).map_err(|source| self.failed(source))
    }

    fn new_id(&mut self, entity: EntityId, scope: &str) -> Result<i64, StoreError> {
        let group = self.group(entity, scope)?;
        let last = match self.memory.last_ids.get(&group) {
            Some(last) => *last,
            None => self.last_id(group).map_err(|source| self.failed(source))?,
        };
        if last == last_id(group) {
            return Err(StoreError::KeysExhausted { path: self.memory.path.clone() });
        }
        self.memory.last_ids.insert(group, last + 1);
        Ok(last + 1)
    }

    fn last_id(&self, group: GroupId) -> rusqlite::Result<i64> {
        let range = [first_id(group), last_id(group)];
        let sql = "SELECT max(id) FROM document WHERE id BETWEEN ?1 AND ?2";
        let last: Option<i64> = self.connection.query_row(sql, range, |row| row.get(0))?;
        Ok(last.unwrap_or(first_id(group)))
    }

    fn group(&mut self, entity: EntityId, scope: &str) -> Result<GroupId, StoreError> {
        if let Some(group) = self.memory.groups.get(&entity).and_then(|groups| groups.get(scope)) {
            return Ok(*group);
        }
        let group = self.stored_group(entity, scope).map_err(|source| self.failed(source))?;
        if group > GroupId::MAX {
            return Err(StoreError::KeysExhausted { path: self.memory.path.clone() });
        }
        let group = GroupId(group);
        self.memory.groups.entry(entity).or_default().insert(scope.to_owned(), group);
        Ok(group)
    }

    fn stored_group(&self, entity: EntityId, scope: &str) -> rusqlite::Result<u32> {
        let row = params![entity.0, scope];
        let sql = "SELECT id FROM scope WHERE entity=?1 AND name=?2";
        let known = self.connection.query_row(sql, row, |row| row.get(0)).optional()?;
        match known {
            Some(group) => Ok(group),
            None => {
                let sql = "INSERT INTO scope(entity, name) VALUES(?1, ?2) RETURNING id";
                self.connection.query_row(sql, row, |row| row.get(0))
            }
        }
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&self.memory.path, source)
    }
}

impl Drop for Differ<'_> {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        // SQLite has already rolled back after some errors. What fails here fails again, and is
        // reported, when the next transaction begins.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.memory.sweeps.rolled_back();
        // A scope that was first used in this transaction has lost its number.
        self.memory.groups.clear();
    }
}

fn created(after: &[u8]) -> Change {
    Change { op: Op::Create, before: None, after: Some(after.to_vec()) }
}

fn updated(before: &[u8], after: Vec<u8>) -> Change {
    Change { op: Op::Update, before: Some(before.to_vec()), after: Some(after) }
}

fn comparer(entities: &HashMap<EntityId, Comparer>, entity: EntityId) -> &Comparer {
    entities.get(&entity).expect("an entity id comes from `Store::entity` of the same store")
}

#[cfg(test)]
mod tests;
