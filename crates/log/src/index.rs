//! The two sparse indexes of a segment: offset to position, and time to offset.
//!
//! ```text
//! <base>.index      relative offset u32, position u32     of every batch that begins a new interval
//! <base>.timeindex  max timestamp so far i64, relative offset u32   where it has grown
//! ```

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::files::FileLayer;
use crate::table::{Entry, Table};

/// A batch begins at this position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) relative: u32,
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    const SIZE: usize = 8;

    fn write(self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.relative.to_be_bytes());
        to.extend_from_slice(&self.position.to_be_bytes());
    }

    fn read(from: &[u8]) -> Option<Self> {
        let (relative, position) = from.split_first_chunk::<4>()?;
        Some(Self {
            relative: u32::from_be_bytes(*relative),
            position: u32::from_be_bytes(position.try_into().ok()?),
        })
    }
}

/// No batch up to and including the one at this offset has a larger timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) relative: u32,
}

impl Entry for TimeEntry {
    const SIZE: usize = 12;

    fn write(self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.timestamp.to_be_bytes());
        to.extend_from_slice(&self.relative.to_be_bytes());
    }

    fn read(from: &[u8]) -> Option<Self> {
        let (timestamp, relative) = from.split_first_chunk::<8>()?;
        Some(Self {
            timestamp: i64::from_be_bytes(*timestamp),
            relative: u32::from_be_bytes(relative.try_into().ok()?),
        })
    }
}

/// Both indexes of one segment.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) offsets: Table<OffsetEntry>,
    pub(crate) times: Table<TimeEntry>,
}

impl Indexes {
    /// For a new segment, `stem` being its path without extension.
    pub(crate) fn empty(stem: &Path, files: &Arc<dyn FileLayer>) -> Self {
        Self {
            offsets: Table::empty(stem.with_extension("index"), Arc::clone(files)),
            times: Table::empty(stem.with_extension("timeindex"), Arc::clone(files)),
        }
    }

    /// What is on disk.
    pub(crate) fn load(stem: &Path, files: &Arc<dyn FileLayer>) -> io::Result<Self> {
        Ok(Self {
            offsets: Table::load(stem.with_extension("index"), Arc::clone(files))?,
            times: Table::load(stem.with_extension("timeindex"), Arc::clone(files))?,
        })
    }

    pub(crate) fn truncate(&mut self, offsets: usize, times: usize) -> io::Result<()> {
        self.offsets.truncate(offsets)?;
        self.times.truncate(times)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.offsets.flush()?;
        self.times.flush()
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.offsets.sync()?;
        self.times.sync()
    }
}
