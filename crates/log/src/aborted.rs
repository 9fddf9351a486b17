//! Aborted transactions of a segment, for readers under `read_committed` and for compaction.
//!
//! `<base>.aborted`, written when a segment is closed and absent when it has none: per entry
//! producer id, first offset, marker offset and stable end as i64, and at the end of the file the
//! CRC-32C of all of it. The growing segment's list is part of the checkpoint.

use bytes::{Buf, BufMut};

/// One aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) marker_offset: i64,
    /// The last stable offset after the marker: what is aborted later begins there or above.
    pub(crate) stable_end: i64,
}

impl Aborted {
    pub(crate) const SIZE: usize = 32;

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.put_i64(self.producer_id);
        to.put_i64(self.first_offset);
        to.put_i64(self.marker_offset);
        to.put_i64(self.stable_end);
    }

    pub(crate) fn read(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            producer_id: from.try_get_i64().ok()?,
            first_offset: from.try_get_i64().ok()?,
            marker_offset: from.try_get_i64().ok()?,
            stable_end: from.try_get_i64().ok()?,
        })
    }
}

/// The content of an `.aborted` file, without the checksum.
pub(crate) fn encode(entries: &[Aborted]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * Aborted::SIZE);
    entries.iter().for_each(|entry| entry.write(&mut bytes));
    bytes
}

/// The reverse of [`encode`]; `None` when it is not a whole number of entries.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Vec<Aborted>> {
    let mut entries = Vec::with_capacity(bytes.len() / Aborted::SIZE);
    while !bytes.is_empty() {
        entries.push(Aborted::read(&mut bytes)?);
    }
    Some(entries)
}
