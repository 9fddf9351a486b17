//! Rules about money and lines: orders, adjustments, prices, payments.

use vrl::value::{ObjectMap, Value};

use super::amount::Amount;
use super::{Checked, integer, items, text, violation};

/// Every amount of a record has the record's currency.
pub(super) fn one_currency(record: &ObjectMap) -> Checked {
    const RULE: &str = "one_currency";
    let Some(currency) = text(record, "currency") else { return Ok(()) };
    if throughline_event::currency_exponent(currency).is_none() {
        return violation(
            RULE,
            format!("the currency is {currency:?}"),
            "ISO 4217 has no such code",
        );
    }
    let check = |what: &str, money: Option<&Value>| match Amount::read(money) {
        Some((amount, other)) if other != currency => violation(
            RULE,
            format!("the currency is {currency}"),
            format!("{what} is {amount} {other}"),
        ),
        _ => Ok(()),
    };
    for field in ["list", "sale", "cost"] {
        check(field, record.get(field))?;
    }
    for line in items(record, "lines") {
        for field in ["unit_price", "total", "amount"] {
            check(field, line.get(field))?;
        }
        for field in ["discounts", "taxes"] {
            items(line, field).try_for_each(|part| check(field, part.get("amount")))?;
        }
    }
    items(record, "totals").try_for_each(|total| check("a total", total.get("amount")))
}

/// No line has an empty SKU; money that stands for no goods has none at all.
pub(super) fn skus_are_not_empty(record: &ObjectMap) -> Checked {
    for line in items(record, "lines") {
        if text(line, "sku").is_some_and(|sku| sku.trim().is_empty()) {
            let line = text(line, "line_id").unwrap_or_default();
            return violation("sku_not_empty", format!("line {line} names a SKU"), "it is empty");
        }
    }
    Ok(())
}

/// A line's id is the line's own.
pub(super) fn line_ids_are_unique(record: &ObjectMap) -> Checked {
    let mut ids: Vec<_> = items(record, "lines").filter_map(|line| text(line, "line_id")).collect();
    let lines = ids.len();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() == lines {
        return Ok(());
    }
    violation("line_id_unique", format!("{lines} lines"), format!("{} line ids", ids.len()))
}

/// `total = original + added - canceled - returned`, and `fulfilled - returned <= total`.
pub(super) fn line_quantities(record: &ObjectMap) -> Checked {
    const RULE: &str = "line_quantity";
    for line in items(record, "lines") {
        let id = text(line, "line_id").unwrap_or_default();
        let Some(quantity) = line.get("quantity").and_then(Value::as_object) else { continue };
        let steps = |field| i128::from(integer(quantity, field).unwrap_or_default());
        let total = steps("total");
        let (original, added) = (steps("original"), steps("added"));
        let (canceled, returned) = (steps("canceled"), steps("returned"));
        if total != original + added - canceled - returned {
            let right = format!(
                "original {original} + added {added} - canceled {canceled} - returned {returned} = {}",
                original + added - canceled - returned
            );
            return violation(RULE, format!("line {id}: total {total}"), right);
        }
        let fulfilled = steps("fulfilled");
        if fulfilled - returned > total {
            let left = format!("line {id}: fulfilled {fulfilled} - returned {returned}");
            return violation(RULE, left, format!("total {total}"));
        }
    }
    Ok(())
}

/// A sale unit never costs less than nothing.
pub(super) fn unit_prices_are_not_negative(record: &ObjectMap) -> Checked {
    items(record, "lines").try_for_each(|line| {
        let amount = Amount::of(line, "unit_price");
        let id = text(line, "line_id").unwrap_or_default();
        not_negative(amount, &format!("line {id}: unit_price"))
    })
}

/// These fields are not negative.
pub(super) fn amounts_are_not_negative(record: &ObjectMap, fields: &[&str]) -> Checked {
    fields.iter().try_for_each(|field| not_negative(Amount::of(record, field), field))
}

fn not_negative(amount: Amount, what: &str) -> Checked {
    if !amount.is_negative() {
        return Ok(());
    }
    violation("not_negative", format!("{what} is {amount}"), "it must be at least 0")
}

/// Discounts take away.
pub(super) fn discounts_are_not_positive(record: &ObjectMap) -> Checked {
    let totals = items(record, "totals")
        .filter(|total| matches!(text(total, "type"), Some("discount" | "items_discount")));
    let lines = items(record, "lines").flat_map(|line| items(line, "discounts"));
    for discount in totals.chain(lines) {
        let amount = Amount::of(discount, "amount");
        if amount.is_positive() {
            let left = format!("a discount is {amount}");
            return violation("discount_not_positive", left, "it must be at most 0");
        }
    }
    Ok(())
}

/// Exactly one subtotal and one total.
pub(super) fn one_subtotal_and_one_total(record: &ObjectMap) -> Checked {
    for wanted in ["subtotal", "total"] {
        let found =
            items(record, "totals").filter(|total| text(total, "type") == Some(wanted)).count();
        if found != 1 {
            let left = format!("totals has {found} of type {wanted}");
            return violation("one_subtotal_one_total", left, "it must have 1");
        }
    }
    Ok(())
}

/// The subtotal is the sum of the lines.
pub(super) fn subtotal_is_the_lines(record: &ObjectMap, field: &str) -> Checked {
    let lines = items(record, "lines").map(|line| Amount::of(line, field));
    let sum = lines.fold(Amount::default(), Amount::plus);
    let subtotal = total(record, "subtotal");
    if sum == subtotal {
        return Ok(());
    }
    violation("subtotal_is_lines", format!("lines sum to {sum}"), format!("subtotal is {subtotal}"))
}

/// All totals but the total sum up to the total; tax only when prices do not include it.
pub(super) fn totals_sum_up(record: &ObjectMap) -> Checked {
    let tax_included = record.get("tax_included").and_then(Value::as_boolean).unwrap_or_default();
    let parts = items(record, "totals").filter(|part| match text(part, "type") {
        Some("total") => false,
        Some("tax") => !tax_included,
        _ => true,
    });
    let sum = parts.fold(Amount::default(), |sum, part| sum.plus(Amount::of(part, "amount")));
    let total = total(record, "total");
    if sum == total {
        return Ok(());
    }
    violation("totals_sum", format!("totals sum to {sum}"), format!("total is {total}"))
}

fn total(record: &ObjectMap, wanted: &str) -> Amount {
    let mut totals = items(record, "totals").filter(|total| text(total, "type") == Some(wanted));
    totals.next().map(|total| Amount::of(total, "amount")).unwrap_or_default()
}
