//! Programs written by hand, one construct after the other.

use super::{check, check_unsupported};

#[test]
fn literals_and_containers() {
    check(
        r#"[1, -2, "a\n", s'raw', true, null, t'2026-11-23T10:00:00Z', [], {}, {"b": 1, "a": {}}]"#,
    );
    check(r#"{ a = 1; b = "x"; {"a": a, "b": [b, (a)]} }"#);
    check(r#"v = "x"; w = .t; "a {{ v }} b {{ w }}""#);
    check("");
}

#[test]
fn variables_are_one_in_the_whole_program() {
    check("a = 1; if .b { a = 2 }; a");
    check("a = 1; b = { a = 3; a }; [a, b]");
    check("a = {\"b\": [1, {\"c\": 2}]}; [a.b[1].c, a.b[-2], a.b[7], a.none.c, a[0]]");
    check("a = {\"b\": 1}; a |= {\"c\": 2, \"b\": .x}; a");
    check("a = (b = 2); [a, b]");
}

#[test]
fn documents_and_settings() {
    check("[.n, .m, .t, .u, .b, .at, .rows[0].p, .rows[-1], .rows[9].q, .o.b, .o.a, .x, .]");
    check("[%settings.currency, %settings.list[1].b, %settings.list, %settings.yes, %system, %]");
    check("a = {\"a\": .rows}.a[0].q; c = [1, .x][1]; [a, c]");
}

#[test]
fn conditions() {
    check("if .b { 1 } else if .n > 5 { 2 } else { 3 }");
    check("if .b { 1 }");
    check("array!(.x)[2]");
    check("if (a = .n; a > 2) { a } else { 0 }");
    check("if is_null(.x) || .x == 5 { \"yes\" }");
    check("if !.b && .u != null { 1 }");
}

#[test]
fn operators() {
    check("[.n + 1, .n - 2, .n * 3, .t + .t, .t + \"ä\", 3 * .t, .t * 2]");
    check(
        "[.n == 9223372036854775806, .n != 3, .x == 5, .x == [1, null, \"a\", [\"b\"]], .at == .at]",
    );
    check("[.n < 4, .n <= 3, .n > 3, .n >= 4, .t < \"b\", .t >= \"\", .at > .at, .at <= .at]");
    for operator in ["+", "-", "*", "<", "<=", ">", ">="] {
        for (left, right) in [(".x", ".x"), (".x", "2"), (".t", ".x"), (".x", "null")] {
            check(&format!("({left} {operator} {right}) ?? \"failed\""));
            check(&format!("a = .x; [{left} {operator} {right} ?? a]"));
        }
    }
    check("[.m || 1, .u || .t, .x || \"none\", .b || .t]");
    check("[.b && .b, (.x && .b) ?? 0, (.b && .x) ?? 0]");
    check("(object(.x) ?? {}) | {\"a\": 1}");
    check("{\"a\": 0, \"b\": 1} | (object(.x) ?? {})");
}

#[test]
fn failures_and_what_follows_from_them() {
    check("string!(.x)");
    check("[int!(.x)]");
    check("upcase(string!(.x))");
    check("{\"z\": int!(.x), \"a\": string!(.x)}");
    check("string(.x) ?? int(.x) ?? .n");
    check("each(.rows) -> |i, row| { to_money!(row.p, \"EUR\") }");
    check("each(.rows) -> |i, row| { if row.q < 0 { abort \"row \" + to_string(i) }; row.q }");
    check("if .b { abort }; .n");
    check("abort .t");
    check(".m || { if .b { abort \"no\" } else { int!(.x) } }");
    check(".u || string!(.x)");
    check("{ if .b { abort \"no\" }; int(.x) } ?? 5");
    check("each([.x]) -> |_i, x| { upcase(string!(x)) }");
    check("starts_with!(string!(.x), .u)");
    check("merge!(.x, {\"q\": int!(.x)})");
    check("get!(.x, [.x])");
    check("get!([1, {\"a\": 2}], .x)");
}

#[test]
fn each_keeps_the_variables_around_it() {
    check("i = 7; a = each(.rows) -> |i, row| { i }; [i, a]");
    check(
        "last = 0; a = each(.rows) -> |i, row| { last = last + row.q; if i == 1 { last } }; [last, a]",
    );
    check("each(.rows) -> |_i, row| { each([row.p, row.s]) -> |_i, text| { text } }");
    check("each(.rows) -> |_, row| { row.s }");
    check("each(array!(.x)) -> |i, _| { i }");
}

#[test]
fn functions_of_the_canonical_model() {
    check("to_money!(.t, %settings.currency)");
    check("[to_money(string!(.x), \"EUR\") ?? 0, to_money(\"1.005\", \"EUR\", \"half_up\") ?? 0]");
    check("to_money!(rounding: \"half_even\", text: \"1.005\", currency: \"EUR\")");
    check("a = to_money!(\"1.50\", \"EUR\"); [multiply_money!(a, .n), negate_money!(a)]");
    check(
        "a = to_money!(\"1.50\", \"EUR\"); multiply_money!(a, to_quantity!(\"0.5\", \"KGM\", 1), \"wrong\")",
    );
    check("a = to_money!(\"1.50\", \"EUR\"); multiply_money!(a, 2, \"wrong\")");
    check(
        "a = to_money!(\"1.50\", \"EUR\"); sum_money!([a, a, {\"unscaled\": 1, \"scale\": 4, \"currency\": \"EUR\"}], \"EUR\")",
    );
    check("sum_money!(array!(.x), \"EUR\", \"a\")");
    check(
        "[filled(.u), filled(.t), filled(\" a \"), phone(.o.b || \"\") ?? null, country!(\" de\")]",
    );
    check("country!(.t)");
    check("gtin14!(.t)");
    check("currency!(.t)");
    check("to_quantity!(.n)");
}

#[test]
fn functions_of_vrl() {
    check(
        "[array(.x) ?? 0, bool(.x) ?? 0, int(.x) ?? 0, object(.x) ?? 0, string(.x) ?? 0, timestamp(.x) ?? 0]",
    );
    for name in [
        "array",
        "bool",
        "int",
        "object",
        "string",
        "timestamp",
        "length",
        "compact",
        "flatten",
        "unique",
        "upcase",
        "downcase",
        "strip_whitespace",
        "to_string",
    ] {
        check(&format!("{name}!(.x)"));
    }
    check("timestamp!(.x || .at)");
    check("[append(.rows, [1]), length(.rows), length(.t), length({\"a\": 1})]");
    check("append!(.x, .x)");
    check(
        "[compact([null, \"\", [], {}, [null], {\"a\": \"\"}, 0, .x]), compact({\"a\": .x, \"b\": .u})]",
    );
    check(
        "[flatten([1, [2, [3, [], .x]]]), flatten({\"a\": {\"b\": {\"c\": 1}}, \"a.b\": 2, \"d\": [[]], \"e\": {}})]",
    );
    check(
        "[contains(.t, \"b\"), starts_with(.t, \"Ä\"), ends_with(.t, \"C\"), includes([1, .x], 5)]",
    );
    for name in ["contains", "starts_with", "ends_with"] {
        check(&format!("{name}!(.x, .t)"));
        check(&format!("{name}!(.t, .x)"));
    }
    check("includes!(.x, null)");
    check("[format_timestamp!(.at, \"%+\"), format_timestamp!(format: \"%Y-%m\", value: .at)]");
    check("format_timestamp!(.at, .t)");
    check("format_timestamp!(.x, \"%Q\")");
    check("[format_timestamp(.at, \"%Q\") ?? \"bad\", is_null(.x), is_null(.u)]");
    check("[join!([.t, \"b\"]), join!([.t, \"b\"], \", \"), join(array!(.x), \"-\") ?? 0]");
    check("join!(.x, .x)");
    check("[merge({\"a\": 1, \"b\": 2}, {\"b\": null, \"c\": 3}), merge({}, {\"z\": 1})]");
    check("merge!(.x, {\"a\": 0, \"zz\": 1})");
    check("[get!({\"a\": [1, 2]}, [\"a\", -1]), get!([1], [3]), get!({\"a\": 1}, [\"a\", \"b\"])]");
    check("[to_string(.n), to_string(.b), to_string(.at), to_string(null), to_string(.t)]");
    check(
        "[strip_whitespace(\" ä \"), upcase(.t), downcase(.t), unique([1, 1, \"a\", .x, .x, null])]",
    );
    check(
        "a = string!(.x); [upcase(a), strip_whitespace(a), a + a, contains(a, \"a\"), length(a)]",
    );
}

#[test]
fn what_is_not_known_is_left_to_vrl_with_its_name_and_place() {
    check_unsupported("a = 1; split(.t, \"b\")", "function `split`", 7);
    check_unsupported("a, err = int(.x); a", "an assignment of a value and its error", 0);
    check_unsupported("a = {}; a.b = 1; a", "an assignment to a part of a variable", 8);
    check_unsupported("[1, match(.t, r'a')]", "function `match`", 4);
    check_unsupported("a = r'a'; 1", "pattern", 4);
    check_unsupported("return 1", "return", 0);
    check_unsupported("a = 1.5; 1", "float", 4);
    check_unsupported("compact([1], recursive: false)", "function `compact`", 0);
    check_unsupported("contains(.t, \"A\", case_sensitive: false)", "function `contains`", 0);
    check_unsupported("{\"a\": 1, \"a\": 2}", "a name that comes twice", 1);
}
