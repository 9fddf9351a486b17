//! The tables, and how a file becomes a connection.
//!
//! A document's row id is its group (entity and scope) above a running number. So rows are written
//! one behind the other in the order of the source, a full dump touches pages in order, a sweep reads
//! one range, and one bit per number is enough to remember which keys were seen.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Transaction, params};
use throughline_event::{Offset, PartitionId, TopicName, TopicPartition};

use crate::error::StoreError;
use crate::shape::EntityShape;

/// Counted up whenever an older version could not read the file.
const FORMAT: i64 = 1;

/// "TLds" in ASCII: tells a state store from any other SQLite file.
const APPLICATION: i64 = 0x544c_6473;

const TABLES: &str = "
    CREATE TABLE entity(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, schema TEXT NOT NULL);
    CREATE TABLE scope(
        id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE(entity, name));
    CREATE TABLE offset(
        topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
        PRIMARY KEY(topic, partition)) WITHOUT ROWID;
    CREATE TABLE document(
        id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, key BLOB NOT NULL,
        version INTEGER NOT NULL, document BLOB);
    CREATE UNIQUE INDEX document_key ON document(entity, key);
    CREATE INDEX document_deleted ON document(entity, version) WHERE document IS NULL;
";

/// Made in an older file, too: without it the letters are read from their topic.
const LETTERS: &str = "
    CREATE TABLE IF NOT EXISTS letter(
        id TEXT PRIMARY KEY, source TEXT NOT NULL, reading INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS letter_source ON letter(source);
";

/// Opens and checks the file, and makes the tables in an empty one.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::from_sqlite(path, source);
    let connection = Connection::open(path).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    match (number("application_id").map_err(failed)?, number("user_version").map_err(failed)?) {
        (0, 0) if tables == 0 => create(&connection).map_err(failed)?,
        (APPLICATION, FORMAT) => {}
        (APPLICATION, found) if found > FORMAT => {
            return Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT });
        }
        _ => return Err(StoreError::Damaged { path: path.to_owned(), source: None }),
    }
    connection.execute_batch(LETTERS).map_err(failed)?;
    Ok(connection)
}

/// Bytes of the file that are kept in memory where nobody says how many.
const CACHE: usize = 64 << 20;

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // Another process does not go away by itself, so there is nothing to wait for.
    connection.busy_timeout(Duration::ZERO)?;
    // Takes effect for a new file only. Documents are small; a page holds dozens.
    connection.pragma_update(None, "page_size", 8_192)?;
    // Nobody else reads the file, so the index of the log needs no shared memory, and a second
    // process is refused.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A commit that a power cut takes back is caught up from the topic.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    limit_cache(connection, CACHE)?;
    connection.pragma_update(None, "wal_autocheckpoint", 8_192)?;
    // Exclusive locks are taken by the first access that writes.
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT")
}

/// Sets how many bytes of the file are kept in memory.
pub(super) fn limit_cache(connection: &Connection, bytes: usize) -> rusqlite::Result<()> {
    // A negative number counts KiB, another one pages.
    let kibibytes = i64::try_from(bytes >> 10).unwrap_or(i64::MAX);
    connection.pragma_update(None, "cache_size", -kibibytes.max(1))
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES}
         PRAGMA application_id={APPLICATION}; PRAGMA user_version={FORMAT}; COMMIT"
    ))
}

/// Removes the file and those that belong to it.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::Remove { path, source }),
        }
    }
    Ok(())
}

/// Every offset in the file.
pub(super) fn offsets(
    connection: &Connection,
) -> rusqlite::Result<HashMap<TopicPartition, Offset>> {
    let mut statement = connection.prepare("SELECT topic, partition, next FROM offset")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, PartitionId(row.get(1)?), Offset(row.get(2)?)))
    })?;
    let mut offsets = HashMap::new();
    for row in rows {
        let (topic, partition, next) = row?;
        // Only valid names were written; another one is a partition that nobody asks for.
        if let Ok(topic) = TopicName::new(topic) {
            offsets.insert(TopicPartition { topic, partition }, next);
        }
    }
    Ok(offsets)
}

/// Writes one offset.
pub(crate) fn set_offset(
    connection: &Connection,
    at: &TopicPartition,
    next: Offset,
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO offset(topic, partition, next) VALUES(?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET next=excluded.next",
        params![at.topic.as_str(), at.partition.0, next.0],
    )?;
    Ok(())
}

/// Forgets an entity's documents, how far its topic was read, and notes the new schema.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    entity: u32,
    shape: &EntityShape,
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM document WHERE entity=?1", [entity])?;
    transaction.execute("DELETE FROM offset WHERE topic=?1", [shape.topic.as_str()])?;
    let sql = "UPDATE entity SET schema=?2 WHERE id=?1";
    transaction.execute(sql, params![entity, shape.document.text()])?;
    Ok(())
}
