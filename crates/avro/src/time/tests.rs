use super::*;

fn timestamp(ticks: i64, unit: Unit) -> Option<String> {
    let mut out = Vec::new();
    write_timestamp(ticks, unit, true, &mut out).then(|| String::from_utf8(out).unwrap())
}

#[test]
fn timestamps_have_as_many_fraction_digits_as_they_need() {
    for (micros, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_500_000, "1970-01-01T00:00:01.5Z"),
        (1_000, "1970-01-01T00:00:00.001Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00Z"),
        (1_795_458_727_123_450, "2026-11-23T18:32:07.12345Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        (-62_167_219_200_000_000, "0000-01-01T00:00:00Z"),
    ] {
        assert_eq!(timestamp(micros, Unit::Micros).as_deref(), Some(expected));
        assert_eq!(parse_timestamp(expected, Unit::Micros, true), Some(micros));
    }
}

#[test]
fn timestamps_outside_the_years_of_rfc_3339_have_no_text() {
    for micros in [253_402_300_800_000_000, -62_167_219_200_000_001, i64::MAX, i64::MIN] {
        assert_eq!(timestamp(micros, Unit::Micros), None);
    }
    let first = "1677-09-21T00:12:43.145224192Z";
    assert_eq!(timestamp(i64::MIN, Unit::Nanos).as_deref(), Some(first));
    assert_eq!(parse_timestamp(first, Unit::Nanos, true), Some(i64::MIN));
}

#[test]
fn every_day_of_the_calendar_survives_text() {
    let mut previous = (-1, 12, 31);
    for days in FIRST_DAY..=LAST_DAY {
        let date = civil_from_days(days);
        assert!(date > previous, "{date:?} after {previous:?}");
        assert_eq!(days_from_civil(date.0, date.1, date.2), days);
        previous = date;
    }
    assert_eq!(previous, (9_999, 12, 31));
}

#[test]
fn offsets_and_separators_of_rfc_3339_are_understood() {
    let expected = parse_timestamp("2026-11-23T18:00:00Z", Unit::Micros, true);
    for text in [
        "2026-11-23t18:00:00z",
        "2026-11-23 18:00:00.000Z",
        "2026-11-23T19:30:00+01:30",
        "2026-11-23T17:00:00.0000000000-01:00",
        "2026-11-24T17:59:00+23:59",
    ] {
        assert_eq!(parse_timestamp(text, Unit::Micros, true), expected, "{text}");
    }
    assert_eq!(parse_timestamp("2026-11-23T18:00:00", Unit::Micros, false), expected);
}

#[test]
fn text_that_is_not_exactly_a_time_is_refused() {
    for text in [
        "",
        "2026-11-23",
        "2026-11-23T18:00:00",
        "2026-11-23T18:00Z",
        "2026-11-23T18:00:00.Z",
        "2026-11-23T18:00:00.1234567Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T18:00:60Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-23T18:00:00+24:00",
        "2026-11-23T18:00:00+0100",
        "2026-11-23T18:00:00Z ",
        "+026-11-23T18:00:00Z",
        "2026-11-23T18:00:00é",
    ] {
        assert_eq!(parse_timestamp(text, Unit::Micros, true), None, "{text}");
    }
    assert_eq!(parse_timestamp("2026-11-23T18:00:00Z", Unit::Micros, false), None);
    assert_eq!(parse_timestamp("9999-01-01T00:00:00Z", Unit::Nanos, true), None);
    assert_eq!(parse_date("2026-1-01"), None);
    assert_eq!(parse_time("1:00:00", Unit::Millis), None);
}

#[test]
fn times_of_day_stay_within_one_day() {
    let mut out = Vec::new();
    assert!(write_time(86_399_999, Unit::Millis, &mut out));
    assert_eq!(out, b"23:59:59.999");
    assert_eq!(parse_time("23:59:59.999", Unit::Millis), Some(86_399_999));
    assert!(!write_time(86_400_000, Unit::Millis, &mut out));
    assert!(!write_time(-1, Unit::Millis, &mut out));
}

#[test]
fn a_time_is_told_in_utc_and_only_within_the_years_that_have_a_form() {
    assert_eq!(timestamp_text(0).as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(timestamp_text(1_500_000).as_deref(), Some("1970-01-01T00:00:01.5Z"));
    assert_eq!(timestamp_text(i64::MAX), None);
}
