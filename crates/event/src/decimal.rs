//! Exact decimals: text in, integer and scale out, never a float.

use std::fmt;

/// What to do with digits that do not fit the wanted scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Refuse them.
    Exact,
    /// To the nearest, a tie away from zero (commerce's usual rule).
    HalfUp,
    /// To the nearest, a tie to the even digit (bankers' rule).
    HalfEven,
    /// Toward zero.
    Down,
}

impl Rounding {
    /// The rule for its name: `exact`, `half_up`, `half_even`, `down`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "exact" => Some(Self::Exact),
            "half_up" => Some(Self::HalfUp),
            "half_even" => Some(Self::HalfEven),
            "down" => Some(Self::Down),
            _ => None,
        }
    }
}

/// Why a number was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// Not digits with an optional sign, point and exponent.
    #[error("TL0002: {text:?} is not a decimal number")]
    NotANumber {
        /// The text, cut to 40 characters.
        text: String,
    },
    /// More digits than 64 bits hold at the wanted scale.
    #[error("TL0003: {text} does not fit 64 bits at scale {scale}")]
    TooLarge {
        /// The text, cut to 40 characters.
        text: String,
        /// The wanted scale.
        scale: u32,
    },
    /// Digits would be lost and the rule is `exact`.
    #[error("TL0004: {text} has more than {scale} digits after the point; name a rounding rule")]
    Inexact {
        /// The text, cut to 40 characters.
        text: String,
        /// The wanted scale.
        scale: u32,
    },
}

/// The largest scale in use: 10^18 is the last power of ten in 64 bits.
const MAX_SCALE: u32 = 18;

/// `unscaled * 10^-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// All digits as one integer.
    pub unscaled: i64,
    /// How many of them stand after the point, at most 18.
    pub scale: u32,
}

impl Decimal {
    /// Reads text such as `12`, `-0.50`, `1e-3`; the scale is what the text shows, zeros included.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let (unscaled, scale) = parse(text).ok_or_else(|| not_a_number(text))?;
        let scale = u32::try_from(scale).map_err(|_| too_large(text, MAX_SCALE))?;
        let unscaled = i64::try_from(unscaled).map_err(|_| too_large(text, scale))?;
        Ok(Self { unscaled, scale })
    }

    /// Reads text at a given scale, at most 18; digits that do not fit follow the rule.
    pub fn parse_at(text: &str, scale: u32, rounding: Rounding) -> Result<Self, DecimalError> {
        let (unscaled, from) = parse(text).ok_or_else(|| not_a_number(text))?;
        if scale > MAX_SCALE {
            return Err(too_large(text, scale));
        }
        let shift = i64::from(scale) - from;
        let value = match u32::try_from(shift) {
            Ok(up) => 10_i128.checked_pow(up).and_then(|power| unscaled.checked_mul(power)),
            Err(_) => Some(
                round(unscaled, shift.unsigned_abs(), rounding)
                    .ok_or_else(|| DecimalError::Inexact { text: cut(text), scale })?,
            ),
        };
        // Zero fits at every scale, whatever its exponent said.
        let value = if unscaled == 0 { Some(0) } else { value };
        let unscaled = value.and_then(|v| i64::try_from(v).ok());
        unscaled.map(|unscaled| Self { unscaled, scale }).ok_or_else(|| too_large(text, scale))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let scale = self.scale as usize;
        let digits = format!("{:0>width$}", self.unscaled.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let point = if scale == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// The integer of all digits and the scale; the scale is not negative.
fn parse(text: &str) -> Option<(i128, i64)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let mut value = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
    let value = if negative { -value } else { value };
    match u32::try_from(-scale) {
        Ok(up) if up > 0 && value != 0 => Some((value.checked_mul(10_i128.checked_pow(up)?)?, 0)),
        _ => Some((value, scale.max(0))),
    }
}

/// Removes `digits` digits from the end; nothing when the rule is `exact` and one was not zero.
fn round(value: i128, digits: u64, rounding: Rounding) -> Option<i128> {
    let Some(power) = u32::try_from(digits).ok().and_then(|d| 10_i128.checked_pow(d)) else {
        // Fewer digits than are cut: the value is below any half.
        return (rounding != Rounding::Exact || value == 0).then_some(0);
    };
    let (kept, rest) = (value / power, value % power);
    let away = kept + value.signum();
    // A power of ten above 1 is even, so `power - |rest|` compares the rest with the half exactly.
    let order = rest.unsigned_abs().cmp(&(power.unsigned_abs() - rest.unsigned_abs()));
    match rounding {
        _ if rest == 0 => Some(kept),
        Rounding::Exact => None,
        Rounding::Down => Some(kept),
        Rounding::HalfUp => Some(if order.is_lt() { kept } else { away }),
        Rounding::HalfEven => {
            let up = order.is_gt() || (order.is_eq() && kept % 2 != 0);
            Some(if up { away } else { kept })
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

fn not_a_number(text: &str) -> DecimalError {
    DecimalError::NotANumber { text: cut(text) }
}

fn too_large(text: &str, scale: u32) -> DecimalError {
    DecimalError::TooLarge { text: cut(text), scale }
}

#[cfg(test)]
mod tests;
