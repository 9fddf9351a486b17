//! Reading: one positioned read into a buffer of the right size, cut at whole batches.

use std::sync::Arc;

use bytes::Bytes;

use super::Partition;
use crate::batch::{BatchHeader, HEADER};
use crate::error::{Attempt, ReadError};
use crate::fetch::{AbortedTxn, Ends, Fetched, Isolation, ReadLimit, Status};
use crate::segment::Segment;

/// Whole batches and the offset behind them.
struct Run {
    records: Bytes,
    end: i64,
}

impl Partition {
    /// Reads whole batches beginning with the one that holds `from`.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`] outside of log start..=log end.
    pub fn read(&self, from: i64, limit: ReadLimit) -> Result<Fetched, ReadError> {
        let (ends, segments) = {
            let state = self.state();
            let ends = state.ends();
            self.check_readable(from, &ends)?;
            (ends, state.segments[state.segment_of(from)..].to_vec())
        };
        let upper = match limit.isolation {
            Isolation::ReadUncommitted => ends.high_watermark,
            Isolation::ReadCommitted => ends.last_stable_offset,
        };
        let mut run = None;
        if from < upper {
            for segment in &segments {
                run = self.read_segment(segment, from, upper, limit.max_bytes)?;
                if run.is_some() || segment.extent().next_offset >= upper {
                    break;
                }
            }
        }
        let aborted = match (&run, limit.isolation) {
            (Some(run), Isolation::ReadCommitted) => aborted_between(&segments, from, run.end),
            _ => Vec::new(),
        };
        Ok(Fetched {
            records: run.map_or_else(Bytes::new, |run| run.records),
            high_watermark: ends.high_watermark,
            last_stable_offset: ends.last_stable_offset,
            log_start: ends.log_start,
            aborted,
        })
    }

    fn check_readable(&self, from: i64, ends: &Ends) -> Result<(), ReadError> {
        if ends.status == Status::Closed {
            return Err(ReadError::Closed { partition: self.id.clone() });
        }
        if from < ends.log_start || from > ends.log_end {
            return Err(ReadError::OffsetOutOfRange {
                offset: from,
                log_start: ends.log_start,
                high_watermark: ends.high_watermark,
            });
        }
        Ok(())
    }

    /// The batches of one segment from the one that holds `from` up to `upper`; `None` when there
    /// are none.
    fn read_segment(
        &self,
        segment: &Segment,
        from: i64,
        upper: i64,
        max_bytes: usize,
    ) -> Result<Option<Run>, ReadError> {
        let size = segment.size();
        let slack = self.folder.options.index_interval_bytes as usize + HEADER;
        let mut position = segment.position_before(from)?;
        loop {
            if position >= size {
                return Ok(None);
            }
            let left = usize::try_from(size - position).unwrap_or(usize::MAX);
            let wanted = max_bytes.saturating_add(slack).min(left);
            let mut buffer = self.folder.buffers.take(wanted);
            let read = segment
                .file
                .read_at(buffer.as_mut(), position)
                .at("read segment", &segment.path())?;
            buffer.truncate(read);
            match cut(buffer.as_ref(), from, upper, max_bytes) {
                Cut::Found { start, end, next_offset } => {
                    let records = Bytes::from_owner(buffer).slice(start..end);
                    return Ok(Some(Run { records, end: next_offset }));
                }
                Cut::Larger { start, size: batch } => {
                    let at = position + start as u64;
                    return self.read_whole(segment, at, batch, size).map(Some);
                }
                Cut::Nothing => return Ok(None),
                Cut::Further(0) => return Err(segment.damaged(position)),
                Cut::Further(skip) => position += skip as u64,
                Cut::Damaged(at) => return Err(segment.damaged(position + at as u64)),
            }
        }
    }

    /// Reads exactly one batch.
    fn read_whole(
        &self,
        segment: &Segment,
        at: u64,
        batch: usize,
        size: u64,
    ) -> Result<Run, ReadError> {
        if at + batch as u64 > size {
            return Err(segment.damaged(at));
        }
        let mut buffer = self.folder.buffers.take(batch);
        let read = segment.file.read_at(buffer.as_mut(), at).at("read segment", &segment.path())?;
        match BatchHeader::parse(buffer.as_ref()) {
            Ok(header) if read == batch && header.size == batch => {
                Ok(Run { records: Bytes::from_owner(buffer), end: header.next_offset() })
            }
            _ => Err(segment.damaged(at)),
        }
    }
}

/// What a buffer that begins with a batch has for a reader.
enum Cut {
    /// These bytes, up to this offset.
    Found {
        start: usize,
        end: usize,
        next_offset: i64,
    },
    /// The first batch, which does not fit the buffer.
    Larger {
        start: usize,
        size: usize,
    },
    /// The first batch is at or beyond the end of what may be read.
    Nothing,
    /// Only batches before the offset; to be continued after so many bytes.
    Further(usize),
    Damaged(usize),
}

fn cut(buffer: &[u8], from: i64, upper: i64, max_bytes: usize) -> Cut {
    let mut at = 0;
    let mut start = None;
    let mut next_offset = from;
    while buffer.len() - at >= HEADER {
        let Ok(header) = BatchHeader::parse(&buffer[at..]) else { return Cut::Damaged(at) };
        if header.base_offset >= upper {
            break;
        }
        let end = at + header.size;
        match start {
            None if header.last_offset() < from => {}
            None if end > buffer.len() => return Cut::Larger { start: at, size: header.size },
            None => start = Some(at),
            Some(start) if end > buffer.len() || end - start > max_bytes => break,
            Some(_) => {}
        }
        if start.is_some() {
            next_offset = header.next_offset();
        }
        at = end;
        if at >= buffer.len() {
            break;
        }
    }
    let beyond = buffer.get(at..).and_then(|rest| BatchHeader::parse(rest).ok());
    match start {
        Some(start) => Cut::Found { start, end: at, next_offset },
        None if beyond.is_some_and(|header| header.base_offset >= upper) => Cut::Nothing,
        None => Cut::Further(at),
    }
}

/// Aborted transactions that overlap the offsets, by first offset.
fn aborted_between(segments: &[Arc<Segment>], from: i64, end: i64) -> Vec<AbortedTxn> {
    let mut found = Vec::new();
    'segments: for segment in segments {
        let extent = segment.extent();
        let first = extent.aborted.partition_point(|entry| entry.marker_offset < from);
        for entry in &extent.aborted[first..] {
            if entry.first_offset < end {
                found.push(AbortedTxn {
                    producer_id: entry.producer_id,
                    first_offset: entry.first_offset,
                });
            }
            if entry.stable_end >= end {
                break 'segments;
            }
        }
    }
    found.sort_by_key(|entry| entry.first_offset);
    found
}
