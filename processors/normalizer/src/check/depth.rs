//! How deep the brackets of a mapping are nested. VRL's parser and compiler are recursive and would
//! overflow the stack of the process, so this is looked at before they see the text.

/// The deepest nesting. Mappings have ten; the stack of a worker holds some hundreds.
pub(super) const MAX: usize = 100;

/// Where brackets are first nested too deep. What stands in texts and comments does not count.
pub(super) fn exceeded(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate();
    let mut before = b' ';
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                if depth > MAX {
                    return Some(at);
                }
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'#' => {
                bytes.by_ref().find(|(_, byte)| *byte == b'\n');
            }
            // A quote begins a text behind one of these letters only: s'', r'', t''.
            b'"' => skip(&mut bytes, b'"'),
            b'\'' if matches!(before, b's' | b'r' | b't') => skip(&mut bytes, b'\''),
            _ => {}
        }
        before = byte;
    }
    None
}

/// Goes behind the end of a text.
fn skip(bytes: &mut impl Iterator<Item = (usize, u8)>, quote: u8) {
    while let Some((_, byte)) = bytes.next() {
        if byte == b'\\' {
            bytes.next();
        } else if byte == quote {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_counted_outside_of_texts_and_comments() {
        let deep = |open: &str| open.repeat(MAX + 1);
        assert_eq!(exceeded(&deep("(")), Some(MAX));
        assert_eq!(exceeded(&deep("[{")), Some(MAX));
        assert_eq!(exceeded(&deep("()")), None);
        assert_eq!(exceeded(&deep("{\")\\\"}\"")), Some(7 * MAX));
        assert_eq!(exceeded(&deep("# don't (\n")), None);
        assert_eq!(exceeded(&deep("\"(\" s'(\\'(' r'['\n")), None);
    }
}
