//! Which state may follow which, on each of the three axes of an order.
//!
//! A source shows its documents as they are when they are read, so states in between may not have
//! been seen: a step is legal when any path of single steps leads there. `unknown` and words of the
//! source's own say nothing and are followed by anything.

use super::{Checked, text, violation};
use crate::value::Object;
use crate::value::vocabulary::known;

/// Single steps of the order axis.
const ORDER: &[(&str, &[&str])] = &[
    ("created", &["confirmed", "manual_review", "canceled"]),
    ("manual_review", &["confirmed", "processing", "canceled"]),
    ("confirmed", &["processing", "canceled"]),
    ("processing", &["shipped", "canceled"]),
    ("shipped", &["completed", "canceled"]),
    ("completed", &[]),
    ("canceled", &[]),
];

/// Single steps of the payment axis. A failed or expired attempt may be followed by another; a paid
/// order that grows is paid in part again.
const PAYMENT: &[(&str, &[&str])] = &[
    ("pending", &["authorized", "partially_paid", "paid", "failed", "expired", "voided"]),
    ("authorized", &["partially_paid", "paid", "failed", "expired", "voided"]),
    ("expired", &["pending", "voided"]),
    ("failed", &["pending", "voided"]),
    ("partially_paid", &["paid", "partially_refunded", "refunded"]),
    ("paid", &["partially_paid", "partially_refunded", "refunded"]),
    ("partially_refunded", &["refunded"]),
    ("refunded", &[]),
    ("voided", &[]),
];

/// Single steps of the fulfillment axis. A failed delivery may be tried again.
const FULFILLMENT: &[(&str, &[&str])] = &[
    ("pending", &["processing", "canceled"]),
    ("processing", &["shipped", "ready_for_pickup", "failed", "canceled"]),
    ("shipped", &["in_transit", "delivered", "failed", "canceled"]),
    ("in_transit", &["out_for_delivery", "ready_for_pickup", "delivered", "failed"]),
    ("out_for_delivery", &["in_transit", "ready_for_pickup", "delivered", "failed"]),
    ("ready_for_pickup", &["delivered", "failed", "canceled"]),
    ("failed", &["processing", "shipped", "in_transit", "canceled"]),
    ("delivered", &[]),
    ("canceled", &[]),
];

/// The three axes of an order do not go back.
pub(super) fn order_transitions(record: Object<'_>, before: Option<Object<'_>>) -> Checked {
    let Some(before) = before else { return Ok(()) };
    let (Some(before), Some(after)) = (status(before), status(record)) else { return Ok(()) };
    for axis in [known::ORDER, known::PAYMENT, known::FULFILLMENT] {
        if let (Some(from), Some(to)) = (text(before, &axis), text(after, &axis)) {
            transition(axis.name(), from, to)?;
        }
    }
    Ok(())
}

fn status(order: Object<'_>) -> Option<Object<'_>> {
    order.get(&known::STATUS)?.as_object()
}

/// A fulfillment's own status does not go back.
pub(super) fn fulfillment_transitions(record: Object<'_>, before: Option<Object<'_>>) -> Checked {
    let from = before.and_then(|before| text(before, &known::STATUS));
    match (from, text(record, &known::STATUS)) {
        (Some(from), Some(to)) => transition("fulfillment", from, to),
        _ => Ok(()),
    }
}

fn transition(axis: &str, from: &str, to: &str) -> Checked {
    if is_legal(axis, from, to) {
        return Ok(());
    }
    violation("state_transition", format!("{axis} was {from}"), format!("it became {to}"))
}

/// Whether a state may be followed by another on an axis (`order`, `payment`, `fulfillment`).
pub(super) fn is_legal(axis: &str, from: &str, to: &str) -> bool {
    let steps = match axis {
        "order" => ORDER,
        "payment" => PAYMENT,
        "fulfillment" => FULFILLMENT,
        _ => return true,
    };
    let known = |state: &str| steps.iter().any(|(known, _)| *known == state);
    if from == to || !known(from) || !known(to) {
        return true;
    }
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(state) = reached.get(at).copied() {
        at += 1;
        let next = steps.iter().filter(|(known, _)| *known == state).flat_map(|(_, next)| *next);
        for state in next {
            if *state == to {
                return true;
            }
            if !reached.contains(state) {
                reached.push(state);
            }
        }
    }
    false
}
