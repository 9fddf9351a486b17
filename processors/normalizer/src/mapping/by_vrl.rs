//! A mapping that VRL itself runs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use vrl::compiler::state::RuntimeState;
use vrl::compiler::{Context, ExpressionError, Program, SecretTarget, Target, TimeZone};
use vrl::path::{OwnedTargetPath, PathPrefix};
use vrl::value::Value;

/// Why VRL gave no value.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The mapping failed.
    Expression(ExpressionError),
    /// VRL itself did: a defect, or a value that is too large for it.
    Panic,
}

/// Runs a program on a document; `metadata` is what `%` is.
///
/// Nothing limits its time and memory: see `check::bounds` for what is refused beforehand.
pub(crate) fn run(program: &Program, document: Value, metadata: &Value) -> Result<Value, Failed> {
    // A time that names no zone means UTC, wherever the process runs.
    let zone = TimeZone::parse("UTC").expect("UTC is a time zone");
    let mut target = Document { value: document, metadata };
    let mut state = RuntimeState::default();
    let mut context = Context::new(&mut target, &mut state, &zone);
    // What it has touched ends with this call; a compiled program does not change while it runs.
    match catch_unwind(AssertUnwindSafe(|| program.resolve(&mut context))) {
        Ok(Ok(value) | Err(ExpressionError::Return { value, .. })) => Ok(value),
        Ok(Err(error)) => Err(Failed::Expression(error)),
        Err(_) => Err(Failed::Panic),
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

#[cfg(test)]
mod tests {
    use vrl::compiler::{CompileConfig, compile_with_external, state::ExternalEnv};

    use super::*;

    #[test]
    fn a_panic_of_vrl_is_a_failure_of_the_mapping() {
        let external = ExternalEnv::default();
        let config = CompileConfig::default();
        let functions = crate::functions::all();
        let text = "\"ab\" * 9223372036854775807";
        let compiled = compile_with_external(text, &functions, &external, config).unwrap();
        let result = run(&compiled.program, Value::Null, &Value::Null);
        assert!(matches!(result, Err(Failed::Panic)), "{result:?}");
    }
}
