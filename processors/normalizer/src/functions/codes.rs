//! Codes that the canonical model wants in one form: trade items, countries, currencies, phones.

use vrl::compiler::Parameter;
use vrl::compiler::prelude::{Kind, kind};

use super::exact::{Answer, Arguments, Exact, optional_text, text};
use crate::value::{Scope, Value};

/// The functions of this module.
pub(super) const FUNCTIONS: &[Exact] = &[
    Exact {
        identifier: "filled",
        usage: "The text without the white space around it, or null when nothing is left or the \
                text is null: filled(text).",
        parameters: &[Parameter::required(
            "text",
            kind::BYTES | kind::NULL | kind::UNDEFINED,
            "The text.",
        )],
        return_kind: kind::BYTES | kind::NULL,
        returns: || Kind::bytes().or_null(),
        fallible: false,
        call: filled,
    },
    Exact {
        identifier: "gtin14",
        usage: "A trade item number of 8, 12, 13 or 14 digits as 14 digits, with its check digit \
                checked: gtin14!(text).",
        parameters: &[Parameter::required("text", kind::BYTES, "The number.")],
        return_kind: kind::BYTES,
        returns: Kind::bytes,
        fallible: true,
        call: gtin14,
    },
    Exact {
        identifier: "country",
        usage: "A country's ISO 3166-1 alpha-2 code in capitals; anything else is refused: \
                country!(text).",
        parameters: &[Parameter::required("text", kind::BYTES, "The code.")],
        return_kind: kind::BYTES,
        returns: Kind::bytes,
        fallible: true,
        call: country,
    },
    Exact {
        identifier: "currency",
        usage: "A currency's ISO 4217 code in capitals; anything else is refused: currency!(text).",
        parameters: &[Parameter::required("text", kind::BYTES, "The code.")],
        return_kind: kind::BYTES,
        returns: Kind::bytes,
        fallible: true,
        call: currency,
    },
    Exact {
        identifier: "phone",
        usage: "A phone number in E.164: a plus and 7 to 15 digits; spaces, hyphens, points, \
                slashes and brackets are left out: phone!(text).",
        parameters: &[Parameter::required("text", kind::BYTES, "The number with its plus.")],
        return_kind: kind::BYTES,
        returns: Kind::bytes,
        fallible: true,
        call: phone,
    },
];

/// ISO 3166-1 alpha-2, officially assigned codes.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ \
    BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE \
    DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR \
    GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP \
    KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT \
    MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW \
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG \
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

fn filled<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let Some(text) = optional_text(arguments, 0, "the text")? else { return Ok(Value::Null) };
    let trimmed = text.trim();
    Ok(if trimmed.is_empty() { Value::Null } else { scope.borrowed(trimmed) })
}

fn gtin14<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let digits = text(arguments, 0, "the number")?.trim();
    if !matches!(digits.len(), 8 | 12 | 13 | 14) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("a GTIN has 8, 12, 13 or 14 digits".to_owned());
    }
    let padded = format!("{digits:0>14}");
    let found = padded.as_bytes()[13] - b'0';
    let right = gtin_check_digit(&padded.as_bytes()[..13]);
    if found != right {
        return Err(format!("the check digit of the GTIN is {found}, it should be {right}"));
    }
    Ok(scope.text(&padded))
}

/// The last digit of a GTIN, from the digits before it (GS1 General Specifications, 7.9).
pub(crate) fn gtin_check_digit(digits: &[u8]) -> u8 {
    let weighted = digits.iter().rev().enumerate().map(|(at, digit)| {
        let digit = u32::from(digit.wrapping_sub(b'0'));
        if at % 2 == 0 { 3 * digit } else { digit }
    });
    let sum: u32 = weighted.sum();
    // A remainder below ten fits a byte.
    ((10 - sum % 10) % 10) as u8
}

fn country<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let code = text(arguments, 0, "the country")?.trim().to_ascii_uppercase();
    if COUNTRIES.split_ascii_whitespace().any(|known| known == code) {
        return Ok(scope.text(&code));
    }
    let shown: String = code.chars().take(20).collect();
    Err(format!("{shown:?} is not an ISO 3166-1 alpha-2 country code"))
}

fn currency<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let code = text(arguments, 0, "the currency")?.trim().to_ascii_uppercase();
    if throughline_event::currency_exponent(&code).is_some() {
        return Ok(scope.text(&code));
    }
    let shown: String = code.chars().take(10).collect();
    Err(format!("{shown:?} is not an ISO 4217 currency code"))
}

fn phone<'a>(arguments: &Arguments<'a>, scope: Scope<'a>) -> Answer<'a> {
    let given = text(arguments, 0, "the number")?;
    let kept: String =
        given.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '/' | '(' | ')')).collect();
    let digits = kept.strip_prefix('+').unwrap_or_default();
    let fits = (7..=15).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0');
    // The number itself is a personal datum and stays out of the message.
    if fits { Ok(scope.text(&kept)) } else { Err("the phone number is not E.164".to_owned()) }
}
