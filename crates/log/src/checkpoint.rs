//! Where recovery begins to read, and the small state that reading from there cannot give.
//!
//! `checkpoint` describes a moment at which everything below `offset` was synced, indexes
//! included: the growing segment's extent, the producers, their open transactions. A start reads
//! the log from `offset` on, nothing after a clean close. Without a valid checkpoint it reads the
//! whole log.
//!
//! `extent` holds what is not in the log at all: the log start after DeleteRecords and how far
//! compaction has come.

use bytes::{Buf, BufMut};

use crate::aborted::Aborted;
use crate::fetch::TimedOffset;
use crate::producers::{ProducerState, Producers, REMEMBERED, SequencedBatch};

/// Newest layout of a checkpoint and of an extent.
const VERSION: u16 = 1;

/// The content of `checkpoint`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Everything below is synced and described here.
    pub(crate) offset: i64,
    /// The segment that was growing.
    pub(crate) segment: i64,
    /// Its size then.
    pub(crate) position: u64,
    /// Its index entries then.
    pub(crate) offset_entries: usize,
    /// Its time index entries then.
    pub(crate) time_entries: usize,
    pub(crate) latest: Option<TimedOffset>,
    pub(crate) aborted: Vec<Aborted>,
    pub(crate) producers: Vec<ProducerState>,
}

impl Checkpoint {
    pub(crate) fn encode(&self, producers: &Producers) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + producers.len() * 160);
        out.put_u16(VERSION);
        out.put_i64(self.offset);
        out.put_i64(self.segment);
        out.put_u64(self.position);
        out.put_u64(self.offset_entries as u64);
        out.put_u64(self.time_entries as u64);
        out.put_u8(u8::from(self.latest.is_some()));
        let latest = self.latest.unwrap_or(TimedOffset { offset: 0, timestamp: 0 });
        out.put_i64(latest.offset);
        out.put_i64(latest.timestamp);
        out.put_u64(self.aborted.len() as u64);
        self.aborted.iter().for_each(|entry| entry.write(&mut out));
        out.put_u64(producers.len() as u64);
        producers.iter().for_each(|state| encode_producer(state, &mut out));
        out
    }

    /// `None` when the bytes are not a checkpoint of a known version.
    pub(crate) fn decode(mut from: &[u8]) -> Option<Self> {
        let from = &mut from;
        if from.try_get_u16().ok()? != VERSION {
            return None;
        }
        let mut checkpoint = Self {
            offset: from.try_get_i64().ok()?,
            segment: from.try_get_i64().ok()?,
            position: from.try_get_u64().ok()?,
            offset_entries: usize::try_from(from.try_get_u64().ok()?).ok()?,
            time_entries: usize::try_from(from.try_get_u64().ok()?).ok()?,
            latest: None,
            aborted: Vec::new(),
            producers: Vec::new(),
        };
        let has_latest = from.try_get_u8().ok()? != 0;
        let latest =
            TimedOffset { offset: from.try_get_i64().ok()?, timestamp: from.try_get_i64().ok()? };
        checkpoint.latest = has_latest.then_some(latest);
        for _ in 0..from.try_get_u64().ok()? {
            checkpoint.aborted.push(Aborted::read(from)?);
        }
        for _ in 0..from.try_get_u64().ok()? {
            checkpoint.producers.push(decode_producer(from)?);
        }
        from.is_empty().then_some(checkpoint)
    }
}

fn encode_producer(state: &ProducerState, out: &mut Vec<u8>) {
    out.put_i64(state.id);
    out.put_i16(state.epoch);
    out.put_i32(state.coordinator_epoch);
    out.put_i64(state.last_timestamp);
    out.put_i64(state.seen_ms);
    out.put_i64(state.open.unwrap_or(-1));
    out.put_i64(state.last_offset);
    out.put_u8(u8::try_from(state.batches().len()).unwrap_or(0));
    for batch in state.batches() {
        out.put_i32(batch.first_sequence);
        out.put_i32(batch.last_sequence);
        out.put_i64(batch.base_offset);
        out.put_i64(batch.last_offset);
    }
}

fn decode_producer(from: &mut &[u8]) -> Option<ProducerState> {
    let mut state = ProducerState::new(from.try_get_i64().ok()?);
    state.epoch = from.try_get_i16().ok()?;
    state.coordinator_epoch = from.try_get_i32().ok()?;
    state.last_timestamp = from.try_get_i64().ok()?;
    state.seen_ms = from.try_get_i64().ok()?;
    state.open = Some(from.try_get_i64().ok()?).filter(|first| *first >= 0);
    state.last_offset = from.try_get_i64().ok()?;
    let batches = usize::from(from.try_get_u8().ok()?);
    if batches > REMEMBERED {
        return None;
    }
    for _ in 0..batches {
        state.remember(SequencedBatch {
            first_sequence: from.try_get_i32().ok()?,
            last_sequence: from.try_get_i32().ok()?,
            base_offset: from.try_get_i64().ok()?,
            last_offset: from.try_get_i64().ok()?,
        });
    }
    Some(state)
}

/// Up to where a compaction had come, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// Offsets below had been compacted.
    pub(crate) upto: i64,
    /// At this time, in milliseconds.
    pub(crate) at_ms: i64,
    /// Tombstones and markers left between the entry before and this one.
    pub(crate) removable: u64,
}

/// The content of `extent`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoredExtent {
    pub(crate) log_start: i64,
    /// Ascending in both offset and time.
    pub(crate) cleaned: Vec<Cleaned>,
}

impl StoredExtent {
    /// Offsets below have been compacted.
    pub(crate) fn cleaned_upto(&self) -> i64 {
        self.cleaned.last().map_or(0, |cleaned| cleaned.upto)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u16(VERSION);
        out.put_i64(self.log_start);
        for cleaned in &self.cleaned {
            out.put_i64(cleaned.upto);
            out.put_i64(cleaned.at_ms);
            out.put_u64(cleaned.removable);
        }
        out
    }

    /// `None` when the bytes are not an extent of a known version.
    pub(crate) fn decode(mut from: &[u8]) -> Option<Self> {
        if from.try_get_u16().ok()? != VERSION {
            return None;
        }
        let mut extent = Self { log_start: from.try_get_i64().ok()?, cleaned: Vec::new() };
        while !from.is_empty() {
            extent.cleaned.push(Cleaned {
                upto: from.try_get_i64().ok()?,
                at_ms: from.try_get_i64().ok()?,
                removable: from.try_get_u64().ok()?,
            });
        }
        Some(extent)
    }
}
