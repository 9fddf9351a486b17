//! Which append-only file has new rows, and what became of files that were renamed.

use std::fs::File;
use std::time::Duration;

use throughline_connector::CaptureError;

use super::refused::RefusedFile;
use super::{Found, Turn, Watch, forget_gone};
use crate::convert::Row;
use crate::error::{self, REWRITTEN, ROTATED, SHRUNK};
use crate::folder::{Entry, MARK, mark, marks};
use crate::job::{Job, Purpose, rejection};
use crate::position::{EntityState, Progress, Underway, Version};
use crate::rows::{Opened, RowReader};

/// Open files of which a removed one can still be read to its end.
const MAX_HELD: usize = 64;

/// How long the end of a quotation is waited for while the file does not grow.
const STALLED: Duration = Duration::from_secs(30);

/// What stands under a name now.
struct Now<'e> {
    entry: &'e Entry,
    file: File,
    /// It begins with all that was read under this name.
    continued: bool,
}

/// Where a file is that was read.
enum Stand<'e> {
    /// Under its name.
    Stays,
    /// Elsewhere; its name is free, or stands for this now.
    Left(Option<Now<'e>>),
}

/// A file that no longer stands under its name.
struct Old {
    file: File,
    path: String,
    size: u64,
    /// Its new name is one that is read, too.
    fits: bool,
}

/// What is to be read of a file.
struct Rest<'r> {
    shown: &'r str,
    file: File,
    version: Version,
    progress: Progress,
    give_up: bool,
}

impl Watch {
    pub(super) fn find_append(
        &mut self,
        entries: &[Entry],
        matching: &[Entry],
        turn: &mut Turn<'_, '_>,
    ) -> Result<Found, CaptureError> {
        let names: Vec<String> = turn.state.files.keys().cloned().collect();
        for name in names {
            if let Some(job) = self.follow(&name, entries, turn)? {
                return Ok(Found::Job(Box::new(job)));
            }
        }
        for entry in matching {
            if let Some(reason) = entry.refused {
                self.refuse_name(entry, reason, turn);
            } else if let Some(job) = self.grown(entry, entries, turn)? {
                return Ok(Found::Job(Box::new(job)));
            }
        }
        forget_gone(turn, matching);
        // Another file of the same name has a life of its own, and files are held that can be read.
        let files = &turn.state.files;
        self.missed.retain(|name| files.contains_key(name));
        self.finished.retain(|name| files.contains_key(name));
        self.held.retain(|name, _| files.contains_key(name));
        if turn.surplus {
            return Err(self.too_many());
        }
        Ok(Found::Nothing(self.settle))
    }

    /// Nothing more to read for now.
    pub(super) fn waits(&mut self, job: &Job, quoted: bool) {
        if let Some(seen) = self.seen.get_mut(&job.shown) {
            (seen.done, seen.quoted) = (true, quoted);
            seen.partial = job.version.size > job.progress.offset;
        }
        if job.name != job.shown || self.missed.contains(&job.name) {
            self.finished.insert(job.name.clone());
        }
        if (self.held.len() < MAX_HELD || self.held.contains_key(&job.name))
            && let Ok(file) = job.reader.file().try_clone()
        {
            self.held.insert(job.name.clone(), file);
        }
    }

    /// Looks where a file went that no longer stands under its name: what is left of it is read
    /// before the file that took its place.
    fn follow(
        &mut self,
        name: &str,
        entries: &[Entry],
        turn: &mut Turn<'_, '_>,
    ) -> Result<Option<Job>, CaptureError> {
        let Some(reading) = turn.state.files.get(name).and_then(|file| file.reading.clone()) else {
            return Ok(None);
        };
        let Stand::Left(now) = self.stand(name, &reading, entries)? else { return Ok(None) };
        let aside = turn.state.files.get(name).and_then(|file| file.refused.as_ref());
        let aside = aside.is_some_and(|of| of.options == self.settings.fingerprint);
        let old = self.old(name, &reading, entries, turn.state)?;
        let mut unread = old.is_none();
        if let Some(old) = old {
            if old.fits && !now.as_ref().is_some_and(|now| now.continued) {
                self.rename(name, &old.path, turn.state);
                turn.moved = true;
                return Ok(None);
            }
            if old.size > reading.progress.offset {
                // One that is set aside is not read in another place either.
                if !aside && !self.finished.contains(name) {
                    return self.rest(name, old, reading, turn);
                }
                unread = true;
            }
        }
        if let Some(now) = now {
            self.replaced(name, &now, unread, turn)?;
            turn.moved = true;
        }
        Ok(None)
    }

    /// Whether a file that was read still stands under its name.
    fn stand<'e>(
        &mut self,
        name: &str,
        reading: &Underway,
        entries: &'e [Entry],
    ) -> Result<Stand<'e>, CaptureError> {
        let listed = entries.iter().find(|entry| entry.path == name && entry.refused.is_none());
        if listed.is_none() {
            self.missed.insert(name.to_owned());
        }
        let Some(entry) = listed else { return Ok(Stand::Left(None)) };
        let Some(file) = self.open(entry)? else { return Ok(Stand::Left(None)) };
        let continued = continues(&file, entry.size, reading, name)?;
        if entry.file == reading.version.file && (continued || !self.missed.contains(name)) {
            return Ok(Stand::Stays);
        }
        Ok(Stand::Left(Some(Now { entry, file, continued })))
    }

    /// The file that stood under the name: renamed, or removed and still open.
    fn old(
        &self,
        name: &str,
        reading: &Underway,
        entries: &[Entry],
        state: &EntityState,
    ) -> Result<Option<Old>, CaptureError> {
        let elsewhere = entries.iter().find(|entry| {
            let other = entry.file == reading.version.file && entry.path != name;
            other && entry.refused.is_none() && !state.files.contains_key(&entry.path)
        });
        if let Some(entry) = elsewhere
            && let Some(file) = self.open(entry)?
            && continues(&file, entry.size, reading, name)?
        {
            let (path, fits) = (entry.path.clone(), self.settings.pattern.matches(&entry.name));
            return Ok(Some(Old { file, path, size: entry.size, fits }));
        }
        let Some(file) = self.held.get(name) else { return Ok(None) };
        let readable = |cause| error::unreadable(name, cause);
        let file = file.try_clone().map_err(readable)?;
        let size = file.metadata().map_err(readable)?.len();
        let same = continues(&file, size, reading, name)?;
        Ok(same.then(|| Old { file, path: name.to_owned(), size, fits: false }))
    }

    /// The file goes on under another name, and is not missing there.
    fn rename(&mut self, from: &str, to: &str, state: &mut EntityState) {
        if let Some(file) = state.files.remove(from) {
            state.files.insert(to.to_owned(), file);
        }
        if let Some(file) = self.held.remove(from) {
            self.held.insert(to.to_owned(), file);
        }
        self.missed.remove(from);
        self.finished.remove(from);
    }

    /// Reads the old file to its end.
    fn rest(
        &mut self,
        name: &str,
        old: Old,
        reading: Underway,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Option<Job>, CaptureError> {
        let Underway { mut version, progress, .. } = reading;
        version.size = old.size;
        let rest = Rest { shown: &old.path, file: old.file, version, progress, give_up: false };
        let job = self.job(name, rest, turn)?;
        if job.is_none() {
            self.finished.insert(name.to_owned());
        }
        Ok(job)
    }

    /// Another file stands under the name, and all that can be read of the old one was.
    fn replaced(
        &mut self,
        name: &str,
        now: &Now<'_>,
        unread: bool,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), CaptureError> {
        let Some(known) = turn.state.files.get_mut(name) else { return Ok(()) };
        let Some(reading) = &mut known.reading else { return Ok(()) };
        if now.continued {
            // Written anew with the same content, as editors and restores do.
            reading.version.file = now.entry.file;
        } else {
            let head = reading.version.head;
            let found = mark(&now.file, 0, head.len.into());
            let found = found.map_err(|cause| error::unreadable(name, cause))?;
            if reading.progress.offset > MARK && found == head {
                return Err(rewritten(name));
            }
            if unread {
                let place = format!("{name} line {}", reading.progress.line);
                let reason = "the file was replaced while nobody looked; lines that were added to \
                              the old one behind this place were not read: append them to the new \
                              one if there were any";
                let (reason, input) = (reason.to_owned(), Vec::new());
                let rejection = rejection(&self.settings, ROTATED, place, reason, input, None);
                turn.out.push(rejection, 256);
            }
            turn.state.files.remove(name);
        }
        self.missed.remove(name);
        self.finished.remove(name);
        self.held.remove(name);
        self.seen.remove(name);
        Ok(())
    }

    /// A file that stands where it stood, or is new, and may have more rows.
    fn grown(
        &mut self,
        entry: &Entry,
        entries: &[Entry],
        turn: &mut Turn<'_, '_>,
    ) -> Result<Option<Job>, CaptureError> {
        let seen = self.look(entry);
        let give_up = seen.done && seen.quoted && seen.since.elapsed() >= STALLED;
        if seen.done && !give_up {
            if seen.partial && seen.since.elapsed() >= STALLED {
                seen.partial = false;
                tracing::info!(
                    file = entry.path,
                    "the last line waits for its line break and is not read before"
                );
            }
            return Ok(None);
        }
        let known = turn.state.files.get(&entry.path).cloned().unwrap_or_default();
        let linked = |other: &Entry| {
            let read = turn.state.files.get(&other.path).is_some_and(|file| file.reading.is_some());
            other.file == entry.file && other.path != entry.path && read
        };
        let mut done = known.reading.is_none() && entries.iter().any(linked) || entry.size == 0;
        if !done && !turn.has_room(&entry.path) {
            turn.surplus = true;
            return Ok(None);
        }
        let Some(file) = self.open(entry)? else { return Ok(None) };
        let readable = |cause| error::unreadable(&entry.path, cause);
        if let Some(refused) = &known.refused {
            let head = mark(&file, 0, refused.head.len.into()).map_err(readable)?;
            done |= refused.file == entry.file
                && refused.options == self.settings.fingerprint
                && refused.head == head;
        }
        let mut version = self.version_of(entry, &file).map_err(readable)?;
        let mut progress = Progress::START;
        if let Some(reading) = known.reading {
            progress = reading.progress;
            if entry.size < progress.offset {
                return Err(shrunk(&entry.path, entry.size, progress.offset));
            }
            let found = marks(&file, progress.offset).map_err(readable)?;
            if found != (reading.version.head, reading.tail) {
                return Err(rewritten(&entry.path));
            }
            done |= entry.size == progress.offset;
            version.head = reading.version.head;
        }
        if done {
            self.look(entry).done = true;
            return Ok(None);
        }
        let rest = Rest { shown: &entry.path, file, version, progress, give_up };
        let job = self.job(&entry.path, rest, turn)?;
        if job.is_none() {
            self.look(entry).done = true;
        }
        Ok(job)
    }

    fn job(
        &self,
        name: &str,
        rest: Rest<'_>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Option<Job>, CaptureError> {
        let Rest { shown, file, version, progress, give_up } = rest;
        let opened = RowReader::open(file, &self.settings, &self.layout, progress.place(), false);
        let reader = match opened.map_err(|cause| error::unreadable(shown, cause))? {
            Opened::Reader(reader) => reader,
            Opened::Wait => return Ok(None),
            Opened::Broken { line, error } => {
                let (code, reason) = (error.code, error.reason);
                let refused = RefusedFile { path: name, line: Some(line), code, reason };
                self.refuse(version, refused, turn);
                return Ok(None);
            }
        };
        Ok(Some(Job {
            name: name.to_owned(),
            shown: shown.to_owned(),
            entity: self.entity,
            settings: self.settings.clone(),
            reader,
            purpose: Purpose::Append { run: None, give_up },
            version,
            snapshot: !turn.state.caught_up,
            mends: false,
            keys_before: 0,
            known_rejections: 0,
            progress,
            given: progress,
            row: Row::default(),
            keys: 0,
            keyless: 0,
            begun: false,
        }))
    }
}

/// Whether a file begins with all that was read.
fn continues(file: &File, size: u64, reading: &Underway, name: &str) -> Result<bool, CaptureError> {
    let offset = reading.progress.offset;
    let found = marks(file, offset).map_err(|cause| error::unreadable(name, cause))?;
    Ok(size >= offset && found == (reading.version.head, reading.tail))
}

fn shrunk(name: &str, size: u64, offset: u64) -> CaptureError {
    CaptureError::Halt {
        code: SHRUNK,
        problem: format!("the append-only file {name} has {size} bytes, {offset} were read"),
        fix: way_out(),
    }
}

fn rewritten(name: &str) -> CaptureError {
    CaptureError::Halt {
        code: REWRITTEN,
        problem: format!("the append-only file {name} was written over where it was read already"),
        fix: way_out(),
    }
}

fn way_out() -> String {
    "put the old content back and append to it, or give the new content another name that fits \
     `path` so that it is read as a new file, or declare the file with mode replace"
        .to_owned()
}
