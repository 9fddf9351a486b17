//! What one entity sees of the folder: its files, and which version each is.

use std::fs::File;
use std::io;
use std::time::Instant;

use throughline_connector::CaptureError;

use super::{Seen, Turn, Watch, names};
use crate::error;
use crate::folder::{Entry, MARK, mark};
use crate::options::ModeOptions;
use crate::position::{Mark, Version};

impl Watch {
    /// All files of the folder, and those that the entity reads.
    pub(super) fn list(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(Vec<Entry>, Vec<Entry>), CaptureError> {
        turn.surplus = false;
        let below = self.settings.pattern.folder.clone();
        let entries = match turn.listed.take() {
            Some((of, entries)) if of == below => entries,
            _ => self
                .folder
                .list(&below)
                .map_err(|cause| error::unreadable_folder(&shown_folder(&below), cause))?,
        };
        // Only while there is nothing to read: a look that is used is a look of now.
        if turn.out.batch.items.is_empty() && turn.files == 0 {
            *turn.listed = Some((below, entries.clone()));
        }
        let matching: Vec<Entry> =
            entries.iter().filter(|e| self.settings.pattern.matches(&e.name)).cloned().collect();
        self.empty = matching.is_empty();
        let names = names(&matching);
        self.seen.retain(|name, _| names.contains(name.as_str()));
        Ok((entries, matching))
    }

    /// How long this version has been the last one.
    pub(super) fn look(&mut self, entry: &Entry) -> &mut Seen {
        let fresh = Seen {
            file: entry.file,
            size: entry.size,
            modified: entry.modified,
            since: Instant::now(),
            done: false,
            quoted: false,
            partial: false,
        };
        let seen = self.seen.entry(entry.path.clone()).or_insert(fresh);
        if (seen.file, seen.size, seen.modified) != (entry.file, entry.size, entry.modified) {
            *seen = fresh;
        }
        seen
    }

    pub(super) fn version(&self, entry: &Entry, head: Mark) -> Version {
        Version {
            file: entry.file,
            size: entry.size,
            modified: entry.modified,
            changed: if self.settings.mode == ModeOptions::Replace { entry.changed } else { 0 },
            head,
            options: self.settings.fingerprint,
        }
    }

    /// The version of a file that was opened.
    pub(super) fn version_of(&self, entry: &Entry, file: &File) -> io::Result<Version> {
        Ok(self.version(entry, mark(file, 0, entry.size.min(MARK))?))
    }

    pub(super) fn open(&self, entry: &Entry) -> Result<Option<File>, CaptureError> {
        self.folder.file(entry).map_err(|cause| error::unreadable(&entry.path, cause))
    }
}

fn shown_folder(below: &str) -> String {
    if below.is_empty() { "the watched folder".to_owned() } else { below.to_owned() }
}
