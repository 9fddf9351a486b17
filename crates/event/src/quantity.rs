//! Quantity: an integer number of steps of a unit.

use serde::{Deserialize, Serialize};

use crate::{Decimal, DecimalError, Rounding};

/// The unit of pieces, UN/ECE Recommendation 20.
const PIECE: &str = "C62";

/// `steps * 10^-scale` of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    /// All digits as one integer.
    pub steps: i64,
    /// UN/ECE Recommendation 20 code; `C62` is a piece.
    pub unit: String,
    /// How many digits of `steps` stand after the point.
    pub scale: i32,
}

impl Quantity {
    /// A number of pieces.
    pub fn pieces(steps: i64) -> Self {
        Self { steps, unit: PIECE.to_owned(), scale: 0 }
    }

    /// Reads a quantity at a given scale.
    pub fn parse(
        text: &str,
        unit: &str,
        scale: u32,
        rounding: Rounding,
    ) -> Result<Self, DecimalError> {
        let steps = Decimal::parse_at(text, scale, rounding)?.unscaled;
        let scale = i32::try_from(scale).expect("a scale is at most 18");
        Ok(Self { steps, unit: unit.to_owned(), scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole() {
        assert_eq!(Quantity::parse("12", "C62", 0, Rounding::Exact).unwrap(), Quantity::pieces(12));
        assert!(Quantity::parse("1.5", "C62", 0, Rounding::Exact).is_err());
        assert_eq!(Quantity::parse("1.5", "KGM", 3, Rounding::Exact).unwrap().steps, 1500);
    }
}
