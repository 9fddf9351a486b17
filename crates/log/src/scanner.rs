//! Reading a segment from front to back, batch by batch, with every checksum verified.

use crate::batch::{BatchHeader, HEADER};
use crate::error::{Attempt, BatchFault, IoFault};
use crate::segment::Segment;

/// Read ahead; a larger batch grows the buffer to its own size.
const BUFFER: usize = 1 << 20;

/// Why a scan stopped before the end.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The bytes at this position are not a whole batch.
    Damaged { position: u64, fault: BatchFault },
    /// They could not be read.
    Io(IoFault),
}

/// A batch as it is stored.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) header: BatchHeader,
    pub(crate) bytes: &'a [u8],
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    segment: &'a Segment,
    /// Of the next batch.
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where in `buffer` the next batch begins.
    at: usize,
}

impl<'a> Scanner<'a> {
    /// From one position to another.
    pub(crate) fn new(segment: &'a Segment, position: u64, end: u64) -> Self {
        Self { segment, position, end, buffer: Vec::new(), at: 0 }
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next batch; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Stored<'_>>, ScanError> {
        let position = self.position;
        if position >= self.end {
            return Ok(None);
        }
        let damaged = |fault| ScanError::Damaged { position, fault };
        self.fill(HEADER)?;
        let size = BatchHeader::parse(&self.buffer[self.at..]).map_err(damaged)?.size;
        if position + size as u64 > self.end {
            return Err(damaged(BatchFault::CutShort));
        }
        self.fill(size)?;
        let header = BatchHeader::verify(&self.buffer[self.at..]).map_err(damaged)?;
        let from = self.at;
        self.at += size;
        self.position += size as u64;
        Ok(Some(Stored { header, bytes: &self.buffer[from..from + size] }))
    }

    /// Has at least `need` bytes of the next batch in the buffer, unless the file ends.
    fn fill(&mut self, need: usize) -> Result<(), ScanError> {
        let have = self.buffer.len() - self.at;
        if have >= need {
            return Ok(());
        }
        self.buffer.copy_within(self.at.., 0);
        self.at = 0;
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        self.buffer.resize(need.max(BUFFER).min(left).max(have), 0);
        let read = self
            .segment
            .file
            .read_at(&mut self.buffer[have..], self.position + have as u64)
            .at("read segment", &self.segment.path())
            .map_err(ScanError::Io)?;
        self.buffer.truncate(have + read);
        Ok(())
    }
}
