//! What a topic's folder holds of one partition.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use throughline_connector::DeliverError;
use throughline_event::{Offset, PartitionId};

use crate::error::{damaged, unavailable};
use crate::name::{Name, is_hidden};
use crate::options::FormatOptions;

/// How much of the end of a file is read to find its last line.
const TAIL: u64 = 1 << 20;

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// The next offset that is needed.
    pub next: Offset,
    /// The last record is a delete, so a tombstone may follow.
    pub after_delete: bool,
}

pub(crate) fn extension(format: FormatOptions) -> &'static str {
    match format {
        FormatOptions::Jsonl => "jsonl",
        FormatOptions::Parquet => "parquet",
    }
}

/// Reads the folder, and removes what a crash left of this partition; nothing for a partition of
/// which it holds no file.
pub(crate) fn held(
    folder: &Path,
    partition: PartitionId,
    format: FormatOptions,
) -> Result<Option<Held>, DeliverError> {
    let failed = |error| unavailable(folder, error);
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        listing => listing.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(failed)?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        if is_hidden(&file, partition) {
            fs::remove_file(entry.path()).map_err(failed)?;
            continue;
        }
        match Name::parse(&file, extension(format)) {
            Some(name) if name.partition == partition => names.push(name),
            Some(_) => {}
            None if file.starts_with('.') => {}
            None => {
                tracing::warn!(folder = %folder.display(), file, "a file of others in the folder")
            }
        }
    }
    names.sort_by_key(|name| name.first);
    for pair in names.windows(2) {
        if pair[1].first <= pair[0].last {
            let path = folder.join(pair[1].file(extension(format)));
            return Err(damaged(&path, "it holds offsets that another file holds too"));
        }
    }
    let Some(last) = names.last() else { return Ok(None) };
    let path = folder.join(last.file(extension(format)));
    let after_delete = check(&path, format).map_err(|error| match error {
        Wrong::Io(error) => unavailable(&path, error),
        Wrong::Content(problem) => damaged(&path, problem),
    })?;
    Ok(Some(Held { next: last.last.next(), after_delete }))
}

/// The last offset of a partition that a finished file holds; nothing is removed.
pub(crate) fn last(
    folder: &Path,
    partition: PartitionId,
    format: FormatOptions,
) -> Result<Option<Offset>, DeliverError> {
    let failed = |error| unavailable(folder, error);
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        listing => listing.map_err(failed)?,
    };
    let mut last = None;
    for entry in listing {
        let Ok(file) = entry.map_err(failed)?.file_name().into_string() else { continue };
        let name = Name::parse(&file, extension(format)).filter(|name| name.partition == partition);
        last = last.max(name.map(|name| name.last));
    }
    Ok(last)
}

/// The finished file that covers an offset.
pub(crate) fn covering(
    folder: &Path,
    partition: PartitionId,
    format: FormatOptions,
    offset: Offset,
) -> Result<Option<Name>, DeliverError> {
    let failed = |error| unavailable(folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let Ok(file) = entry.map_err(failed)?.file_name().into_string() else { continue };
        let name = Name::parse(&file, extension(format)).filter(|name| name.partition == partition);
        if name.is_some_and(|name| (name.first..=name.last).contains(&offset)) {
            return Ok(name);
        }
    }
    Ok(None)
}

enum Wrong {
    Io(io::Error),
    Content(&'static str),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Looks at the end of the last file; returns whether its last record is a delete.
fn check(path: &Path, format: FormatOptions) -> Result<bool, Wrong> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut tail = vec![0; usize::try_from(size.min(TAIL)).unwrap_or_default()];
    file.read_exact_at(&mut tail, size.saturating_sub(TAIL))?;
    match format {
        FormatOptions::Parquet if tail.ends_with(b"PAR1") => Ok(false),
        FormatOptions::Parquet => Err(Wrong::Content("it is not a whole Parquet file")),
        FormatOptions::Jsonl => {
            let lines = tail.strip_suffix(b"\n").ok_or(Wrong::Content("its last line is cut"))?;
            let start = lines.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            let line: Option<serde_json::Value> = serde_json::from_slice(&lines[start..]).ok();
            Ok(line.is_some_and(|line| line["meta"]["op"] == "delete"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: &str = "0-00000000000000000000-00000000000000000004.jsonl";

    fn check(files: &[(&str, &str)]) -> Result<Option<(i64, bool)>, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let held = held(dir.path(), PartitionId(0), FormatOptions::Jsonl);
        let left = fs::read_dir(dir.path()).unwrap().count();
        let hidden = files.iter().filter(|(name, _)| name.starts_with(".0-")).count();
        assert_eq!(left, files.len() - hidden, "only what a crash left is removed");
        held.map(|held| held.map(|h| (h.next.0, h.after_delete))).map_err(|e| e.to_string())
    }

    #[test]
    fn names_say_where_to_go_on() {
        assert_eq!(check(&[]), Ok(None));
        assert_eq!(check(&[(LAST, "{}\n")]), Ok(Some((5, false))));
        assert_eq!(check(&[(LAST, "{}\n{\"meta\":{\"op\":\"delete\"}}\n")]), Ok(Some((5, true))));
        let next = "0-00000000000000000009-00000000000000000009.jsonl";
        let other = "1-00000000000000000000-00000000000000000099.jsonl";
        assert_eq!(
            check(&[
                (LAST, "{}\n"),
                (next, "{}\n"),
                (other, ""),
                (".0-10-1.tmp", "x"),
                (".1-3-1.tmp", "y"),
                ("notes.txt", "z")
            ]),
            Ok(Some((10, false)))
        );
    }

    #[test]
    fn files_that_do_not_fit_together_halt_and_stay() {
        let overlapping = "0-00000000000000000004-00000000000000000009.jsonl";
        for files in [&[(LAST, "{}\n"), (overlapping, "{}\n")][..], &[(LAST, "{}")], &[(LAST, "")]]
        {
            let error = check(files).unwrap_err();
            assert!(error.starts_with("TL3006"), "{error}");
        }
    }
}
