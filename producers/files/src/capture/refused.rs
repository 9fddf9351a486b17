//! Files and names that are refused as a whole.

use throughline_connector::CaptureError;

use super::{Turn, Watch};
use crate::error::{ASIDE, NOT_A_FILE, TOO_MANY};
use crate::folder::Entry;
use crate::job::rejection;
use crate::mended;
use crate::options::ModeOptions;
use crate::position::{EntityState, FileState, MOST_DELIVERED, MOST_FILES, Mark, Version};

/// A file that is refused as a whole.
pub(super) struct RefusedFile<'f> {
    pub path: &'f str,
    pub line: Option<u64>,
    pub code: &'static str,
    pub reason: String,
}

impl Watch {
    /// Notes a version that is refused as a whole and says so; once, because the position knows it.
    pub(super) fn refuse(
        &self,
        version: Version,
        refused: RefusedFile<'_>,
        turn: &mut Turn<'_, '_>,
    ) {
        let RefusedFile { path, line, code, reason } = refused;
        if !turn.has_room(path) {
            turn.surplus = true;
            return;
        }
        let file = turn.state.files.entry(path.to_owned()).or_default();
        if file.refused.as_ref() == Some(&version) {
            return;
        }
        let reading = Some(mended::reading(path, &version));
        file.refuse(version, code);
        turn.moved = true;
        tracing::warn!(code, file = path, entity = %self.settings.name, reason, "file refused");
        let place = line.map_or(path.to_owned(), |line| format!("{path} line {line}"));
        turn.out.push(rejection(&self.settings, code, place, reason, Vec::new(), reading), 256);
    }

    /// Whether a file is there as it was refused. An append-only one may have grown; one that was
    /// written over is looked at before this is asked.
    pub(super) fn is_refused(&self, file: &FileState, entry: &Entry) -> bool {
        let append = self.settings.mode == ModeOptions::Append;
        file.refused.as_ref().is_some_and(|refused| {
            let same = if append { entry.file == refused.file } else { entry.is(refused) };
            same && refused.options == self.settings.fingerprint
        })
    }

    /// What waits of the entity because files are refused that are still there. A dead letter says
    /// so once and can be resolved; this is told for as long as it is so.
    pub(super) fn set_aside(
        &self,
        matching: &[Entry],
        state: &EntityState,
    ) -> Option<CaptureError> {
        let mut there = state.files.iter().filter(|(name, file)| {
            file.refused.is_some()
                && matching
                    .binary_search_by(|entry| entry.path.cmp(name))
                    .is_ok_and(|at| self.is_refused(file, &matching[at]))
        });
        let (name, FileState { refused_with: code, .. }) = there.next()?;
        let more = match there.count() {
            0 => String::new(),
            more => format!(", and {more} more of {}", self.settings.name),
        };
        let (with, told) = if code.is_empty() {
            (String::new(), "`throughline dlq list` says why".to_owned())
        } else {
            (format!(" with {code}"), format!("`throughline explain {code}` says how"))
        };
        let problem = format!("{name} is set aside{with}{more}");
        let fix = format!("mend it, {told}, or move it out of the folder");
        Some(CaptureError::Halt { code: ASIDE, problem, fix })
    }

    /// More files are there than the position can hold.
    pub(super) fn too_many(&self) -> CaptureError {
        let (files, most) = match self.settings.mode {
            ModeOptions::Deliver => ("deliveries", MOST_DELIVERED),
            ModeOptions::Append | ModeOptions::Replace => ("files", MOST_FILES),
        };
        CaptureError::Halt {
            code: TOO_MANY,
            problem: format!(
                "there are more {files} for {} than the {most} that are remembered",
                self.settings.name
            ),
            fix: "move those that were read out of the folder: the next ones are then read"
                .to_owned(),
        }
    }

    /// Refuses a name that is no file of the folder.
    pub(super) fn refuse_name(&self, entry: &Entry, reason: &str, turn: &mut Turn<'_, '_>) {
        let version = self.version(entry, Mark::default());
        let reason = format!("{reason}; put the file itself there");
        let refused = RefusedFile { path: &entry.path, line: None, code: NOT_A_FILE, reason };
        self.refuse(version, refused, turn);
    }
}
