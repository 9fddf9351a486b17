use proptest::prelude::*;

use super::*;

fn at(text: &str, scale: u32, rounding: Rounding) -> Result<i64, DecimalError> {
    Decimal::parse_at(text, scale, rounding).map(|d| d.unscaled)
}

#[test]
fn text_keeps_the_scale_it_shows() {
    for (text, unscaled, scale) in [
        ("12", 12, 0),
        ("-0.50", -50, 2),
        ("+7.", 7, 0),
        (".5", 5, 1),
        ("1e-3", 1, 3),
        ("1.5e3", 1500, 0),
        ("0e99", 0, 0),
        ("-9223372036854775808", i64::MIN, 0),
    ] {
        assert_eq!(Decimal::parse(text), Ok(Decimal { unscaled, scale }), "{text}");
    }
}

#[test]
fn what_is_not_a_decimal_number_is_refused() {
    for text in ["", "-", ".", "1,5", "1.2.3", "0x1", "NaN", "1e", "1e1.5", " 1", "１"] {
        assert!(matches!(Decimal::parse(text), Err(DecimalError::NotANumber { .. })), "{text:?}");
    }
}

#[test]
fn numbers_beyond_64_bits_are_refused_not_wrapped() {
    for text in ["9223372036854775808", "1e30", "99999999999999999999.99"] {
        assert!(matches!(at(text, 2, Rounding::HalfUp), Err(DecimalError::TooLarge { .. })));
    }
    assert!(Decimal::parse(&"9".repeat(200)).is_err());
}

#[test]
fn rounding_follows_the_named_rule() {
    use Rounding::{Down, Exact, HalfEven, HalfUp};
    for (text, rule, expected) in [
        ("1.005", HalfUp, 101),
        ("-1.005", HalfUp, -101),
        ("1.005", HalfEven, 100),
        ("1.015", HalfEven, 102),
        ("-1.015", HalfEven, -102),
        ("1.0151", HalfEven, 102),
        ("1.019", Down, 101),
        ("-1.019", Down, -101),
        ("1.5", Exact, 150),
        ("1.500", Exact, 150),
        ("1e-40", HalfUp, 0),
    ] {
        assert_eq!(at(text, 2, rule), Ok(expected), "{text} {rule:?}");
    }
    assert!(matches!(at("1.005", 2, Exact), Err(DecimalError::Inexact { scale: 2, .. })));
    assert!(matches!(at("1e-40", 2, Exact), Err(DecimalError::Inexact { .. })));
    assert_eq!(at("0.000", 2, Exact), Ok(0));
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(unscaled: i64, scale in 0_u32..=18) {
        let decimal = Decimal { unscaled, scale };
        prop_assert_eq!(Decimal::parse(&decimal.to_string()), Ok(decimal));
    }

    #[test]
    fn any_text_gives_a_number_or_an_error(text in ".{0,60}") {
        let _: Result<Decimal, DecimalError> = Decimal::parse(&text);
        let _: Result<Decimal, DecimalError> = Decimal::parse_at(&text, 2, Rounding::HalfEven);
    }
}
