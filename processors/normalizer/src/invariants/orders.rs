//! Rules about money and lines: orders, adjustments, prices, payments.

use super::amount::Amount;
use super::{Checked, integer, items, text, violation};
use crate::value::vocabulary::known;
use crate::value::{Object, Symbol, Value};

/// Amounts of a price.
pub(super) const PRICES: &[Symbol] = &[known::LIST, known::SALE, known::COST];

/// Amounts of a line.
const LINE_AMOUNTS: &[Symbol] = &[known::UNIT_PRICE, known::TOTAL, known::AMOUNT];

/// Lists of a line whose items are amounts.
const LINE_PARTS: &[Symbol] = &[known::DISCOUNTS, known::TAXES];

/// Lines that are compared each with each.
const FEW_LINES: usize = 8;

/// Every amount of a record has the record's currency.
pub(super) fn one_currency(record: Object<'_>) -> Checked {
    const RULE: &str = "one_currency";
    let Some(currency) = text(record, &known::CURRENCY) else { return Ok(()) };
    if throughline_event::currency_exponent(currency).is_none() {
        return violation(
            RULE,
            format!("the currency is {currency:?}"),
            "ISO 4217 has no such code",
        );
    }
    let check = |what: &str, money: Option<Value<'_>>| match Amount::read(money) {
        Some((amount, other)) if other != currency => violation(
            RULE,
            format!("the currency is {currency}"),
            format!("{what} is {amount} {other}"),
        ),
        _ => Ok(()),
    };
    for field in PRICES {
        check(field.name(), record.get(field))?;
    }
    for line in items(record, &known::LINES) {
        for field in LINE_AMOUNTS {
            check(field.name(), line.get(field))?;
        }
        for field in LINE_PARTS {
            items(line, field)
                .try_for_each(|part| check(field.name(), part.get(&known::AMOUNT)))?;
        }
    }
    items(record, &known::TOTALS).try_for_each(|total| check("a total", total.get(&known::AMOUNT)))
}

/// No line has an empty SKU; money that stands for no goods has none at all.
pub(super) fn skus_are_not_empty(record: Object<'_>) -> Checked {
    for line in items(record, &known::LINES) {
        if text(line, &known::SKU).is_some_and(|sku| sku.trim().is_empty()) {
            let line = text(line, &known::LINE_ID).unwrap_or_default();
            return violation("sku_not_empty", format!("line {line} names a SKU"), "it is empty");
        }
    }
    Ok(())
}

/// A line's id is the line's own.
pub(super) fn line_ids_are_unique(record: Object<'_>) -> Checked {
    let ids = items(record, &known::LINES).filter_map(|line| text(line, &known::LINE_ID));
    // Most orders have few lines: comparing each with the others takes no list.
    let few = ids.clone().count() <= FEW_LINES;
    if few && ids.clone().enumerate().all(|(at, id)| ids.clone().take(at).all(|other| other != id))
    {
        return Ok(());
    }
    let mut ids: Vec<_> = ids.collect();
    let lines = ids.len();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() == lines {
        return Ok(());
    }
    violation("line_id_unique", format!("{lines} lines"), format!("{} line ids", ids.len()))
}

/// `total = original + added - canceled - returned`, and `fulfilled - returned <= total`.
pub(super) fn line_quantities(record: Object<'_>) -> Checked {
    const RULE: &str = "line_quantity";
    for line in items(record, &known::LINES) {
        let id = text(line, &known::LINE_ID).unwrap_or_default();
        let Some(quantity) = line.get(&known::QUANTITY).and_then(|it| it.as_object()) else {
            continue;
        };
        let steps = |field: &Symbol| i128::from(integer(quantity, field).unwrap_or_default());
        let total = steps(&known::TOTAL);
        let (original, added) = (steps(&known::ORIGINAL), steps(&known::ADDED));
        let (canceled, returned) = (steps(&known::CANCELED), steps(&known::RETURNED));
        if total != original + added - canceled - returned {
            let right = format!(
                "original {original} + added {added} - canceled {canceled} - returned {returned} = {}",
                original + added - canceled - returned
            );
            return violation(RULE, format!("line {id}: total {total}"), right);
        }
        let fulfilled = steps(&known::FULFILLED);
        if fulfilled - returned > total {
            let left = format!("line {id}: fulfilled {fulfilled} - returned {returned}");
            return violation(RULE, left, format!("total {total}"));
        }
    }
    Ok(())
}

/// A sale unit never costs less than nothing.
pub(super) fn unit_prices_are_not_negative(record: Object<'_>) -> Checked {
    items(record, &known::LINES).try_for_each(|line| {
        let amount = Amount::of(line, &known::UNIT_PRICE);
        let id = || text(line, &known::LINE_ID).unwrap_or_default();
        not_negative(amount, || format!("line {}: unit_price", id()))
    })
}

/// These fields are not negative.
pub(super) fn amounts_are_not_negative(record: Object<'_>, fields: &[Symbol]) -> Checked {
    fields
        .iter()
        .try_for_each(|field| not_negative(Amount::of(record, field), || field.name().to_owned()))
}

fn not_negative(amount: Amount, what: impl FnOnce() -> String) -> Checked {
    if !amount.is_negative() {
        return Ok(());
    }
    violation("not_negative", format!("{} is {amount}", what()), "it must be at least 0")
}

/// Discounts take away.
pub(super) fn discounts_are_not_positive(record: Object<'_>) -> Checked {
    let totals = items(record, &known::TOTALS)
        .filter(|total| matches!(text(*total, &known::TYPE), Some("discount" | "items_discount")));
    let lines = items(record, &known::LINES).flat_map(|line| items(line, &known::DISCOUNTS));
    for discount in totals.chain(lines) {
        let amount = Amount::of(discount, &known::AMOUNT);
        if amount.is_positive() {
            let left = format!("a discount is {amount}");
            return violation("discount_not_positive", left, "it must be at most 0");
        }
    }
    Ok(())
}

/// What the totals of a record say.
#[derive(Default)]
pub(super) struct Totals {
    /// How many subtotals and how many totals there are, and the last of each.
    subtotals: usize,
    subtotal: Amount,
    totals: usize,
    total: Amount,
    /// The sum of all but the total; with tax only when prices do not include it.
    sum: Amount,
}

impl Totals {
    pub(super) fn of(record: Object<'_>) -> Self {
        let tax_included = record.get(&known::TAX_INCLUDED).and_then(|it| it.as_boolean());
        let mut found = Self::default();
        for part in items(record, &known::TOTALS) {
            let amount = Amount::of(part, &known::AMOUNT);
            match text(part, &known::TYPE) {
                Some("total") => {
                    (found.totals, found.total) = (found.totals + 1, amount);
                    continue;
                }
                Some("tax") if tax_included == Some(true) => continue,
                Some("subtotal") => {
                    (found.subtotals, found.subtotal) = (found.subtotals + 1, amount);
                }
                _ => {}
            }
            found.sum = found.sum.plus(amount);
        }
        found
    }
}

/// Exactly one subtotal and one total.
pub(super) fn one_subtotal_and_one_total(totals: &Totals) -> Checked {
    for (wanted, found) in [("subtotal", totals.subtotals), ("total", totals.totals)] {
        if found != 1 {
            let left = format!("totals has {found} of type {wanted}");
            return violation("one_subtotal_one_total", left, "it must have 1");
        }
    }
    Ok(())
}

/// The subtotal is the sum of the lines.
pub(super) fn subtotal_is_the_lines(
    record: Object<'_>,
    field: &Symbol,
    totals: &Totals,
) -> Checked {
    let lines = items(record, &known::LINES).map(|line| Amount::of(line, field));
    let sum = lines.fold(Amount::default(), Amount::plus);
    let subtotal = totals.subtotal;
    if sum == subtotal {
        return Ok(());
    }
    violation("subtotal_is_lines", format!("lines sum to {sum}"), format!("subtotal is {subtotal}"))
}

/// All totals but the total sum up to the total; tax only when prices do not include it.
pub(super) fn totals_sum_up(Totals { sum, total, .. }: &Totals) -> Checked {
    if sum == total {
        return Ok(());
    }
    violation("totals_sum", format!("totals sum to {sum}"), format!("total is {total}"))
}
