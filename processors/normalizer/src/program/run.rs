//! Evaluating nodes.

use bumpalo::collections::Vec as ArenaVec;
use vrl::compiler::prelude::{Collection, Kind, ValueError};

use super::budget::Budget;
use super::failure::Failure;
use super::{Call, Closure, Evaluated, Function, Node, Step, operators};
use crate::functions::Arguments;
use crate::value::{Scope, Value, to_vrl};

/// A program that is running.
pub(super) struct Machine<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) variables: &'a mut [Value<'a>],
    pub(super) budget: Budget,
}

impl<'a> Machine<'a> {
    /// The last value of these nodes.
    pub(super) fn block(&mut self, nodes: &'a [Node]) -> Evaluated<'a> {
        let mut last = Value::Null;
        for node in nodes {
            last = self.evaluate(node)?;
        }
        Ok(last)
    }

    /// Most nodes are leaves: they are answered where they stand.
    #[inline]
    pub(super) fn evaluate(&mut self, node: &'a Node) -> Evaluated<'a> {
        match node {
            Node::Null => Ok(Value::Null),
            Node::Boolean(boolean) => Ok(Value::Boolean(boolean)),
            Node::Integer(number) => Ok(Value::Integer(*number)),
            Node::Timestamp(time) => Ok(Value::Timestamp(time)),
            Node::Text(text) => Ok(self.scope.borrowed(text)),
            Node::Variable(variable, path) => Ok(walk(self.variables[*variable], path)),
            node => self.evaluate_inner(node),
        }
    }

    fn evaluate_inner(&mut self, node: &'a Node) -> Evaluated<'a> {
        match node {
            Node::Array(items) => {
                let items = self.values(items)?;
                Ok(self.scope.list(items))
            }
            Node::Object(shape, values) => {
                let values = self.values(values)?;
                Ok(self.scope.object(*shape, values))
            }
            Node::Block(nodes) => self.block(nodes),
            Node::If(parts) => {
                let condition = self.evaluate(&parts.condition)?;
                let chosen = if boolean(condition)? { &parts.then } else { &parts.otherwise };
                self.evaluate(chosen)
            }
            Node::Not(inner) => Ok(Value::from(!boolean(self.evaluate(inner)?)?)),
            Node::And(sides) => self.and(sides),
            Node::Or(sides) => self.or(sides),
            Node::Coalesce(sides) => match self.evaluate(&sides[0]) {
                Err(failure) if !failure.is_limit() => self.evaluate(&sides[1]),
                result => result,
            },
            Node::Operation(operator, sides) => {
                let left = self.evaluate(&sides[0])?;
                let right = self.evaluate(&sides[1])?;
                operators::apply(*operator, left, right, self)
            }
            Node::Assign(variable, value) => {
                let value = self.evaluate(value)?;
                self.variables[*variable] = value;
                Ok(value)
            }
            Node::Part(value, path) => Ok(walk(self.evaluate(value)?, path)),
            Node::Call(call) => self.call(call).map_err(|failure| failure.through(call)),
            Node::Abort { at, message } => {
                let message = match message {
                    Some(message) => Some(lossy(self.evaluate(message)?)?.into_owned()),
                    None => None,
                };
                Err(Box::new(Failure::Abort { at: *at, message }))
            }
            leaf => self.evaluate(leaf),
        }
    }

    fn values(&mut self, nodes: &'a [Node]) -> Result<&'a [Value<'a>], Box<Failure>> {
        let arena = self.scope.arena;
        let values =
            arena.alloc_slice_try_fill_with(nodes.len(), |at| self.evaluate(&nodes[at]))?;
        Ok(values)
    }

    fn and(&mut self, sides: &'a [Node; 2]) -> Evaluated<'a> {
        match self.evaluate(&sides[0])? {
            Value::Null | Value::Boolean(false) => Ok(Value::Boolean(&false)),
            left => {
                let right = self.evaluate(&sides[1])?;
                operators::and(left, right, self)
            }
        }
    }

    fn or(&mut self, sides: &'a [Node; 2]) -> Evaluated<'a> {
        match self.evaluate(&sides[0])? {
            // What fails on the right, even on purpose, fails in the words of the operator.
            Value::Null | Value::Boolean(false) => self.evaluate(&sides[1]).map_err(|failure| {
                if failure.is_limit() {
                    return failure;
                }
                let reason = failure.message();
                Failure::error(format!("can't apply an OR to these types - {reason}"))
            }),
            value => Ok(value),
        }
    }

    fn call(&mut self, call: &'a Call) -> Evaluated<'a> {
        match &call.function {
            Function::Library(function) => function(self, call),
            Function::Exact(function) => {
                let mut arguments = Arguments::default();
                for (value, argument) in arguments.iter_mut().zip(&call.arguments) {
                    let Some(argument) = argument else { continue };
                    let argument = self.evaluate(argument)?;
                    self.budget.look(argument)?;
                    if let Value::Array(items) = argument {
                        self.budget.step(items.len() as u64)?;
                    }
                    *value = Some(argument);
                }
                (function.call)(&arguments, self.scope).map_err(Failure::error)
            }
            Function::Each(closure) => {
                let items = list(self.argument(call, 0)?)?;
                self.each(items, closure)
            }
        }
    }

    fn each(&mut self, items: &'a [Value<'a>], closure: &'a Closure) -> Evaluated<'a> {
        self.budget.values(items.len())?;
        let mut results = ArenaVec::with_capacity_in(items.len(), self.scope.arena);
        for (index, item) in (0_i64..).zip(items) {
            self.budget.block(closure.nodes)?;
            let outer_index = self.replace(closure.index, Value::Integer(index));
            let outer_item = self.replace(closure.item, *item);
            let result = self.evaluate(&closure.block);
            self.replace(closure.index, outer_index);
            self.replace(closure.item, outer_item);
            let result = result?;
            if !result.is_null() {
                results.push(result);
            }
        }
        Ok(self.scope.list(results.into_bump_slice()))
    }

    fn replace(&mut self, variable: Option<usize>, value: Value<'a>) -> Value<'a> {
        match variable {
            Some(variable) => std::mem::replace(&mut self.variables[variable], value),
            None => Value::Null,
        }
    }

    /// The value of an argument that the function must have.
    pub(super) fn argument(&mut self, call: &'a Call, at: usize) -> Evaluated<'a> {
        let Some(argument) = &call.arguments[at] else { return Ok(Value::Null) };
        let value = self.evaluate(argument)?;
        self.budget.look(value)?;
        Ok(value)
    }

    /// Text of its own.
    pub(super) fn text(&mut self, text: &str) -> Evaluated<'a> {
        self.budget.bytes(text.len())?;
        Ok(self.scope.text(text))
    }

    /// An object of any names.
    pub(super) fn entries(&mut self, entries: Vec<(&'a str, Value<'a>)>) -> Evaluated<'a> {
        self.budget.values(2 * entries.len())?;
        Ok(self.scope.entries(entries))
    }
}

/// The part of a value that a path leads to; null when it leads nowhere.
#[inline]
pub(super) fn walk<'a>(mut value: Value<'a>, path: &[Step]) -> Value<'a> {
    for step in path {
        let part = match (step, value) {
            (Step::Field(name), Value::Object(object)) => object.get(name),
            (Step::Item(index), Value::Array(items)) => item(items, *index),
            _ => None,
        };
        let Some(part) = part else { return Value::Null };
        value = part;
    }
    value
}

/// An item of a list, counted from the end when the index is negative.
pub(super) fn item<'a>(items: &[Value<'a>], index: i64) -> Option<Value<'a>> {
    let from_the_end = || items.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
    let index = if index < 0 { from_the_end() } else { usize::try_from(index).ok() };
    items.get(index?).copied()
}

/// VRL's sentence for a value of another kind.
pub(super) fn expected(kind: Kind, got: Value<'_>) -> Box<Failure> {
    Failure::value(&ValueError::Expected { got: kind_of(got), expected: kind })
}

/// VRL's kind of a value. Of one that is too large for a sentence it does not say what it holds.
pub(super) fn kind_of(value: Value<'_>) -> Kind {
    let small = Budget::sentence().tree(value).is_ok();
    match value {
        Value::Array(_) if !small => Kind::array(Collection::any()),
        Value::Object(_) if !small => Kind::object(Collection::any()),
        value => to_vrl(value).kind(),
    }
}

pub(super) fn boolean(value: Value<'_>) -> Result<bool, Box<Failure>> {
    value.as_boolean().ok_or_else(|| expected(Kind::boolean(), value))
}

pub(super) fn list<'a>(value: Value<'a>) -> Result<&'a [Value<'a>], Box<Failure>> {
    value.as_array().ok_or_else(|| expected(Kind::array(Collection::any()), value))
}

/// Text; bytes that are none are shown as well as can be.
pub(super) fn lossy(value: Value<'_>) -> Result<std::borrow::Cow<'_, str>, Box<Failure>> {
    match value {
        Value::Text(text) => Ok((*text).into()),
        Value::Bytes(bytes) => Ok(String::from_utf8_lossy(bytes)),
        _ => Err(expected(Kind::bytes(), value)),
    }
}
