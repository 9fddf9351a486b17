//! What is wrong with a record, and where in it.

use std::fmt;

/// Whether a value could be written. Every field of every record says so, hence the box.
pub(crate) type Written = Result<(), Box<EncodeError>>;

/// Why a value is not a record of the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub(crate) struct EncodeError {
    /// From the record: `lines[2].unit_price`.
    pub(crate) path: Path,
    /// What is wrong there.
    pub(crate) problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("expected {expected}, found {found}")]
    Type { expected: &'static str, found: String },
    #[error("the schema has no such field")]
    UnknownField,
    #[error("the field is required")]
    Missing,
    #[error("the number does not fit {expected}")]
    Range { expected: &'static str },
    #[error("the text is not UTF-8")]
    Utf8,
    #[error("the record has more than 64 MiB")]
    Size,
}

/// Segments from the inside out, since errors travel that way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Field(String),
    Item(usize),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().rev().enumerate() {
            match segment {
                Segment::Field(name) if at == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl EncodeError {
    pub(super) fn new(problem: Problem) -> Box<Self> {
        Box::new(Self { path: Path::default(), problem })
    }

    pub(super) fn at_field(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.0.push(Segment::Field(name.to_owned()));
        self
    }

    pub(super) fn at_item(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.0.push(Segment::Item(index));
        self
    }
}
