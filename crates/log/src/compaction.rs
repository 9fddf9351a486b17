//! Compaction: keep the newest record of each key and drop aborted data, in bounded memory.
//!
//! A pass maps keys to their newest offset, from where the last pass ended for as many records as
//! the map holds, then rewrites all closed segments with it; more keys take more passes.
//!
//! - Offsets never change, and a batch keeps its first and last offset and its sequence numbers.
//! - A record without a key, from before the topic was compacted, is never removed.
//! - A tombstone goes when `delete.retention.ms` has passed since the pass that first saw it.
//! - A marker goes after the same time and not before the last data of its transaction; with an
//!   abort marker goes the entry in the list of aborted transactions.
//! - The last batch of a producer that is still known stays, emptied, so that reading the log
//!   anew gives its sequence again.
//! - A batch whose records cannot be decoded stays as it is.
//!
//! Held in memory: the map, one batch as stored, what is kept of it, and a bit per record.

mod offset_map;
pub(crate) mod swap;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::aborted::Aborted;
use crate::batch::{BatchHeader, HEADER, Marker, set_crc};
use crate::checkpoint::Cleaned;
use crate::error::ReadError;
use crate::records::{KeyHasher, RecordHead, Records};
use crate::scanner::{ScanError, Scanner};
use crate::segment::Segment;
use offset_map::OffsetMap;

/// What one pass knows before it begins to rewrite.
#[derive(Debug)]
pub(crate) struct Pass {
    keys: KeyHasher,
    map: OffsetMap,
    /// Records below are compacted by this pass.
    pub(crate) upto: i64,
    aborted: HashMap<i64, Vec<(i64, i64)>>,
    /// The last offset of each producer that is known.
    producers: HashMap<i64, i64>,
    horizons: Horizons,
    /// Producers with transactional data kept since their last marker.
    with_data: HashMap<i64, bool>,
    pub(crate) records_read: u64,
    pub(crate) records_removed: u64,
}

/// What compaction needs of the producers.
#[derive(Debug)]
pub(crate) struct Known {
    /// The last offset of each producer whose state is kept.
    pub(crate) last_offsets: HashMap<i64, i64>,
    /// All of the partition, by marker offset.
    pub(crate) aborted: Vec<Aborted>,
}

/// When removable records were first seen.
#[derive(Debug)]
pub(crate) struct Horizons {
    pub(crate) cleaned: Vec<Cleaned>,
    /// Removable records left, per entry of `cleaned`, and one for this pass.
    counts: Vec<u64>,
    now_ms: i64,
    retention_ms: i64,
}

impl Horizons {
    pub(crate) fn new(cleaned: Vec<Cleaned>, now_ms: i64, retention_ms: i64) -> Self {
        let counts = vec![0; cleaned.len() + 1];
        Self { cleaned, counts, now_ms, retention_ms }
    }

    /// Whether what could be removed at this offset has waited long enough; counts it if not.
    fn expired(&mut self, offset: i64) -> bool {
        let entry = self.cleaned.partition_point(|cleaned| cleaned.upto <= offset);
        let seen_ms = self.cleaned.get(entry).map_or(self.now_ms, |cleaned| cleaned.at_ms);
        let expired = self.now_ms >= seen_ms.saturating_add(self.retention_ms);
        if !expired {
            self.counts[entry] += 1;
        }
        expired
    }

    /// The entries after this pass, `upto` included; few, whatever the number of passes.
    fn finish(mut self, upto: i64) -> Vec<Cleaned> {
        const MOST: usize = 64;
        for (cleaned, count) in self.cleaned.iter_mut().zip(&self.counts) {
            cleaned.removable = *count;
        }
        let removable = self.counts.last().copied().unwrap_or(0);
        self.cleaned.retain(|cleaned| cleaned.removable > 0 && cleaned.upto < upto);
        self.cleaned.push(Cleaned { upto, at_ms: self.now_ms, removable });
        while self.cleaned.len() > MOST {
            let gap = |at: &usize| self.cleaned[at + 1].at_ms - self.cleaned[*at].at_ms;
            let closest = (0..self.cleaned.len() - 1).min_by_key(gap).unwrap_or(0);
            // Joined with the later one: removed a little later than necessary.
            self.cleaned[closest + 1].removable += self.cleaned[closest].removable;
            self.cleaned.remove(closest);
        }
        self.cleaned
    }
}

impl From<ScanError> for ReadErrorAt {
    fn from(error: ScanError) -> Self {
        Self(error)
    }
}

/// A scan error that still needs its segment.
struct ReadErrorAt(ScanError);

impl ReadErrorAt {
    fn of(self, segment: &Segment) -> ReadError {
        match self.0 {
            ScanError::Damaged { position, .. } => segment.damaged(position),
            ScanError::Io(fault) => fault.into(),
        }
    }
}

/// What becomes of a batch.
enum Verdict {
    Keep,
    Drop,
    /// Without records, for its producer's sequence.
    Empty,
    /// Only some of its records, by position, and their largest timestamp.
    Some(Vec<bool>, i64),
}

impl Pass {
    /// Reads the closed segments from `from` up to `upto` as far as the map holds. `known` has the
    /// last offset of each producer and all aborted transactions: a marker may be in a later
    /// segment than the data that it aborts.
    pub(crate) fn prepare(
        segments: &[Arc<Segment>],
        from: i64,
        upto: i64,
        known: Known,
        horizons: Horizons,
        budget: usize,
    ) -> Result<Self, ReadError> {
        let mut aborted: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
        for entry in known.aborted {
            let of_producer = aborted.entry(entry.producer_id).or_default();
            of_producer.push((entry.first_offset, entry.marker_offset));
        }
        let range = u64::try_from(upto.saturating_sub(from)).unwrap_or(0);
        let mut pass = Self {
            keys: KeyHasher::default(),
            map: OffsetMap::new(range, budget),
            upto,
            aborted,
            producers: known.last_offsets,
            horizons,
            with_data: HashMap::new(),
            records_read: 0,
            records_removed: 0,
        };
        for segment in segments.iter().filter(|segment| segment.extent().next_offset > from) {
            if segment.base >= pass.upto {
                break;
            }
            pass.map_segment(segment, from)?;
        }
        Ok(pass)
    }

    fn is_aborted(&self, header: &BatchHeader) -> bool {
        header.is_transactional()
            && self.aborted.get(&header.producer_id).is_some_and(|transactions| {
                let next = transactions.partition_point(|(_, marker)| *marker < header.base_offset);
                transactions.get(next).is_some_and(|(first, _)| *first <= header.base_offset)
            })
    }

    fn map_segment(&mut self, segment: &Segment, from: i64) -> Result<(), ReadError> {
        let start = segment.position_before(from)?;
        let mut scanner = Scanner::new(segment, start, segment.size());
        loop {
            let stored = scanner.next().map_err(|error| ReadErrorAt(error).of(segment))?;
            let Some(stored) = stored else { return Ok(()) };
            let header = stored.header;
            if header.base_offset >= self.upto {
                return Ok(());
            }
            if header.last_offset() < from || header.is_control() || self.is_aborted(&header) {
                continue;
            }
            let range = from..self.upto;
            let full = self.map_batch(&header, stored.bytes, range);
            if let Some(full) = full {
                self.upto = full;
                return Ok(());
            }
        }
    }

    /// Adds the keys of a batch; the offset of the record for which there was no room.
    fn map_batch(
        &mut self,
        header: &BatchHeader,
        bytes: &[u8],
        range: std::ops::Range<i64>,
    ) -> Option<i64> {
        // What cannot be decoded is kept as it is, so its keys do not displace others.
        Records::new(header, bytes).and_then(|records| records.without_key(0)).ok()?;
        let mut records = Records::new(header, bytes).ok()?;
        while let Ok(Some(record)) = records.next(&self.keys) {
            if range.contains(&record.offset)
                && let Some(key) = record.key
                && !self.map.insert(key, record.offset)
            {
                return Some(record.offset);
            }
        }
        None
    }

    /// Passes everything of a segment that stays to `keep`.
    pub(crate) fn rewrite<E: From<ReadError>>(
        &mut self,
        segment: &Segment,
        mut keep: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut scanner = Scanner::new(segment, 0, segment.size());
        loop {
            let stored = scanner.next().map_err(|error| ReadErrorAt(error).of(segment))?;
            let Some(stored) = stored else { return Ok(()) };
            match self.judge(&stored.header, stored.bytes) {
                Verdict::Keep => keep(stored.bytes)?,
                Verdict::Drop => {}
                Verdict::Empty => keep(&emptied(stored.bytes))?,
                Verdict::Some(kept, latest) => {
                    match filtered(&stored.header, stored.bytes, &kept, latest) {
                        Ok(batch) => keep(&batch)?,
                        Err(_) => keep(stored.bytes)?,
                    }
                }
            }
        }
    }

    fn judge(&mut self, header: &BatchHeader, bytes: &[u8]) -> Verdict {
        let id = header.producer_id;
        if header.base_offset >= self.upto {
            return Verdict::Keep;
        }
        let last_of_producer = header.has_producer()
            && self.producers.get(&id).is_some_and(|last| *last == header.last_offset());
        if header.is_control() {
            let has_data = self.with_data.remove(&id).unwrap_or(false);
            let is_marker = Marker::parse(header, bytes).is_ok();
            if has_data
                || last_of_producer
                || !is_marker
                || !self.horizons.expired(header.base_offset)
            {
                return Verdict::Keep;
            }
            self.records_removed += 1;
            return Verdict::Drop;
        }
        let gone = if last_of_producer { Verdict::Empty } else { Verdict::Drop };
        if header.records == 0 {
            return if last_of_producer { Verdict::Keep } else { Verdict::Drop };
        }
        if self.is_aborted(header) {
            self.records_removed += u64::from(header.records.unsigned_abs());
            return gone;
        }
        let verdict = self.filter(header, bytes);
        if header.is_transactional() && matches!(verdict, Verdict::Keep | Verdict::Some(..)) {
            self.with_data.insert(id, true);
        }
        if matches!(verdict, Verdict::Drop) { gone } else { verdict }
    }

    fn filter(&mut self, header: &BatchHeader, bytes: &[u8]) -> Verdict {
        let counts = self.horizons.counts.clone();
        let Ok((kept, latest)) = self.choose(header, bytes) else {
            tracing::warn!(offset = header.base_offset, "keeping a batch that cannot be decoded");
            self.horizons.counts = counts;
            return Verdict::Keep;
        };
        let removed = kept.iter().filter(|kept| !**kept).count();
        self.records_read += kept.len() as u64;
        self.records_removed += removed as u64;
        match removed {
            0 => Verdict::Keep,
            all if all == kept.len() => Verdict::Drop,
            _ => Verdict::Some(kept, latest),
        }
    }

    /// Which records of a batch stay, by position, and their largest timestamp.
    fn choose(&mut self, header: &BatchHeader, bytes: &[u8]) -> io::Result<(Vec<bool>, i64)> {
        let mut kept = Vec::new();
        let mut latest = -1;
        let mut records = Records::new(header, bytes)?;
        while let Some(record) = records.next(&self.keys)? {
            let stays = self.stays(&record);
            if stays {
                latest = latest.max(record.timestamp);
            }
            kept.push(stays);
        }
        Ok((kept, latest))
    }

    fn stays(&mut self, record: &RecordHead) -> bool {
        let Some(key) = record.key else { return true };
        if record.offset >= self.upto {
            return true;
        }
        if self.map.get(key).is_some_and(|newest| newest > record.offset) {
            return false;
        }
        !(record.tombstone && self.horizons.expired(record.offset))
    }

    /// The aborted transactions whose markers are among the offsets that were kept.
    pub(crate) fn aborted_kept(entries: &[Aborted], markers: &[i64]) -> Vec<Aborted> {
        let kept = |entry: &&Aborted| markers.binary_search(&entry.marker_offset).is_ok();
        entries.iter().filter(kept).copied().collect()
    }

    /// What to store about this pass once its segments are in place.
    pub(crate) fn finish(self) -> Vec<Cleaned> {
        self.horizons.finish(self.upto)
    }
}

/// The batch without its records.
fn emptied(bytes: &[u8]) -> Vec<u8> {
    let mut batch = bytes.get(..HEADER).unwrap_or_default().to_vec();
    // No records need no codec.
    if let Some(attributes) = batch.get_mut(22) {
        *attributes &= !0b111;
    }
    seal(&mut batch, 0);
    batch
}

/// The batch with some of its records.
fn filtered(header: &BatchHeader, bytes: &[u8], kept: &[bool], latest: i64) -> io::Result<Vec<u8>> {
    let head = bytes.get(..HEADER).ok_or(io::ErrorKind::InvalidData)?;
    let mut batch = Records::new(header, bytes)?.copy_kept(kept, head.to_vec())?;
    if !header.is_log_append_time() {
        batch[35..43].copy_from_slice(&latest.to_be_bytes());
    }
    let count = kept.iter().filter(|kept| **kept).count();
    seal(&mut batch, i32::try_from(count).map_err(io::Error::other)?);
    Ok(batch)
}

/// Sets length, record count and checksum.
fn seal(batch: &mut [u8], records: i32) {
    let length = i32::try_from(batch.len().saturating_sub(12)).unwrap_or(i32::MAX);
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[57..61].copy_from_slice(&records.to_be_bytes());
    set_crc(batch);
}
