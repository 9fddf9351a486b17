//! Where a CSV row and its values begin and end (RFC 4180, strict about quotations).
//!
//! A value is quoted when its first byte is the quote; a quote inside an unquoted value is a
//! character like any other, as spreadsheets write inches. After a closing quote only a delimiter or
//! the end of the line may follow: anything else is a stray quote, and a parser that went on would
//! swallow rows.

use memchr::{memchr, memchr_iter, memchr2};

/// One value: bytes of the row, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
    /// Holds doubled quotes.
    pub escaped: bool,
}

/// What stands at the front of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// A row; the next one begins at `next`, `lines` line breaks later.
    Row { next: usize, lines: usize },
    /// The row does not end here.
    More {
        /// Whether it stands in a quotation.
        quoted: bool,
    },
    /// Something follows a closing quote, in this column counted from zero.
    Stray { column: usize },
}

/// Finds the first row of `bytes` and its values. With `at_end` a last line needs no line break.
pub(crate) fn scan(
    bytes: &[u8],
    delimiter: u8,
    quote: u8,
    at_end: bool,
    values: &mut Vec<Span>,
) -> Scan {
    values.clear();
    let mut at = 0;
    let mut lines = 0;
    loop {
        if bytes.get(at) == Some(&quote) {
            let start = at + 1;
            let mut close = start;
            let mut escaped = false;
            loop {
                match memchr(quote, &bytes[close..]) {
                    None => return Scan::More { quoted: true },
                    Some(found) => close += found,
                }
                match bytes.get(close + 1) {
                    Some(&next) if next == quote => {
                        escaped = true;
                        close += 2;
                    }
                    None if !at_end => return Scan::More { quoted: true },
                    _ => break,
                }
            }
            lines += memchr_iter(b'\n', &bytes[start..close]).count();
            values.push(Span { start, end: close, escaped });
            at = close + 1;
            match &bytes[at..] {
                [] => return Scan::Row { next: at, lines },
                [b'\n', ..] => return Scan::Row { next: at + 1, lines: lines + 1 },
                [b'\r', b'\n', ..] => return Scan::Row { next: at + 2, lines: lines + 1 },
                [b'\r'] if at_end => return Scan::Row { next: at + 1, lines },
                [b'\r'] => return Scan::More { quoted: false },
                [next, ..] if *next == delimiter => at += 1,
                _ => return Scan::Stray { column: values.len() - 1 },
            }
            continue;
        }
        let Some(found) = memchr2(delimiter, b'\n', &bytes[at..]) else {
            if !at_end {
                return Scan::More { quoted: false };
            }
            push_last(bytes, at, bytes.len(), values);
            return Scan::Row { next: bytes.len(), lines };
        };
        let end = at + found;
        if bytes[end] == b'\n' {
            push_last(bytes, at, end, values);
            return Scan::Row { next: end + 1, lines: lines + 1 };
        }
        values.push(Span { start: at, end, escaped: false });
        at = end + 1;
    }
}

/// The last value of a line, without the carriage return.
fn push_last(bytes: &[u8], start: usize, end: usize, values: &mut Vec<Span>) {
    let end = if end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
    values.push(Span { start, end, escaped: false });
}

/// Appends a value with its doubled quotes made single.
pub(crate) fn unescape(value: &[u8], quote: u8, out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(found) = memchr(quote, rest) {
        out.extend_from_slice(&rest[..=found]);
        rest = rest.get(found + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, at_end: bool) -> (Vec<String>, Scan) {
        let mut spans = Vec::new();
        let scan = scan(text.as_bytes(), b',', b'"', at_end, &mut spans);
        let values = spans
            .iter()
            .map(|span| {
                let value = &text.as_bytes()[span.start..span.end];
                let mut out = Vec::new();
                if span.escaped {
                    unescape(value, b'"', &mut out);
                } else {
                    out.extend_from_slice(value);
                }
                String::from_utf8(out).unwrap()
            })
            .collect();
        (values, scan)
    }

    #[test]
    fn rows_are_found_with_their_values() {
        for (text, values, next, lines) in [
            ("a,b\nc", &["a", "b"][..], 4, 1),
            ("a,b\r\nc", &["a", "b"], 5, 1),
            (",\n", &["", ""], 2, 1),
            ("\n", &[""], 1, 1),
            ("\"a,b\",c\n", &["a,b", "c"], 8, 1),
            ("\"a\n\nb\",c\r\n", &["a\n\nb", "c"], 10, 3),
            ("\"a\"\"b\"\n", &["a\"b"], 7, 1),
            ("\"\"\"\"\n", &["\""], 5, 1),
            ("\"\",\n", &["", ""], 4, 1),
            ("5\" pipe,x\n", &["5\" pipe", "x"], 10, 1),
            ("a\rb,c\n", &["a\rb", "c"], 6, 1),
        ] {
            let expected: Vec<String> = values.iter().map(|&v| v.to_owned()).collect();
            assert_eq!(check(text, false), (expected, Scan::Row { next, lines }), "{text:?}");
        }
    }

    #[test]
    fn a_row_that_does_not_end_needs_more() {
        for (text, quoted) in
            [("", false), ("a,b", false), ("a,\"b\nc", true), ("\"a\"", true), ("\"a\"\r", false)]
        {
            assert_eq!(check(text, false).1, Scan::More { quoted }, "{text:?}");
        }
        assert_eq!(check("a,\"b\n", true).1, Scan::More { quoted: true });
    }

    #[test]
    fn the_last_line_of_a_complete_file_needs_no_line_break() {
        for (text, values) in
            [("a,b", &["a", "b"][..]), ("a,", &["a", ""]), ("a\r", &["a"]), ("\"a\"\r", &["a"])]
        {
            let (found, scan) = check(text, true);
            assert_eq!(found, values, "{text:?}");
            assert_eq!(scan, Scan::Row { next: text.len(), lines: 0 }, "{text:?}");
        }
    }

    #[test]
    fn text_behind_a_closing_quote_is_stray() {
        for (text, column) in [("\"a\"b,c\n", 0), ("x,\"a\" ,c\n", 1), ("\"a\"\rb\n", 0)] {
            assert_eq!(check(text, false).1, Scan::Stray { column }, "{text:?}");
        }
    }
}
