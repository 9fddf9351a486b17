//! What is wrong with a mapping, where, and what to do about it.

use std::fmt;

use throughline_event::suggest;
use vrl::diagnostic::Span;

/// One mistake in a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// Stable code.
    pub code: &'static str,
    /// The mapping's file inside its pack.
    pub file: String,
    /// Line, counted from one.
    pub line: u32,
    /// Column in characters, counted from one.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: Option<String>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, file, line, column, message, fix } = self;
        write!(f, "{file}:{line}:{column}: {code}: {message}")?;
        fix.iter().try_for_each(|fix| write!(f, "; {fix}"))
    }
}

/// Everything that is wrong with the mappings of a pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct LoadErrors {
    /// The mistakes, by file and line.
    pub errors: Vec<LoadError>,
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

/// A mapping's text, for turning places in it into lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// Line and column of a byte, counted from one.
    pub(crate) fn place(&self, offset: usize) -> (u32, u32) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (saturate(line), saturate(column))
    }

    pub(crate) fn error(
        &self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        fix: Option<String>,
    ) -> LoadError {
        let (line, column) = self.place(span.start());
        let (file, message) = (self.file.to_owned(), message.into());
        LoadError { code, file, line, column, message, fix }
    }
}

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// "use `x`", for the known name that is nearest; else the known names, when they are few.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut known: Vec<&str> = known.collect();
    if let Some(best) = suggest::nearest(name, &known) {
        return Some(format!("use `{best}`"));
    }
    known.sort_unstable();
    (1..=12).contains(&known.len()).then(|| format!("known are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let source = Source { file: "a.vrl", text: "ä = 1\nbü = .x\n" };
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place(2), (1, 2));
        assert_eq!(source.place(source.text.find(".x").unwrap()), (2, 6));
        assert_eq!(source.place(10_000), (3, 1));
    }

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        let known = ["order_number", "total_price"];
        assert_eq!(nearest("ordr_number", known.into_iter()).unwrap(), "use `order_number`");
        assert_eq!(
            nearest("color", known.into_iter()).unwrap(),
            "known are order_number, total_price"
        );
        assert_eq!(nearest("color", std::iter::empty()), None);
    }
}
