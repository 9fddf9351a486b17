//! Transactions as tools see them.

use crate::batch::Producer;

use super::{
    Transactions,
    records::{Entry, Status, Target},
};

/// One transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) id: String,
    pub(crate) producer: Producer,
    pub(crate) status: Status,
    pub(crate) timeout_ms: i32,
    /// -1 outside of a transaction.
    pub(crate) started_ms: i64,
    pub(crate) partitions: Vec<Target>,
}

impl Transactions {
    /// Every transactional id.
    pub(crate) fn list(&self) -> Vec<Description> {
        let all: Vec<_> = self.ids().by_name.values().cloned().collect();
        all.iter().map(|one| describe(one.id.clone(), &one.state().entry)).collect()
    }

    /// One transactional id.
    pub(crate) fn describe(&self, id: &str) -> Option<Description> {
        let transaction = self.find(id).ok()?;
        let entry = transaction.state().entry.clone();
        Some(describe(id.to_owned(), &entry))
    }
}

fn describe(id: String, entry: &Entry) -> Description {
    let open = !entry.partitions.is_empty();
    Description {
        id,
        producer: entry.producer,
        status: entry.status,
        timeout_ms: entry.timeout_ms,
        started_ms: if open { entry.started_ms } else { -1 },
        partitions: entry.partitions.iter().cloned().collect(),
    }
}
