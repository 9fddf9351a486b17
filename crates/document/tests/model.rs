//! What a store should know, as plain maps.

use std::collections::BTreeMap;

use throughline_document::group;
use throughline_event::{Change, Op};

/// The entity whose second field is ignored.
pub(crate) const IGNORING: usize = 1;

/// The entity whose documents are grouped.
pub(crate) const GROUPED: usize = 2;

/// One record of the topic.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) entity: usize,
    pub(crate) key: u8,
    pub(crate) after: Option<Vec<u8>>,
    pub(crate) version: i64,
    pub(crate) scope: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    version: i64,
    document: Option<Vec<u8>>,
    scope: String,
}

/// The state of every key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Model(BTreeMap<(usize, u8), Row>);

impl Model {
    /// The live documents.
    pub(crate) fn live(&self) -> BTreeMap<(usize, u8), Vec<u8>> {
        let live = |row: &Row| row.document.clone();
        self.0.iter().filter_map(|(key, row)| Some((*key, live(row)?))).collect()
    }

    /// The live keys of a scope, but for those in `seen`.
    pub(crate) fn unseen(&self, entity: usize, scope: &str, seen: &[u8]) -> Vec<u8> {
        let in_scope = |row: &Row| row.document.is_some() && row.scope == scope;
        self.0
            .iter()
            .filter(|((of, key), row)| *of == entity && in_scope(row) && !seen.contains(key))
            .map(|((_, key), _)| *key)
            .collect()
    }

    pub(crate) fn document(
        &mut self,
        entity: usize,
        key: u8,
        version: i64,
        after: &[u8],
        scope: Option<&str>,
    ) -> Option<Change> {
        let before = self.0.get(&(entity, key));
        let change = match before {
            Some(row) if version < row.version => None,
            Some(Row { document: Some(before), .. }) => {
                let same = match entity {
                    IGNORING => before[0] == after[0],
                    _ => before == after,
                };
                (!same).then(|| change(Op::Update, Some(before.clone()), Some(after.to_vec())))
            }
            _ => Some(change(Op::Create, None, Some(after.to_vec()))),
        };
        self.changed(entity, key, version, scope, change)
    }

    pub(crate) fn append(
        &mut self,
        entity: usize,
        key: u8,
        version: i64,
        rows: &[Vec<u8>],
    ) -> Option<Change> {
        if rows.is_empty() {
            return None;
        }
        let before = self.0.get(&(entity, key)).and_then(|row| row.document.clone());
        let mut all: Vec<Vec<u8>> = match &before {
            // Rows are ints of one byte.
            Some(document) => document[2..document.len() - 1].iter().map(|&b| vec![b]).collect(),
            None => Vec::new(),
        };
        all.extend_from_slice(rows);
        let after = Some(group::build(&[key], &all));
        let op = if before.is_some() { Op::Update } else { Op::Create };
        self.changed(entity, key, version, None, Some(change(op, before, after)))
    }

    pub(crate) fn gone(&mut self, entity: usize, key: u8, version: i64) -> Option<Change> {
        let row = self.0.get(&(entity, key)).cloned();
        match row {
            Some(row) if version < row.version => None,
            Some(Row { document: Some(before), .. }) => {
                let delete = change(Op::Delete, Some(before), None);
                self.changed(entity, key, version, None, Some(delete))
            }
            // Remembered, so that a document that is late is dropped.
            _ => {
                self.write(entity, key, version, None, None);
                None
            }
        }
    }

    /// The key is there, whatever it holds.
    pub(crate) fn kept(&mut self, entity: usize, key: u8, scope: &str) {
        if let Some(row) = self.0.get_mut(&(entity, key)) {
            scope.clone_into(&mut row.scope);
        }
    }

    pub(crate) fn apply(&mut self, record: &Record) {
        let Record { entity, key, after, version, scope } = record;
        match self.0.get_mut(&(*entity, *key)) {
            Some(row) if *version < row.version => {
                if let Some(scope) = scope {
                    row.scope.clone_from(scope);
                }
            }
            _ => self.write(*entity, *key, *version, after.clone(), scope.as_deref()),
        }
    }

    fn changed(
        &mut self,
        entity: usize,
        key: u8,
        version: i64,
        scope: Option<&str>,
        change: Option<Change>,
    ) -> Option<Change> {
        if let Some(change) = &change {
            self.write(entity, key, version, change.after.clone(), scope);
        } else if let (Some(row), Some(scope)) = (self.0.get_mut(&(entity, key)), scope) {
            scope.clone_into(&mut row.scope);
        }
        change
    }

    fn write(
        &mut self,
        entity: usize,
        key: u8,
        version: i64,
        document: Option<Vec<u8>>,
        scope: Option<&str>,
    ) {
        let old = self.0.get(&(entity, key)).map(|row| row.scope.clone());
        let scope = scope.map(str::to_owned).or(old).unwrap_or_default();
        self.0.insert((entity, key), Row { version, document, scope });
    }
}

fn change(op: Op, before: Option<Vec<u8>>, after: Option<Vec<u8>>) -> Change {
    Change { op, before, after }
}
