use throughline_avro::{Cursor, Schema, write_json};

use super::*;

/// The value as readable JSON, or the code of the error.
fn check(kind: &str, text: &str) -> String {
    let kind = Kind::parse(kind).unwrap();
    let schema = Schema::parse(&kind.avro().to_string()).unwrap();
    let mut datum = Vec::new();
    if let Err(error) = kind.put(text, &mut datum) {
        return error.code.to_owned();
    }
    let mut cursor = Cursor::new(&datum);
    let mut out = Vec::new();
    write_json(schema.root(), &mut cursor, &mut out).unwrap();
    cursor.finish().unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn text_becomes_a_value_of_the_type() {
    for (kind, text, expected) in [
        ("string", " ä\"", r#"" ä\"""#),
        ("long", "-9223372036854775808", "-9223372036854775808"),
        ("long", " 12 ", "12"),
        ("double", "1e3", "1000.0"),
        ("boolean", "TRUE", "true"),
        ("boolean", "0", "false"),
        ("decimal", "99999999999999999999.10", r#""99999999999999999999.10""#),
        ("decimal(9,2)", "-12.3", r#""-12.30""#),
        ("decimal(9,2)", "1.280", r#""1.28""#),
        (
            "decimal(38,0)",
            "99999999999999999999999999999999999999",
            r#""99999999999999999999999999999999999999""#,
        ),
        ("decimal(3,2)", ".5", r#""0.50""#),
        ("date", "2024-02-29", r#""2024-02-29""#),
        ("date(%d.%m.%Y)", "31.12.1969", r#""1969-12-31""#),
        ("timestamp", "2026-11-23T10:00:00.5+01:00", r#""2026-11-23T09:00:00.5Z""#),
        ("timestamp(%d-%m-%Y %H:%M, UTC)", "01-12-2010 10:03", r#""2010-12-01T10:03:00Z""#),
        (
            "timestamp(%d-%m-%Y %H:%M, Europe/London)",
            "01-07-2011 10:03",
            r#""2011-07-01T09:03:00Z""#,
        ),
        // This hour happens twice, the first is summer time.
        (
            "timestamp(%Y-%m-%d %H:%M, Europe/London)",
            "2011-10-30 01:30",
            r#""2011-10-30T00:30:00Z""#,
        ),
        ("timestamp(%Y-%m-%d %H:%M, -05:30)", "2011-10-30 01:30", r#""2011-10-30T07:00:00Z""#),
        ("timestamp(%Y-%m-%d %H:%M%z)", "2011-10-30 01:30+0200", r#""2011-10-29T23:30:00Z""#),
    ] {
        assert_eq!(check(kind, text), expected, "{kind} {text:?}");
    }
}

#[test]
fn other_text_is_refused_with_its_code() {
    for (kind, text, expected) in [
        ("long", "9223372036854775808", RANGE),
        ("long", "1.0", TYPE),
        ("long", "١", TYPE),
        ("double", "nan", TYPE),
        ("double", "1e999", RANGE),
        ("boolean", "yes", TYPE),
        ("decimal", "1,5", TYPE),
        ("decimal", ".", TYPE),
        ("decimal", "1e", TYPE),
        ("decimal(3,1)", "1.25", RANGE),
        ("decimal(3,1)", "100", RANGE),
        ("decimal(3,1)", "1e2", TYPE),
        ("decimal(3,1)", "-", TYPE),
        ("date", "2023-02-29", TYPE),
        ("date", "2023-02-28x", TYPE),
        ("timestamp", "2026-11-23T10:00:00", TYPE),
        ("timestamp(%Y-%m-%d %H:%M, Europe/London)", "2011-03-27 01:30", TYPE),
    ] {
        assert_eq!(check(kind, text), expected, "{kind} {text:?}");
    }
}

#[test]
fn a_decimal_comma_is_named_where_a_number_is_expected() {
    for kind in ["decimal", "decimal(9,2)", "double", "long"] {
        let reason =
            |text| Kind::parse(kind).unwrap().put(text, &mut Vec::new()).unwrap_err().reason;
        assert!(reason("12,50").contains("a decimal comma?"), "{kind}");
        assert!(!reason("n/a").contains("comma"), "{kind}");
    }
}

#[test]
fn a_type_that_does_not_exist_is_refused() {
    for bad in [
        "",
        "int",
        "decimal(1",
        "decimal(a,b)",
        "decimal(39,2)",
        "decimal(2,3)",
        "string(3)",
        "timestamp(%Y-%m-%d)",
        "timestamp(%Y, Mars/Base)",
        "date(%Q)",
    ] {
        assert!(Kind::parse(bad).is_err(), "{bad:?}");
    }
}
