//! Programs that cost too much for a document: they end, at the same place every time.

use super::super::budget::Limit;
use super::*;

/// A budget that ordinary programs do not use up.
fn budget() -> Budget {
    Budget::new(20_000, 100_000)
}

fn run(text: &str, document: &VrlValue, budget: Budget) -> Result<VrlValue, Box<Failure>> {
    let pair = Pair::new(text).unwrap_or_else(|| panic!("VRL refuses {text}"));
    let arena = Arena::default();
    let scope = arena.scope(&pair.vocabulary);
    let program = pair.compiled.as_ref().unwrap_or_else(|error| panic!("{error:?}"));
    program.run_within(budget, from_vrl(document, scope), scope).map(to_vrl)
}

/// A document of two hundred rows.
fn rows() -> VrlValue {
    let rows: Vec<Json> = (0..200).map(|at| json!({"q": at, "p": "1", "s": null})).collect();
    document(json!({
        "n": i64::MAX, "m": null, "t": "ab", "u": null, "b": true, "rows": rows, "o": null, "x": "ab"
    }))
}

/// The program is stopped by this limit.
#[track_caller]
fn check_stopped(text: &str, limit: Limit) {
    let failure = run(text, &rows(), budget()).unwrap_err();
    assert!(
        matches!(*failure, Failure::Limit { limit: found, .. } if found == limit),
        "{failure:?}"
    );
}

/// A variable that becomes twice as large for each of twenty lines, and what is done with it. Not
/// as twenty statements: VRL's compiler would double its type.
fn doubled(first: &str, twice: &str, then: &str) -> String {
    let block = format!("if i < 20 {{ a = {twice} }}; null");
    format!("a = {first}; each(.rows) -> |i, _row| {{ {block} }}; {then}")
}

#[test]
fn blocks_that_run_for_every_item_end() {
    let inner = "{ each(.rows) -> |_i, y| { x = y; null }; null }";
    let nested = format!("each(.rows) -> |_j, x| {inner}");
    check_stopped(&nested, Limit::Bytes);
    assert!(run(&nested, &rows(), Budget::new(20_000, 10_000_000)).unwrap_err().is_limit());
    check_stopped("each(.rows) -> |_i, x| { unique(.rows); null }", Limit::Bytes);
    check_stopped("each(.rows) -> |_i, x| { .rows == .rows }", Limit::Steps);
    check_stopped("each(.rows) -> |_i, x| { includes(.rows, 5) }", Limit::Steps);
    check_stopped("each(.rows) -> |_i, x| { flatten(.rows) }", Limit::Bytes);
    check_stopped("each(.rows) -> |_i, x| { append(.rows, .rows) }", Limit::Bytes);
    check_stopped(
        "each(.rows) -> |_i, x| { [[x, x, x, x], [x, x, x, x], [x, x, x, x], [x, x, x, x]] }",
        Limit::Bytes,
    );
}

#[test]
fn texts_and_lists_that_double_end() {
    check_stopped(&doubled(".t", "a + a", "a"), Limit::Bytes);
    check_stopped(&doubled(".t", "\"{{ a }}{{ a }}\"", "a"), Limit::Bytes);
    check_stopped(&doubled(".rows", "append(a, a)", "null"), Limit::Bytes);
    for then in ["a == a", "compact!(a)", "flatten!(a)", "unique!(a)", "includes!(a, a)"] {
        check_stopped(&doubled(".x", "[a, a]", then), Limit::Steps);
    }
    check_stopped(&doubled(".x", "{\"b\": a, \"c\": a}", "flatten!(a)"), Limit::Steps);
}

#[test]
fn text_times_a_large_number_ends() {
    check_stopped(".t * .n", Limit::Bytes);
    check_stopped("9223372036854775807 * .t", Limit::Bytes);
    check_stopped("(.x * .n) ?? \"not\"", Limit::Bytes);
}

#[test]
fn values_that_are_nested_without_end_are_not_followed() {
    let deep = "a = .x; each(.rows) -> |_i, _row| { a = [a]; null };";
    check_stopped(&format!("{deep} a == a"), Limit::Depth);
    check_stopped(&format!("{deep} compact!(a)"), Limit::Depth);
    check_stopped(&format!("{deep} unique([a])"), Limit::Depth);
}

#[test]
fn nothing_goes_on_behind_a_limit() {
    check_stopped("(.x * .n) ?? 5", Limit::Bytes);
    check_stopped(".m || (.t * .n)", Limit::Bytes);
    check_stopped("a = (.x * .n) ?? \"b\"; [5, a]", Limit::Bytes);
}

#[test]
fn a_limit_says_where_it_was_met() {
    let text = "upcase(.t * 9223372036854775807)";
    let failure = run(text, &documents()[0], budget());
    assert_eq!(failure.unwrap_err().reason().1, Some(0));
}

#[test]
fn a_failure_with_a_large_value_does_not_describe_all_of_it() {
    let text = doubled(".x", "[a, a]", "string!(a)");
    let failure = run(&text, &rows(), Budget::default()).unwrap_err();
    let reason = failure.reason().0;
    assert!(reason.starts_with("expected string, got ") && reason.len() < 40, "{reason}");
}

#[test]
fn the_same_document_is_stopped_every_time() {
    let text = "each(.rows) -> |_i, row| { upcase(row.p) }";
    let costs = |steps| run(text, &documents()[0], Budget::new(steps, 100_000)).is_ok();
    let enough = (0..1_000).find(|steps| costs(*steps)).unwrap();
    assert!(enough > 6 && !costs(enough - 1) && costs(enough), "{enough}");
}
