//! One compiled mapping and how it is run.

use sha2::{Digest, Sha256};
use throughline_connector::ProcessError;
use vrl::compiler::state::RuntimeState;
use vrl::compiler::{Context, ExpressionError, Program, SecretTarget, Target, TimeZone};
use vrl::path::{OwnedSegment, OwnedTargetPath, PathPrefix};
use vrl::value::Value;

use crate::check::{self, Contract};
use crate::diagnostics::{LoadError, Source};
use crate::meta::hex;

/// A mapping that passed its checks.
#[derive(Debug)]
pub(crate) struct Mapping {
    program: Program,
    file: String,
    text: String,
    label: String,
    /// Names of the document's own fields that the mapping reads; none for all of them.
    reads: Option<Vec<String>>,
    zone: TimeZone,
}

/// Bytes of a mapping's content hash that are shown.
const SHOWN_HASH: usize = 6;

impl Mapping {
    /// Compiles a mapping. `name` is what `meta.mapping` calls it, before the hash.
    pub(crate) fn new(
        name: &str,
        source: Source<'_>,
        contract: &Contract<'_>,
    ) -> Result<Self, Vec<LoadError>> {
        let program = check::compile(source, contract)?;
        let hash = Sha256::digest(source.text.as_bytes());
        let reads = fields_read(&program);
        Ok(Self {
            program,
            file: source.file.to_owned(),
            text: source.text.to_owned(),
            label: format!("{name}@{}", hex(&hash[..SHOWN_HASH])),
            reads,
            // A time that names no zone means UTC, wherever the process runs.
            zone: TimeZone::parse("UTC").expect("UTC is a time zone"),
        })
    }

    /// Pack, mapping and content hash.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Whether the mapping looks at this field of the document.
    pub(crate) fn reads(&self, field: &str) -> bool {
        self.reads.as_ref().is_none_or(|reads| reads.iter().any(|read| read == field))
    }

    /// Runs the mapping on a document.
    pub(crate) fn run(
        &self,
        document: Value,
        metadata: &Value,
        state: &mut RuntimeState,
    ) -> Result<Value, ProcessError> {
        let mut target = Document { value: document, metadata };
        let result = self.program.resolve(&mut Context::new(&mut target, state, &self.zone));
        state.clear();
        match result {
            Ok(value) | Err(ExpressionError::Return { value, .. }) => Ok(value),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// An error that this mapping is the program of.
    pub(crate) fn error(
        &self,
        code: &'static str,
        kind: &'static str,
        reason: String,
        line: Option<u32>,
    ) -> ProcessError {
        ProcessError { code, reason, program: self.label.clone(), line, kind }
    }

    fn failed(&self, error: &ExpressionError) -> ProcessError {
        use vrl::diagnostic::DiagnosticMessage as _;

        let labels = error.labels();
        // The innermost call stands first; its label is the function's own sentence.
        let line = labels.first().map(|label| {
            let source = Source { file: &self.file, text: &self.text };
            source.place(label.span.start()).0
        });
        let reason = match error {
            ExpressionError::Error { labels, message, .. } => {
                labels.first().map_or(message.as_str(), |label| label.message.as_str()).to_owned()
            }
            error => error.message(),
        };
        self.error("TL2022", "mapping", reason, line)
    }
}

/// The document's own fields that a program reads; none when it reads the document as a whole.
fn fields_read(program: &Program) -> Option<Vec<String>> {
    let queries = program.info().target_queries.iter();
    let event = queries.filter(|query| query.prefix == PathPrefix::Event);
    event
        .map(|query| match query.path.segments.first() {
            Some(OwnedSegment::Field(name)) => Some(name.to_string()),
            _ => None,
        })
        .collect()
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
