//! Compiling a mapping and checking it against the schemas on both sides, before any record flows.

mod bounds;
mod depth;
mod inputs;
mod outputs;
mod place;

use throughline_avro::Schema;
use vrl::compiler::state::ExternalEnv;
use vrl::compiler::{CompileConfig, Program, compile_with_external};
use vrl::diagnostic::{Diagnostic, DiagnosticMessage as _, Label, Span};
use vrl::parser::ast::RootExpr;
use vrl::value::Kind;

use crate::CanonicalEntity;
use crate::diagnostics::{LoadError, Source, nearest};
use crate::{functions, kinds};

/// What a mapping is compiled against.
pub(crate) struct Contract<'a> {
    /// The schema of its documents.
    pub(crate) document: &'a Schema,
    /// The type of `%`.
    pub(crate) metadata: &'a Kind,
    /// What it may write.
    pub(crate) canonical: &'a [&'static CanonicalEntity],
}

/// A mapping without mistakes.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) program: Program,
    pub(crate) tree: vrl::parser::ast::Program,
    /// What it may not have when VRL runs it, which counts neither steps nor bytes.
    pub(crate) unbounded: Vec<LoadError>,
}

/// Compiles a mapping; all mistakes at once, in the order of the text.
pub(crate) fn compile(
    source: Source<'_>,
    contract: &Contract<'_>,
) -> Result<Compiled, Vec<LoadError>> {
    let document = kinds::of_node(contract.document.root());
    if let Some(at) = depth::exceeded(source.text) {
        let message = format!("brackets are nested more than {} deep", depth::MAX);
        let fix = "give inner expressions names of their own".to_owned();
        let span = Span::new(at, at + 1);
        return Err(vec![source.error("TL2001", span, message, Some(fix))]);
    }
    let ast = vrl::parser::parse(source.text).map_err(|error| {
        let labels = error.labels();
        vec![syntax_error(source, &error.message(), &labels)]
    })?;
    let mut broken = ast.0.iter().filter_map(|expression| match &**expression {
        RootExpr::Error(error) => Some(syntax_error(source, &error.message(), &error.labels())),
        RootExpr::Expr(_) => None,
    });
    // The first one only: the parser goes on in the middle of the broken expression, and what it
    // says about the rest of that is not true.
    if let Some(first) = broken.next() {
        return Err(vec![first]);
    }

    let (mut findings, unbounded) = inputs::check(source, &ast, &document, contract.metadata);
    let external = ExternalEnv::new_with_kind(document, contract.metadata.clone());
    let mut config = CompileConfig::default();
    // A mapping answers a value; what it reads stays as it is, so runs cannot leak into each other.
    config.set_read_only();
    let compiled = compile_with_external(source.text, &functions::all(), &external, config);
    match compiled {
        Ok(result) => {
            findings.extend(outputs::check(source, &ast, &result.program, contract.canonical));
            if findings.is_empty() {
                return Ok(Compiled { program: result.program, tree: ast, unbounded });
            }
        }
        Err(diagnostics) => {
            let diagnostics = diagnostics.into_iter().filter(|found| found.is_problem());
            // The compiler stumbles over an absent field too, later and in other words.
            let explained: Vec<Span> = findings.iter().map(|(span, _)| *span).collect();
            let mut unassigned = Vec::new();
            for found in diagnostics {
                let span = primary_span(&found.labels);
                if explained.iter().any(|known| contains(span, *known)) {
                    continue;
                }
                let to =
                    if found.code == UNDEFINED_VARIABLE { &mut unassigned } else { &mut findings };
                to.push((span, compiler_error(source, &found)));
            }
            // A variable whose assignment is wrong is undefined afterwards: that says nothing new.
            if findings.is_empty() {
                findings = unassigned;
            }
        }
    }
    findings.sort_by_key(|(span, _)| span.start());
    Err(findings.into_iter().map(|(_, error)| error).collect())
}

fn contains(outer: Span, inner: Span) -> bool {
    outer.start() <= inner.start() && inner.end() <= outer.end()
}

fn primary_span(labels: &[Label]) -> Span {
    let primary = labels.iter().find(|label| label.primary).or(labels.first());
    primary.map_or(Span::new(0, 0), |label| label.span)
}

fn syntax_error(source: Source<'_>, message: &str, labels: &[Label]) -> LoadError {
    // The parser's list of all tokens that it would have taken is longer than it is helpful.
    let text = with_labels(message, labels);
    let text = text.split(": expected one of").next().unwrap_or_default();
    let fix =
        text.contains("\"If\"").then(|| "give the `if` a name in front of the object".to_owned());
    source.error("TL2001", primary_span(labels), text, fix)
}

fn compiler_error(source: Source<'_>, found: &Diagnostic) -> LoadError {
    let span = primary_span(&found.labels);
    if let Some(name) = undefined_function(source, found, span) {
        return function_error(source, span, name);
    }
    let message = with_labels(&found.message, &found.labels);
    let fix = (found.code == vrl::compiler::codes::ExprCode::FallibleExpression as usize)
        .then(|| fallible(source.text.get(span.start()..span.end()).unwrap_or_default()));
    source.error("TL2003", span, message, fix)
}

/// What to do about an expression that may fail: a call is refused or handled, an operator needs
/// operands of a type that it takes.
fn fallible(text: &str) -> String {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.trim_start_matches(name).starts_with('(') {
        return "put `!` behind the function's name to refuse such a record".to_owned();
    }
    "give null a value first, `(.stock || 0) > 0`, or make the type sure, `int!(.stock) > 0`"
        .to_owned()
}

/// VRL's number for a call of a function that it was not given.
const UNDEFINED_FUNCTION: usize = 105;

/// VRL's number for a variable that was never assigned.
const UNDEFINED_VARIABLE: usize = 701;

fn undefined_function<'a>(source: Source<'a>, found: &Diagnostic, span: Span) -> Option<&'a str> {
    let named = source.text.get(span.start()..span.end())?;
    let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(named.len());
    (found.code == UNDEFINED_FUNCTION).then_some(&named[..end])
}

fn function_error(source: Source<'_>, span: Span, name: &str) -> LoadError {
    if let Some(reason) = functions::refusal(name) {
        let message = format!("function `{name}` is not available to mappings");
        return source.error("TL2010", span, message, Some(reason.to_owned()));
    }
    let known = functions::all();
    let fix = nearest(name, known.iter().map(|function| function.identifier()));
    source.error("TL2010", span, format!("there is no function `{name}`"), fix)
}

/// The compiler's sentence and what it says about the places.
fn with_labels(message: &str, labels: &[Label]) -> String {
    let mut text = message.to_owned();
    for label in labels {
        if !label.message.is_empty() && !text.contains(&label.message) {
            text.push_str(": ");
            text.push_str(&label.message);
        }
    }
    text
}

#[cfg(test)]
mod tests;
