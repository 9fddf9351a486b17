//! The watched folder: what is in it, and which file is which.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::hash::fnv;
use crate::position::{Mark, Version};

/// Bytes of a file that are remembered to know it again: more than a header, and one page.
pub(crate) const MARK: u64 = 4096;

/// One name in the folder.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name within its folder.
    pub name: String,
    /// Its name within the watched folder.
    pub path: String,
    pub file: u64,
    pub size: u64,
    /// Nanoseconds since the epoch.
    pub modified: i64,
    /// When its description changed (ctime), nanoseconds since the epoch.
    pub changed: i64,
    /// Why it is not read.
    pub refused: Option<&'static str>,
}

impl Entry {
    /// Whether it is the same version of the same file, by what a listing tells.
    pub(crate) fn is(&self, version: &Version) -> bool {
        let touched = version.changed != 0 && version.changed != self.changed;
        self.file == version.file && self.unchanged(version) && !touched
    }

    /// Whether size and time are those of a version.
    pub(crate) fn unchanged(&self, version: &Version) -> bool {
        self.size == version.size && self.modified == version.modified
    }
}

/// Nanoseconds since the epoch of the last change.
pub(crate) fn modified(metadata: &Metadata) -> i64 {
    nanoseconds(metadata.mtime(), metadata.mtime_nsec())
}

fn nanoseconds(seconds: i64, more: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(more)
}

#[derive(Debug)]
pub(crate) struct Folder {
    /// Without symbolic links.
    root: PathBuf,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        fs::read_dir(&root)?;
        Ok(Self { root })
    }

    /// All files of a folder below the watched one, by name. A folder that is not there is empty.
    pub(crate) fn list(&self, below: &str) -> io::Result<Vec<Entry>> {
        let folder = self.root.join(below);
        let listing = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !below.is_empty() => {
                return Ok(Vec::new());
            }
            listing => listing?,
        };
        let mut entries = Vec::new();
        for item in listing {
            let item = item?;
            let Ok(name) = item.file_name().into_string() else { continue };
            match self.entry(name, below, &item.path()) {
                Ok(entry) => entries.extend(entry),
                // It was there a moment ago.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn entry(&self, name: String, below: &str, path: &Path) -> io::Result<Option<Entry>> {
        let mut metadata = fs::symlink_metadata(path)?;
        let mut refused = None;
        if metadata.is_symlink() {
            match path.canonicalize() {
                Ok(target) if target.starts_with(&self.root) => metadata = fs::metadata(path)?,
                Ok(_) => refused = Some("it is a link that leads out of the folder"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(_) => refused = Some("it is a link that cannot be followed"),
            }
        }
        if metadata.is_dir() {
            return Ok(None);
        }
        if refused.is_none() && !metadata.is_file() {
            refused = Some("it is not a file");
        }
        let within = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        Ok(Some(Entry {
            name,
            path: within,
            file: metadata.ino(),
            size: metadata.len(),
            modified: modified(&metadata),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            refused,
        }))
    }

    /// Opens what was listed; nothing when something else stands there by now.
    pub(crate) fn file(&self, entry: &Entry) -> io::Result<Option<File>> {
        let file = match File::open(self.root.join(&entry.path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let same = file.metadata()?.ino() == entry.file;
        Ok(same.then_some(file))
    }
}

/// The mark of `len` bytes from `offset` on; of fewer when the file is shorter.
pub(crate) fn mark(file: &File, offset: u64, len: u64) -> io::Result<Mark> {
    let mut bytes = vec![0; len.min(MARK) as usize];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], offset + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(Mark { len: read as u32, hash: fnv(&bytes[..read]) })
}

/// The mark of what was read of an append-only file: its begin and its end.
pub(crate) fn marks(file: &File, offset: u64) -> io::Result<(Mark, Mark)> {
    let head = mark(file, 0, offset)?;
    let tail = mark(file, offset.saturating_sub(MARK), offset)?;
    Ok((head, tail))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_are_listed_by_name_and_links_stay_inside() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "x").unwrap();
        let inside = tempfile::tempdir().unwrap();
        let root = inside.path();
        fs::write(root.join("b.csv"), "12").unwrap();
        fs::create_dir(root.join("sub")).unwrap();
        symlink(outside.path().join("secret"), root.join("a.csv")).unwrap();
        symlink(root.join("b.csv"), root.join("c.csv")).unwrap();
        symlink(root.join("nothing"), root.join("d.csv")).unwrap();
        symlink(root.join("e.csv"), root.join("e.csv")).unwrap();
        let folder = Folder::open(root).unwrap();
        let entries = folder.list("").unwrap();
        let seen: Vec<_> =
            entries.iter().map(|e| (e.name.as_str(), e.refused.is_some(), e.size)).collect();
        assert_eq!(seen[1..3], [("b.csv", false, 2), ("c.csv", false, 2)]);
        assert_eq!((seen[3].0, seen[3].1), ("e.csv", true), "a link to itself holds up no other");
        assert_eq!((seen[0].0, seen[0].1), ("a.csv", true));
        assert!(folder.list("not-there").unwrap().is_empty());
    }

    #[test]
    fn a_file_that_was_replaced_since_it_was_listed_is_not_opened() {
        let inside = tempfile::tempdir().unwrap();
        let folder = Folder::open(inside.path()).unwrap();
        fs::write(inside.path().join("a"), "1").unwrap();
        let entry = folder.list("").unwrap().remove(0);
        assert!(folder.file(&entry).unwrap().is_some());
        fs::write(inside.path().join("b"), "2").unwrap();
        fs::rename(inside.path().join("b"), inside.path().join("a")).unwrap();
        assert!(folder.file(&entry).unwrap().is_none());
    }
}
