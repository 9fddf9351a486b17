//! Exact sums of money, wide enough for every sum of 64-bit amounts.

use std::fmt;

use super::{integer, text};
use crate::value::vocabulary::known;
use crate::value::{Object, Symbol, Value};

/// An amount without its currency.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Amount {
    unscaled: i128,
    scale: u32,
}

/// Scales beyond this are not numbers that anybody means.
const MAX_SCALE: i64 = 18;

impl Amount {
    /// The amount in a money object, with its currency.
    #[inline]
    pub(super) fn read(value: Option<Value<'_>>) -> Option<(Self, &str)> {
        let money = value?.as_object()?;
        let scale =
            integer(money, &known::SCALE).filter(|scale| (0..=MAX_SCALE).contains(scale))?;
        let unscaled = i128::from(integer(money, &known::UNSCALED)?);
        let currency = text(money, &known::CURRENCY)?;
        Some((Self { unscaled, scale: u32::try_from(scale).ok()? }, currency))
    }

    /// The amount in a field of a record; zero when the field is missing.
    #[inline]
    pub(super) fn of(record: Object<'_>, field: &Symbol) -> Self {
        Self::read(record.get(field)).map(|(amount, _)| amount).unwrap_or_default()
    }

    pub(super) fn is_negative(self) -> bool {
        self.unscaled < 0
    }

    pub(super) fn is_positive(self) -> bool {
        self.unscaled > 0
    }

    /// 64 bits and 18 digits of scale leave room for 2^3 sums only in the worst case, so it saturates:
    /// a saturated sum equals no real total.
    pub(super) fn plus(self, other: Self) -> Self {
        if self.scale == other.scale {
            return Self { unscaled: self.unscaled.saturating_add(other.unscaled), ..self };
        }
        let scale = self.scale.max(other.scale);
        let at = |amount: Self| amount.unscaled.saturating_mul(10_i128.pow(scale - amount.scale));
        Self { unscaled: at(self).saturating_add(at(other)), scale }
    }
}

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        let scale = self.scale.max(other.scale);
        let at = |amount: &Self| amount.unscaled.saturating_mul(10_i128.pow(scale - amount.scale));
        at(self) == at(other)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = self.scale as usize;
        let digits = format!("{:0>width$}", self.unscaled.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.is_negative() { "-" } else { "" };
        let point = if scale == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}
