//! Operators, as VRL has them. What mappings do all day is done here; VRL does the rest.

use vrl::compiler::value::VrlValueArithmetic as _;
use vrl::value::Value as VrlValue;

use super::budget::Charged;
use super::failure::Failure;
use super::run::Machine;
use super::{Evaluated, Operator};
use crate::value::{Scope, Value, from_vrl, to_vrl};

/// Both sides of an operator that evaluates both.
pub(super) fn apply<'a>(
    operator: Operator,
    left: Value<'a>,
    right: Value<'a>,
    machine: &mut Machine<'a>,
) -> Evaluated<'a> {
    use Operator::{Add, Equal, Merge, Multiply, NotEqual, Subtract};

    machine.budget.look(left)?;
    machine.budget.look(right)?;
    Ok(match (operator, left, right) {
        (Equal | NotEqual, ..) => {
            if let (Value::Array(_) | Value::Object(_), _) = (left, right) {
                machine.budget.tree(left)?;
            }
            Value::from(equal(left, right) == (operator == Equal))
        }
        (Add, Value::Integer(a), Value::Integer(b)) => Value::Integer(a.wrapping_add(b)),
        (Subtract, Value::Integer(a), Value::Integer(b)) => Value::Integer(a.wrapping_sub(b)),
        (Multiply, Value::Integer(a), Value::Integer(b)) => Value::Integer(a.wrapping_mul(b)),
        (Add, Value::Text(a), Value::Text(b)) => {
            let bytes = a.len() + b.len();
            machine.budget.bytes(bytes)?;
            let mut text =
                bumpalo::collections::String::with_capacity_in(bytes, machine.scope.arena);
            text.push_str(a);
            text.push_str(b);
            machine.scope.borrowed(text.into_bump_str())
        }
        (Merge, Value::Object(a), Value::Object(b)) => {
            machine.entries(a.entries().chain(b.entries()).collect())?
        }
        _ => match compare(operator, left, right) {
            Some(result) => Value::from(result),
            None => by_vrl(operator, left, right, machine)?,
        },
    })
}

/// `&&` where the left side is neither null nor false.
pub(super) fn and<'a>(
    left: Value<'a>,
    right: Value<'a>,
    machine: &mut Machine<'a>,
) -> Evaluated<'a> {
    if let (Value::Boolean(_), Value::Boolean(_)) = (left, right) {
        return Ok(right);
    }
    let (left, right) = (for_vrl(left, machine)?, for_vrl(right, machine)?);
    answer(left.try_and(right), machine.scope)
}

/// Whole numbers are equal when the floats nearest to them are: that is how VRL has it.
#[expect(clippy::cast_precision_loss, reason = "VRL compares numbers as floats")]
fn equal(left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::Integer(a), Value::Integer(b)) => a as f64 == b as f64,
        _ => left == right,
    }
}

fn compare(operator: Operator, left: Value<'_>, right: Value<'_>) -> Option<bool> {
    let order = match (left, right) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(&b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        _ => left.as_bytes()?.cmp(right.as_bytes()?),
    };
    match operator {
        Operator::Greater => Some(order.is_gt()),
        Operator::GreaterOrEqual => Some(order.is_ge()),
        Operator::Less => Some(order.is_lt()),
        Operator::LessOrEqual => Some(order.is_le()),
        _ => None,
    }
}

fn by_vrl<'a>(
    operator: Operator,
    left: Value<'a>,
    right: Value<'a>,
    machine: &mut Machine<'a>,
) -> Evaluated<'a> {
    if operator == Operator::Multiply {
        repeated(left, right, machine)?;
    }
    let (left, right) = (for_vrl(left, machine)?, for_vrl(right, machine)?);
    let result = match operator {
        Operator::Add => left.try_add(right),
        Operator::Subtract => left.try_sub(right),
        Operator::Multiply => left.try_mul(right),
        Operator::Merge => left.try_merge(right),
        Operator::Greater => left.try_gt(right),
        Operator::GreaterOrEqual => left.try_ge(right),
        Operator::Less => left.try_lt(right),
        Operator::LessOrEqual => left.try_le(right),
        Operator::Equal => Ok(left.eq_lossy(&right).into()),
        Operator::NotEqual => Ok((!left.eq_lossy(&right)).into()),
    };
    answer(result, machine.scope)
}

/// The value as VRL has it, which copies all of it.
fn for_vrl<'a>(value: Value<'a>, machine: &mut Machine<'a>) -> Result<VrlValue, Box<Failure>> {
    machine.budget.tree(value)?;
    Ok(to_vrl(value))
}

/// Text times a number is the text again and again.
fn repeated<'a>(left: Value<'a>, right: Value<'a>, machine: &mut Machine<'a>) -> Charged {
    let (text, times) = match (left, right) {
        (Value::Integer(times), text) | (text, Value::Integer(times)) => (text, times),
        _ => return Ok(()),
    };
    let len = text.as_bytes().map_or(0, <[u8]>::len);
    machine.budget.bytes(len.saturating_mul(usize::try_from(times).unwrap_or(0)))
}

fn answer<'a>(
    result: Result<VrlValue, vrl::compiler::prelude::ValueError>,
    scope: Scope<'a>,
) -> Evaluated<'a> {
    match result {
        Ok(value) => Ok(from_vrl(&value, scope)),
        Err(error) => Err(Failure::value(&error)),
    }
}
