//! What must hold for every canonical record before it is published.
//!
//! One function per rule. A violation names the rule and shows both sides of its equation; it goes
//! to the dead letters and never to a target. Records have passed the encoder when they come here,
//! so a missing optional field is the only thing a rule has to expect.

mod amount;
mod orders;
mod states;
mod stock;

use std::fmt;

use crate::value::vocabulary::known;
use crate::value::{Object, Symbol, Value};

/// A rule that a record breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvariantViolation {
    /// The rule's name.
    pub rule: &'static str,
    /// One side of the equation.
    pub left: String,
    /// The other side.
    pub right: String,
}

impl fmt::Display for InvariantViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, but {}", self.rule, self.left, self.right)
    }
}

pub(crate) type Checked = Result<(), Box<InvariantViolation>>;

fn violation(rule: &'static str, left: impl Into<String>, right: impl Into<String>) -> Checked {
    Err(Box::new(InvariantViolation { rule, left: left.into(), right: right.into() }))
}

/// Checks a record of an entity, and the step from the record that the key had before.
pub(crate) fn check(entity: &str, record: Object<'_>, before: Option<Object<'_>>) -> Checked {
    match entity {
        "order" => {
            orders::one_currency(record)?;
            orders::skus_are_not_empty(record)?;
            orders::line_ids_are_unique(record)?;
            orders::line_quantities(record)?;
            orders::unit_prices_are_not_negative(record)?;
            orders::discounts_are_not_positive(record)?;
            let totals = orders::Totals::of(record);
            orders::one_subtotal_and_one_total(&totals)?;
            orders::subtotal_is_the_lines(record, &known::TOTAL, &totals)?;
            orders::totals_sum_up(&totals)?;
            states::order_transitions(record, before)
        }
        "adjustment" => {
            orders::one_currency(record)?;
            orders::skus_are_not_empty(record)?;
            orders::line_ids_are_unique(record)?;
            let totals = orders::Totals::of(record);
            orders::one_subtotal_and_one_total(&totals)?;
            orders::subtotal_is_the_lines(record, &known::AMOUNT, &totals)?;
            orders::totals_sum_up(&totals)
        }
        "price" => {
            stock::sku_is_not_empty(record)?;
            orders::one_currency(record)?;
            orders::amounts_are_not_negative(record, orders::PRICES)
        }
        "payment" => orders::amounts_are_not_negative(record, &[known::AMOUNT]),
        "inventory" => {
            stock::sku_is_not_empty(record)?;
            stock::stock_adds_up(record)
        }
        "variant" => {
            stock::sku_is_not_empty(record)?;
            stock::gtins_are_valid(record)
        }
        "location" => stock::gln_is_valid(record),
        "fulfillment" => states::fulfillment_transitions(record, before),
        _ => Ok(()),
    }
}

/// The items of a list field; none when it is missing.
fn items<'a>(
    record: Object<'a>,
    field: &Symbol,
) -> impl Iterator<Item = Object<'a>> + Clone + use<'a> {
    let items = record.get(field).and_then(|items| items.as_array()).unwrap_or_default();
    items.iter().filter_map(Value::as_object)
}

#[inline]
fn text<'a>(record: Object<'a>, field: &Symbol) -> Option<&'a str> {
    record.get(field)?.as_text()
}

#[inline]
fn integer(record: Object<'_>, field: &Symbol) -> Option<i64> {
    record.get(field)?.as_integer()
}

#[cfg(test)]
mod tests;
