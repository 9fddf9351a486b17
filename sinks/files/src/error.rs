//! Stable codes, and what the runtime is told.

use std::io;
use std::path::Path;

use throughline_connector::{DeliverError, RecordPosition};

/// An option is wrong.
pub(crate) const OPTION: &str = "TL3001";
/// The folder cannot be used at the start.
pub(crate) const FOLDER: &str = "TL3002";
/// The folder cannot be written now.
pub(crate) const NOT_WRITABLE: &str = "TL3003";
/// A record is not what its schema says.
pub(crate) const RECORD: &str = "TL3004";
/// A schema has no form in the file format.
pub(crate) const SCHEMA: &str = "TL3005";
/// The folder holds files that do not fit together.
pub(crate) const DAMAGED: &str = "TL3006";
/// What was written could not be read back after an error.
pub(crate) const LOST: &str = "TL3007";

/// The folder is not the one that was opened.
pub(crate) const REPLACED: &str = "TL3008";

/// The target may be writable later.
pub(crate) fn unavailable(path: &Path, error: io::Error) -> DeliverError {
    DeliverError::Unavailable {
        code: NOT_WRITABLE,
        target: path.display().to_string(),
        fix: "look at its room and permissions; delivery goes on by itself".to_owned(),
        retry_after: None,
        cause: Box::new(error),
    }
}

/// The folder was taken away while nothing was being written to it: it may come back.
pub(crate) fn away(folder: &Path, cause: io::Error) -> DeliverError {
    if !is_gone(&cause) {
        return unavailable(folder, cause);
    }
    DeliverError::Unavailable {
        code: REPLACED,
        target: format!("{}, which is no longer the folder that was opened,", folder.display()),
        fix: "mount or move it back and delivery goes on by itself; for another folder, restart"
            .to_owned(),
        retry_after: None,
        cause: Box::new(cause),
    }
}

/// The folder was taken away while it was written to. When the file system does not tell whether it
/// was, nothing is reported as written before it does.
pub(crate) fn taken_away(folder: &Path, cause: io::Error) -> DeliverError {
    if !is_gone(&cause) {
        return unavailable(folder, cause);
    }
    DeliverError::Halt {
        code: REPLACED,
        problem: format!("{} was taken away while it was written to: {cause}", folder.display()),
        fix: "mount or move it back and restart; delivery goes on behind its last file".to_owned(),
    }
}

/// Whether the folder, or the one that was opened, is known not to be there.
fn is_gone(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A record that cannot be written.
pub(crate) fn refused(position: RecordPosition, reason: String) -> DeliverError {
    DeliverError::Refused { code: RECORD, position, reason }
}

/// A schema that cannot be written.
pub(crate) fn schema(problem: String) -> DeliverError {
    DeliverError::Halt {
        code: SCHEMA,
        problem,
        fix: "use format jsonl, or leave the topic to another sink".to_owned(),
    }
}

/// Files that do not fit together.
pub(crate) fn damaged(path: &Path, problem: &str) -> DeliverError {
    DeliverError::Halt {
        code: DAMAGED,
        problem: format!("{}: {problem}", path.display()),
        fix: "move the file away and restart; what it covered is written again".to_owned(),
    }
}

/// What was not yet durable is gone.
pub(crate) fn lost(path: &Path) -> DeliverError {
    DeliverError::Halt {
        code: LOST,
        problem: format!("{}: what was written could not be read back", path.display()),
        fix: "check the disk and restart; delivery goes on behind the last finished file"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use throughline_connector::Disposition;

    use super::*;

    #[test]
    fn only_a_folder_that_is_known_to_be_gone_needs_a_restart() {
        let folder = Path::new("target");
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory] {
            let error = taken_away(folder, io::Error::new(kind, "its lock is another file"));
            assert_eq!(error.disposition(), Disposition::Halt);
            assert!(error.to_string().contains("written to: its lock is another"), "{error}");
            assert!(away(folder, kind.into()).to_string().starts_with("TL3008"));
        }
        // As a network mount says it that does not answer.
        for kind in [io::ErrorKind::Other, io::ErrorKind::StaleNetworkFileHandle] {
            for error in [taken_away(folder, kind.into()), away(folder, kind.into())] {
                assert_eq!(error.disposition(), Disposition::Retry { after: None });
                assert!(error.to_string().starts_with("TL3003"), "{error}");
                assert!(std::error::Error::source(&error).is_some(), "{error}");
            }
        }
    }
}
