//! Opening a partition: believe the checkpoint, read what lies behind it, cut the tail at the
//! last whole batch.
//!
//! What a checkpoint has seen synced cannot end earlier: then the partition is refused. Behind it
//! nobody can tell what was acknowledged, because a power cut loses writes in any order; what is
//! cut there and may hold whole batches is kept in a file.

mod cut;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Partition, State};
use crate::aborted::{self, Aborted};
use crate::batch::{BatchHeader, Marker};
use crate::checkpoint::{Checkpoint, StoredExtent};
use crate::compaction::swap::Swap;
use crate::error::{Attempt, BatchFault, IoFault, OpenError};
use crate::fetch::Status;
use crate::files::FileLayer;
use crate::folder::Folder;
use crate::options::TopicPartition;
use crate::producers::{ProducerState, Producers};
use crate::scanner::{ScanError, Scanner, Stored};
use crate::segment::Segment;
use crate::small_file::{self, Content};

/// What is found on disk, while it is put together.
struct Recovery<'a> {
    id: &'a TopicPartition,
    path: &'a Path,
    files: &'a Arc<dyn FileLayer>,
    /// Where cut records are kept.
    damaged: PathBuf,
    interval: u32,
    /// Offsets below were synced when the checkpoint was written.
    synced: i64,
    segments: Vec<Arc<Segment>>,
    producers: Producers,
    next_offset: i64,
    /// Segments whose bytes were read and may not be synced.
    scanned: Vec<Arc<Segment>>,
    changed: bool,
    distrust: bool,
}

impl Partition {
    /// Creates an empty partition in a folder that may not exist yet.
    pub(crate) fn create(
        id: TopicPartition,
        path: PathBuf,
        folder: Arc<Folder>,
    ) -> Result<Arc<Self>, IoFault> {
        folder.files.create_dir_all(&path).at("create folder", &path)?;
        let opened = Self::open(id, path.clone(), folder, false);
        let partition = opened.map_err(|error| match error {
            OpenError::Io(fault) => fault,
            other => IoFault {
                action: "create partition over what is in",
                path,
                source: std::io::Error::other(other),
            },
        })?;
        partition.folder.files.sync_dir(&partition.path).at("sync folder", &partition.path)?;
        Ok(partition)
    }

    /// Recovers a partition. What it finds is durable when this returns. `distrust` says that a
    /// sync has failed in the process before.
    pub(crate) fn open(
        id: TopicPartition,
        path: PathBuf,
        folder: Arc<Folder>,
        distrust: bool,
    ) -> Result<Arc<Self>, OpenError> {
        let mut extent =
            load(&*folder.files, &path.join("extent"), StoredExtent::decode)?.unwrap_or_default();
        let mut recovery = Recovery {
            id: &id,
            path: &path,
            files: &folder.files,
            damaged: folder.path.join("damaged"),
            synced: 0,
            interval: folder.options.index_interval_bytes,
            segments: Vec::new(),
            producers: Producers::default(),
            next_offset: extent.log_start,
            scanned: Vec::new(),
            changed: distrust,
            distrust,
        };
        recovery.run(extent.log_start)?;
        let Recovery { segments, producers, next_offset, scanned, changed, .. } = recovery;
        let first = segments.first().map_or(0, |segment| segment.base);
        extent.log_start = extent.log_start.max(first);
        let growing = segments.last().map(|segment| segment.base);
        let state = State {
            log_end: next_offset,
            high_watermark: next_offset,
            log_start: extent.log_start,
            producers,
            status: Status::Open,
            queued: false,
            unsynced: scanned.into_iter().filter(|old| Some(old.base) != growing).collect(),
            folder_changed: changed,
            checkpoint_due: changed,
            checkpoint_segment: if changed { 0 } else { growing.unwrap_or(0) },
            since_checkpoint: 0,
            opened_ms: None,
            segments,
        };
        let partition = Self::new(id, path, folder, state, extent);
        partition.try_sync()?;
        Ok(partition)
    }
}

/// A small file's content; `None` when it is missing or damaged.
fn load<T>(
    files: &dyn FileLayer,
    path: &Path,
    decode: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, IoFault> {
    match small_file::read(files, path)? {
        Content::Missing => Ok(None),
        Content::Whole(bytes) => Ok(decode(&bytes)),
        Content::Damaged => {
            tracing::warn!(path = %path.display(), "checksum does not match, rebuilding");
            Ok(None)
        }
    }
}

impl Recovery<'_> {
    fn run(&mut self, log_start: i64) -> Result<(), OpenError> {
        let names = self.files.list(self.path).at("list", self.path)?;
        let bases = self.tidy(names)?;
        let checkpoint = load(&**self.files, &self.path.join("checkpoint"), Checkpoint::decode)?;
        self.synced = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.offset);
        for base in &bases {
            if self.distrust && checkpoint.as_ref().is_none_or(|from| *base >= from.segment) {
                Segment::rewrite(self.path, *base, self.files)?;
            }
            self.segments.push(Arc::new(Segment::open(self.path, *base, self.files)?));
        }
        let from = match checkpoint {
            Some(checkpoint) => self.resume(checkpoint)?,
            None => None,
        };
        match from {
            Some((at, position)) => self.scan(at, position, true)?,
            None => {
                self.changed = true;
                self.next_offset = bases.first().copied().unwrap_or(log_start);
                self.scan(0, 0, false)?;
            }
        }
        if self.next_offset < self.synced {
            let end = self.segments.last().map_or_else(|| self.path.to_owned(), |end| end.path());
            return Err(self.lost(end));
        }
        if self.segments.is_empty() || self.next_offset < log_start {
            // Under `FlushPolicy::PageCache` a power cut can lose what DeleteRecords has passed.
            self.remove_from(0)?;
            self.next_offset = self.next_offset.max(log_start);
            let first = Segment::create(self.path, self.next_offset, self.files)?;
            self.segments.push(Arc::new(first));
            self.changed = true;
        }
        Ok(())
    }

    /// Removes what a crash has left half-done; the base offsets of the segments, ascending.
    fn tidy(&self, names: Vec<String>) -> Result<Vec<i64>, IoFault> {
        let files = &**self.files;
        for swap in names.iter().filter_map(|name| Swap::parse(name)) {
            tracing::info!(partition = %self.id, ?swap, "completing a compaction");
            swap.finish(self.path, files)?;
        }
        let names = files.list(self.path).at("list", self.path)?;
        let mut bases = Vec::new();
        for name in &names {
            let half_done =
                [".tmp", ".cleaned", ".swap-aborted"].iter().any(|end| name.ends_with(end));
            let index =
                [".index", ".timeindex", ".aborted"].iter().find_map(|end| name.strip_suffix(end));
            let orphan = index.is_some_and(|stem| !names.contains(&format!("{stem}.log")));
            if half_done || orphan {
                let path = self.path.join(name);
                files.remove_file(&path).at("remove", &path)?;
            }
            let base = name.strip_suffix(".log").filter(|stem| stem.len() == 20);
            bases.extend(base.and_then(|stem| stem.parse::<i64>().ok()).filter(|base| *base >= 0));
        }
        bases.sort_unstable();
        Ok(bases)
    }

    /// Takes over what a checkpoint describes; where to read on, `None` when the checkpoint does
    /// not fit the files.
    fn resume(&mut self, checkpoint: Checkpoint) -> Result<Option<(usize, u64)>, IoFault> {
        let found = self.segments.binary_search_by_key(&checkpoint.segment, |found| found.base);
        let Ok(at) = found else { return Ok(None) };
        let growing = Arc::clone(&self.segments[at]);
        let path = growing.path();
        if growing.file.size().at("measure", &path)? < checkpoint.position {
            return Ok(None);
        }
        for (closed, next) in self.segments.iter().zip(self.segments.iter().skip(1)).take(at) {
            let Some(aborted) = self.load_aborted(closed)? else { return Ok(None) };
            self.adopt(closed, next.base)?;
            closed.extent().aborted = aborted;
        }
        let (offsets, times) = (checkpoint.offset_entries, checkpoint.time_entries);
        let indexed = {
            let mut extent = growing.extent();
            let indexes = &mut extent.indexes;
            let indexed = indexes.offsets.len() >= offsets && indexes.times.len() >= times;
            indexes.truncate(offsets, times).at("cut index of", &path)?;
            indexed
        };
        if !indexed && growing.rebuild(checkpoint.position, self.interval).is_err() {
            return Ok(None);
        }
        growing.restore(checkpoint.position, checkpoint.offset, checkpoint.latest);
        growing.extent().aborted = checkpoint.aborted;
        checkpoint.producers.into_iter().for_each(|state| self.producers.put(state));
        self.next_offset = checkpoint.offset;
        Ok(Some((at, checkpoint.position)))
    }

    fn load_aborted(&self, segment: &Segment) -> Result<Option<Vec<Aborted>>, IoFault> {
        let path = segment.stem.with_extension("aborted");
        match small_file::read(&**self.files, &path)? {
            Content::Missing => Ok(Some(Vec::new())),
            Content::Whole(bytes) => Ok(aborted::decode(&bytes)),
            Content::Damaged => Ok(None),
        }
    }

    /// A closed segment that was synced: its indexes are believed unless they cannot be right.
    fn adopt(&self, segment: &Segment, next_offset: i64) -> Result<(), IoFault> {
        let path = segment.path();
        let size = segment.file.size().at("measure", &path)?;
        let fits = segment.adopt(size, next_offset, self.interval);
        if !fits.at("read index of", &path)? {
            tracing::warn!(path = %path.display(), "index is missing or wrong, rebuilding");
            if let Err(error) = segment.rebuild(size, self.interval) {
                tracing::error!(%error, "segment is damaged, records after that are unreadable");
            }
            segment.seal();
            let mut extent = segment.extent();
            extent.size = size;
            extent.next_offset = next_offset;
        }
        Ok(())
    }

    /// Reads all batches from a place on and cuts the log where they end. After a checkpoint
    /// (`strict`) offsets have no gaps, because compaction stays below it.
    fn scan(&mut self, at: usize, position: u64, strict: bool) -> Result<(), OpenError> {
        let mut position = position;
        for at in at..self.segments.len() {
            let segment = Arc::clone(&self.segments[at]);
            let size = segment.file.size().at("measure", &segment.path())?;
            let misplaced =
                segment.base < self.next_offset || (strict && segment.base > self.next_offset);
            if position == 0 && misplaced {
                return self.cut_segments(at);
            }
            if position == 0 {
                self.next_offset = segment.base;
                let mut extent = segment.extent();
                extent.indexes.truncate(0, 0).at("cut index of", &segment.path())?;
            }
            let (end, fault) = self.scan_segment(&segment, position, size, strict)?;
            // A segment that is closed now must get its closing files before the next checkpoint
            // passes it, even when nothing in it had to be read.
            if end > position || end < size || at + 1 < self.segments.len() {
                self.changed = true;
                self.scanned.push(Arc::clone(&segment));
            }
            if end < size {
                return self.cut(at, end, size, fault);
            }
            if at + 1 < self.segments.len() {
                segment.seal();
            }
            position = 0;
        }
        Ok(())
    }

    /// Takes over all whole batches; the position behind the last one, and what is wrong there
    /// when that is not the end.
    fn scan_segment(
        &mut self,
        segment: &Segment,
        position: u64,
        size: u64,
        strict: bool,
    ) -> Result<(u64, Option<BatchFault>), IoFault> {
        let mut scanner = Scanner::new(segment, position, size);
        loop {
            let position = scanner.position();
            match scanner.next() {
                Ok(None) => return Ok((position, None)),
                Ok(Some(Stored { header, bytes })) => {
                    let gap = header.base_offset > self.next_offset;
                    if header.base_offset < self.next_offset
                        || header.last_offset() >= i64::MAX - 1
                        || (gap && strict)
                    {
                        return Ok((position, Some(BatchFault::Offset)));
                    }
                    self.replay(segment, &header, bytes);
                }
                Err(ScanError::Damaged { position, fault }) => {
                    return Ok((position, Some(fault)));
                }
                Err(ScanError::Io(fault)) => return Err(fault),
            }
        }
    }

    fn replay(&mut self, segment: &Segment, header: &BatchHeader, bytes: &[u8]) {
        self.next_offset = header.next_offset();
        segment.extent().push(segment.base, header, self.interval);
        if !header.has_producer() {
            return;
        }
        let id = header.producer_id;
        let mut state = self.producers.get(id).cloned().unwrap_or_else(|| ProducerState::new(id));
        let marker = if header.is_control() { Marker::parse(header, bytes).ok() } else { None };
        let ended = match marker {
            Some(marker) => state.apply_marker(header, marker).map(|first| (first, marker.commit)),
            None => {
                state.apply(header);
                None
            }
        };
        self.producers.put(state);
        if let Some((first_offset, false)) = ended {
            let marker_offset = header.base_offset;
            let stable_end = self.producers.first_open().unwrap_or(marker_offset + 1);
            segment.extent().aborted.push(Aborted {
                producer_id: id,
                first_offset,
                marker_offset,
                stable_end,
            });
        }
    }

    /// Removes segments.
    fn remove_from(&mut self, at: usize) -> Result<(), IoFault> {
        for segment in self.segments.drain(at.min(self.segments.len())..) {
            let path = segment.path();
            tracing::warn!(path = %path.display(), "removing segment behind the end of the log");
            for extension in ["log", "index", "timeindex", "aborted"] {
                let path = segment.stem.with_extension(extension);
                self.files.remove_file(&path).at("remove", &path)?;
            }
            self.scanned.retain(|scanned| scanned.base != segment.base);
            self.changed = true;
        }
        Ok(())
    }
}
