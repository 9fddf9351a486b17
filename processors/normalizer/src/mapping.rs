//! One compiled mapping and how it is run.

pub(crate) mod by_vrl;

use sha2::{Digest, Sha256};
use throughline_connector::ProcessError;
use vrl::path::{OwnedSegment, PathPrefix};
use vrl::value::Value as VrlValue;

use self::by_vrl::Failed;
use crate::check::{self, Compiled, Contract};
use crate::diagnostics::{LoadError, Source};
use crate::meta::hex;
use crate::program::Program;
use crate::value::{Scope, Value, VocabularyBuilder, from_vrl, to_vrl};

/// What runs a mapping. The language and its results are the same, the speed is not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// The normalizer itself.
    Compiled,
    /// VRL, for a construct that the normalizer does not know.
    Vrl {
        /// The first such construct: ``function `split` ``.
        construct: String,
        /// The line where it stands, counted from one.
        line: u32,
    },
}

/// A mapping that passed its checks.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// As VRL compiled it.
    program: vrl::compiler::Program,
    /// The same for the normalizer itself, when it knows every construct.
    compiled: Option<Program>,
    engine: Engine,
    metadata: VrlValue,
    file: String,
    text: String,
    label: String,
    /// Names of the document's own fields that the mapping reads; none for all of them.
    reads: Option<Vec<String>>,
}

/// Bytes of a mapping's content hash that are shown.
const SHOWN_HASH: usize = 6;

impl Mapping {
    /// Compiles a mapping. `name` is what `meta.mapping` calls it, before the hash; `metadata` is
    /// what `%` is.
    pub(crate) fn new(
        name: &str,
        source: Source<'_>,
        contract: &Contract<'_>,
        metadata: VrlValue,
        vocabulary: &mut VocabularyBuilder,
    ) -> Result<Self, Vec<LoadError>> {
        let Compiled { program, tree, unbounded } = check::compile(source, contract)?;
        let (compiled, engine) = match Program::lower(&tree, &metadata, vocabulary) {
            Ok(compiled) => (Some(compiled), Engine::Compiled),
            Err(_) if !unbounded.is_empty() => return Err(unbounded),
            Err(found) => {
                let line = source.place(found.at).0;
                (None, Engine::Vrl { construct: found.construct, line })
            }
        };
        let hash = Sha256::digest(source.text.as_bytes());
        let reads = fields_read(&program);
        Ok(Self {
            program,
            compiled,
            engine,
            metadata,
            file: source.file.to_owned(),
            text: source.text.to_owned(),
            label: format!("{name}@{}", hex(&hash[..SHOWN_HASH])),
            reads,
        })
    }

    /// Pack, mapping and content hash.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Its file inside the pack.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// What runs it.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether the mapping looks at this field of the document.
    pub(crate) fn reads(&self, field: &str) -> bool {
        self.reads.as_ref().is_none_or(|reads| reads.iter().any(|read| read == field))
    }

    /// Runs the mapping on a document.
    pub(crate) fn run<'a>(
        &'a self,
        document: Value<'a>,
        scope: Scope<'a>,
    ) -> Result<Value<'a>, ProcessError> {
        let Some(program) = &self.compiled else { return self.run_by_vrl(document, scope) };
        program.run(document, scope).map_err(|failure| {
            let (reason, at) = failure.reason();
            if failure.is_limit() {
                return self.stopped("TL2025", reason, at);
            }
            self.failed(reason.to_owned(), at)
        })
    }

    /// Runs the mapping on a document as VRL would.
    pub(crate) fn run_by_vrl<'a>(
        &self,
        document: Value<'a>,
        scope: Scope<'a>,
    ) -> Result<Value<'a>, ProcessError> {
        match by_vrl::run(&self.program, to_vrl(document), &self.metadata) {
            Ok(value) => Ok(from_vrl(&value, scope)),
            Err(Failed::Expression(error)) => {
                let (reason, at) = by_vrl::reason(&error);
                Err(self.failed(reason, at))
            }
            Err(Failed::Panic) => Err(self.stopped("TL2026", "VRL panicked", None)),
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

    /// The document is refused for what it does to the mapping.
    pub(crate) fn stopped(
        &self,
        code: &'static str,
        reason: &str,
        at: Option<usize>,
    ) -> ProcessError {
        let entity = self.label.split('@').next().unwrap_or_default();
        let reason = format!("{entity}: mapping {} was stopped: {reason}", self.file);
        let source = Source { file: &self.file, text: &self.text };
        self.error(code, "mapping", reason, at.map(|at| source.place(at).0))
    }

    fn failed(&self, reason: String, at: Option<usize>) -> ProcessError {
        let source = Source { file: &self.file, text: &self.text };
        self.error("TL2022", "mapping", reason, at.map(|at| source.place(at).0))
    }
}

/// The document's own fields that a program reads; none when it reads the document as a whole.
fn fields_read(program: &vrl::compiler::Program) -> Option<Vec<String>> {
    let queries = program.info().target_queries.iter();
    let event = queries.filter(|query| query.prefix == PathPrefix::Event);
    event
        .map(|query| match query.path.segments.first() {
            Some(OwnedSegment::Field(name)) => Some(name.to_string()),
            _ => None,
        })
        .collect()
}
