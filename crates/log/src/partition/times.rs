//! Finding records by their time, as ListOffsets does.

use std::sync::Arc;

use super::Partition;
use crate::batch::BatchHeader;
use crate::error::ReadError;
use crate::fetch::{Ends, TimedOffset};
use crate::records::{KeyHasher, RecordHead, Records};
use crate::scanner::{ScanError, Scanner};
use crate::segment::Segment;

impl Partition {
    /// The first record at or after a time, in offset order, as ListOffsets by timestamp.
    ///
    /// # Errors
    /// When the stored bytes cannot be read.
    pub fn offset_for_time(&self, timestamp: i64) -> Result<Option<TimedOffset>, ReadError> {
        let (ends, segments) = self.readable();
        for segment in &segments {
            let late = segment.extent().latest.is_some_and(|latest| latest.timestamp >= timestamp);
            if late {
                let start = start_before(segment, timestamp)?;
                let found = first_where(segment, start, &ends, |time| time >= timestamp)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// The record with the largest time, the first one of several; `None` for an empty partition.
    ///
    /// # Errors
    /// When the stored bytes cannot be read.
    pub fn max_timestamp(&self) -> Result<Option<TimedOffset>, ReadError> {
        let (ends, segments) = self.readable();
        let mut best: Option<TimedOffset> = None;
        for segment in &segments {
            let Some(latest) = segment.extent().latest else { continue };
            if best.is_none_or(|best| latest.timestamp > best.timestamp) {
                let largest = largest_below(segment, latest, &ends)?;
                let found = first_where(segment, 0, &ends, |time| Some(time) >= largest)?;
                let larger =
                    |found: &TimedOffset| best.is_none_or(|best| found.timestamp > best.timestamp);
                best = found.filter(larger).or(best);
            }
        }
        Ok(best)
    }

    fn readable(&self) -> (Ends, Vec<Arc<Segment>>) {
        let state = self.state();
        let first = state.segment_of(state.log_start);
        (state.ends(), state.segments[first..].to_vec())
    }
}

/// A position before which no batch has so late a time.
fn start_before(segment: &Segment, timestamp: i64) -> Result<u64, ReadError> {
    let earlier = {
        let extent = segment.extent();
        let earlier = extent.indexes.times.last_where(|entry| entry.timestamp < timestamp);
        earlier.ok().flatten()
    };
    match earlier {
        Some(entry) => segment.position_before(segment.base + i64::from(entry.relative)),
        None => Ok(0),
    }
}

/// The largest time in a segment that readers may see.
fn largest_below(
    segment: &Segment,
    latest: TimedOffset,
    ends: &Ends,
) -> Result<Option<i64>, ReadError> {
    if latest.offset >= ends.log_start && latest.offset < ends.high_watermark {
        return Ok(Some(latest.timestamp));
    }
    let mut largest = None;
    let mut position = 0;
    while position < segment.size() {
        let Some(header) = segment.header_at(position)? else { break };
        if header.base_offset >= ends.high_watermark {
            break;
        }
        if header.last_offset() >= ends.log_start && header.records > 0 {
            largest = largest.max(Some(header.max_timestamp));
        }
        position += header.size as u64;
    }
    Ok(largest)
}

/// The first record from a position on that readers may see and whose time is wanted.
fn first_where(
    segment: &Segment,
    start: u64,
    ends: &Ends,
    wanted: impl Fn(i64) -> bool,
) -> Result<Option<TimedOffset>, ReadError> {
    let mut position = start;
    while position < segment.size() {
        let Some(header) = segment.header_at(position)? else { break };
        if header.base_offset >= ends.high_watermark {
            break;
        }
        let end = position + header.size as u64;
        let candidate = header.last_offset() >= ends.log_start
            && header.records > 0
            && !header.is_control()
            && wanted(header.max_timestamp);
        if candidate {
            let found = first_in_batch(segment, position, end, ends.log_start, &wanted)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        position = end;
    }
    Ok(None)
}

fn first_in_batch(
    segment: &Segment,
    position: u64,
    end: u64,
    log_start: i64,
    wanted: &impl Fn(i64) -> bool,
) -> Result<Option<TimedOffset>, ReadError> {
    let mut scanner = Scanner::new(segment, position, end);
    let stored = match scanner.next() {
        Ok(Some(stored)) => stored,
        Ok(None) => return Ok(None),
        Err(ScanError::Damaged { position, .. }) => return Err(segment.damaged(position)),
        Err(ScanError::Io(fault)) => return Err(fault.into()),
    };
    let BatchHeader { base_offset, max_timestamp, .. } = stored.header;
    let keys = KeyHasher::default();
    let Ok(mut records) = Records::new(&stored.header, stored.bytes) else {
        return Ok(Some(TimedOffset { offset: base_offset, timestamp: max_timestamp }));
    };
    loop {
        match records.next(&keys) {
            Ok(Some(record)) if record.offset >= log_start && wanted(record.timestamp) => {
                let RecordHead { offset, timestamp, .. } = record;
                return Ok(Some(TimedOffset { offset, timestamp }));
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            // The batch is right by its checksum; only its producer knows what is in it.
            Err(_) => {
                return Ok(Some(TimedOffset { offset: base_offset, timestamp: max_timestamp }));
            }
        }
    }
}
