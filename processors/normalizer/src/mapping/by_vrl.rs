//! A mapping that VRL itself runs.

use vrl::compiler::state::RuntimeState;
use vrl::compiler::{Context, ExpressionError, Program, SecretTarget, Target, TimeZone};
use vrl::path::{OwnedTargetPath, PathPrefix};
use vrl::value::Value;

/// Runs a program on a document; `metadata` is what `%` is.
pub(crate) fn run(
    program: &Program,
    document: Value,
    metadata: &Value,
) -> Result<Value, ExpressionError> {
    // A time that names no zone means UTC, wherever the process runs.
    let zone = TimeZone::parse("UTC").expect("UTC is a time zone");
    let mut target = Document { value: document, metadata };
    let mut state = RuntimeState::default();
    match program.resolve(&mut Context::new(&mut target, &mut state, &zone)) {
        Err(ExpressionError::Return { value, .. }) => Ok(value),
        result => result,
    }
}

/// What an operator reads about a failure, and where it happened.
pub(crate) fn reason(error: &ExpressionError) -> (String, Option<usize>) {
    use vrl::diagnostic::DiagnosticMessage as _;

    let labels = error.labels();
    // The innermost call stands first; its label is the function's own sentence.
    let at = labels.first().map(|label| label.span.start());
    let reason = match error {
        ExpressionError::Error { labels, message, .. } => {
            labels.first().map_or(message.as_str(), |label| label.message.as_str()).to_owned()
        }
        error => error.message(),
    };
    (reason, at)
}

/// What a mapping reads: the document and `%`. Nothing can be written; the compiler refuses it.
#[derive(Debug)]
struct Document<'a> {
    value: Value,
    metadata: &'a Value,
}

const READ_ONLY: &str = "the document is read-only";

impl Target for Document<'_> {
    fn target_insert(&mut self, _path: &OwnedTargetPath, _value: Value) -> Result<(), String> {
        Err(READ_ONLY.to_owned())
    }

    fn target_get(&self, path: &OwnedTargetPath) -> Result<Option<&Value>, String> {
        Ok(match path.prefix {
            PathPrefix::Event => self.value.get(&path.path),
            PathPrefix::Metadata => self.metadata.get(&path.path),
        })
    }

    fn target_get_mut(&mut self, _path: &OwnedTargetPath) -> Result<Option<&mut Value>, String> {
        Err(READ_ONLY.to_owned())
    }

    fn target_remove(
        &mut self,
        _path: &OwnedTargetPath,
        _compact: bool,
    ) -> Result<Option<Value>, String> {
        Err(READ_ONLY.to_owned())
    }
}

impl SecretTarget for Document<'_> {
    fn get_secret(&self, _key: &str) -> Option<&str> {
        None
    }

    fn insert_secret(&mut self, _key: &str, _value: &str) {}

    fn remove_secret(&mut self, _key: &str) {}
}
