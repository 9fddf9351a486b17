//! Decimals: two's complement bytes, big endian, to and from text such as `-12.34`.
//!
//! Exact at any size up to [`MAX_PRECISION`]; nothing is ever rounded.

use crate::cursor::DecodeError;

/// Digits that a decimal may have. Far above any money; it bounds work on hostile schemas.
pub(crate) const MAX_PRECISION: u32 = 1_000;

/// Bytes that [`MAX_PRECISION`] digits and a sign need.
const MAX_BYTES: usize = 416;

/// Why text is not a decimal of the wanted precision and scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextError {
    /// Not digits with an optional sign and point.
    Syntax,
    /// Digits other than 0 behind the scale.
    Scale,
    /// More digits than the precision allows.
    Precision,
}

/// Appends the text of `unscaled`, without quotes. `offset` is where it begins, for the error.
pub(crate) fn write(
    unscaled: &[u8],
    scale: u32,
    offset: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let start = unscaled.iter().position(|&byte| byte != fill).unwrap_or(unscaled.len());
    let significant = &unscaled[start..];
    if significant.len() > MAX_BYTES {
        return Err(DecodeError::Decimal { offset, found: significant.len(), limit: MAX_BYTES });
    }
    let digits = if significant.len() < 16 {
        let mut bytes = [fill; 16];
        bytes[16 - significant.len()..].copy_from_slice(significant);
        i128::from_be_bytes(bytes).unsigned_abs().to_string()
    } else {
        long_digits(significant, negative)
    };
    if negative {
        out.push(b'-');
    }
    let scale = scale as usize;
    let whole = digits.len().saturating_sub(scale);
    if whole == 0 {
        out.push(b'0');
    }
    out.extend_from_slice(&digits.as_bytes()[..whole]);
    if scale > 0 {
        out.push(b'.');
        out.extend(std::iter::repeat_n(b'0', scale.saturating_sub(digits.len())));
        out.extend_from_slice(&digits.as_bytes()[whole..]);
    }
    Ok(())
}

/// The decimal digits of a magnitude that does not fit 128 bits.
fn long_digits(significant: &[u8], negative: bool) -> String {
    let mut magnitude = significant.to_vec();
    if negative {
        negate(&mut magnitude, true);
    }
    let mut groups = Vec::new();
    while magnitude.iter().any(|&byte| byte != 0) {
        let mut rest = 0u64;
        for byte in &mut magnitude {
            let value = rest << 8 | u64::from(*byte);
            *byte = (value / 1_000_000_000) as u8;
            rest = value % 1_000_000_000;
        }
        groups.push(rest);
    }
    let mut digits = groups.pop().unwrap_or_default().to_string();
    for group in groups.iter().rev() {
        digits.push_str(&format!("{group:09}"));
    }
    digits
}

/// Two's complement negation in place; `wide` restores a sign byte that was cut off.
fn negate(bytes: &mut Vec<u8>, wide: bool) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
    if wide && carry {
        bytes.insert(0, 1);
    }
}

/// The shortest two's complement bytes of `text` at `scale`.
pub(crate) fn parse(text: &str, precision: u32, scale: u32) -> Result<Vec<u8>, TextError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits_only = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits_only(whole) || !digits_only(fraction) {
        return Err(TextError::Syntax);
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let scale = scale as usize;
    if fraction.len() > scale {
        return Err(TextError::Scale);
    }
    let zeros = std::iter::repeat_n(b'0', scale - fraction.len());
    let digits = whole.bytes().chain(fraction.bytes()).chain(zeros).skip_while(|&b| b == b'0');
    let digits: Vec<u8> = digits.take(precision as usize + 1).collect();
    if digits.len() > precision as usize {
        return Err(TextError::Precision);
    }
    let mut bytes = magnitude(&digits);
    // A leading zero byte makes room for the sign; the shortest form drops it again.
    bytes.insert(0, 0);
    if text.starts_with('-') {
        negate(&mut bytes, false);
    }
    let redundant = bytes.windows(2).take_while(|pair| is_sign_copy(pair[0], pair[1])).count();
    bytes.drain(..redundant);
    Ok(bytes)
}

fn is_sign_copy(first: u8, second: u8) -> bool {
    matches!((first, second & 0x80), (0, 0) | (0xff, 0x80))
}

fn magnitude(digits: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for digit in digits {
        let mut carry = u16::from(digit - b'0');
        for byte in bytes.iter_mut().rev() {
            let value = u16::from(*byte) * 10 + carry;
            *byte = value as u8;
            carry = value >> 8;
        }
        if carry > 0 {
            bytes.insert(0, carry as u8);
        }
    }
    bytes
}

/// `bytes` widened to exactly `size` bytes, or nothing when they do not fit.
pub(crate) fn sign_extended(bytes: &[u8], size: usize) -> Option<impl Iterator<Item = u8> + '_> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let missing = size.checked_sub(bytes.len())?;
    let fill = if negative { 0xff } else { 0 };
    Some(std::iter::repeat_n(fill, missing).chain(bytes.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], scale: u32) -> String {
        let mut out = Vec::new();
        write(bytes, scale, 0, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bytes_become_text_with_all_digits_of_the_scale() {
        for (bytes, scale, expected) in [
            (&[][..], 2, "0.00"),
            (&[0], 0, "0"),
            (&[4, 0xd2], 2, "12.34"),
            (&[0xfb, 0x2e], 2, "-12.34"),
            (&[0xff], 3, "-0.001"),
            (&[0x80], 0, "-128"),
            (&[0, 0, 0, 0x80], 0, "128"),
            (&[0xff, 0xff, 0x80], 1, "-12.8"),
        ] {
            assert_eq!(text(bytes, scale), expected);
        }
    }

    #[test]
    fn text_becomes_the_shortest_bytes() {
        for (text, expected) in [
            ("0", &[0][..]),
            ("-0.00", &[0]),
            ("+1.28", &[0, 0x80]),
            ("-1.28", &[0x80]),
            ("-1.29", &[0xff, 0x7f]),
            ("0012.340", &[4, 0xd2]),
        ] {
            assert_eq!(parse(text, 9, 2).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn text_is_never_rounded_or_cut() {
        assert_eq!(parse("1.005", 9, 2), Err(TextError::Scale));
        assert_eq!(parse("1000", 5, 2), Err(TextError::Precision));
        assert!(parse("999.99", 5, 2).is_ok());
        for bad in ["", "-", ".", "1.", ".5", "1e3", "1,5", "0x1", " 1", "--1", "1.-5", "١"] {
            assert_eq!(parse(bad, 9, 2), Err(TextError::Syntax), "{bad:?}");
        }
    }

    #[test]
    fn decimals_beyond_128_bits_keep_every_digit() {
        for len in [15, 16, 17, 38, 39, 40, 77, 200, 1_000] {
            for first in ['1', '9'] {
                for sign in ["", "-"] {
                    let digits: String =
                        (1..len).map(|n| char::from(b'0' + (n % 10) as u8)).collect();
                    let number = format!("{sign}{first}{digits}");
                    let bytes = parse(&number, MAX_PRECISION, 0).unwrap();
                    assert_eq!(text(&bytes, 0), number);
                }
            }
        }
    }

    #[test]
    fn powers_of_two_at_the_sign_boundary_keep_their_sign() {
        for bits in [127, 128, 135, 136, 255, 256] {
            let mut negative = vec![0xff; 40];
            negative[39 - bits / 8..].fill(0);
            negative[39 - bits / 8] = !0 << (bits % 8);
            let text = text(&negative, 0);
            assert!(text.starts_with('-'));
            let shortest = parse(&text, MAX_PRECISION, 0).unwrap();
            let widened: Vec<u8> = sign_extended(&shortest, 40).unwrap().collect();
            assert_eq!(widened, negative, "-2^{bits}");
        }
    }

    #[test]
    fn absurdly_long_decimals_are_refused() {
        let error = write(&[1; MAX_BYTES + 1], 0, 7, &mut Vec::new()).unwrap_err();
        assert_eq!(error, DecodeError::Decimal { offset: 7, found: 417, limit: MAX_BYTES });
        assert!(sign_extended(&[1, 2, 3], 2).is_none());
    }
}
