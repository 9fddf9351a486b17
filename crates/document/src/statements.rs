//! The SQL of one transaction, prepared once and used for every document.

use rusqlite::{Connection, Statement};

/// Statements over the table of documents.
///
/// A tombstone is a row without a document: it keeps the version of a delete.
pub(crate) struct Statements<'c> {
    pub(crate) find: Statement<'c>,
    pub(crate) insert: Statement<'c>,
    pub(crate) update: Statement<'c>,
    pub(crate) renumber: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql| connection.prepare(sql);
        Ok(Self {
            find: prepare("SELECT id, version, document FROM document WHERE entity=?1 AND key=?2")?,
            insert: prepare(
                "INSERT INTO document(id, entity, key, version, document) VALUES(?1,?2,?3,?4,?5)",
            )?,
            update: prepare("UPDATE document SET version=?2, document=?3 WHERE id=?1")?,
            renumber: prepare("UPDATE document SET id=?2 WHERE id=?1")?,
        })
    }
}
