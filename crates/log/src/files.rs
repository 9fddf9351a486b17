//! The seam to the file system: what the log needs of it, and nothing more.
//!
//! [`StdFiles`] is the real one. Fault tests use `faults::FaultyFiles` (feature `faults`).

use std::any::Any;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// One open file.
pub trait LogFile: Send + Sync + fmt::Debug {
    /// Length in bytes.
    ///
    /// # Errors
    /// What the system answers.
    fn size(&self) -> io::Result<u64>;

    /// Appends all slices at the end. On error any part of them may have been written; the caller
    /// cuts the file back.
    ///
    /// # Errors
    /// What the system answers.
    fn append(&self, slices: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Reads at a position; fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// What the system answers.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// Cuts the file.
    ///
    /// # Errors
    /// What the system answers.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// `fdatasync`: the bytes and the length are on the disk when this returns.
    ///
    /// # Errors
    /// What the system answers. Never to be retried on the same file.
    fn sync(&self) -> io::Result<()>;
}

/// Why the folder's lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it, with its id when known.
    Held(Option<u32>),
    /// The system refused.
    Io(io::Error),
}

/// The operations on paths that the log needs. Paths are absolute or relative to the process.
pub trait FileLayer: Send + Sync + fmt::Debug {
    /// Opens for reading and appending; creates when `create` is set.
    ///
    /// # Errors
    /// What the system answers.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn LogFile>>;

    /// Atomically replaces `to`.
    ///
    /// # Errors
    /// What the system answers.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; a missing file is fine.
    ///
    /// # Errors
    /// What the system answers.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and everything in it; a missing folder is fine.
    ///
    /// # Errors
    /// What the system answers.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder and its parents.
    ///
    /// # Errors
    /// What the system answers.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Names in a folder, without order.
    ///
    /// # Errors
    /// What the system answers.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes creations, renames and removals in a folder durable.
    ///
    /// # Errors
    /// What the system answers.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;

    /// Free bytes for this process on the file system of a path.
    ///
    /// # Errors
    /// What the system answers.
    fn available_space(&self, path: &Path) -> io::Result<u64>;

    /// Takes the exclusive lock of a data folder through the file `path`, held until the guard is
    /// dropped.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it.
    fn lock(&self, path: &Path) -> Result<Box<dyn Any + Send + Sync>, LockError>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdFiles;

#[derive(Debug)]
struct StdFile(File);

impl LogFile for StdFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn append(&self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        // Skips empty slices: writing nothing would look like a file that takes no more.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match (&self.0).write_vectored(slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, position + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl FileLayer for StdFiles {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn LogFile>> {
        let file = OpenOptions::new().read(true).append(true).create(create).open(path)?;
        Ok(Arc::new(StdFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        missing_is_fine(fs::remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        missing_is_fine(fs::remove_dir_all(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            // A name that is not UTF-8 is not ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn available_space(&self, path: &Path) -> io::Result<u64> {
        fs4::available_space(path)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {
                let pid = std::process::id().to_string();
                file.set_len(0).map_err(LockError::Io)?;
                file.write_all(pid.as_bytes()).map_err(LockError::Io)?;
                Ok(Box::new(file))
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = (&mut file).take(32).read_to_string(&mut text);
                Err(LockError::Held(read.ok().and_then(|_| text.trim().parse().ok())))
            }
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }
}
