//! Rules about goods: inventory, variants, locations.

use super::{Checked, integer, items, text, violation};
use crate::functions::gtin_check_digit;
use crate::value::vocabulary::known;
use crate::value::{Object, Symbol};

/// A SKU is never empty.
pub(super) fn sku_is_not_empty(record: Object<'_>) -> Checked {
    if text(record, &known::SKU).is_some_and(|sku| !sku.trim().is_empty()) {
        return Ok(());
    }
    violation("sku_not_empty", "the record names a SKU", "it is empty")
}

/// `on_hand = available + reserved + committed + safety_stock + damaged + quality_control`.
pub(super) fn stock_adds_up(record: Object<'_>) -> Checked {
    const PARTS: [Symbol; 6] = [
        known::AVAILABLE,
        known::RESERVED,
        known::COMMITTED,
        known::SAFETY_STOCK,
        known::DAMAGED,
        known::QUALITY_CONTROL,
    ];
    let steps = |field: &Symbol| i128::from(integer(record, field).unwrap_or_default());
    let on_hand = steps(&known::ON_HAND);
    let sum: i128 = PARTS.iter().map(steps).sum();
    if on_hand == sum {
        return Ok(());
    }
    let parts = PARTS.map(|part| format!("{} {}", part.name(), steps(&part))).join(" + ");
    violation("stock_equation", format!("on_hand is {on_hand}"), format!("{parts} = {sum}"))
}

/// A barcode of type gtin has 14 digits, the last of which follows from the others.
pub(super) fn gtins_are_valid(record: Object<'_>) -> Checked {
    let barcodes =
        items(record, &known::BARCODES).filter(|code| text(*code, &known::TYPE) == Some("gtin"));
    barcodes
        .filter_map(|code| text(code, &known::VALUE))
        .try_for_each(|value| check_digit("gtin_check_digit", value, 14))
}

/// A GS1 location number has 13 digits and the same check digit.
pub(super) fn gln_is_valid(record: Object<'_>) -> Checked {
    text(record, &known::GLN).map_or(Ok(()), |gln| check_digit("gln_check_digit", gln, 13))
}

fn check_digit(rule: &'static str, value: &str, len: usize) -> Checked {
    let digits = value.as_bytes();
    if digits.len() != len || !digits.iter().all(u8::is_ascii_digit) {
        let left = format!("{value:?} has {} characters", value.chars().count());
        return violation(rule, left, format!("it must have {len} digits"));
    }
    let (body, last) = digits.split_at(len - 1);
    let (found, right) = (last[0] - b'0', gtin_check_digit(body));
    if found == right {
        return Ok(());
    }
    violation(rule, format!("the check digit of {value} is {found}"), format!("it must be {right}"))
}
