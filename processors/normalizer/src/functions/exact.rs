//! How the functions of the canonical model are given to VRL: arguments in, a value or a sentence
//! out, and a type that is known when the mapping is compiled.

use std::fmt;

use vrl::compiler::prelude::*;
use vrl::compiler::{Function, Parameter};

/// More arguments than any of our functions has.
const MAX_ARGUMENTS: usize = 4;

/// Arguments in the order of the parameters; an optional one may be missing.
pub(super) type Arguments = [Option<Value>; MAX_ARGUMENTS];

/// One function.
pub(super) struct Exact {
    pub(super) identifier: &'static str,
    pub(super) usage: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) return_kind: u16,
    pub(super) returns: fn() -> Kind,
    /// Whether it can refuse its arguments, so that a mapping has to say what happens then.
    pub(super) fallible: bool,
    /// The sentence on failure is what an operator reads in the dead letter: it names no more of
    /// the value than is needed to find it.
    pub(super) call: fn(&Arguments) -> Result<Value, String>,
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

#[derive(Debug, Clone)]
struct Call {
    function: Callable,
    arguments: [Option<Box<dyn Expression>>; MAX_ARGUMENTS],
}

impl FunctionExpression for Call {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let mut values = Arguments::default();
        for (value, argument) in values.iter_mut().zip(&self.arguments) {
            let Some(argument) = argument else { continue };
            *value = Some(argument.resolve(context)?);
        }
        (self.function.0.call)(&values).map_err(ExpressionError::from)
    }

    fn type_def(&self, _state: &state::TypeState) -> TypeDef {
        TypeDef::from((self.function.0.returns)()).maybe_fallible(self.function.0.fallible)
    }
}

/// The text of an argument.
pub(super) fn text<'a>(arguments: &'a Arguments, at: usize, name: &str) -> Result<&'a str, String> {
    match &arguments[at] {
        Some(value) => value.to_str().ok_or_else(|| format!("{name} is not UTF-8 text")),
        None => Err(format!("{name} is missing")),
    }
}

/// The text of an optional argument; null counts as missing.
pub(super) fn optional_text<'a>(
    arguments: &'a Arguments,
    at: usize,
    name: &str,
) -> Result<Option<&'a str>, String> {
    match &arguments[at] {
        None | Some(Value::Null) => Ok(None),
        Some(_) => text(arguments, at, name).map(Some),
    }
}
