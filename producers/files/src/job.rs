//! One file being read: rows become items, bad rows become rejections, and the counts decide when
//! the file is set aside.

mod grouped;

use std::io;
use std::path::Path;
use std::sync::Arc;

use throughline_connector::{CaptureBatch, CaptureError, Item, Reading, Rejection};
use throughline_event::Micros;

use crate::convert::Row;
use crate::error::{self, RowError};
use crate::folder::modified;
use crate::mended;
use crate::options::ModeOptions;
use crate::position::{Progress, Version};
use crate::rows::{Bad, Next, RowReader};
use crate::settings::EntitySettings;
use grouped::Groups;

/// Bytes of the file that one step reads when nothing comes out of it.
const STEP: u64 = 16 << 20;

/// What an item takes in memory beside its bytes. Rows of stock have about 40 of those: without it a
/// batch would be ten times as large as its budget, and readers would wait for its end.
const ITEM: usize = 256;

/// What a file is read for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// Its new rows are documents, or join them.
    Append {
        /// Rows of one key that follow each other.
        run: Option<Run>,
        /// Do not wait for the end of a quotation.
        give_up: bool,
    },
    /// Its rows are documents. With `sweep` what is missing in it is gone.
    Rows {
        /// Whether it is a dump.
        sweep: bool,
    },
    /// Its rows are collected into documents.
    Groups {
        /// The rows.
        groups: Box<Groups>,
        /// Whether it is a dump.
        sweep: bool,
    },
}

/// An empty collection that may use this folder.
pub(crate) fn groups(scratch: &Path) -> Box<Groups> {
    Box::new(Groups::new(scratch))
}

/// Rows of one key that follow each other.
#[derive(Debug)]
pub(crate) struct Run {
    key: Vec<u8>,
    rows: Vec<Vec<u8>>,
    line: u64,
    bytes: usize,
    /// The progress behind its last row.
    after: Progress,
}

/// A file that is being read.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its name in the state.
    pub name: String,
    /// Its name for people.
    pub shown: String,
    pub entity: usize,
    pub settings: Arc<EntitySettings>,
    pub reader: Box<RowReader>,
    pub purpose: Purpose,
    pub version: Version,
    pub snapshot: bool,
    /// It stands for the earlier versions of its file: what was wrong with them is mended when it
    /// is read to its end.
    pub mends: bool,
    /// Keys of the dump before.
    pub keys_before: u64,
    /// Rejections that were published before a restart and are not to be repeated.
    pub known_rejections: u64,
    /// Including what was read and not yet given out.
    pub progress: Progress,
    /// What was given out.
    pub given: Progress,
    pub row: Row,
    /// Keys that were given out or kept.
    pub keys: u64,
    /// Bad rows whose key is not known.
    pub keyless: u64,
    pub begun: bool,
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The batch is full, or enough was read.
    Pause,
    /// An append-only file holds no more complete rows.
    Waiting {
        /// What is there stands in a quotation over a line.
        quoted: bool,
    },
    /// The file was read to its end.
    Complete,
    /// The file as a whole is refused, with this code.
    Refused(&'static str),
    /// The file changed while it was read.
    Changed,
}

/// A batch being filled.
pub(crate) struct Filling<'b> {
    pub batch: &'b mut CaptureBatch,
    pub size: usize,
    pub budget: usize,
}

impl Filling<'_> {
    pub(crate) fn full(&self) -> bool {
        self.size >= self.budget
    }

    pub(crate) fn push(&mut self, item: Item, size: usize) {
        self.size += ITEM + size;
        self.batch.items.push(item);
    }
}

impl Job {
    /// Reads on until the batch is full or the file has no more.
    pub(crate) fn step(&mut self, out: &mut Filling<'_>) -> Result<Step, CaptureError> {
        let begin = self.progress.offset;
        self.steps(out, begin).inspect_err(|_| self.cancel(out))
    }

    fn steps(&mut self, out: &mut Filling<'_>, begin: u64) -> Result<Step, CaptureError> {
        self.begin(out);
        if let Purpose::Groups { groups, .. } = &self.purpose
            && groups.is_sorted()
        {
            return self.give_groups(out);
        }
        let give_up = matches!(self.purpose, Purpose::Append { give_up: true, .. });
        loop {
            let next = match self.reader.next(&mut self.row, give_up) {
                Ok(next) => next,
                Err(cause) => return self.broken(cause, out),
            };
            self.progress.move_to(self.reader.place());
            match next {
                Next::Row { line } => self.take(line, out)?,
                Next::Bad(bad) => {
                    if let Some((bad, rows)) = self.take_bad(*bad, out)? {
                        return Ok(self.quarantine(bad, rows, out));
                    }
                }
                Next::Wait { quoted } => {
                    self.flush(out);
                    self.given = self.progress;
                    return Ok(Step::Waiting { quoted });
                }
                Next::End => return self.end(out),
                Next::Broken { line, error } => {
                    self.reject_whole(&error, line, out);
                    self.cancel(out);
                    return Ok(Step::Refused(error.code));
                }
            }
            if out.full() || self.progress.offset.saturating_sub(begin) >= STEP {
                return Ok(Step::Pause);
            }
        }
    }

    fn scope(&self) -> Option<String> {
        let sweep = match &self.purpose {
            Purpose::Append { .. } => false,
            Purpose::Rows { sweep } | Purpose::Groups { sweep, .. } => *sweep,
        };
        sweep.then(|| self.name.clone())
    }

    fn begin(&mut self, out: &mut Filling<'_>) {
        if !self.begun
            && let Some(scope) = self.scope()
        {
            let version = mended::version(&self.version);
            out.push(Item::SweepBegin { entity: self.entity, scope, version }, 0);
        }
        self.begun = true;
    }

    /// Gives the dump up: nothing is deleted.
    fn cancel(&mut self, out: &mut Filling<'_>) {
        if let (true, Some(scope)) = (self.begun, self.scope()) {
            out.push(Item::SweepCancel { entity: self.entity, scope }, 0);
        }
        self.begun = false;
    }

    fn changed_at(&self) -> Micros {
        Micros(self.version.modified.div_euclid(1_000))
    }

    fn place(&self, line: u64) -> String {
        format!("{} line {line}", self.shown)
    }

    fn take(&mut self, line: u64, out: &mut Filling<'_>) -> Result<(), CaptureError> {
        self.progress.good += 1;
        self.count(false);
        if let Purpose::Groups { groups, .. } = &mut self.purpose {
            return groups.push(&self.row, line, false);
        }
        if self.settings.grouped {
            self.join(line, out);
            return Ok(());
        }
        self.keys += 1;
        let key = self.row.key.clone();
        let document = self.row.document.clone();
        let size = key.len() + document.len();
        let item = Item::Document {
            entity: self.entity,
            key,
            document,
            scope: self.scope(),
            changed_at: self.changed_at(),
            place: self.place(line),
            snapshot: self.snapshot,
        };
        out.push(item, size);
        self.given = self.progress;
        Ok(())
    }

    /// Adds the row to the run of its key, or begins another.
    fn join(&mut self, line: u64, out: &mut Filling<'_>) {
        let after = self.progress;
        let size = self.row.document.len();
        let budget = out.budget;
        if let Purpose::Append { run: Some(run), .. } = &mut self.purpose
            && run.key == self.row.key
            && run.bytes <= budget
        {
            run.rows.push(self.row.document.clone());
            run.bytes += size;
            run.after = after;
            return;
        }
        self.flush(out);
        if let Purpose::Append { run, .. } = &mut self.purpose {
            let (key, rows) = (self.row.key.clone(), vec![self.row.document.clone()]);
            let bytes = key.len() + size;
            *run = Some(Run { key, rows, line, bytes, after });
        }
    }

    /// Gives out the run.
    fn flush(&mut self, out: &mut Filling<'_>) {
        let Purpose::Append { run, .. } = &mut self.purpose else { return };
        let Some(run) = run.take() else { return };
        self.given = run.after;
        let item = Item::Rows {
            entity: self.entity,
            key: run.key,
            rows: run.rows,
            changed_at: self.changed_at(),
            place: self.place(run.line),
            snapshot: self.snapshot,
        };
        out.push(item, run.bytes);
    }

    /// Returns how many rows of how many are bad when the file is plainly wrong.
    fn take_bad(
        &mut self,
        bad: Bad,
        out: &mut Filling<'_>,
    ) -> Result<Option<(u64, u64)>, CaptureError> {
        self.flush(out);
        let wrong = self.count(true);
        // A line of an append-only file is read once: no later version mends it.
        let append = matches!(self.purpose, Purpose::Append { .. });
        let reading = (!append).then(|| mended::reading(&self.name, &self.version));
        self.reject(&bad.error, bad.line, bad.input, reading, out);
        match (&mut self.purpose, bad.key) {
            (Purpose::Groups { groups, .. }, Some(key)) => {
                groups.push(&Row { key, document: Vec::new() }, bad.line, true)?;
            }
            (Purpose::Rows { sweep: true }, Some(key)) => {
                self.keys += 1;
                let scope = self.name.clone();
                out.push(Item::Kept { entity: self.entity, key, scope }, 0);
            }
            (_, None) => self.keyless += 1,
            _ => {}
        }
        self.given = self.progress;
        Ok(wrong)
    }

    /// Counts a row; returns how many of the stretch are bad, and its rows, when it is too many.
    fn count(&mut self, bad: bool) -> Option<(u64, u64)> {
        let quarantine = self.settings.quarantine;
        let progress = &mut self.progress;
        progress.stretch += 1;
        progress.stretch_bad += u64::from(bad);
        let limit = u64::from(quarantine.rows) * u64::from(quarantine.percent);
        let wrong = progress.stretch_bad * 100 > limit;
        let counted = wrong.then_some((progress.stretch_bad, progress.stretch));
        if progress.stretch >= u64::from(quarantine.rows) {
            (progress.stretch, progress.stretch_bad) = (0, 0);
        }
        counted
    }

    /// Gives out a rejection, unless it was published before.
    fn reject(
        &mut self,
        error: &RowError,
        line: u64,
        input: Vec<u8>,
        reading: Option<Reading>,
        out: &mut Filling<'_>,
    ) {
        self.progress.rejected += 1;
        self.given.rejected += 1;
        if self.progress.rejected <= self.known_rejections {
            return;
        }
        let mut place = self.place(line);
        if let Some(column) = error.column {
            place += &format!(" column {column}");
        }
        let reason = error.reason.clone();
        out.push(rejection(&self.settings, error.code, place, reason, input, reading), 256);
    }

    /// Rejects what another version of the file can mend, without the text of a row.
    fn reject_whole(&mut self, error: &RowError, line: u64, out: &mut Filling<'_>) {
        let reading = mended::reading(&self.name, &self.version);
        self.reject(error, line, Vec::new(), Some(reading), out);
    }

    fn reject_file(&mut self, code: &'static str, reason: String, out: &mut Filling<'_>) {
        tracing::warn!(
            code, file = self.shown, entity = %self.settings.name, reason, "file refused"
        );
        let line = self.progress.line;
        self.reject_whole(&RowError::new(code, reason), line, out);
    }

    fn refuse(&mut self, code: &'static str, reason: String, out: &mut Filling<'_>) -> Step {
        self.reject_file(code, reason, out);
        self.cancel(out);
        Step::Refused(code)
    }

    fn quarantine(&mut self, bad: u64, rows: u64, out: &mut Filling<'_>) -> Step {
        let percent = self.settings.quarantine.percent;
        let reason = format!(
            "the file is set aside: {bad} of {rows} rows are bad, allowed are {percent} % of {}; \
             repair it or its description, and it is read again",
            self.settings.quarantine.rows
        );
        self.refuse(error::QUARANTINED, reason, out)
    }

    /// The file cannot be read on: a log waits until it can, anything else is set aside.
    fn broken(&mut self, cause: io::Error, out: &mut Filling<'_>) -> Result<Step, CaptureError> {
        let append = matches!(self.purpose, Purpose::Append { .. });
        if append || !error::is_of_one_file(&cause) {
            return Err(error::unreadable(&self.shown, cause));
        }
        Ok(self.refuse(error::FILE, error::set_aside(&cause), out))
    }

    /// The end of a complete file.
    fn end(&mut self, out: &mut Filling<'_>) -> Result<Step, CaptureError> {
        if self.has_changed().map_err(|cause| error::unreadable(&self.shown, cause))? {
            self.cancel(out);
            return Ok(Step::Changed);
        }
        if self.progress.good == 0 && self.progress.rejected > 0 {
            let bad = self.progress.rejected;
            return Ok(self.quarantine(bad, bad, out));
        }
        if let Purpose::Groups { groups, .. } = &mut self.purpose {
            groups.sort()?;
            return self.give_groups(out);
        }
        Ok(self.finish(out))
    }

    /// Whether the file is another than when it was opened: half of it may be of each.
    fn has_changed(&self) -> io::Result<bool> {
        let now = self.reader.file().metadata()?;
        Ok(now.len() != self.version.size || modified(&now) != self.version.modified)
    }

    /// Everything was given out.
    fn finish(&mut self, out: &mut Filling<'_>) -> Step {
        self.given = self.progress;
        let Some(scope) = self.scope() else { return Step::Complete };
        let least = 100 - u64::from(self.settings.max_delete_percent);
        let small = self.keys * 100 < self.keys_before * least;
        if small || self.keys == 0 && self.keys_before > 0 && least > 0 {
            let reason = format!(
                "the dump has {} keys, the one before had {}: nothing is deleted; if it is right, \
                 raise max_delete_percent",
                self.keys, self.keys_before
            );
            return self.refuse(error::SMALL_DUMP, reason, out);
        }
        if self.keyless > 0 {
            let reason = format!(
                "nothing is deleted: the keys of {} bad rows are not known; a dump without such \
                 rows deletes what is missing",
                self.keyless
            );
            self.reject_file(error::WITHHELD, reason, out);
            self.cancel(out);
            return Step::Complete;
        }
        let (changed_at, place) = (self.changed_at(), self.place(self.progress.line));
        out.push(Item::SweepEnd { entity: self.entity, scope, changed_at, place }, 0);
        self.begun = false;
        Step::Complete
    }

    /// Whether the file can be read on from where it is; a dump is always begun anew.
    pub(crate) fn resumes(&self) -> bool {
        self.settings.mode != ModeOptions::Replace
            && !matches!(self.purpose, Purpose::Groups { .. })
    }
}

/// Something that cannot be published.
pub(crate) fn rejection(
    settings: &EntitySettings,
    code: &'static str,
    place: String,
    reason: String,
    input: Vec<u8>,
    reading: Option<Reading>,
) -> Item {
    Item::Rejected(Rejection { entity: settings.name.clone(), code, place, reason, input, reading })
}
