//! Money: an integer, a scale and an ISO 4217 currency.

use serde::{Deserialize, Serialize};

use crate::{Decimal, DecimalError, Rounding};

/// An exact amount: `unscaled * 10^-scale` of a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// All digits as one integer.
    pub unscaled: i64,
    /// How many digits stand after the point; the currency's own exponent unless more are needed.
    pub scale: i32,
    /// ISO 4217 code.
    pub currency: String,
}

/// Why an amount was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// The number.
    #[error(transparent)]
    Number(#[from] DecimalError),
    /// The currency.
    #[error("TL0005: {code:?} is not an ISO 4217 currency code")]
    Currency {
        /// The code, cut to 10 characters.
        code: String,
    },
}

impl Money {
    /// Reads an amount at the currency's own scale.
    pub fn parse(text: &str, currency: &str, rounding: Rounding) -> Result<Self, MoneyError> {
        let scale = currency_exponent(currency)
            .ok_or_else(|| MoneyError::Currency { code: currency.chars().take(10).collect() })?;
        let amount = Decimal::parse_at(text, scale, rounding)?;
        let scale = i32::try_from(scale).expect("an exponent is at most 4");
        Ok(Self { unscaled: amount.unscaled, scale, currency: currency.to_owned() })
    }
}

/// Digits after the point of a currency's minor unit (ISO 4217, list one), for active codes.
pub fn currency_exponent(code: &str) -> Option<u32> {
    const ZERO: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
    const THREE: &str = "BHD IQD JOD KWD LYD OMR TND";
    const FOUR: &str = "CLF UYW";
    const TWO: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL \
         BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN \
         ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS \
         KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV \
         MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG \
         SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN \
         UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
    // Three letters are compared as a number, which takes no call.
    let number = |code: [u8; 3]| u32::from_be_bytes([0, code[0], code[1], code[2]]);
    let code = number(code.as_bytes().try_into().ok()?);
    // Each list is sorted and has a code every four bytes; amounts are read by the million.
    let listed = |list: &str| {
        let codes = list.as_bytes();
        let mut range = 0..codes.len().div_ceil(4);
        while !range.is_empty() {
            let middle = range.start + range.len() / 2;
            let at = 4 * middle;
            match number([codes[at], codes[at + 1], codes[at + 2]]).cmp(&code) {
                std::cmp::Ordering::Less => range.start = middle + 1,
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Greater => range.end = middle,
            }
        }
        false
    };
    [(TWO, 2), (ZERO, 0), (THREE, 3), (FOUR, 4)]
        .into_iter()
        .find_map(|(list, exponent)| listed(list).then_some(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_currency_decides_the_scale() {
        for (text, currency, unscaled, scale) in
            [("148.75", "EUR", 14875, 2), ("148", "JPY", 148, 0), ("1.5", "KWD", 1500, 3)]
        {
            let money = Money::parse(text, currency, Rounding::Exact).unwrap();
            assert_eq!((money.unscaled, money.scale), (unscaled, scale), "{currency}");
        }
    }

    #[test]
    fn more_digits_than_the_currency_has_need_a_rule() {
        assert!(Money::parse("1.5", "JPY", Rounding::Exact).is_err());
        assert_eq!(Money::parse("1.5", "JPY", Rounding::HalfUp).unwrap().unscaled, 2);
    }

    #[test]
    fn every_listed_currency_is_found() {
        let source = include_str!("money.rs");
        let mut found = 0;
        for (name, exponent) in [("ZERO", 0), ("THREE", 3), ("FOUR", 4), ("TWO", 2)] {
            let (_, list) = source.split_once(&format!("const {name}: &str = \"")).unwrap();
            let (list, _) = list.split_once('"').unwrap();
            for code in list.split(|c: char| !c.is_ascii_uppercase()).filter(|c| !c.is_empty()) {
                assert_eq!(currency_exponent(code), Some(exponent), "{code}");
                found += 1;
            }
        }
        assert!(found > 150, "{found}");
    }

    #[test]
    fn an_unlisted_currency_is_refused() {
        for code in ["eur", "EU", "XXX", "", "EUR ", "EURX", "AAA", "ZZZ", "AED AFN"] {
            let error = Money::parse("1", code, Rounding::Exact).unwrap_err();
            assert!(matches!(error, MoneyError::Currency { .. }), "{code:?}");
        }
    }
}
