//! Dates and times: counts from an epoch, to and from RFC 3339 text.
//!
//! Proleptic Gregorian calendar, years 0000 to 9999 (RFC 3339 has no others), no leap seconds
//! (neither has the count). All arithmetic is exact; a fraction finer than the unit is refused.

const DAY_SECONDS: i64 = 86_400;

/// Days since 1970-01-01 of the first and last date that RFC 3339 can write.
const FIRST_DAY: i64 = -719_528;
const LAST_DAY: i64 = 2_932_896;

/// The length of one tick, as ticks per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    fn per_second(self) -> i64 {
        10_i64.pow(self.digits() as u32)
    }

    fn digits(self) -> usize {
        match self {
            Self::Millis => 3,
            Self::Micros => 6,
            Self::Nanos => 9,
        }
    }
}

/// Appends `days` as `YYYY-MM-DD`; false, and nothing appended, outside the years 0000 to 9999.
pub(crate) fn write_date(days: i64, out: &mut Vec<u8>) -> bool {
    if !(FIRST_DAY..=LAST_DAY).contains(&days) {
        return false;
    }
    let (year, month, day) = civil_from_days(days);
    put_digits(year, 4, out);
    out.push(b'-');
    put_digits(month, 2, out);
    out.push(b'-');
    put_digits(day, 2, out);
    true
}

/// Appends ticks since midnight as `HH:MM:SS` and a fraction; false outside one day.
pub(crate) fn write_time(ticks: i64, unit: Unit, out: &mut Vec<u8>) -> bool {
    if !(0..DAY_SECONDS * unit.per_second()).contains(&ticks) {
        return false;
    }
    let seconds = ticks / unit.per_second();
    put_digits(seconds / 3_600, 2, out);
    out.push(b':');
    put_digits(seconds / 60 % 60, 2, out);
    out.push(b':');
    put_digits(seconds % 60, 2, out);
    let fraction = ticks % unit.per_second();
    if fraction != 0 {
        out.push(b'.');
        put_digits(fraction, unit.digits(), out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    true
}

/// Appends ticks since the epoch as RFC 3339, with `Z` when `utc`; false outside its years.
pub(crate) fn write_timestamp(ticks: i64, unit: Unit, utc: bool, out: &mut Vec<u8>) -> bool {
    let day_ticks = DAY_SECONDS * unit.per_second();
    if !write_date(ticks.div_euclid(day_ticks), out) {
        return false;
    }
    out.push(b'T');
    write_time(ticks.rem_euclid(day_ticks), unit, out);
    if utc {
        out.push(b'Z');
    }
    true
}

/// Microseconds since the epoch as RFC 3339 in UTC; nothing outside its years.
pub fn timestamp_text(micros: i64) -> Option<String> {
    let mut out = Vec::new();
    write_timestamp(micros, Unit::Micros, true, &mut out).then_some(())?;
    String::from_utf8(out).ok()
}

/// Days since the epoch of `YYYY-MM-DD`.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    let mut rest = text.as_bytes();
    let days = take_date(&mut rest)?;
    rest.is_empty().then_some(days)
}

/// Ticks since midnight of `HH:MM:SS` with an optional fraction.
pub(crate) fn parse_time(text: &str, unit: Unit) -> Option<i64> {
    let mut rest = text.as_bytes();
    let ticks = take_time(&mut rest, unit)?;
    rest.is_empty().then_some(ticks)
}

/// Ticks since the epoch of RFC 3339 text: with `utc` it must name its offset, without it must not.
pub(crate) fn parse_timestamp(text: &str, unit: Unit, utc: bool) -> Option<i64> {
    let mut rest = text.as_bytes();
    let days = take_date(&mut rest)?;
    match rest.split_first()? {
        (b'T' | b't' | b' ', tail) => rest = tail,
        _ => return None,
    }
    let ticks = take_time(&mut rest, unit)?;
    let offset = if utc { take_offset(&mut rest)? } else { 0 };
    if !rest.is_empty() {
        return None;
    }
    // Wide, because the first and last day that 64-bit nanoseconds reach are not whole.
    let midnight = i128::from(days * DAY_SECONDS - offset) * i128::from(unit.per_second());
    i64::try_from(midnight + i128::from(ticks)).ok()
}

/// Seconds east of UTC.
fn take_offset(rest: &mut &[u8]) -> Option<i64> {
    let (&sign, tail) = rest.split_first()?;
    *rest = tail;
    let sign = match sign {
        b'Z' | b'z' => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = take_digits(rest, 2, 0..=23)?;
    take_byte(rest, b':')?;
    let minutes = take_digits(rest, 2, 0..=59)?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

fn take_date(rest: &mut &[u8]) -> Option<i64> {
    let year = take_digits(rest, 4, 0..=9_999)?;
    take_byte(rest, b'-')?;
    let month = take_digits(rest, 2, 1..=12)?;
    take_byte(rest, b'-')?;
    let day = take_digits(rest, 2, 1..=31)?;
    let days = days_from_civil(year, month, day);
    // The 31st of a shorter month would silently be another date.
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

fn take_time(rest: &mut &[u8], unit: Unit) -> Option<i64> {
    let hours = take_digits(rest, 2, 0..=23)?;
    take_byte(rest, b':')?;
    let minutes = take_digits(rest, 2, 0..=59)?;
    take_byte(rest, b':')?;
    let seconds = take_digits(rest, 2, 0..=59)?;
    let mut fraction = 0;
    if take_byte(rest, b'.').is_some() {
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, tail) = rest.split_at(len);
        let (kept, finer) = digits.split_at(len.min(unit.digits()));
        if len == 0 || finer.iter().any(|&digit| digit != b'0') {
            return None;
        }
        fraction = kept.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        fraction *= 10_i64.pow((unit.digits() - kept.len()) as u32);
        *rest = tail;
    }
    Some((hours * 3_600 + minutes * 60 + seconds) * unit.per_second() + fraction)
}

fn take_byte(rest: &mut &[u8], byte: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[byte])?;
    Some(())
}

fn take_digits(rest: &mut &[u8], len: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let (digits, tail) = rest.split_at_checked(len)?;
    let value = digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })?;
    *rest = tail;
    range.contains(&value).then_some(value)
}

fn put_digits(value: i64, width: usize, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10_i64.pow(place as u32) % 10) as u8);
    }
}

/// Year, month and day of a day count; eras of 400 years that begin in March, so that the leap day
/// is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests;
