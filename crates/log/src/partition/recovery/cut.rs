//! Cutting a log where its batches end, without destroying what may have been acknowledged.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use super::Recovery;
use crate::batch::{BatchHeader, HEADER};
use crate::error::{Attempt, BatchFault, IoFault, OpenError};
use crate::segment::Segment;

/// Copied or searched at a time.
const BUFFER: usize = 1 << 20;

impl Recovery<'_> {
    /// The partition ends before what its checkpoint has seen synced.
    pub(super) fn lost(&self, path: PathBuf) -> OpenError {
        OpenError::Lost {
            partition: self.id.clone(),
            path,
            end: self.next_offset,
            synced: self.synced,
        }
    }

    /// Ends the log at a position in segment `at`. A torn tail is the write that a crash has
    /// interrupted: part of a batch, and nothing whole behind it. Anything else is kept in a file.
    pub(super) fn cut(
        &mut self,
        at: usize,
        position: u64,
        size: u64,
        fault: Option<BatchFault>,
    ) -> Result<(), OpenError> {
        let Some(segment) = self.segments.get(at).map(Arc::clone) else { return Ok(()) };
        let path = segment.path();
        if self.next_offset < self.synced {
            return Err(self.lost(path));
        }
        let bytes = size - position;
        let fault = fault.unwrap_or(BatchFault::CutShort);
        let damaged = matches!(fault, BatchFault::Checksum | BatchFault::Offset)
            || self.any_bytes_from(at + 1)?
            || self.batch_behind(&segment, position, size)?;
        if damaged {
            self.keep(&segment, position, bytes, fault)?;
        } else {
            tracing::warn!(
                partition = %self.id, path = %path.display(), position, bytes, %fault,
                "TL0209: cut the unfinished write of a crash; nothing to do"
            );
        }
        segment.file.set_len(position).at("cut segment", &path)?;
        self.cut_segments(at + 1)
    }

    /// Removes all segments from `at` on, and keeps those that have bytes.
    pub(super) fn cut_segments(&mut self, at: usize) -> Result<(), OpenError> {
        for segment in self.segments.get(at..).unwrap_or_default() {
            let path = segment.path();
            if self.next_offset < self.synced {
                return Err(self.lost(path));
            }
            let bytes = segment.file.size().at("measure", &path)?;
            if bytes > 0 {
                self.keep(segment, 0, bytes, BatchFault::Offset)?;
            }
        }
        Ok(self.remove_from(at)?)
    }

    fn any_bytes_from(&self, at: usize) -> Result<bool, IoFault> {
        for segment in self.segments.get(at..).unwrap_or_default() {
            if segment.file.size().at("measure", &segment.path())? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a whole batch, with offsets that can follow, begins anywhere behind `position`.
    fn batch_behind(&self, segment: &Segment, position: u64, end: u64) -> Result<bool, IoFault> {
        let mut from = position + 1;
        let mut window = vec![0; BUFFER + HEADER];
        while from < end {
            let read = segment.file.read_at(&mut window, from).at("read", &segment.path())?;
            for (at, header) in window[..read].windows(HEADER).take(BUFFER).enumerate() {
                let at = from + at as u64;
                let found = BatchHeader::parse(header).ok().filter(|header| {
                    let ahead = header.base_offset.checked_sub(self.next_offset);
                    ahead.is_some_and(|ahead| (0..=i64::from(u32::MAX)).contains(&ahead))
                        && at + header.size as u64 <= end
                });
                let Some(found) = found else { continue };
                let mut batch = vec![0; found.size];
                segment.file.read_at(&mut batch, at).at("read", &segment.path())?;
                if BatchHeader::verify(&batch).is_ok() {
                    return Ok(true);
                }
            }
            from += BUFFER as u64;
        }
        Ok(false)
    }

    /// Copies a segment from `position` on to a new file that no crash takes away, and says so.
    fn keep(
        &self,
        segment: &Segment,
        position: u64,
        bytes: u64,
        fault: BatchFault,
    ) -> Result<(), IoFault> {
        let kept = self.copy(segment, position)?;
        tracing::error!(
            partition = %self.id, path = %segment.path().display(), position, bytes, %fault,
            kept = %kept.display(),
            "TL0208: cut records off the log that are damaged or stand behind damaged ones; they \
             are kept in a file, compare with a copy of the partition"
        );
        Ok(())
    }

    fn copy(&self, segment: &Segment, position: u64) -> Result<PathBuf, IoFault> {
        let folder = &self.damaged;
        self.files.create_dir_all(folder).at("create", folder)?;
        let names = self.files.list(folder).at("list", folder)?;
        let name =
            |count: usize| format!("{}-{:020}-{position}-{count}.damaged", self.id, segment.base);
        let free = (0..).map(name).find(|name| !names.contains(name));
        let kept = folder.join(free.unwrap_or_default());
        let file = self.files.open(&kept, true).at("create", &kept)?;
        let mut position = position;
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = segment.file.read_at(&mut buffer, position).at("read", &segment.path())?;
            if read == 0 {
                break;
            }
            file.append(&mut [IoSlice::new(&buffer[..read])]).at("write", &kept)?;
            position += read as u64;
        }
        file.sync().at("sync", &kept)?;
        self.files.sync_dir(folder).at("sync folder", folder)?;
        if let Some(data) = folder.parent() {
            self.files.sync_dir(data).at("sync folder", data)?;
        }
        Ok(kept)
    }
}
