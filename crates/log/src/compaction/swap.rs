//! Putting a compacted segment in the place of the ones it was made from, so that a crash leaves
//! the old or the new ones and never a mixture.
//!
//! ```text
//! <base>-<end>.cleaned         being written; removed at the next open
//! <base>-<end>.swap-aborted    its list of aborted transactions, written before ...
//! <base>-<end>.swap            ... the rename to this name, which is the moment of the change
//! ```
//!
//! `finish` then removes the old files and moves the new ones to their names. It can be repeated
//! from any point, and is, at the next open.

use std::path::{Path, PathBuf};

use crate::error::{Attempt, IoFault};
use crate::files::FileLayer;
use crate::segment::stem;

/// A compacted segment for the offsets from `base` up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Swap {
    pub(crate) base: i64,
    pub(crate) end: i64,
}

impl Swap {
    /// From a file name like `<base>-<end>.swap`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (base, end) = name.strip_suffix(".swap")?.split_once('-')?;
        Some(Self { base: base.parse().ok()?, end: end.parse().ok()? })
    }

    pub(crate) fn path(&self, folder: &Path, extension: &str) -> PathBuf {
        folder.join(format!("{:020}-{:020}.{extension}", self.base, self.end))
    }

    /// Completes a swap whose `.swap` file exists.
    pub(crate) fn finish(&self, folder: &Path, files: &dyn FileLayer) -> Result<(), IoFault> {
        let names = files.list(folder).at("list", folder)?;
        for name in &names {
            let Some((number, extension)) = name.split_once('.') else { continue };
            let base = if number.len() == 20 { number.parse::<i64>().ok() } else { None };
            let inner = base.is_some_and(|base| base > self.base && base < self.end);
            let own_index = base == Some(self.base) && matches!(extension, "index" | "timeindex");
            if inner || own_index {
                let path = folder.join(name);
                files.remove_file(&path).at("remove", &path)?;
            }
        }
        let aborted = self.path(folder, "swap-aborted");
        let target = stem(folder, self.base);
        if names.iter().any(|name| aborted.ends_with(name)) {
            files.rename(&aborted, &target.with_extension("aborted")).at("rename", &aborted)?;
        }
        files.sync_dir(folder).at("sync folder", folder)?;
        let swap = self.path(folder, "swap");
        files.rename(&swap, &target.with_extension("log")).at("rename", &swap)?;
        files.sync_dir(folder).at("sync folder", folder)
    }
}
