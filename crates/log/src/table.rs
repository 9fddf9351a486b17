//! A file of fixed-size entries in ascending order, behind offset and time indexes.
//!
//! Entries are collected in memory and written in blocks, and looked up on the file by binary
//! search: an open segment costs a few KiB whatever its size, a closed one nothing. The file is
//! created with its first block, so that small partitions do not spend file handles.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use crate::files::{FileLayer, LogFile};

/// Entries kept in memory before they are written.
const BLOCK: usize = 512;

/// An entry that knows its bytes.
pub(crate) trait Entry: Copy {
    const SIZE: usize;
    fn write(self, to: &mut Vec<u8>);
    /// `from` has exactly [`Entry::SIZE`] bytes.
    fn read(from: &[u8]) -> Option<Self>;
}

/// Entries on the file followed by those still in memory.
#[derive(Debug)]
pub(crate) struct Table<E> {
    path: PathBuf,
    files: Arc<dyn FileLayer>,
    file: Option<Arc<dyn LogFile>>,
    written: usize,
    tail: Vec<E>,
}

impl<E: Entry> Table<E> {
    /// A table that has nothing on disk.
    pub(crate) fn empty(path: PathBuf, files: Arc<dyn FileLayer>) -> Self {
        Self { path, files, file: None, written: 0, tail: Vec::new() }
    }

    /// The table on disk; empty when the file is missing.
    pub(crate) fn load(path: PathBuf, files: Arc<dyn FileLayer>) -> io::Result<Self> {
        let mut table = Self::empty(path, files);
        match table.files.open(&table.path, false) {
            Ok(file) => {
                table.written = usize::try_from(file.size()?).unwrap_or(0) / E::SIZE;
                table.file = Some(file);
                Ok(table)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(table),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.written + self.tail.len()
    }

    pub(crate) fn push(&mut self, entry: E) {
        self.tail.push(entry);
        if self.tail.len().is_multiple_of(BLOCK) && self.flush().is_err() {
            // Stays in memory; the next block or the sync that seals the segment tries again.
            tracing::debug!(path = %self.path.display(), "could not write index block");
        }
    }

    /// Writes what is in memory.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(self.files.open(&self.path, true)?),
        };
        let end = (self.written * E::SIZE) as u64;
        if file.size()? != end {
            file.set_len(end)?;
        }
        let mut bytes = Vec::with_capacity(self.tail.len() * E::SIZE);
        self.tail.iter().for_each(|entry| entry.write(&mut bytes));
        if let Err(error) = file.append(&mut [IoSlice::new(&bytes)]) {
            file.set_len(end)?;
            return Err(error);
        }
        self.written += self.tail.len();
        self.tail.clear();
        Ok(())
    }

    /// Writes and syncs everything.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.as_ref().map_or(Ok(()), |file| file.sync())
    }

    /// Keeps the first `len` entries.
    pub(crate) fn truncate(&mut self, len: usize) -> io::Result<()> {
        if len < self.written {
            self.tail.clear();
            self.written = len;
            if let Some(file) = &self.file {
                file.set_len((len * E::SIZE) as u64)?;
            }
        } else {
            self.tail.truncate(len - self.written);
        }
        Ok(())
    }

    pub(crate) fn get(&self, at: usize) -> io::Result<Option<E>> {
        if at >= self.written {
            return Ok(self.tail.get(at - self.written).copied());
        }
        let Some(file) = &self.file else { return Ok(None) };
        let mut bytes = [0; 16];
        let bytes = bytes.get_mut(..E::SIZE).ok_or(io::ErrorKind::InvalidInput)?;
        let read = file.read_at(bytes, (at * E::SIZE) as u64)?;
        Ok(if read == E::SIZE { E::read(bytes) } else { None })
    }

    pub(crate) fn last(&self) -> io::Result<Option<E>> {
        match self.len() {
            0 => Ok(None),
            len => self.get(len - 1),
        }
    }

    /// The last entry for which `wanted` holds; it must hold for a prefix of the table.
    pub(crate) fn last_where(&self, wanted: impl Fn(&E) -> bool) -> io::Result<Option<E>> {
        let (mut low, mut high) = match self.tail.first() {
            Some(first) if wanted(first) => (self.written, self.len()),
            _ => (0, self.written),
        };
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle)? {
                Some(entry) if wanted(&entry) => low = middle + 1,
                _ => high = middle,
            }
        }
        if low == 0 { Ok(None) } else { self.get(low - 1) }
    }
}
