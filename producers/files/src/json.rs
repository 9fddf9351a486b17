//! Where the items of a JSON array begin and end. Only brackets and texts are looked at; an item is
//! parsed when it is whole.

use memchr::memchr2;

/// Where in the array the scan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In front of `[`.
    Start,
    /// Behind `[`.
    First,
    /// Behind an item.
    Next,
    /// Behind `]`.
    Done,
}

/// What stands at the front of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// An item from `start` to `end`.
    Item { start: usize, end: usize },
    /// The item does not end here.
    More,
    /// Nothing but white space follows the array.
    End,
    /// This is not an array of items; `at` is the byte that cannot stand there.
    Broken { at: usize, expected: &'static str },
}

/// Finds the next item. The phase is left alone: it becomes [`Phase::Next`] when an item is taken.
pub(crate) fn scan(bytes: &[u8], phase: Phase, at_end: bool) -> Scan {
    let broken = |at, expected| Scan::Broken { at, expected };
    let end_of_input = |expected| if at_end { broken(bytes.len(), expected) } else { Scan::More };
    let mut phase = phase;
    let mut at = 0;
    loop {
        at = skip_space(bytes, at);
        let byte = bytes.get(at).copied();
        match (phase, byte) {
            (Phase::Done, None) => return if at_end { Scan::End } else { Scan::More },
            (Phase::Done, Some(_)) => return broken(at, "nothing behind the array"),
            (Phase::Start, None) => return end_of_input("an array"),
            (Phase::Start, Some(b'[')) => phase = Phase::First,
            (Phase::Start, Some(_)) => return broken(at, "an array"),
            (Phase::First | Phase::Next, Some(b']')) => phase = Phase::Done,
            (Phase::First, Some(_)) => return item(bytes, at, at_end),
            (Phase::Next, Some(b',')) => {
                let start = skip_space(bytes, at + 1);
                return match bytes.get(start) {
                    None => end_of_input("an object"),
                    Some(b']' | b',') => broken(start, "an object"),
                    Some(_) => item(bytes, start, at_end),
                };
            }
            (Phase::First | Phase::Next, None) => return end_of_input("the end of the array"),
            (Phase::Next, Some(_)) => return broken(at, "a comma or the end of the array"),
        }
        at += 1;
    }
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
    from + bytes[from..].iter().take_while(|b| space(b)).count()
}

fn item(bytes: &[u8], start: usize, at_end: bool) -> Scan {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => match text_end(bytes, at + 1) {
                Some(end) => at = end,
                None => break,
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return Scan::Item { start, end: at + 1 };
                }
            }
            // A number or word ends where the array goes on.
            b',' | b']' | b'}' if depth == 0 => {
                return Scan::Item { start, end: at.max(start + 1) };
            }
            _ => {}
        }
        at += 1;
    }
    if at_end {
        return Scan::Broken { at: bytes.len(), expected: "the end of the array" };
    }
    Scan::More
}

/// The closing quote of a text that begins at `from`.
fn text_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Result<Vec<&str>, (usize, &'static str)> {
        let (mut at, mut phase, mut found) = (0, Phase::Start, Vec::new());
        loop {
            match scan(&text.as_bytes()[at..], phase, true) {
                Scan::Item { start, end } => {
                    found.push(&text[at + start..at + end]);
                    at += end;
                    phase = Phase::Next;
                }
                Scan::End => return Ok(found),
                Scan::Broken { at: wrong, expected } => return Err((at + wrong, expected)),
                Scan::More => panic!("the text is complete"),
            }
        }
    }

    #[test]
    fn items_are_found_whatever_they_hold() {
        for (text, expected) in [
            ("[]", &[][..]),
            (" [ ] \n", &[]),
            ("[{}]", &["{}"]),
            (
                "[{\"a\":[1,{}]} , {\"b\":\"]},\\\"{\"}]",
                &["{\"a\":[1,{}]}", "{\"b\":\"]},\\\"{\"}"],
            ),
            ("[1,null, \"x\"]", &["1", "null", "\"x\""]),
            ("[{\"a\":\"\\\\\"}]", &["{\"a\":\"\\\\\"}"]),
        ] {
            assert_eq!(items(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_an_array_is_broken_at_its_byte() {
        for (text, at) in [
            ("", 0),
            ("{}", 0),
            ("[{}", 3),
            ("[{}}", 3),
            ("[{} {}]", 4),
            ("[{},]", 4),
            ("[{}],", 4),
            ("[{\"a]", 5),
            ("[{},", 4),
        ] {
            assert_eq!(items(text).unwrap_err().0, at, "{text}");
        }
    }

    #[test]
    fn a_cut_array_needs_more_and_never_shows_half_an_item() {
        let text = "[ {\"a\\\\\":[1]} , {\"b\":\"\\\"]\"} ]";
        for cut in 0..text.len() {
            match scan(&text.as_bytes()[..cut], Phase::Start, false) {
                Scan::More => {}
                Scan::Item { start, end } => assert_eq!(&text[start..end], "{\"a\\\\\":[1]}"),
                other => panic!("cut at {cut}: {other:?}"),
            }
        }
    }
}
