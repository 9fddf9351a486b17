//! Sizes and durations as an operator writes them: `8MiB`, `250ms`.
//!
//! The unit is part of the value, so that nobody has to know whether a setting counts bytes or
//! kibibytes; a bare number is refused and stays reserved for counts. Whole numbers only: one value
//! has one spelling per unit, and nothing is rounded.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes, written with its unit: `512B`, `64KiB`, `8MiB`, `1GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// A length of time, written with its unit: `250ms`, `30s`, `5m`, `1h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

/// Why a text is not a size or a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text has no digits in front, or something other than whole digits.
    #[error("`{text}` is not a whole number with a unit")]
    Number {
        /// What was written.
        text: String,
    },
    /// Digits without a unit.
    #[error("`{text}` has no unit")]
    Missing {
        /// What was written.
        text: String,
    },
    /// A unit that is not in the list.
    #[error("`{unit}` is not a unit")]
    Unknown {
        /// The letters after the digits.
        unit: String,
    },
    /// More digits than any sensible value has.
    #[error("`{text}` is too large")]
    TooLarge {
        /// What was written.
        text: String,
    },
}

/// Enough for 10^15 bytes in any spelling, and the largest unit times this still fits 64 bits.
const MAX_DIGITS: usize = 6;
/// Durations below a few milliseconds are not settings, so milliseconds may take more digits.
const MAX_SPAN_DIGITS: usize = 9;

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];
const SPANS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl ByteSize {
    /// The pattern of a written size, for JSON Schema; a text that matches it can be parsed.
    pub const PATTERN: &'static str = "^([0-9]{1,15}B|[0-9]{1,6}(kB|KiB|MB|MiB|GB|GiB|TB|TiB))$";
    /// The units, for messages.
    pub const UNITS: &'static str = "B, KiB, MiB, GiB, TiB, kB, MB, GB or TB";

    /// A size of so many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of so many KiB; for constants, so it saturates.
    pub const fn kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1 << 10))
    }

    /// A size of so many MiB; for constants, so it saturates.
    pub const fn mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// The number of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number of bytes, or the largest `usize` where that is smaller.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Span {
    /// The pattern of a written duration, for JSON Schema; a text that matches it can be parsed.
    pub const PATTERN: &'static str = "^[0-9]{1,9}(ms|s|m|h|d)$";
    /// The units, for messages.
    pub const UNITS: &'static str = "ms, s, m, h or d";

    /// A duration of so many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// A duration of so many seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The duration for the standard library.
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (digits, unit, factor) = split(text, &SIZES)?;
        // Bytes spelled out may be as long as the largest size in its largest unit.
        let limit = if unit == "B" { 15 } else { MAX_DIGITS };
        number(text, digits, limit).map(|n| Self(n.saturating_mul(factor)))
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (digits, _, factor) = split(text, &SPANS)?;
        let millis = number(text, digits, MAX_SPAN_DIGITS)?.saturating_mul(factor);
        Ok(Self::millis(millis))
    }
}

/// The digits, the unit and its factor.
fn split<'a>(
    text: &'a str,
    units: &[(&'static str, u64)],
) -> Result<(&'a str, &'static str, u64), UnitError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() || unit.starts_with(['.', ',', '_']) {
        return Err(UnitError::Number { text: text.to_owned() });
    }
    if unit.is_empty() {
        return Err(UnitError::Missing { text: text.to_owned() });
    }
    match units.iter().find(|(name, _)| *name == unit) {
        Some(&(name, factor)) => Ok((digits, name, factor)),
        None => Err(UnitError::Unknown { unit: unit.to_owned() }),
    }
}

fn number(text: &str, digits: &str, limit: usize) -> Result<u64, UnitError> {
    let too_large = || UnitError::TooLarge { text: text.to_owned() };
    if digits.len() > limit {
        return Err(too_large());
    }
    digits.parse().map_err(|_| too_large())
}

fn largest_exact(value: u64, units: &[(&'static str, u64)]) -> (u64, &'static str) {
    units
        .iter()
        .rev()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor))
        .map_or((value, units[0].0), |&(unit, factor)| (value / factor, unit))
}

impl fmt::Display for ByteSize {
    /// The shortest exact spelling in a binary unit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BINARY: [(&str, u64); 5] =
            [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
        let (number, unit) = largest_exact(self.0, &BINARY);
        write!(f, "{number}{unit}")
    }
}

impl fmt::Display for Span {
    /// The shortest exact spelling.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (number, unit) = largest_exact(millis, &SPANS);
        write!(f, "{number}{unit}")
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": Self::PATTERN})
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": Self::PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_binary_and_decimal_units() {
        for (text, bytes) in
            [("0B", 0), ("512B", 512), ("64KiB", 65_536), ("8MiB", 8 << 20), ("1GB", 1_000_000_000)]
        {
            assert_eq!(text.parse(), Ok(ByteSize::bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, millis) in [("250ms", 250), ("5m", 300_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(Span::millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_value_that_is_not_a_whole_number_with_a_known_unit_is_refused() {
        let kinds = |text: &str| text.parse::<ByteSize>().unwrap_err();
        assert!(matches!(kinds("8"), UnitError::Missing { .. }));
        assert!(matches!(kinds("8M"), UnitError::Unknown { .. }));
        assert!(matches!(kinds("8 MiB"), UnitError::Unknown { .. }));
        assert!(matches!(kinds("8mib"), UnitError::Unknown { .. }));
        assert!(matches!(kinds("1.5GiB"), UnitError::Number { .. }));
        assert!(matches!(kinds("-1B"), UnitError::Number { .. }));
        assert!(matches!(kinds(""), UnitError::Number { .. }));
        assert!(matches!(kinds("9999999TiB"), UnitError::TooLarge { .. }));
        assert!(matches!("1y".parse::<Span>(), Err(UnitError::Unknown { .. })));
        assert!(matches!("9999999999d".parse::<Span>(), Err(UnitError::TooLarge { .. })));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for bytes in [0, 1, 1_000, 1_024, 8 << 20, (8 << 20) + 1, 3 << 40] {
            let size = ByteSize::bytes(bytes);
            assert_eq!(size.to_string().parse(), Ok(size), "{size}");
        }
        for millis in [0, 1, 1_500, 60_000, 86_400_000] {
            let span = Span::millis(millis);
            assert_eq!(span.to_string().parse(), Ok(span), "{span}");
        }
    }
}
