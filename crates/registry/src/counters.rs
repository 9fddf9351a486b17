//! What the registry counts, for whoever exports metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since the start, and the size of the state now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RegistryCounters {
    /// Requests answered with success.
    pub succeeded: u64,
    /// Requests answered with a client's mistake (4xx), incompatible schemas included.
    pub refused: u64,
    /// Requests answered with a failure of the registry or its log (5xx).
    pub failed: u64,
    /// New versions written.
    pub registered: u64,
    /// Schemas refused because they are incompatible with an earlier version.
    pub incompatible: u64,
    /// Subjects with at least one version that is not deleted, now.
    pub subjects: u64,
    /// Distinct schema ids, soft-deleted ones included, now.
    pub schemas: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    succeeded: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    registered: AtomicU64,
    incompatible: AtomicU64,
}

impl Counts {
    pub(crate) fn answered(&self, status: u16) {
        match status {
            ..400 => &self.succeeded,
            400..500 => &self.refused,
            500.. => &self.failed,
        }
        .fetch_add(1, Relaxed);
    }

    pub(crate) fn registered(&self) {
        self.registered.fetch_add(1, Relaxed);
    }

    pub(crate) fn incompatible(&self) {
        self.incompatible.fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self, subjects: usize, schemas: usize) -> RegistryCounters {
        RegistryCounters {
            succeeded: self.succeeded.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
            registered: self.registered.load(Relaxed),
            incompatible: self.incompatible.load(Relaxed),
            subjects: subjects as u64,
            schemas: schemas as u64,
        }
    }
}
