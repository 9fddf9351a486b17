//! Rows sorted by key with bounded memory: sorted runs in a temporary file, merged at the end.
//!
//! Rows of one key keep their order. The file has no name, so nothing is left behind by a crash.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory of one run: few runs for a large dump, and little against what a process needs anyway.
const RUN: usize = 16 << 20;

/// Memory for reading all runs.
const MERGE: usize = 16 << 20;

/// Smallest buffer of one run.
const MIN_BUFFER: usize = 16 << 10;

/// Line, whether it is bad, length of key and of row.
const HEAD: usize = 8 + 1 + 4 + 4;

static NEXT_FILE: AtomicU64 = AtomicU64::new(0);

/// One row on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub key: Vec<u8>,
    pub row: Vec<u8>,
    pub line: u64,
    /// The row cannot be published, only its key is known.
    pub bad: bool,
}

/// Takes rows.
#[derive(Debug)]
pub(crate) struct Sorter {
    run: usize,
    bytes: Vec<u8>,
    starts: Vec<usize>,
    folder: PathBuf,
    file: Option<File>,
    /// The begin of each run in the file.
    runs: Vec<u64>,
    written: u64,
}

/// Gives rows.
#[derive(Debug)]
pub(crate) struct Sorted {
    file: Option<File>,
    runs: Vec<Run>,
    heap: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    heads: Vec<Option<Entry>>,
}

#[derive(Debug)]
struct Run {
    buffer: Vec<u8>,
    at: usize,
    next: u64,
    end: u64,
    chunk: usize,
}

impl Sorter {
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with_run(folder, RUN)
    }

    fn with_run(folder: &Path, run: usize) -> Self {
        let folder = folder.to_owned();
        let (bytes, starts, runs) = (Vec::new(), Vec::new(), Vec::new());
        Self { run, bytes, starts, folder, file: None, runs, written: 0 }
    }

    pub(crate) fn push(&mut self, entry: &Entry) -> io::Result<()> {
        let needed = HEAD + entry.key.len() + entry.row.len();
        if !self.starts.is_empty() && self.bytes.len() + self.starts.len() * 8 + needed > self.run {
            self.spill()?;
        }
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(&entry.line.to_le_bytes());
        self.bytes.push(u8::from(entry.bad));
        self.bytes.extend_from_slice(&(entry.key.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&(entry.row.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&entry.key);
        self.bytes.extend_from_slice(&entry.row);
        Ok(())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        // Stable, so that rows of one key keep their order.
        self.starts.sort_by_key(|&start| key_at(bytes, start));
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        if self.file.is_none() {
            self.file = Some(unnamed(&self.folder)?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        self.runs.push(self.written);
        let mut out = BufWriter::with_capacity(256 << 10, file);
        for &start in &self.starts {
            let record = record_at(&self.bytes, start);
            out.write_all(record)?;
            self.written += record.len() as u64;
        }
        out.flush()?;
        self.bytes.clear();
        self.starts.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<Sorted> {
        let mut runs = Vec::new();
        if self.file.is_some() {
            self.spill()?;
            let chunk = (MERGE / self.runs.len()).max(MIN_BUFFER);
            let ends = self.runs.iter().skip(1).chain(std::iter::once(&self.written));
            for (&next, &end) in self.runs.iter().zip(ends) {
                runs.push(Run { buffer: Vec::new(), at: 0, next, end, chunk });
            }
        } else {
            self.sort();
            // One run that is in memory as a whole.
            let mut buffer = Vec::with_capacity(self.bytes.len());
            for &start in &self.starts {
                buffer.extend_from_slice(record_at(&self.bytes, start));
            }
            runs.push(Run { buffer, at: 0, next: 0, end: 0, chunk: 0 });
        }
        let mut sorted = Sorted {
            file: self.file,
            heads: vec![None; runs.len()],
            runs,
            heap: BinaryHeap::new(),
        };
        for run in 0..sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }
}

impl Sorted {
    /// The row with the smallest key; rows of one key in the order in which they were taken.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        let Some(Reverse((_, run))) = self.heap.pop() else { return Ok(None) };
        let entry = self.heads[run].take();
        self.advance(run)?;
        Ok(entry)
    }

    /// The key of the next row.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        self.heap.peek().map(|Reverse((key, _))| key.as_slice())
    }

    fn advance(&mut self, at: usize) -> io::Result<()> {
        if let Some(entry) = self.runs[at].next(self.file.as_ref())? {
            self.heap.push(Reverse((entry.key.clone(), at)));
            self.heads[at] = Some(entry);
        }
        Ok(())
    }
}

impl Run {
    fn next(&mut self, file: Option<&File>) -> io::Result<Option<Entry>> {
        if !self.fill(file, HEAD)? {
            return Ok(None);
        }
        let (key_len, row_len) = lengths(&self.buffer, self.at);
        let len = HEAD + key_len + row_len;
        if !self.fill(file, len)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let record = &self.buffer[self.at..self.at + len];
        let mut line = [0; 8];
        line.copy_from_slice(&record[..8]);
        let entry = Entry {
            line: u64::from_le_bytes(line),
            bad: record[8] == 1,
            key: record[HEAD..HEAD + key_len].to_vec(),
            row: record[HEAD + key_len..].to_vec(),
        };
        self.at += len;
        Ok(Some(entry))
    }

    /// Makes `len` bytes available; false at the end of the run.
    fn fill(&mut self, file: Option<&File>, len: usize) -> io::Result<bool> {
        while self.buffer.len() - self.at < len {
            let Some(file) = file.filter(|_| self.next < self.end) else { return Ok(false) };
            self.buffer.drain(..self.at);
            self.at = 0;
            let kept = self.buffer.len();
            let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
            let read = self.chunk.max(len).min(left);
            self.buffer.resize(kept + read, 0);
            file.read_exact_at(&mut self.buffer[kept..], self.next)?;
            self.next += read as u64;
        }
        Ok(true)
    }
}

fn lengths(bytes: &[u8], start: usize) -> (usize, usize) {
    let number = |at: usize| {
        let mut four = [0; 4];
        four.copy_from_slice(&bytes[start + at..start + at + 4]);
        u32::from_le_bytes(four) as usize
    };
    (number(9), number(13))
}

fn key_at(bytes: &[u8], start: usize) -> &[u8] {
    let (key, _) = lengths(bytes, start);
    &bytes[start + HEAD..start + HEAD + key]
}

fn record_at(bytes: &[u8], start: usize) -> &[u8] {
    let (key, row) = lengths(bytes, start);
    &bytes[start..start + HEAD + key + row]
}

/// A file that is gone when it is closed.
fn unnamed(folder: &Path) -> io::Result<File> {
    loop {
        let number = NEXT_FILE.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".throughline-sort-{}-{number}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(entries: &[Entry], run: usize) -> Vec<Entry> {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::with_run(folder.path(), run);
        for entry in entries {
            sorter.push(entry).unwrap();
        }
        let mut sorted = sorter.finish().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        let mut out = Vec::new();
        while let Some(key) = sorted.peek().map(<[u8]>::to_vec) {
            let entry = sorted.next().unwrap().unwrap();
            assert_eq!(entry.key, key);
            out.push(entry);
        }
        assert_eq!(sorted.next().unwrap(), None);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]
        #[test]
        fn rows_are_sorted_by_key_and_keep_their_order(
            keys in prop::collection::vec((0..6_u8, 0..40_usize), 0..200),
            run in 1..2000_usize,
        ) {
            let entries: Vec<Entry> = keys.iter().enumerate().map(|(line, &(key, len))| Entry {
                key: vec![key; usize::from(key)],
                row: vec![7; len],
                line: line as u64,
                bad: len == 0,
            }).collect();
            let mut expected = entries.clone();
            expected.sort_by(|a, b| a.key.cmp(&b.key));
            prop_assert_eq!(sorted(&entries, run), expected);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let mut sorter = Sorter::with_run(Path::new("/dev/null/no"), 1);
        let entry = Entry { key: vec![1], row: vec![], line: 1, bad: false };
        sorter.push(&entry).unwrap();
        assert!(sorter.push(&entry).is_err());
    }
}
