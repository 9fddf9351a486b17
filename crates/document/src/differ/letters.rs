//! Open dead letters, by the source that they complain of.

use rusqlite::params;

use super::Differ;
use crate::error::StoreError;

impl Differ<'_> {
    /// A dead letter stands open. `source` is what it came from, a file; `reading` tells one version
    /// of the source from another.
    pub fn letter(&mut self, id: &str, source: &str, reading: u64) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO letter(id, source, reading) VALUES(?1, ?2, ?3)";
        self.change_letter(sql, params![id, source, reading.cast_signed()])
    }

    /// A dead letter is resolved.
    pub fn letter_resolved(&mut self, id: &str) -> Result<(), StoreError> {
        self.change_letter("DELETE FROM letter WHERE id=?1", params![id])
    }

    /// Open letters of a source that came from other readings of it, at most `limit` of them.
    pub fn letters_before(
        &self,
        source: &str,
        reading: u64,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let found: rusqlite::Result<Vec<String>> = (|| {
            let sql = "SELECT id FROM letter WHERE source=?1 AND reading<>?2 ORDER BY id LIMIT ?3";
            let mut statement = self.connection.prepare(sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement
                .query_map(params![source, reading.cast_signed(), limit], |row| row.get(0))?;
            rows.collect()
        })();
        found.map_err(|source| self.failed(source))
    }

    fn change_letter(&mut self, sql: &str, row: &[&dyn rusqlite::ToSql]) -> Result<(), StoreError> {
        let changed = self.connection.execute(sql, row);
        changed.map(drop).map_err(|source| self.failed(source))
    }
}
