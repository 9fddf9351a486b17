//! How the functions of the canonical model are given to VRL: arguments in, a value or a sentence
//! out, and a type that is known when the mapping is compiled.

use std::fmt;
use std::sync::LazyLock;

use vrl::compiler::prelude::{Value as VrlValue, *};
use vrl::compiler::{Function, Parameter};

use crate::value::{Arena, Scope, Value, Vocabulary, VocabularyBuilder, from_vrl, to_vrl};

/// More arguments than any of our functions has.
pub(crate) const MAX_ARGUMENTS: usize = 4;

/// Arguments in the order of the parameters; an optional one may be missing.
pub(crate) type Arguments<'a> = [Option<Value<'a>>; MAX_ARGUMENTS];

/// What a function answers.
pub(crate) type Answer<'a> = Result<Value<'a>, String>;

/// One function.
pub(crate) struct Exact {
    pub(crate) identifier: &'static str,
    pub(super) usage: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(super) return_kind: u16,
    pub(super) returns: fn() -> Kind,
    /// Whether it can refuse its arguments, so that a mapping has to say what happens then.
    pub(super) fallible: bool,
    /// The sentence on failure is what an operator reads in the dead letter: it names no more of
    /// the value than is needed to find it.
    pub(crate) call: for<'a> fn(&Arguments<'a>, Scope<'a>) -> Answer<'a>,
}

/// A function as VRL's compiler sees it.
#[derive(Clone, Copy)]
pub(super) struct Callable(pub(super) &'static Exact);

impl fmt::Debug for Callable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.identifier)
    }
}

impl Function for Callable {
    fn identifier(&self) -> &'static str {
        self.0.identifier
    }

    fn usage(&self) -> &'static str {
        self.0.usage
    }

    fn category(&self) -> &'static str {
        "Exact"
    }

    fn return_kind(&self) -> u16 {
        self.0.return_kind
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.0.parameters
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(
        &self,
        _state: &state::TypeState,
        _context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let argument = |at: usize| {
            let parameter: &Parameter = self.0.parameters.get(at)?;
            arguments.optional(parameter.keyword)
        };
        Ok(Call { function: *self, arguments: std::array::from_fn(argument) }.as_expr())
    }
}

/// The names that functions look for, and no others.
static PLAIN: LazyLock<Vocabulary> = LazyLock::new(|| VocabularyBuilder::new().build());

#[derive(Debug, Clone)]
struct Call {
    function: Callable,
    arguments: [Option<Box<dyn Expression>>; MAX_ARGUMENTS],
}

impl FunctionExpression for Call {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let mut given: [Option<VrlValue>; MAX_ARGUMENTS] = Default::default();
        for (value, argument) in given.iter_mut().zip(&self.arguments) {
            let Some(argument) = argument else { continue };
            *value = Some(argument.resolve(context)?);
        }
        // The function itself is there once, for the values of mappings that are not run by VRL.
        let arena = Arena::default();
        let scope = arena.scope(&PLAIN);
        let values = given.each_ref().map(|value| Some(from_vrl(value.as_ref()?, scope)));
        (self.function.0.call)(&values, scope).map(to_vrl).map_err(ExpressionError::from)
    }

    fn type_def(&self, _state: &state::TypeState) -> TypeDef {
        TypeDef::from((self.function.0.returns)()).maybe_fallible(self.function.0.fallible)
    }
}

/// The text of an argument.
pub(super) fn text<'a>(
    arguments: &Arguments<'a>,
    at: usize,
    name: &str,
) -> Result<&'a str, String> {
    match &arguments[at] {
        Some(value) => value.as_text().ok_or_else(|| format!("{name} is not UTF-8 text")),
        None => Err(format!("{name} is missing")),
    }
}

/// The text of an optional argument; null counts as missing.
pub(super) fn optional_text<'a>(
    arguments: &Arguments<'a>,
    at: usize,
    name: &str,
) -> Result<Option<&'a str>, String> {
    match &arguments[at] {
        None | Some(Value::Null) => Ok(None),
        Some(_) => text(arguments, at, name).map(Some),
    }
}
