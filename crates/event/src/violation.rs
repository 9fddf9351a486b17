//! What is wrong with something an operator wrote, collected instead of returned one at a time.
//!
//! A person who repairs a file wants every mistake at once, each with the place and the fix. Whoever
//! reads the text (a configuration file, a pack, the options of one connector) adds to a
//! [`Violations`]; whoever opened the file turns the [`Path`] of each into a line.

use std::fmt;

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// The entry of a map.
    Key(String),
    /// The item of a list, counted from zero.
    Index(usize),
}

/// Where a value stands inside a document: `sinks.lake.topics[1]`.
///
/// A key that is not plain letters, digits, `_` and `-` is shown in quotes, since column names of
/// real exports contain dots.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Segment>);

impl Path {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The entry `key` of the map at this path.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.with(Segment::Key(key.into()))
    }

    /// The item `index` of the list at this path, counted from zero.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// This path followed by `rest`.
    #[must_use]
    pub fn join(&self, rest: &Path) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// The steps from the document to the value.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether the value at this path is the one at `other` or lies inside it.
    pub fn starts_with(&self, other: &Path) -> bool {
        self.0.starts_with(&other.0)
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl From<&str> for Path {
    /// One key; dots in it are part of the key.
    fn from(key: &str) -> Self {
        Self(vec![Segment::Key(key.to_owned())])
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(keys: [&str; N]) -> Self {
        keys.into_iter().collect()
    }
}

impl From<&Path> for Path {
    fn from(path: &Path) -> Self {
        path.clone()
    }
}

impl<'a> FromIterator<&'a str> for Path {
    fn from_iter<I: IntoIterator<Item = &'a str>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| Segment::Key(key.to_owned())).collect())
    }
}

impl FromIterator<Segment> for Path {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    if is_plain(key) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl serde::Serialize for Path {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// One thing that is wrong, for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// The stable code, `TL0110`.
    pub code: &'static str,
    /// Where it stands, from the start of what was read.
    pub path: Path,
    /// What is wrong, lowercase and without a full stop.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// Everything that is wrong with one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Nothing is wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one finding: its code, the place, what is wrong and the fix.
    pub fn add(
        &mut self,
        code: &'static str,
        path: impl Into<Path>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let (message, fix) = (message.into(), fix.into());
        self.push(Violation { code, path: path.into(), message, fix });
    }

    /// Adds one finding.
    pub fn push(&mut self, violation: Violation) {
        self.0.push(violation);
    }

    /// Takes over what was found in the part at `place`, whose paths start there.
    pub fn add_from(&mut self, place: &Path, part: Violations) {
        self.0.extend(
            part.0.into_iter().map(|found| Violation { path: place.join(&found.path), ..found }),
        );
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The findings in the order in which they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_file() {
        let path = Path::from(["sinks", "lake"]).key("topics").index(1);
        assert_eq!(path.to_string(), "sinks.lake.topics[1]");
    }

    #[test]
    fn a_key_with_a_dot_is_quoted() {
        let path = Path::from("columns").key("lineitems.variant.sku").key("field");
        assert_eq!(path.to_string(), "columns.\"lineitems.variant.sku\".field");
    }

    #[test]
    fn findings_of_a_part_get_the_place_of_the_part() {
        let mut part = Violations::new();
        part.add("TL0110", "foldr", "unknown key `foldr`", "did you mean `folder`?");
        let mut all = Violations::new();
        all.add_from(&Path::from(["sinks", "lake"]), part);
        assert_eq!(all.iter().next().unwrap().path.to_string(), "sinks.lake.foldr");
    }

    #[test]
    fn a_path_starts_with_its_parents_only() {
        let lake = Path::from(["sinks", "lake"]);
        assert!(lake.key("folder").starts_with(&lake));
        assert!(!Path::from(["sinks", "lakes"]).starts_with(&lake));
    }
}
