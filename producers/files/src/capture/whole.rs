//! Which complete file comes next: dumps and deliveries.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use throughline_connector::CaptureError;

use super::refused::RefusedFile;
use super::{Found, Look, Turn, Watch, forget_gone, names};
use crate::convert::Row;
use crate::error::{self, FILE};
use crate::folder::{Entry, marks};
use crate::job::{Job, Purpose, groups};
use crate::mended;
use crate::options::ModeOptions;
use crate::position::{EntityState, FileState, MOST_DELIVERED, Mark, Progress, Version};
use crate::rows::{Opened, RowReader};

impl Watch {
    /// The next file, by name, that is complete and was not read.
    pub(super) fn find_whole(
        &mut self,
        look: &mut Look,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Found, CaptureError> {
        let deliver = self.settings.mode == ModeOptions::Deliver;
        while let Some(entry) = look.matching.get(look.next) {
            if turn.is_over() {
                return Ok(Found::Later);
            }
            look.next += 1;
            if let Some(reason) = entry.refused {
                self.refuse_name(entry, reason, turn);
                continue;
            }
            if self.is_done(entry, turn.state) {
                continue;
            }
            let left = self.unsettled(entry);
            let room = turn.has_room(&entry.path);
            if deliver && (left.is_some() || look.held || !room) {
                // Those behind it are looked at all the same: that some were moved away, which
                // makes room, is only seen when all are known.
                look.all &= self.identify(entry, turn);
                if !self.is_done(entry, turn.state) {
                    turn.surplus |= !room;
                    // Deliveries are read in the order of their names.
                    look.held |= left.is_some();
                    look.wait = look.wait.min(left.unwrap_or(look.wait));
                }
                continue;
            }
            if !room {
                turn.surplus = true;
                continue;
            }
            if let Some(left) = left {
                look.wait = look.wait.min(left);
                continue;
            }
            let read = match self.folder.file(entry) {
                // Another one may stand there since the folder was listed.
                Ok(None) if deliver => {
                    look.all = false;
                    break;
                }
                Ok(None) => continue,
                Ok(Some(file)) => self.whole(entry, file, turn),
                Err(cause) => Err(cause),
            };
            match read {
                Ok(job) => {
                    turn.files += 1;
                    if let Some(job) = job {
                        return Ok(Found::Job(Box::new(job)));
                    }
                }
                Err(cause) => {
                    self.unread(entry, cause, turn)?;
                    look.all = false;
                }
            }
        }
        // How many keys a dump had is known while it is away, unless others need the room.
        if deliver || turn.surplus {
            forget_gone(turn, &look.matching);
        }
        if deliver {
            self.forget_delivered(look, turn);
        }
        if turn.surplus {
            return Err(self.too_many());
        }
        Ok(Found::Nothing(look.wait))
    }

    /// Forgets deliveries that were moved away, once it is known of every file which one it is.
    fn forget_delivered(&mut self, look: &Look, turn: &mut Turn<'_, '_>) {
        if !look.all || look.matching.is_empty() {
            return;
        }
        let names = names(&look.matching);
        self.known.retain(|name, _| names.contains(name.as_str()));
        let there: BTreeSet<u64> = self.known.values().map(|(_, digest)| *digest).collect();
        let gone = turn.state.delivered.retain(&there);
        turn.moved |= !gone.is_empty();
        let room = MOST_DELIVERED.saturating_sub(self.away.len());
        self.away.extend(gone.into_iter().take(room));
    }

    fn is_done(&self, entry: &Entry, state: &EntityState) -> bool {
        let delivered =
            |(of, digest): &(Version, u64)| entry.is(of) && state.delivered.holds(*digest);
        self.known.get(&entry.path).is_some_and(delivered)
            || state.files.get(&entry.path).is_some_and(|file| self.was_done(file, entry))
    }

    fn was_done(&self, file: &FileState, entry: &Entry) -> bool {
        // A dump is read again when its description changed.
        let same = |of: &&Version| entry.is(of) && of.options == self.settings.fingerprint;
        // One that could not even be opened is tried again: no listing tells of new permissions.
        let opened = |of: &Version| of.head != Mark::default();
        let refused = file.refused.as_ref().filter(same);
        refused.is_some_and(opened) || file.applied.as_ref().filter(same).is_some()
    }

    /// How long until the file counts as complete; nothing when it does.
    fn unsettled(&mut self, entry: &Entry) -> Option<Duration> {
        let settle = self.settle;
        let watched = self.look(entry).since.elapsed();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let modified = Duration::from_nanos(u64::try_from(entry.modified).unwrap_or(0));
        let age = now.checked_sub(modified).unwrap_or_default();
        settle.checked_sub(watched.max(age)).filter(|left| !left.is_zero())
    }

    /// Sets a file aside that cannot be read for a reason of its own; the others go on. It is tried
    /// again whenever the folder is looked at.
    fn unread(
        &self,
        entry: &Entry,
        cause: io::Error,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), CaptureError> {
        if !error::is_of_one_file(&cause) {
            return Err(error::unreadable(&entry.path, cause));
        }
        let version = self.version(entry, Mark::default());
        let reason = error::set_aside(&cause);
        self.refuse(
            version,
            RefusedFile { path: &entry.path, line: None, code: FILE, reason },
            turn,
        );
        Ok(())
    }

    /// Notes which delivery a file is; returns whether it was read: it was renamed, or is met for
    /// the first time since a start.
    fn note(&mut self, entry: &Entry, version: &Version, turn: &mut Turn<'_, '_>) -> bool {
        let digest = version.digest();
        let delivered = turn.state.delivered.holds(digest);
        if delivered && turn.state.files.remove(&entry.path).is_some() {
            turn.moved = true;
            turn.out.push(mended::back(self.entity, &entry.path, version), 0);
        }
        if !delivered && self.away.remove(&digest) {
            tracing::warn!(
                file = entry.path, entity = %self.settings.name,
                "a delivery that was moved away is back and is read again"
            );
        }
        self.known.insert(entry.path.clone(), (version.clone(), digest));
        delivered
    }

    /// Looks which delivery it is that has to wait; returns whether it is known. What is wrong with
    /// a file is told when its turn comes.
    fn identify(&mut self, entry: &Entry, turn: &mut Turn<'_, '_>) -> bool {
        if self.known.get(&entry.path).is_some_and(|(of, _)| entry.is(of)) {
            return true;
        }
        let Ok(Some(file)) = self.folder.file(entry) else { return false };
        let Ok(version) = self.complete_version(entry, &file) else { return false };
        turn.files += 1;
        self.note(entry, &version, turn);
        true
    }

    fn whole(
        &mut self,
        entry: &Entry,
        file: File,
        turn: &mut Turn<'_, '_>,
    ) -> io::Result<Option<Job>> {
        let version = self.complete_version(entry, &file)?;
        let deliver = self.settings.mode == ModeOptions::Deliver;
        if deliver && self.note(entry, &version, turn) {
            return Ok(None);
        }
        let known = turn.state.files.get(&entry.path);
        // Many send each delivery by the same name: it has other rows than the one before, unless
        // that was not read to its end.
        let unread = known.is_some_and(|file| file.unread_but(&version));
        let mends = !deliver || unread;
        let known = known.cloned().unwrap_or_default();
        let before = known.reading.filter(|reading| reading.version == version);
        let progress = match &before {
            Some(reading) if deliver && !self.settings.grouped => reading.progress,
            _ => Progress::START,
        };
        let opened = RowReader::open(file, &self.settings, &self.layout, progress.place(), true);
        let reader = match opened? {
            Opened::Reader(reader) => reader,
            Opened::Wait => return Ok(None),
            Opened::Broken { line, error } => {
                let (code, reason) = (error.code, error.reason);
                let refused = RefusedFile { path: &entry.path, line: Some(line), code, reason };
                self.refuse(version, refused, turn);
                return Ok(None);
            }
        };
        let purpose = if self.settings.grouped {
            Purpose::Groups { groups: groups(&self.scratch), sweep: !deliver }
        } else {
            Purpose::Rows { sweep: !deliver }
        };
        let repeated = before.map_or(0, |reading| reading.progress.rejected);
        Ok(Some(Job {
            name: entry.path.clone(),
            shown: entry.path.clone(),
            entity: self.entity,
            settings: self.settings.clone(),
            reader,
            purpose,
            version,
            snapshot: !turn.state.caught_up,
            mends,
            keys_before: known.keys,
            known_rejections: if progress == Progress::START { repeated } else { 0 },
            progress,
            given: progress,
            row: Row::default(),
            keys: 0,
            keyless: 0,
            begun: false,
        }))
    }

    /// Exports of one moment are often alike in size, time and first lines, so the last bytes of a
    /// complete file count as well.
    fn complete_version(&self, entry: &Entry, file: &File) -> io::Result<Version> {
        let (head, tail) = marks(file, entry.size)?;
        let hash = head.hash.rotate_left(1) ^ tail.hash;
        Ok(self.version(entry, Mark { len: head.len, hash }))
    }
}
