//! File name patterns: `*` for any characters, `?` for one.

use std::fmt;

/// A pattern for names in one folder.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    /// Folders between the watched one and the files, taken literally; empty for none.
    pub folder: String,
    name: Vec<char>,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name: String = self.name.iter().collect();
        if self.folder.is_empty() {
            f.write_str(&name)
        } else {
            write!(f, "{}/{name}", self.folder)
        }
    }
}

impl Pattern {
    /// Reads `orders*.csv` or `incoming/orders*.csv`; nothing when it could leave the folder or has
    /// a wildcard in front of the last `/`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (folder, name) = text.rsplit_once('/').unwrap_or(("", text));
        let inside = |part: &str| !part.is_empty() && part != "." && part != "..";
        let literal = folder.is_empty() || folder.split('/').all(inside);
        let fits = literal && inside(name) && !folder.contains(['*', '?']) && !text.contains('\0');
        fits.then(|| Self { folder: folder.to_owned(), name: name.chars().collect() })
    }

    /// Whether a file name fits. Hidden files fit only a pattern that begins with a dot: tools hide
    /// what they are still writing.
    pub(crate) fn matches(&self, name: &str) -> bool {
        if name.starts_with('.') && self.name.first() != Some(&'.') {
            return false;
        }
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut in_name) = (0, 0);
        // Where to go on when the characters that the last `*` stands for have to be one more.
        let mut retry = None;
        while in_name < name.len() {
            match self.name.get(at) {
                Some('*') => {
                    retry = Some((at, in_name));
                    at += 1;
                }
                Some(&wanted) if wanted == '?' || wanted == name[in_name] => {
                    at += 1;
                    in_name += 1;
                }
                _ => match &mut retry {
                    Some((star, from)) => {
                        *from += 1;
                        (at, in_name) = (*star + 1, *from);
                    }
                    None => return false,
                },
            }
        }
        self.name[at..].iter().all(|&rest| rest == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, name, expected) in [
            ("orders.csv", "orders.csv", true),
            ("orders.csv", "orders.csv.1", false),
            ("orders*.csv", "orders-2026.csv", true),
            ("orders*.csv", "orders.csv", true),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxa", false),
            ("?.csv", "é.csv", true),
            ("?.csv", ".csv", false),
            ("*", ".hidden", false),
            (".h*", ".hidden", true),
            ("*", "", true),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_pattern_cannot_leave_the_folder() {
        for bad in ["", "../x.csv", "a/../x", "/etc/x", "a//b", "*/x.csv", "..", "a/"] {
            assert!(Pattern::parse(bad).is_none(), "{bad:?}");
        }
        assert_eq!(Pattern::parse("in/shop/x.csv").unwrap().folder, "in/shop");
    }
}
