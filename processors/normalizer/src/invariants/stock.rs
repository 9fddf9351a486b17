//! Rules about goods: inventory, variants, locations.

use vrl::value::ObjectMap;

use super::{Checked, integer, items, text, violation};
use crate::functions::gtin_check_digit;

/// A SKU is never empty.
pub(super) fn sku_is_not_empty(record: &ObjectMap) -> Checked {
    if text(record, "sku").is_some_and(|sku| !sku.trim().is_empty()) {
        return Ok(());
    }
    violation("sku_not_empty", "the record names a SKU", "it is empty")
}

/// `on_hand = available + reserved + committed + safety_stock + damaged + quality_control`.
pub(super) fn stock_adds_up(record: &ObjectMap) -> Checked {
    const PARTS: [&str; 6] =
        ["available", "reserved", "committed", "safety_stock", "damaged", "quality_control"];
    let steps = |field: &str| i128::from(integer(record, field).unwrap_or_default());
    let on_hand = steps("on_hand");
    let sum: i128 = PARTS.iter().map(|part| steps(part)).sum();
    if on_hand == sum {
        return Ok(());
    }
    let parts = PARTS.map(|part| format!("{part} {}", steps(part))).join(" + ");
    violation("stock_equation", format!("on_hand is {on_hand}"), format!("{parts} = {sum}"))
}

/// A barcode of type gtin has 14 digits, the last of which follows from the others.
pub(super) fn gtins_are_valid(record: &ObjectMap) -> Checked {
    let barcodes = items(record, "barcodes").filter(|code| text(code, "type") == Some("gtin"));
    barcodes
        .filter_map(|code| text(code, "value"))
        .try_for_each(|value| check_digit("gtin_check_digit", value, 14))
}

/// A GS1 location number has 13 digits and the same check digit.
pub(super) fn gln_is_valid(record: &ObjectMap) -> Checked {
    text(record, "gln").map_or(Ok(()), |gln| check_digit("gln_check_digit", gln, 13))
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
