//! One file on its way: bytes go into a hidden file, which becomes visible under its name when it
//! is durable.
//!
//! Every step can be tried again after an error, and nothing that was taken is forgotten: bytes that
//! could not be written stay in memory, and a file whose sync failed is copied, because the system
//! may have dropped what it could not write.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crc32c::crc32c_append;
use throughline_event::{Offset, PartitionId};

use crate::name::hidden;

/// Bytes that are collected before they are written.
const BUFFER: usize = 256 << 10;

/// Why a file could not be published.
#[derive(Debug)]
pub(crate) enum SpoolError {
    /// It may work later.
    Later(io::Error),
    /// What was written is gone.
    Lost,
    /// Another file has its name.
    Exists,
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        Self::Later(error)
    }
}

/// Makes a folder, durably: one whose name is not would take its files with it.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    partition: PartitionId,
    first: Offset,
    attempt: u32,
    file: Option<(File, PathBuf)>,
    /// Bytes that were written.
    len: u64,
    /// Their checksum.
    sum: u32,
    buffer: Vec<u8>,
    /// A sync or rename failed: the file may not hold what was written.
    suspect: bool,
    renamed: bool,
}

impl Spool {
    pub(crate) fn new(folder: PathBuf, partition: PartitionId, first: Offset) -> Self {
        Self {
            folder,
            partition,
            first,
            attempt: 0,
            file: None,
            len: 0,
            sum: 0,
            buffer: Vec::new(),
            suspect: false,
            renamed: false,
        }
    }

    /// Where bytes are added.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.len + self.buffer.len() as u64
    }

    /// Writes out what was collected, when it is enough.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BUFFER { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(self.create()?);
        }
        let Some((file, _)) = &self.file else { return Ok(()) };
        // At its own place, so that a part of a failed attempt is written over.
        file.write_all_at(&self.buffer, self.len)?;
        self.sum = crc32c_append(self.sum, &self.buffer);
        self.len += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn create(&mut self) -> io::Result<(File, PathBuf)> {
        create_folder(&self.folder)?;
        self.attempt += 1;
        let path = self.folder.join(hidden(self.partition, self.first, self.attempt));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok((file, path))
    }

    /// Makes the file durable and visible.
    pub(crate) fn publish(&mut self, name: &str) -> Result<(), SpoolError> {
        if !self.renamed {
            if self.suspect {
                self.copy()?;
            }
            self.write()?;
            self.rename(&self.folder.join(name))?;
        }
        self.renamed = true;
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    fn rename(&mut self, target: &Path) -> Result<(), SpoolError> {
        let Some((file, path)) = &self.file else { return Ok(()) };
        if target.try_exists()? {
            return Err(SpoolError::Exists);
        }
        let done = file
            .set_len(self.len)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(path, target));
        self.suspect = done.is_err();
        Ok(done?)
    }

    /// Writes everything to another file.
    fn copy(&mut self) -> Result<(), SpoolError> {
        let Some((old, old_path)) = self.file.take() else { return Ok(()) };
        let copied = self.create().map_err(SpoolError::from).and_then(|new| {
            self.copy_bytes(&old, &new.0)?;
            Ok(new)
        });
        match copied {
            Ok(new) => {
                self.file = Some(new);
                self.suspect = false;
                let _ = fs::remove_file(old_path);
                Ok(())
            }
            Err(error) => {
                self.file = Some((old, old_path));
                Err(error)
            }
        }
    }

    fn copy_bytes(&self, old: &File, new: &File) -> Result<(), SpoolError> {
        let mut chunk = vec![0; BUFFER];
        let (mut at, mut found) = (0, 0);
        while at < self.len {
            let len = usize::try_from(self.len - at).map_or(BUFFER, |left| left.min(BUFFER));
            let chunk = &mut chunk[..len];
            old.read_exact_at(chunk, at).map_err(|_| SpoolError::Lost)?;
            new.write_all_at(chunk, at)?;
            found = crc32c_append(found, chunk);
            at += len as u64;
        }
        if found == self.sum { Ok(()) } else { Err(SpoolError::Lost) }
    }
}

impl Drop for Spool {
    /// What was not published is delivered again.
    fn drop(&mut self) {
        if let (Some((_, path)), false) = (&self.file, self.renamed) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(folder: &Path) -> Spool {
        Spool::new(folder.to_owned(), PartitionId(0), Offset(0))
    }

    #[test]
    fn a_file_is_hidden_until_it_is_published() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = spool(&dir.path().join("topic"));
        spool.buffer().extend_from_slice(&vec![b'x'; BUFFER]);
        spool.drain().unwrap();
        spool.buffer().extend_from_slice(b"end");
        let names = || -> Vec<_> {
            let listing = fs::read_dir(dir.path().join("topic")).unwrap();
            listing.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        };
        assert!(names().iter().all(|name| name.starts_with('.')));
        spool.publish("name").unwrap();
        assert_eq!(names(), ["name"]);
        let content = fs::read(dir.path().join("topic/name")).unwrap();
        assert_eq!(content.len() as u64, spool.len());
        assert!(content.ends_with(b"xend"));
    }

    #[test]
    fn a_full_disk_keeps_what_was_taken_and_writes_it_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = spool(dir.path());
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        spool.file = Some((full, dir.path().join("nowhere")));
        spool.buffer().extend_from_slice(b"abc");
        assert!(matches!(spool.publish("name"), Err(SpoolError::Later(_))));
        assert_eq!(spool.len(), 3);
        spool.file = None;
        spool.publish("name").unwrap();
        assert_eq!(fs::read(dir.path().join("name")).unwrap(), b"abc");
    }

    #[test]
    fn a_hidden_file_that_was_removed_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = spool(dir.path());
        spool.buffer().extend_from_slice(b"abc");
        spool.write().unwrap();
        let path = spool.file.as_ref().unwrap().1.clone();
        fs::remove_file(path).unwrap();
        assert!(matches!(spool.publish("name"), Err(SpoolError::Later(_))));
        spool.buffer().extend_from_slice(b"def");
        spool.publish("name").unwrap();
        assert_eq!(fs::read(dir.path().join("name")).unwrap(), b"abcdef");
    }

    #[test]
    fn a_copy_that_is_not_what_was_written_is_never_published() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = spool(dir.path());
        spool.buffer().extend_from_slice(b"abc");
        spool.write().unwrap();
        spool.file.as_ref().unwrap().0.write_all_at(b"X", 1).unwrap();
        spool.suspect = true;
        assert!(matches!(spool.publish("name"), Err(SpoolError::Lost)));
    }

    #[test]
    fn a_name_that_is_taken_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("name"), "old").unwrap();
        let mut spool = spool(dir.path());
        spool.buffer().extend_from_slice(b"abc");
        assert!(matches!(spool.publish("name"), Err(SpoolError::Exists)));
        drop(spool);
        assert_eq!(fs::read(dir.path().join("name")).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the hidden file is gone");
    }
}
