//! What a mapping that VRL runs may not have.
//!
//! The normalizer counts what a document costs when it runs a mapping itself. VRL counts nothing, so
//! the two ways to make much out of little are refused when the mapping is loaded: blocks that run
//! for every item inside blocks that do, and text times a number, for which VRL panics or takes all
//! memory. Text that is added to itself again and again is not found.

use vrl::diagnostic::Span;
use vrl::value::Kind;

use crate::diagnostics::{LoadError, Source};

/// How deep blocks that run for every item may be nested: the lines of an order, and what is in a
/// line.
const MAX_NESTED: usize = 2;

/// Functions that answer a whole number.
const INTEGERS: &[&str] =
    &["abs", "int", "length", "mod", "parse_int", "strlen", "to_int", "to_unix_timestamp"];

/// A block that runs for every item, inside `outer` others.
pub(super) fn iteration(source: Source<'_>, outer: usize, span: Span) -> Option<LoadError> {
    let message = "VRL runs this mapping, and this block runs for every item inside two others";
    let fix = "use each and the functions that the normalizer runs itself; its README has the list";
    (outer == MAX_NESTED).then(|| source.error("TL2012", span, message, Some(fix.to_owned())))
}

/// A multiplication, with the types of its sides where they are known.
pub(super) fn multiplication(
    source: Source<'_>,
    sides: [Option<&Kind>; 2],
    span: Span,
) -> Option<LoadError> {
    let message = "VRL runs this mapping, and a side of this product may be a text";
    let fix = "put int(...) or int!(...) around the side that is no literal";
    let whole = sides.iter().all(|kind| kind.is_some_and(Kind::is_integer));
    (!whole).then(|| source.error("TL2013", span, message, Some(fix.to_owned())))
}

/// Whether a function answers a whole number.
pub(super) fn makes_integer(function: &str) -> bool {
    INTEGERS.contains(&function)
}
