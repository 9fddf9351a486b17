//! Stable codes, and what can be wrong with a row or a file.

use std::io;

use throughline_connector::CaptureError;

/// An option is wrong.
pub(crate) const OPTION: &str = "TL1001";
/// The folder cannot be read.
pub(crate) const FOLDER: &str = "TL1002";
/// A file cannot be read.
pub(crate) const FILE: &str = "TL1003";
/// The folder for sorting cannot be written.
pub(crate) const SCRATCH: &str = "TL1004";
/// A stored position is not one of this producer.
pub(crate) const POSITION: &str = "TL1005";

/// A row has too few or too many values.
pub(crate) const COLUMN_COUNT: &str = "TL1010";
/// A quotation does not end, or something follows it.
pub(crate) const QUOTING: &str = "TL1011";
/// Bytes are not text in the declared encoding.
pub(crate) const ENCODING: &str = "TL1012";
/// A value has another type.
pub(crate) const TYPE: &str = "TL1013";
/// A number is too large for its type.
pub(crate) const RANGE: &str = "TL1014";
/// A value is missing.
pub(crate) const EMPTY: &str = "TL1015";
/// A row is too long.
pub(crate) const TOO_LONG: &str = "TL1016";
/// A line or array item is not a JSON object.
pub(crate) const NOT_JSON: &str = "TL1017";
/// A JSON object has a field that is not declared, or does not fit the document's schema.
pub(crate) const SHAPE: &str = "TL1018";
/// Rows of a key were withheld.
pub(crate) const GROUP: &str = "TL1019";

/// The header is not the declared one.
pub(crate) const HEADER: &str = "TL1020";
/// A file is plainly wrong and was set aside.
pub(crate) const QUARANTINED: &str = "TL1021";
/// A dump is suspiciously small.
pub(crate) const SMALL_DUMP: &str = "TL1022";
/// Deletes were withheld because rows could not be told apart.
pub(crate) const WITHHELD: &str = "TL1023";
/// Something in the folder is not a file of the folder.
pub(crate) const NOT_A_FILE: &str = "TL1024";
/// A JSON file is not one array.
pub(crate) const NOT_AN_ARRAY: &str = "TL1025";
/// A file was rotated away before all of it was read.
pub(crate) const ROTATED: &str = "TL1026";

/// An append-only file became shorter.
pub(crate) const SHRUNK: &str = "TL1030";
/// An append-only file was written over.
pub(crate) const REWRITTEN: &str = "TL1031";

/// More files lie in the folder than can be remembered.
pub(crate) const TOO_MANY: &str = "TL1032";
/// A file that was refused is still there.
pub(crate) const ASIDE: &str = "TL1033";

/// What is wrong with one row. The reason never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowError {
    /// The stable code.
    pub code: &'static str,
    /// The column, counted from 1, where one is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl RowError {
    pub(crate) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, column: None, reason: reason.into() }
    }

    pub(crate) fn at(mut self, column: usize) -> Self {
        self.column = Some(column);
        self
    }

    /// Names the column in front of the reason.
    pub(crate) fn in_column(mut self, name: &str) -> Self {
        self.reason = format!("column {name:?}: {}", self.reason);
        self
    }
}

/// A file cannot be read now.
pub(crate) fn unreadable(name: &str, error: io::Error) -> CaptureError {
    CaptureError::Unavailable { code: FILE, source_name: name.to_owned(), cause: Box::new(error) }
}

/// Whether the others of the folder can be read for all that: a missing permission, or a bad place
/// on the disk.
pub(crate) fn is_of_one_file(error: &io::Error) -> bool {
    /// "Input/output error" on every Unix.
    const EIO: i32 = 5;
    error.kind() == io::ErrorKind::PermissionDenied || error.raw_os_error() == Some(EIO)
}

/// Why a dump or delivery is set aside.
pub(crate) fn set_aside(error: &io::Error) -> String {
    format!("{error}; the other files go on; let this user read it, or replace it")
}

/// The folder cannot be read now.
pub(crate) fn unreadable_folder(folder: &str, error: io::Error) -> CaptureError {
    CaptureError::Unavailable {
        code: FOLDER,
        source_name: folder.to_owned(),
        cause: Box::new(error),
    }
}

/// The folder for sorting cannot be used now.
pub(crate) fn scratch(error: io::Error) -> CaptureError {
    let source_name = "the scratch folder for sorting dumps".to_owned();
    CaptureError::Unavailable { code: SCRATCH, source_name, cause: Box::new(error) }
}

/// The same error once more, to be told with another batch; of those that a part of the source can
/// wait with.
pub(crate) fn again(error: &CaptureError) -> Option<CaptureError> {
    Some(match error {
        CaptureError::Unavailable { code, source_name, cause } => CaptureError::Unavailable {
            code,
            source_name: source_name.clone(),
            cause: cause.to_string().into(),
        },
        CaptureError::Halt { code, problem, fix } => {
            CaptureError::Halt { code, problem: problem.clone(), fix: fix.clone() }
        }
        _ => return None,
    })
}
