//! Mappings as a small program of our own: what VRL compiled and checked, run without its values.
//!
//! VRL stays the language: it parses and types every mapping, and all it refuses stays refused.
//! [`lower`](Program::lower) then turns the same syntax tree into [`Node`]s: variables are numbers,
//! an object literal has one [shape](crate::value::Shape) that is known beforehand, a field is
//! found by its place. Values, failures and the order of evaluation are VRL's, which tests compare
//! on fixtures and on random programs; where types do not fit, VRL's own arithmetic is asked.
//!
//! What one document may cost is [counted](budget::Budget): a program ends, whatever it says.
//!
//! Covers what mappings use. A construct beyond that is [`Unsupported`], and VRL runs the whole
//! mapping.

mod budget;
mod failure;
mod library;
mod lower;
mod operators;
mod run;

use chrono::{DateTime, Utc};
use vrl::value::Value as VrlValue;

use self::budget::Budget;
pub(crate) use self::failure::Failure;
use self::run::Machine;
use crate::functions::{Exact, MAX_ARGUMENTS};
use crate::value::{Scope, Symbol, Value, VocabularyBuilder};

/// A program.
#[derive(Debug)]
pub(crate) struct Program {
    root: Vec<Node>,
    /// How many variables it has; the first is the document.
    variables: usize,
}

/// The first thing in a mapping that is not covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsupported {
    /// What it is: ``function `split` ``.
    pub(crate) construct: String,
    /// Where it begins.
    pub(crate) at: usize,
}

/// A value, or why there is none.
pub(crate) type Evaluated<'a> = Result<Value<'a>, Box<Failure>>;

/// One expression.
#[derive(Debug)]
enum Node {
    Null,
    Boolean(bool),
    Integer(i64),
    Timestamp(DateTime<Utc>),
    Text(String),
    Array(Vec<Node>),
    /// The number of its shape, and a node for each name in the order of the names.
    Object(usize, Vec<Node>),
    Block(Vec<Node>),
    If(Box<If>),
    Not(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// `??`
    Coalesce(Box<[Node; 2]>),
    Operation(Operator, Box<[Node; 2]>),
    Assign(usize, Box<Node>),
    /// A part of a variable.
    Variable(usize, Vec<Step>),
    /// A part of a value that was just made.
    Part(Box<Node>, Vec<Step>),
    Call(Box<Call>),
    Abort {
        at: usize,
        message: Option<Box<Node>>,
    },
}

#[derive(Debug)]
struct If {
    condition: Node,
    then: Node,
    otherwise: Node,
}

/// One step of a path.
#[derive(Debug)]
enum Step {
    Field(Symbol),
    /// From the end when it is negative.
    Item(i64),
}

/// An operator both sides of which are always evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Merge,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A function call, with its place for the sentence of a failure.
#[derive(Debug)]
struct Call {
    name: String,
    start: usize,
    end: usize,
    function: Function,
    arguments: [Option<Node>; MAX_ARGUMENTS],
}

/// A function of VRL's library: it evaluates its arguments itself, in VRL's order.
type LibraryFunction = for<'m, 'a> fn(&'m mut Machine<'a>, &'a Call) -> Evaluated<'a>;

enum Function {
    Exact(&'static Exact),
    Library(LibraryFunction),
    Each(Closure),
}

/// The block of `each` and its variables, where they have names.
#[derive(Debug)]
struct Closure {
    index: Option<usize>,
    item: Option<usize>,
    block: Node,
    /// How many expressions the block has: what one item costs at most, without lists and text.
    nodes: u64,
}

/// The variable that holds the document.
const DOCUMENT: usize = 0;

impl Program {
    /// The program of a syntax tree that VRL has compiled without complaint.
    ///
    /// `metadata` is what `%` is: it is the same for every document.
    pub(crate) fn lower(
        program: &vrl::parser::ast::Program,
        metadata: &VrlValue,
        vocabulary: &mut VocabularyBuilder,
    ) -> Result<Self, Unsupported> {
        lower::program(program, metadata, vocabulary)
    }

    /// What a document is mapped to.
    pub(crate) fn run<'a>(&'a self, document: Value<'a>, scope: Scope<'a>) -> Evaluated<'a> {
        self.run_within(Budget::default(), document, scope)
    }

    fn run_within<'a>(
        &'a self,
        budget: Budget,
        document: Value<'a>,
        scope: Scope<'a>,
    ) -> Evaluated<'a> {
        let variables = scope.arena.alloc_slice_fill_copy(self.variables, Value::Null);
        variables[DOCUMENT] = document;
        Machine { scope, variables, budget }.block(&self.root)
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(exact) => f.write_str(exact.identifier),
            Self::Library(_) => f.write_str("library"),
            Self::Each(closure) => closure.fmt(f),
        }
    }
}

/// A program that answers the same for every document, out of objects of known shapes.
#[cfg(test)]
pub(crate) fn constant(value: &VrlValue, vocabulary: &mut VocabularyBuilder) -> Program {
    lower::constant(value, vocabulary)
}

#[cfg(test)]
mod tests;
