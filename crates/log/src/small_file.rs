//! Small files that are replaced as a whole and carry a checksum: content, then its CRC-32C.

use std::io::{self, IoSlice};
use std::path::Path;

use crate::error::{Attempt, IoFault};
use crate::files::FileLayer;

/// Larger than any checkpoint of a sane number of producers; a damaged length is not allocated.
const MAX_BYTES: u64 = 256 << 20;

/// Writes a new file beside the old one, syncs it and swaps them; a crash leaves one or the other.
pub(crate) fn replace(files: &dyn FileLayer, path: &Path, content: &[u8]) -> Result<(), IoFault> {
    let new = path.with_added_extension("tmp");
    files.remove_file(&new).at("remove", &new)?;
    let file = files.open(&new, true).at("create", &new)?;
    let crc = crc32c::crc32c(content).to_be_bytes();
    file.append(&mut [IoSlice::new(content), IoSlice::new(&crc)]).at("write", &new)?;
    file.sync().at("sync", &new)?;
    files.rename(&new, path).at("rename", &new)?;
    let folder = path.parent().unwrap_or(path);
    files.sync_dir(folder).at("sync folder", folder)
}

/// What a small file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Missing,
    /// The checksum does not match.
    Damaged,
    Whole(Vec<u8>),
}

/// Reads a file written by [`replace`].
pub(crate) fn read(files: &dyn FileLayer, path: &Path) -> Result<Content, IoFault> {
    let file = match files.open(path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Missing),
        other => other.at("open", path)?,
    };
    let size = file.size().at("measure", path)?;
    if !(4..=MAX_BYTES).contains(&size) {
        return Ok(Content::Damaged);
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let read = file.read_at(&mut bytes, 0).at("read", path)?;
    bytes.truncate(read);
    let Some((content, crc)) = bytes.split_last_chunk::<4>() else { return Ok(Content::Damaged) };
    if crc32c::crc32c(content) != u32::from_be_bytes(*crc) {
        return Ok(Content::Damaged);
    }
    bytes.truncate(read - 4);
    Ok(Content::Whole(bytes))
}
