//! Why the store could not be used.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use throughline_avro::DecodeError;
use throughline_event::EntityName;

use crate::group::GroupError;

/// Why the state store could not be opened, read or written.
///
/// After any of these a transaction is rolled back; the file is as it was at the last commit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file is not a state store, or is damaged.
    #[error(
        "TL0651: {path} is damaged or not a state store; delete it, it is rebuilt from the topics"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said, when it was SQLite that found out.
        #[source]
        source: Option<rusqlite::Error>,
    },
    /// The file was written by a later version.
    #[error(
        "TL0652: {path} has format {found}, this version knows {known}; start the version that \
         wrote it, or delete it: it is rebuilt from the topics"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// Another process has the file open.
    #[error("TL0653: {path} is open in another process; stop that one first")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// There is no room for the change.
    #[error("TL0654: no room to write {path}; free some disk space, then start again")]
    Full {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// Anything else that SQLite or the file system refused.
    #[error("TL0655: could not read or write {path}; check the folder and its permissions")]
    Io {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A file that is to be rebuilt cannot be removed.
    #[error("TL0656: could not remove {path} to rebuild it; check the folder and its permissions")]
    Remove {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The ignore list names a field that the document does not have.
    #[error("TL0657: {entity} ignores the field {field:?}, which its documents do not have")]
    UnknownField {
        /// The entity.
        entity: EntityName,
        /// The field.
        field: String,
    },
    /// A document does not fit its entity's schema.
    #[error("TL0658: a document of {entity} does not fit its schema; report this as a defect")]
    Document {
        /// The entity.
        entity: EntityName,
        /// The cause.
        #[source]
        source: DecodeError,
    },
    /// Rows were to join a document that is not grouped.
    #[error("TL0659: rows of {entity} cannot join its document; report this as a defect")]
    Group {
        /// The entity.
        entity: EntityName,
        /// The cause.
        #[source]
        source: GroupError,
    },
    /// Rows came with a version below that of the document they join. Dropping them would lose them.
    #[error(
        "TL0660: rows of {entity} have version {version}, their document has {published}; versions \
         must not go back"
    )]
    RowsOutOfOrder {
        /// The entity.
        entity: EntityName,
        /// The rows' version.
        version: i64,
        /// The version of the published document.
        published: i64,
    },
    /// A sweep was ended that was not begun since the store was opened.
    #[error("TL0661: the sweep {scope:?} of {entity} was not begun; read the dump from its start")]
    NoSweep {
        /// The entity.
        entity: EntityName,
        /// The scope.
        scope: String,
    },
    /// Keys of one scope are numbered, and the numbers are used up.
    #[error("TL0662: {path} has no more room for keys; delete it, it is rebuilt from the topics")]
    KeysExhausted {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// Sorts SQLite's errors by what a person can do about them.
    pub(crate) fn from_sqlite(path: &std::path::Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, source: Some(source) }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            Some(ErrorCode::DiskFull) => Self::Full { path, source },
            _ => Self::Io { path, source },
        }
    }

    /// Whether deleting the file and rebuilding it from the topics helps.
    pub fn is_repaired_by_rebuild(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Newer { .. } | Self::KeysExhausted { .. })
    }
}
