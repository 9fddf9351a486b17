//! Types of columns: from what is written in the options to what is written into a datum.

use std::str::FromStr;

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{FixedOffset, MappedLocalTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use throughline_avro::{put_boolean, put_bytes, put_double, put_int, put_long, put_str};

use crate::error::{RANGE, RowError, TYPE};

/// Digits that fit 128 bits.
const MAX_PRECISION: u32 = 38;

/// The type of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Text,
    Long,
    Double,
    Boolean,
    /// A number as text, exactly as written.
    DecimalText,
    Decimal {
        precision: u32,
        scale: u32,
    },
    Date(Vec<Item<'static>>),
    /// The format, and the zone of times that do not name their offset.
    Timestamp(Vec<Item<'static>>, Option<Zone>),
    /// A part of a JSON object as JSON text.
    Json,
}

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Zone {
    Fixed(FixedOffset),
    Named(Tz),
}

impl Kind {
    /// Reads `decimal(10,2)` and the like; the error is the reason.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => {
                let inner = rest.strip_suffix(')').ok_or("the closing bracket is missing")?;
                (name.trim(), Some(inner.trim()))
            }
            None => (text.trim(), None),
        };
        match (name, arguments) {
            ("string", None) => Ok(Self::Text),
            ("long", None) => Ok(Self::Long),
            ("double", None) => Ok(Self::Double),
            ("boolean", None) => Ok(Self::Boolean),
            ("json", None) => Ok(Self::Json),
            ("decimal", None) => Ok(Self::DecimalText),
            ("decimal", Some(arguments)) => decimal(arguments),
            ("date", format) => Ok(Self::Date(items(format.unwrap_or("%Y-%m-%d"))?)),
            ("timestamp", None) => Ok(Self::Timestamp(items("%+")?, None)),
            ("timestamp", Some(arguments)) => timestamp(arguments),
            _ => Err(format!(
                "{text:?} is not a type; use string, long, double, boolean, decimal, \
                 decimal(p,s), date(format), timestamp(format, zone) or json"
            )),
        }
    }

    /// Whether an empty text is a value of it.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::DecimalText)
    }

    /// The Avro type.
    pub(crate) fn avro(&self) -> Value {
        match self {
            Self::Text | Self::DecimalText | Self::Json => json!("string"),
            Self::Long => json!("long"),
            Self::Double => json!("double"),
            Self::Boolean => json!("boolean"),
            Self::Decimal { precision, scale } => json!({
                "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale
            }),
            Self::Date(_) => json!({"type": "int", "logicalType": "date"}),
            Self::Timestamp(..) => json!({"type": "long", "logicalType": "timestamp-micros"}),
        }
    }

    /// Appends text as a value of this type.
    pub(crate) fn put(&self, text: &str, out: &mut Vec<u8>) -> Result<(), RowError> {
        if matches!(self, Self::Text | Self::Json) {
            put_str(out, text);
            return Ok(());
        }
        let text = text.trim_matches(' ');
        match self {
            Self::Long => put_long(out, long(text)?),
            Self::Double => put_double(out, double(text)?),
            Self::Boolean => put_boolean(out, boolean(text)?),
            Self::DecimalText => {
                if !is_decimal(text) {
                    return Err(no_number(text, "not a decimal number"));
                }
                put_str(out, text);
            }
            Self::Decimal { precision, scale } => {
                let unscaled = unscaled(text, *precision, *scale)?.to_be_bytes();
                // The shortest two's complement: leading copies of the sign say nothing.
                let copies = unscaled
                    .windows(2)
                    .take_while(|w| matches!((w[0], w[1] & 0x80), (0, 0) | (0xff, 0x80)));
                put_bytes(out, &unscaled[copies.count()..]);
            }
            Self::Date(format) => {
                let date = parsed(text, format).and_then(|p| p.to_naive_date().ok());
                let date = date.ok_or_else(|| RowError::new(TYPE, "not a date in the format"))?;
                let epoch = chrono::NaiveDate::default();
                let days = i32::try_from(date.signed_duration_since(epoch).num_days());
                put_int(out, days.map_err(|_| RowError::new(RANGE, "a date out of range"))?);
            }
            Self::Timestamp(format, zone) => put_long(out, micros(text, format, *zone)?),
            Self::Text | Self::Json => {}
        }
        Ok(())
    }
}

fn decimal(arguments: &str) -> Result<Kind, String> {
    let wrong = || format!("decimal({arguments}): write decimal(precision,scale)");
    let (precision, scale) = arguments.split_once(',').ok_or_else(wrong)?;
    let precision = precision.trim().parse().map_err(|_| wrong())?;
    let scale = scale.trim().parse().map_err(|_| wrong())?;
    if precision == 0 || precision > MAX_PRECISION || scale > precision {
        return Err(format!("a decimal has 1 to {MAX_PRECISION} digits and no larger scale"));
    }
    Ok(Kind::Decimal { precision, scale })
}

fn timestamp(arguments: &str) -> Result<Kind, String> {
    let (format, zone) = match arguments.rsplit_once(',') {
        Some((format, zone)) => (format.trim(), Some(zone.trim())),
        None => (arguments, None),
    };
    let format = items(format)?;
    let zone = match zone {
        Some(name) => Some(Zone::from_str(name)?),
        None if arguments.contains("%z") || arguments.contains("%:z") => None,
        None => return Err("a timestamp without %z needs a zone: timestamp(format, UTC)".into()),
    };
    Ok(Kind::Timestamp(format, zone))
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Ok(offset) = FixedOffset::from_str(name) {
            return Ok(Self::Fixed(offset));
        }
        let zone = Tz::from_str(name).map_err(|_| {
            format!("{name:?} is not a time zone; use UTC, +01:00 or a name like Europe/London")
        })?;
        Ok(Self::Named(zone))
    }
}

fn items(format: &str) -> Result<Vec<Item<'static>>, String> {
    StrftimeItems::new(format)
        .parse_to_owned()
        .map_err(|_| format!("{format:?} is not a strftime format"))
}

fn parsed(text: &str, format: &[Item<'static>]) -> Option<Parsed> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, format.iter()).ok()?;
    Some(parsed)
}

fn micros(text: &str, format: &[Item<'static>], zone: Option<Zone>) -> Result<i64, RowError> {
    let wrong = || RowError::new(TYPE, "not a time in the format");
    let parsed = parsed(text, format).ok_or_else(wrong)?;
    if parsed.offset().is_some() {
        return Ok(parsed.to_datetime().map_err(|_| wrong())?.timestamp_micros());
    }
    let local = parsed.to_naive_datetime_with_offset(0).map_err(|_| wrong())?;
    match zone.ok_or_else(wrong)? {
        Zone::Fixed(zone) => in_zone(zone, &local),
        Zone::Named(zone) => in_zone(zone, &local),
    }
    .ok_or_else(|| RowError::new(TYPE, "a local time that the zone skips"))
}

/// When clocks go back an hour happens twice: the first is taken.
fn in_zone<Z: TimeZone>(zone: Z, local: &NaiveDateTime) -> Option<i64> {
    match zone.from_local_datetime(local) {
        MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => {
            Some(time.with_timezone(&Utc).timestamp_micros())
        }
        MappedLocalTime::None => None,
    }
}

/// What stands there is not repeated, but its commonest cause is.
fn no_number(text: &str, reason: &str) -> RowError {
    let comma = "; a decimal comma? declare the column as string and read it in the mapping";
    let hint = if text.contains(',') { comma } else { "" };
    RowError::new(TYPE, format!("{reason}{hint}"))
}

fn long(text: &str) -> Result<i64, RowError> {
    text.parse().map_err(|_| {
        let digits = unsigned(text);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            RowError::new(RANGE, "a whole number that does not fit 64 bits")
        } else {
            no_number(text, "not a whole number")
        }
    })
}

fn double(text: &str) -> Result<f64, RowError> {
    // `parse` also takes `inf` and `nan`, which no export means.
    if !is_decimal(text) {
        return Err(no_number(text, "not a number"));
    }
    let number: f64 = text.parse().map_err(|_| RowError::new(TYPE, "not a number"))?;
    if number.is_finite() { Ok(number) } else { Err(RowError::new(RANGE, "a number too large")) }
}

fn boolean(text: &str) -> Result<bool, RowError> {
    match text {
        "1" => Ok(true),
        "0" => Ok(false),
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(RowError::new(TYPE, "not true, false, 1 or 0")),
    }
}

/// Digits with an optional sign, point and exponent.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (mantissa, exponent) = (unsigned(mantissa), unsigned(exponent));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some = !whole.is_empty() || !fraction.is_empty();
    some && digits(whole) && digits(fraction) && !exponent.is_empty() && digits(exponent)
}

fn unsigned(number: &str) -> &str {
    number.strip_prefix(['-', '+']).unwrap_or(number)
}

/// All digits at the scale as one integer; never rounded.
fn unscaled(text: &str, precision: u32, scale: u32) -> Result<i128, RowError> {
    let wrong = || no_number(text, "not a decimal number without exponent");
    let negative = text.starts_with('-');
    let digits = unsigned(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let some = !whole.is_empty() || !fraction.is_empty();
    if !some || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = (scale as usize)
        .checked_sub(fraction.len())
        .ok_or_else(|| RowError::new(RANGE, format!("more than {scale} digits after the point")))?;
    let limit = 10_i128.pow(precision);
    let zeros = std::iter::repeat_n(b'0', missing);
    let mut value = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
        value = value * 10 + i128::from(digit - b'0');
        if value >= limit {
            return Err(RowError::new(RANGE, format!("more than {precision} digits")));
        }
    }
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests;
