//! Operators, as VRL has them. What mappings do all day is done here; VRL does the rest.

use vrl::compiler::value::VrlValueArithmetic as _;
use vrl::value::Value as VrlValue;

use super::failure::Failure;
use super::{Evaluated, Operator};
use crate::value::{Scope, Value, from_vrl, to_vrl};

/// Both sides of an operator that evaluates both.
pub(super) fn apply<'a>(
    operator: Operator,
    left: Value<'a>,
    right: Value<'a>,
    scope: Scope<'a>,
) -> Evaluated<'a> {
    use Operator::{Add, Equal, Merge, Multiply, NotEqual, Subtract};

    Ok(match (operator, left, right) {
        (Equal, ..) => Value::Boolean(equal(left, right)),
        (NotEqual, ..) => Value::Boolean(!equal(left, right)),
        (Add, Value::Integer(a), Value::Integer(b)) => Value::Integer(a.wrapping_add(b)),
        (Subtract, Value::Integer(a), Value::Integer(b)) => Value::Integer(a.wrapping_sub(b)),
        (Multiply, Value::Integer(a), Value::Integer(b)) => Value::Integer(a.wrapping_mul(b)),
        (Add, Value::Text(a), Value::Text(b)) => {
            let mut text = bumpalo::collections::String::with_capacity_in(0, scope.arena);
            text.reserve(a.len() + b.len());
            text.push_str(a);
            text.push_str(b);
            Value::Text(text.into_bump_str())
        }
        (Merge, Value::Object(a), Value::Object(b)) => {
            scope.entries(a.entries().chain(b.entries()).collect())
        }
        _ => match compare(operator, left, right) {
            Some(result) => Value::Boolean(result),
            None => by_vrl(operator, left, right, scope)?,
        },
    })
}

/// `&&` where the left side is neither null nor false.
pub(super) fn and<'a>(left: Value<'a>, right: Value<'a>, scope: Scope<'a>) -> Evaluated<'a> {
    match (left, right) {
        (Value::Boolean(_), Value::Boolean(_)) => Ok(right),
        _ => answer(to_vrl(left).try_and(to_vrl(right)), scope),
    }
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
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(&b),
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
    scope: Scope<'a>,
) -> Evaluated<'a> {
    let (left, right) = (to_vrl(left), to_vrl(right));
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
    answer(result, scope)
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
