//! One segment: a file of record batches with its indexes.
//!
//! A segment is named by its first possible offset. Only the last one of a partition grows;
//! compaction replaces closed ones by new [`Segment`]s, so a reader that holds an old one reads on
//! undisturbed.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::aborted::Aborted;
use crate::batch::{BatchHeader, HEADER};
use crate::error::{Attempt, IoFault, ReadError};
use crate::fetch::TimedOffset;
use crate::files::{FileLayer, LogFile};
use crate::index::{Indexes, OffsetEntry, TimeEntry};

/// Path of a segment without extension.
pub(crate) fn stem(folder: &Path, base: i64) -> PathBuf {
    folder.join(format!("{base:020}"))
}

/// A segment's file and what is known about it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base: i64,
    pub(crate) stem: PathBuf,
    pub(crate) file: Arc<dyn LogFile>,
    extent: Mutex<Extent>,
}

/// What changes while a segment grows.
#[derive(Debug)]
pub(crate) struct Extent {
    pub(crate) size: u64,
    pub(crate) next_offset: i64,
    /// The largest timestamp, and the base offset of its batch.
    pub(crate) latest: Option<TimedOffset>,
    pub(crate) indexes: Indexes,
    /// Transactions whose abort marker is in this segment, by marker offset.
    pub(crate) aborted: Vec<Aborted>,
    /// Bytes since the last index entry.
    since_entry: u64,
}

impl Extent {
    fn new(base: i64, indexes: Indexes) -> Self {
        Self {
            size: 0,
            next_offset: base,
            latest: None,
            indexes,
            aborted: Vec::new(),
            since_entry: 0,
        }
    }

    /// Takes over a batch that was written at the end.
    pub(crate) fn push(&mut self, base: i64, header: &BatchHeader, interval: u32) {
        let relative = u32::try_from(header.base_offset - base);
        let position = u32::try_from(self.size);
        let newest = self.latest.is_none_or(|latest| header.max_timestamp > latest.timestamp);
        if newest {
            self.latest =
                Some(TimedOffset { offset: header.base_offset, timestamp: header.max_timestamp });
        }
        if self.since_entry >= u64::from(interval)
            && let (Ok(relative), Ok(position)) = (relative, position)
        {
            self.indexes.offsets.push(OffsetEntry { relative, position });
            self.push_time(base);
            self.since_entry = 0;
        }
        self.size += header.size as u64;
        self.since_entry += header.size as u64;
        self.next_offset = header.next_offset();
    }

    /// Adds the latest time to its index unless it is there.
    fn push_time(&mut self, base: i64) {
        let last = self.indexes.times.last().ok().flatten();
        if let Some(latest) = self.latest
            && last.is_none_or(|last| last.timestamp < latest.timestamp)
            && let Ok(relative) = u32::try_from(latest.offset - base)
        {
            self.indexes.times.push(TimeEntry { timestamp: latest.timestamp, relative });
        }
    }
}

impl Segment {
    /// Creates the file of a new segment; the caller syncs the folder.
    pub(crate) fn create(
        folder: &Path,
        base: i64,
        files: &Arc<dyn FileLayer>,
    ) -> Result<Self, IoFault> {
        let stem = stem(folder, base);
        let path = stem.with_extension("log");
        let file = files.open(&path, true).at("create segment", &path)?;
        if file.size().at("measure segment", &path)? > 0 {
            file.set_len(0).at("cut segment", &path)?;
        }
        let indexes = Indexes::empty(&stem, files);
        for extension in ["index", "timeindex", "aborted"] {
            let path = stem.with_extension(extension);
            files.remove_file(&path).at("remove old index", &path)?;
        }
        Ok(Self { base, extent: Mutex::new(Extent::new(base, indexes)), stem, file })
    }

    /// Opens an existing segment with nothing known about its content yet.
    pub(crate) fn open(
        folder: &Path,
        base: i64,
        files: &Arc<dyn FileLayer>,
    ) -> Result<Self, IoFault> {
        let stem = stem(folder, base);
        let path = stem.with_extension("log");
        let file = files.open(&path, false).at("open segment", &path)?;
        let indexes = Indexes::load(&stem, files).at("open index of", &path)?;
        Ok(Self { base, extent: Mutex::new(Extent::new(base, indexes)), stem, file })
    }

    /// Copies the file to a new one and puts that in its place. After a failed sync the cache may
    /// hold bytes that the system takes for written though they never reached the disk; only
    /// writing them again, elsewhere, makes them durable.
    pub(crate) fn rewrite(
        folder: &Path,
        base: i64,
        files: &Arc<dyn FileLayer>,
    ) -> Result<(), IoFault> {
        let path = stem(folder, base).with_extension("log");
        let new = path.with_added_extension("tmp");
        let from = files.open(&path, false).at("open segment", &path)?;
        files.remove_file(&new).at("remove", &new)?;
        let to = files.open(&new, true).at("create", &new)?;
        let mut position = 0;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = from.read_at(&mut buffer, position).at("read segment", &path)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            to.append(&mut [IoSlice::new(bytes)]).at("write", &new)?;
            position += read as u64;
        }
        to.sync().at("sync", &new)?;
        files.rename(&new, &path).at("rename", &new)?;
        files.sync_dir(folder).at("sync folder", folder)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.stem.with_extension("log")
    }

    pub(crate) fn extent(&self) -> MutexGuard<'_, Extent> {
        self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn size(&self) -> u64 {
        self.extent().size
    }

    pub(crate) fn damaged(&self, position: u64) -> ReadError {
        ReadError::Damaged { path: self.path(), position }
    }

    /// Completes the time index before the segment is closed for good.
    pub(crate) fn seal(&self) {
        let base = self.base;
        self.extent().push_time(base);
    }

    /// The header of the batch at a position, `None` at the end.
    pub(crate) fn header_at(&self, position: u64) -> Result<Option<BatchHeader>, ReadError> {
        let mut bytes = [0; HEADER];
        let read = self.file.read_at(&mut bytes, position).at("read segment", &self.path())?;
        if read == 0 {
            return Ok(None);
        }
        let header = bytes.get(..read).map(BatchHeader::parse);
        match header {
            Some(Ok(header)) => Ok(Some(header)),
            _ => Err(self.damaged(position)),
        }
    }

    /// A position at or before the batch that holds `offset`, less than an index interval away.
    pub(crate) fn position_before(&self, offset: i64) -> Result<u64, ReadError> {
        // An offset in a gap before this segment is wanted from its beginning on.
        let relative = offset.saturating_sub(self.base).max(0);
        let wanted = u32::try_from(relative).unwrap_or(u32::MAX);
        let entry = {
            let extent = self.extent();
            let found = extent.indexes.offsets.last_where(|entry| entry.relative <= wanted);
            found.at("read index of", &self.path())?
        };
        let Some(OffsetEntry { relative, position }) = entry else { return Ok(0) };
        match self.header_at(u64::from(position)) {
            Ok(Some(header)) if header.base_offset == self.base + i64::from(relative) => {
                Ok(u64::from(position))
            }
            _ => {
                // Slow but right; the next open after a crash, or compaction, builds a new index.
                tracing::warn!(path = %self.path().display(), position, "index entry is wrong");
                Ok(0)
            }
        }
    }

    /// Rebuilds both indexes, the size and the latest time from the batch headers up to `size`.
    pub(crate) fn rebuild(&self, size: u64, interval: u32) -> Result<(), ReadError> {
        {
            let mut extent = self.extent();
            extent.indexes.truncate(0, 0).at("rebuild index of", &self.path())?;
            extent.size = 0;
            extent.next_offset = self.base;
            extent.latest = None;
            extent.since_entry = 0;
        }
        let mut position = 0;
        while position < size {
            let header = self.header_at(position)?.ok_or_else(|| self.damaged(position))?;
            if header.base_offset < self.extent().next_offset
                || position + header.size as u64 > size
            {
                return Err(self.damaged(position));
            }
            self.extent().push(self.base, &header, interval);
            position += header.size as u64;
        }
        Ok(())
    }

    /// Takes over size and latest time of a closed segment from its indexes; `false` when they do
    /// not fit the file and must be rebuilt.
    pub(crate) fn adopt(&self, size: u64, next_offset: i64, interval: u32) -> io::Result<bool> {
        let mut extent = self.extent();
        extent.size = size;
        extent.next_offset = next_offset;
        let last = extent.indexes.offsets.last()?;
        let fits = match last {
            Some(last) => u64::from(last.position) < size,
            None => size <= u64::from(interval) * 2,
        };
        let time = extent.indexes.times.last()?;
        extent.latest = time.map(|time| TimedOffset {
            offset: self.base + i64::from(time.relative),
            timestamp: time.timestamp,
        });
        Ok(fits && (time.is_some() || size == 0))
    }

    /// Takes over what a checkpoint knows about the segment that was growing.
    pub(crate) fn restore(&self, size: u64, next_offset: i64, latest: Option<TimedOffset>) {
        let mut extent = self.extent();
        extent.size = size;
        extent.next_offset = next_offset;
        extent.latest = latest;
        extent.since_entry = 0;
    }
}
