use serde_json::{Value as Json, json};
use vrl::compiler::state::RuntimeState;
use vrl::compiler::{Context, TargetValue, TimeZone, compile};
use vrl::value::{Secrets, Value};

use super::*;

/// The value of a program, or the sentence it is refused with.
fn run(program: &str) -> Result<Json, String> {
    let compiled = compile(program, &all());
    let program = compiled.unwrap_or_else(|error| panic!("{program}: {error:?}")).program;
    let mut target = TargetValue {
        value: Value::Object(vrl::value::ObjectMap::new()),
        metadata: Value::Null,
        secrets: Secrets::default(),
    };
    let mut state = RuntimeState::default();
    let zone = TimeZone::parse("UTC").unwrap();
    match program.resolve(&mut Context::new(&mut target, &mut state, &zone)) {
        Ok(value) => Ok(serde_json::to_value(value).unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

fn check(program: &str, expected: Json) {
    assert_eq!(run(program), Ok(expected), "{program}");
}

fn check_refused(program: &str, part: &str) {
    let error = run(program).expect_err(program);
    assert!(error.contains(part), "{program}: {error}");
}

fn money(unscaled: i64, scale: i64, currency: &str) -> Json {
    json!({"currency": currency, "scale": scale, "unscaled": unscaled})
}

#[test]
fn every_allowed_function_exists_and_none_is_both_allowed_and_refused() {
    let known: Vec<_> = vrl::stdlib::all().iter().map(|function| function.identifier()).collect();
    for (_, names) in ALLOWED {
        for name in *names {
            assert!(known.contains(name), "{name} is not a function of VRL");
            assert!(!REFUSED.iter().any(|(refused, _)| refused == name), "{name}");
        }
    }
}

#[test]
fn nothing_that_knows_the_time_the_place_or_chance_can_be_called() {
    let names: Vec<_> = all().iter().map(|function| function.identifier()).collect();
    for (refused, reason) in REFUSED {
        assert!(!names.contains(refused), "{refused}");
        assert_eq!(refusal(refused), Some(*reason));
    }
    let impure = ["now", "random", "uuid", "env", "dns", "http", "hostname", "log"];
    for name in names {
        let words: Vec<_> = name.split('_').collect();
        assert!(!impure.iter().any(|word| words.contains(word)), "{name}");
    }
}

#[test]
fn functions_of_vrl_that_are_not_on_the_list_are_refused_in_words() {
    assert!(refusal("parse_user_agent").is_some());
    assert_eq!(refusal("upcase"), None);
    assert_eq!(refusal("no_such_function"), None);
}

#[test]
fn money_is_read_at_the_scale_of_its_currency() {
    check(r#"to_money!("148.75", "EUR")"#, money(14_875, 2, "EUR"));
    check(r#"to_money!("148", "JPY")"#, money(148, 0, "JPY"));
    check(r#"to_money!(12, "EUR")"#, money(1_200, 2, "EUR"));
    check(r#"to_money!("-0.50", "EUR")"#, money(-50, 2, "EUR"));
    check(r#"to_money!("1e-2", "EUR")"#, money(1, 2, "EUR"));
}

#[test]
fn money_is_rounded_only_when_the_mapping_says_how() {
    check_refused(r#"to_money!("1.005", "EUR")"#, "name a rounding rule");
    check(r#"to_money!("1.005", "EUR", "half_up")"#, money(101, 2, "EUR"));
    check(r#"to_money!("1.005", "EUR", "half_even")"#, money(100, 2, "EUR"));
    check(r#"to_money!("1.009", "EUR", rounding: "down")"#, money(100, 2, "EUR"));
    check_refused(r#"to_money!("1.005", "EUR", "up")"#, "is not one of exact");
}

#[test]
fn money_that_is_none_is_refused() {
    check_refused(r#"to_money!("12,50", "EUR")"#, "not a decimal number");
    check_refused(r#"to_money!("", "EUR")"#, "not a decimal number");
    check_refused(r#"to_money!("1", "EURO")"#, "ISO 4217");
    check_refused(r#"to_money!("99999999999999999999", "EUR")"#, "TL0003");
}

#[test]
fn quantities_are_pieces_unless_the_mapping_says_more() {
    let quantity = |steps, unit, scale| json!({"scale": scale, "steps": steps, "unit": unit});
    check(r#"to_quantity!("12")"#, quantity(12, "C62", 0));
    check(r#"to_quantity!(-3)"#, quantity(-3, "C62", 0));
    check(r#"to_quantity!("1.5", "KGM", 3)"#, quantity(1_500, "KGM", 3));
    check(r#"to_quantity!("1.25", "KGM", 1, "half_even")"#, quantity(12, "KGM", 1));
    check_refused(r#"to_quantity!("1.5")"#, "name a rounding rule");
    check_refused(r#"to_quantity!("1", "KGM", -1)"#, "scale is not a number from 0 to 18");
    check_refused(r#"to_quantity!("1", "KGM", 19)"#, "TL0003");
}

#[test]
fn sums_are_of_one_currency_and_exact() {
    let two = r#"[to_money!("0.10", "EUR"), to_money!("0.20", "EUR")]"#;
    check(&format!(r#"sum_money!({two}, "EUR")"#), money(30, 2, "EUR"));
    check(r#"sum_money!([], "KWD")"#, money(0, 3, "KWD"));
    check(r#"sum_money!([{"a": to_money!("2", "EUR")}], "EUR", "a")"#, money(200, 2, "EUR"));
    check_refused(&format!(r#"sum_money!({two}, "USD")"#), "item 0 is EUR, not USD");
    check_refused(r#"sum_money!([{"a": 1}], "EUR", "a")"#, "item 0 is no money");
    check_refused(r#"sum_money!([{"a": 1}], "EUR", "b")"#, "item 0 has no such field");
    check_refused(r#"sum_money!([], "EURO")"#, "ISO 4217");
    let most = r#"{"unscaled": 9223372036854775807, "scale": 2, "currency": "EUR"}"#;
    check_refused(&format!(r#"sum_money!([{most}, {most}], "EUR")"#), "beyond 64 bits");
    let finer = r#"[{"unscaled": 5, "scale": 3, "currency": "EUR"}, to_money!("1", "EUR")]"#;
    check(&format!(r#"sum_money!({finer}, "EUR")"#), money(1_005, 3, "EUR"));
}

#[test]
fn products_keep_the_scale_of_the_money() {
    check(r#"multiply_money!(to_money!("2.50", "EUR"), 3)"#, money(750, 2, "EUR"));
    check(r#"multiply_money!(to_money!("2.50", "EUR"), -3)"#, money(-750, 2, "EUR"));
    let half = r#"to_quantity!("0.5", "KGM", 1)"#;
    check(&format!(r#"multiply_money!(to_money!("2.50", "EUR"), {half})"#), money(125, 2, "EUR"));
    let odd = format!(r#"multiply_money!(to_money!("2.55", "EUR"), {half}"#);
    check_refused(&format!("{odd})"), "name a rounding rule");
    check(&format!(r#"{odd}, "half_up")"#), money(128, 2, "EUR"));
    check_refused(r#"multiply_money!({"a": 1}, 2)"#, "money is no money");
    check_refused(r#"multiply_money!(to_money!("1", "EUR"), {"a": 1})"#, "quantity is no quantity");
    let most = r#"{"unscaled": 9223372036854775807, "scale": 2, "currency": "EUR"}"#;
    check_refused(&format!("multiply_money!({most}, 2)"), "TL0003");
}

#[test]
fn negated_money_has_the_other_sign() {
    check(r#"negate_money!(to_money!("2.50", "EUR"))"#, money(-250, 2, "EUR"));
    let least = r#"{"unscaled": -9223372036854775808, "scale": 2, "currency": "EUR"}"#;
    check_refused(&format!("negate_money!({least})"), "beyond 64 bits");
}

#[test]
fn trade_items_have_fourteen_digits_and_a_right_check_digit() {
    // Examples of the GS1 General Specifications.
    check(r#"gtin14!("614141000036")"#, json!("00614141000036"));
    check(r#"gtin14!("4006381333931")"#, json!("04006381333931"));
    check(r#"gtin14!(" 96385074 ")"#, json!("00000096385074"));
    check_refused(
        r#"gtin14!("4006381333932")"#,
        "the check digit of the GTIN is 2, it should be 1",
    );
    check_refused(r#"gtin14!("400638133393")"#, "check digit");
    check_refused(r#"gtin14!("12345")"#, "8, 12, 13 or 14 digits");
    check_refused(r#"gtin14!("40063813339ab")"#, "8, 12, 13 or 14 digits");
}

#[test]
fn countries_and_currencies_are_codes_in_capitals() {
    check(r#"country!(" de ")"#, json!("DE"));
    check_refused(r#"country!("UK")"#, "ISO 3166-1");
    check_refused(r#"country!("")"#, "ISO 3166-1");
    check(r#"currency!("gbp")"#, json!("GBP"));
    check_refused(r#"currency!("GB")"#, "ISO 4217");
}

#[test]
fn phones_are_e164_and_never_in_a_message() {
    check(r#"phone!("+49 (151) 123-456")"#, json!("+49151123456"));
    for bad in ["030 123456", "+0301234567", "+12345", "+1234567890123456", "+49abc1234567", ""] {
        let error = run(&format!("phone!({bad:?})")).expect_err(bad);
        assert!(error.contains("the phone number is not E.164"), "{error}");
        assert!(bad.is_empty() || !error.contains(bad), "{error}");
    }
}

#[test]
fn filled_text_is_trimmed_or_null() {
    check(r#"filled("  a b ")"#, json!("a b"));
    check(r#"filled("ab")"#, json!("ab"));
    check(r#"filled("   ")"#, Json::Null);
    check(r#"filled("")"#, Json::Null);
    check("filled(null)", Json::Null);
}

#[test]
fn each_maps_in_order_and_leaves_nulls_out() {
    check("each([1, 2, 3]) -> |index, item| { if index != 1 { item } }", json!([1, 3]));
    check("each([]) -> |_index, item| { item }", json!([]));
    check(
        "total = 0\neach([1, 2]) -> |_index, item| { total = total + item; null }\ntotal",
        json!(3),
    );
}

#[test]
fn the_variables_of_each_do_not_outlive_it() {
    check("item = 7\neach([1, 2]) -> |_index, item| { item }\nitem", json!(7));
}

#[test]
fn a_time_without_a_zone_is_utc_wherever_the_process_runs() {
    let program = r#"to_unix_timestamp(parse_timestamp!("2026-11-23 10:00", "%Y-%m-%d %H:%M"))"#;
    check(program, json!(1_795_428_000));
}
