use serde_json::{Value as Json, json};
use vrl::value::Value as VrlValue;

use super::states::is_legal;
use super::*;
use crate::value::{Arena, VocabularyBuilder, from_vrl};

/// The sentence that refuses a record; the same for objects of a known shape and for any others.
fn refusal(entity: &str, record: Json, before: Option<Json>) -> Option<String> {
    let sides = [Some(VrlValue::from(record)), before.map(VrlValue::from)];
    let mut words = VocabularyBuilder::new();
    let programs = sides
        .each_ref()
        .map(|side| side.as_ref().map(|side| crate::program::constant(side, &mut words)));
    let (arena, vocabulary) = (Arena::default(), words.build());
    let scope = arena.scope(&vocabulary);
    let known = programs
        .each_ref()
        .map(|program| program.as_ref().map(|program| program.run(Value::Null, scope).unwrap()));
    let unknown = sides.each_ref().map(|side| side.as_ref().map(|side| from_vrl(side, scope)));
    let [known, unknown] = [known, unknown].map(|[record, before]| {
        let before = before.and_then(|before| before.as_object());
        let checked = check(entity, record.unwrap().as_object().unwrap(), before);
        checked.err().map(|violation| violation.to_string())
    });
    assert_eq!(known, unknown);
    known
}

#[track_caller]
fn check_kept(entity: &str, record: Json) {
    assert_eq!(refusal(entity, record, None), None);
}

#[track_caller]
fn check_broken(entity: &str, record: Json, expected: &str) {
    assert_eq!(refusal(entity, record, None).as_deref(), Some(expected));
}

fn money(unscaled: i64) -> Json {
    json!({"unscaled": unscaled, "scale": 2, "currency": "EUR"})
}

fn total(kind: &str, unscaled: i64) -> Json {
    json!({"type": kind, "amount": money(unscaled)})
}

fn line(id: &str, price: i64, pieces: i64) -> Json {
    json!({
        "line_id": id, "sku": "A", "quantity": {"original": pieces, "total": pieces},
        "unit_price": money(price), "total": money(price * pieces)
    })
}

fn order(lines: Vec<Json>, totals: Vec<Json>) -> Json {
    json!({"order_number": "1", "currency": "EUR", "tax_included": true, "lines": lines, "totals": totals})
}

/// An order with one of its parts replaced.
fn with(mut record: Json, pointer: &str, value: Json) -> Json {
    *record.pointer_mut(pointer).unwrap() = value;
    record
}

fn good() -> Json {
    order(
        vec![line("1", 250, 2), line("2", 100, 1)],
        vec![total("subtotal", 600), total("total", 600)],
    )
}

#[test]
fn a_right_order_is_kept() {
    check_kept("order", good());
    check_kept("order", order(vec![], vec![total("subtotal", 0), total("total", 0)]));
}

#[test]
fn totals_sum_up_with_shipping_fees_and_discounts() {
    let totals = |sum| {
        vec![
            total("subtotal", 250),
            total("fulfillment", 490),
            total("fee", 10),
            total("discount", -50),
            total("total", sum),
        ]
    };
    check_kept("order", order(vec![line("1", 250, 1)], totals(700)));
    check_broken(
        "order",
        order(vec![line("1", 250, 1)], totals(701)),
        "totals_sum: totals sum to 7.00, but total is 7.01",
    );
}

#[test]
fn tax_is_added_only_when_prices_do_not_include_it() {
    let totals = |sum| vec![total("subtotal", 100), total("tax", 19), total("total", sum)];
    let lines = vec![line("1", 100, 1)];
    check_kept("order", order(lines.clone(), totals(100)));
    let net = |sum| with(order(lines.clone(), totals(sum)), "/tax_included", json!(false));
    check_kept("order", net(119));
    check_broken("order", net(100), "totals_sum: totals sum to 1.19, but total is 1.00");
}

#[test]
fn the_subtotal_is_the_sum_of_the_lines() {
    check_broken(
        "order",
        order(vec![line("1", 100, 1)], vec![total("subtotal", 90), total("total", 90)]),
        "subtotal_is_lines: lines sum to 1.00, but subtotal is 0.90",
    );
}

#[test]
fn there_is_one_subtotal_and_one_total() {
    check_broken(
        "order",
        order(vec![], vec![total("total", 0)]),
        "one_subtotal_one_total: totals has 0 of type subtotal, but it must have 1",
    );
    check_broken(
        "order",
        order(vec![], vec![total("subtotal", 0), total("total", 0), total("total", 0)]),
        "one_subtotal_one_total: totals has 2 of type total, but it must have 1",
    );
}

#[test]
fn amounts_of_different_scales_are_compared_exactly() {
    let fine = json!({"unscaled": 1_005, "scale": 3, "currency": "EUR"});
    let one = with(line("1", 0, 1), "/total", fine.clone());
    let totals = vec![json!({"type": "subtotal", "amount": fine}), total("total", 100)];
    check_broken(
        "order",
        order(vec![one], totals),
        "totals_sum: totals sum to 1.005, but total is 1.00",
    );
}

#[test]
fn sums_beyond_64_bits_do_not_wrap() {
    let most = i64::MAX;
    let lines = vec![
        with(line("1", 0, 1), "/total", money(most)),
        with(line("2", 0, 1), "/total", money(most)),
    ];
    let found =
        refusal("order", order(lines, vec![total("subtotal", -2), total("total", -2)]), None);
    assert!(found.unwrap().contains("lines sum to 184467440737095516.14"));
}

#[test]
fn discounts_take_away() {
    let totals = vec![total("subtotal", 0), total("discount", 5), total("total", 5)];
    check_broken(
        "order",
        order(vec![], totals),
        "discount_not_positive: a discount is 0.05, but it must be at most 0",
    );
    let mut one = line("1", 100, 1);
    one["discounts"] = json!([{"amount": money(1)}]);
    let found = refusal("order", order(vec![one], vec![]), None).unwrap();
    assert!(found.starts_with("discount_not_positive"), "{found}");
}

#[test]
fn an_order_has_one_currency_that_exists() {
    let dollars = json!({"unscaled": 250, "scale": 2, "currency": "USD"});
    check_broken(
        "order",
        with(good(), "/lines/0/unit_price", dollars.clone()),
        "one_currency: the currency is EUR, but unit_price is 2.50 USD",
    );
    check_broken(
        "order",
        with(good(), "/totals/1/amount", dollars),
        "one_currency: the currency is EUR, but a total is 2.50 USD",
    );
    check_broken(
        "order",
        with(good(), "/currency", json!("EURO")),
        "one_currency: the currency is \"EURO\", but ISO 4217 has no such code",
    );
}

#[test]
fn quantities_of_a_line_add_up() {
    let quantity = |value| with(good(), "/lines/0/quantity", value);
    check_kept(
        "order",
        quantity(
            json!({"original": 5, "added": 1, "canceled": 2, "returned": 1, "total": 3, "fulfilled": 4}),
        ),
    );
    check_broken(
        "order",
        quantity(json!({"original": 5, "total": 4})),
        "line_quantity: line 1: total 4, but original 5 + added 0 - canceled 0 - returned 0 = 5",
    );
    check_broken(
        "order",
        quantity(json!({"original": 5, "total": 5, "fulfilled": 6})),
        "line_quantity: line 1: fulfilled 6 - returned 0, but total 5",
    );
}

#[test]
fn a_sku_is_never_empty() {
    check_broken(
        "order",
        with(good(), "/lines/1/sku", json!(" ")),
        "sku_not_empty: line 2 names a SKU, but it is empty",
    );
    for entity in ["variant", "price", "inventory"] {
        let found = refusal(entity, json!({"sku": ""}), None).unwrap();
        assert!(found.starts_with("sku_not_empty"), "{found}");
    }
}

#[test]
fn line_ids_are_the_lines_own() {
    check_broken(
        "order",
        with(good(), "/lines/1/line_id", json!("1")),
        "line_id_unique: 2 lines, but 1 line ids",
    );
}

#[test]
fn prices_and_payments_are_not_negative() {
    check_broken(
        "order",
        with(good(), "/lines/0/unit_price", money(-1)),
        "not_negative: line 1: unit_price is -0.01, but it must be at least 0",
    );
    let price = json!({"sku": "A", "currency": "EUR", "list": money(5), "sale": money(-5)});
    check_broken("price", price, "not_negative: sale is -0.05, but it must be at least 0");
    check_broken(
        "payment",
        json!({"amount": money(-5)}),
        "not_negative: amount is -0.05, but it must be at least 0",
    );
}

#[test]
fn an_adjustment_is_signed_and_adds_up() {
    let note = |sum| {
        json!({
            "currency": "EUR", "tax_included": true,
            "lines": [{"line_id": "1", "sku": "A", "amount": money(-500)}],
            "totals": [total("subtotal", -500), total("discount", 50), total("total", sum)]
        })
    };
    check_kept("adjustment", note(-450));
    check_broken("adjustment", note(450), "totals_sum: totals sum to -4.50, but total is 4.50");
}

#[test]
fn stock_adds_up() {
    check_kept(
        "inventory",
        json!({"sku": "A", "on_hand": 10, "available": 4, "reserved": 1,
        "committed": 2, "safety_stock": 1, "damaged": 1, "quality_control": 1, "incoming": 99}),
    );
    check_kept("inventory", json!({"sku": "A", "on_hand": -2, "available": -2, "damaged": null}));
    check_broken(
        "inventory",
        json!({"sku": "A", "on_hand": 10, "available": 4, "reserved": 1}),
        "stock_equation: on_hand is 10, but available 4 + reserved 1 + committed 0 + \
         safety_stock 0 + damaged 0 + quality_control 0 = 5",
    );
}

#[test]
fn check_digits_are_right() {
    let variant = |value: &str| json!({"sku": "A", "barcodes": [{"type": "gtin", "value": value}]});
    check_kept("variant", variant("04006381333931"));
    check_kept("variant", json!({"sku": "A", "barcodes": [{"type": "isbn", "value": "x"}]}));
    check_broken(
        "variant",
        variant("04006381333932"),
        "gtin_check_digit: the check digit of 04006381333932 is 2, but it must be 1",
    );
    check_broken(
        "variant",
        variant("4006381333931"),
        "gtin_check_digit: \"4006381333931\" has 13 characters, but it must have 14 digits",
    );
    check_kept("location", json!({"gln": "4006381333931"}));
    let found = refusal("location", json!({"gln": "4006381333930"}), None).unwrap();
    assert!(found.starts_with("gln_check_digit"), "{found}");
}

#[test]
fn states_go_forward_on_each_axis() {
    for (axis, from, to, legal) in [
        ("order", "created", "completed", true),
        ("order", "completed", "processing", false),
        ("order", "shipped", "canceled", true),
        ("order", "completed", "canceled", false),
        ("order", "canceled", "created", false),
        ("order", "confirmed", "manual_review", false),
        ("payment", "pending", "refunded", true),
        ("payment", "refunded", "paid", false),
        ("payment", "failed", "paid", true),
        ("payment", "paid", "partially_paid", true),
        ("payment", "voided", "authorized", false),
        ("fulfillment", "pending", "delivered", true),
        ("fulfillment", "delivered", "in_transit", false),
        ("fulfillment", "failed", "delivered", true),
        ("fulfillment", "unknown", "pending", true),
        ("fulfillment", "delivered", "unknown", true),
        ("fulfillment", "delivered", "held at customs", true),
        ("no axis", "a", "b", true),
    ] {
        assert_eq!(is_legal(axis, from, to), legal, "{axis}: {from} -> {to}");
    }
}

#[test]
fn every_state_of_the_documentation_is_known() {
    for (axis, states) in [
        (
            "order",
            &[
                "created",
                "confirmed",
                "manual_review",
                "processing",
                "shipped",
                "completed",
                "canceled",
            ][..],
        ),
        (
            "payment",
            &[
                "pending",
                "authorized",
                "expired",
                "partially_paid",
                "paid",
                "partially_refunded",
                "refunded",
                "voided",
                "failed",
            ],
        ),
        (
            "fulfillment",
            &[
                "pending",
                "processing",
                "shipped",
                "in_transit",
                "out_for_delivery",
                "ready_for_pickup",
                "delivered",
                "failed",
                "canceled",
            ],
        ),
    ] {
        // From an end nothing leads to a state that is known; to an unknown word everything does.
        let end = match axis {
            "order" => "canceled",
            "payment" => "refunded",
            _ => "delivered",
        };
        for state in states {
            assert_eq!(is_legal(axis, end, state), *state == end, "{axis}: {state}");
        }
    }
}

#[test]
fn a_step_back_is_refused_with_both_states() {
    let status = |order: &str| {
        let mut record = good();
        record["status"] = json!({"order": order});
        record
    };
    assert_eq!(refusal("order", status("shipped"), Some(status("created"))), None);
    assert_eq!(
        refusal("order", status("created"), Some(status("shipped"))).unwrap(),
        "state_transition: order was shipped, but it became created"
    );
    let parcel = |status: &str| json!({"status": status});
    assert_eq!(
        refusal("fulfillment", parcel("pending"), Some(parcel("delivered"))).unwrap(),
        "state_transition: fulfillment was delivered, but it became pending"
    );
}

#[test]
fn entities_without_rules_are_kept() {
    check_kept("customer", json!({}));
    check_kept("product", json!({}));
}
