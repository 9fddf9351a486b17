//! What one document may cost. Everything is counted and nothing timed: a document that is refused
//! once is refused always.

use super::Failure;
use crate::value::Value;

/// Steps: the expressions of a block for every item it runs for, items of lists, [`TEXT_STEP`] bytes of
/// text. An order with ten thousand lines takes about half a million. What stands outside of such
/// blocks runs once and is not counted.
const STEPS: u64 = 10_000_000;

/// Bytes of the values that are made; the largest record that the broker takes by default is
/// smaller by far.
const BYTES: u64 = 64 << 20;

/// How deep a value is nested where something looks at all of it: that is recursive.
const DEPTH: usize = 128;

/// Bytes of a value, with where its text or its items lie.
const VALUE_BYTES: usize = 2 * size_of::<Value<'_>>();

/// Bytes of text that are read in one step.
const TEXT_STEP: u64 = 64;

/// What is left for one document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    steps: u64,
    bytes: u64,
}

/// What was used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Steps.
    Steps,
    /// Bytes of values.
    Bytes,
    /// The depth of a value.
    Depth,
}

/// Whether there was enough left.
pub(super) type Charged = Result<(), Box<Failure>>;

impl Default for Budget {
    fn default() -> Self {
        Self { steps: STEPS, bytes: BYTES }
    }
}

impl Limit {
    /// What an operator reads.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Steps => "it takes more than 10 million steps for this document",
            Self::Bytes => "its values take more than 64 MiB for this document",
            Self::Depth => "it makes a value that is nested more than 128 deep",
        }
    }
}

impl Budget {
    /// Takes some steps.
    #[inline]
    pub(super) fn step(&mut self, steps: u64) -> Charged {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(Failure::limit(Limit::Steps)),
        }
    }

    /// Evaluates a block of so many expressions, none of which makes more than one value or short
    /// text without charging for it. One charge for all of them is faster than one for each.
    #[inline]
    pub(super) fn block(&mut self, expressions: u64) -> Charged {
        self.step(expressions)?;
        self.values(usize::try_from(expressions).unwrap_or(usize::MAX))
    }

    /// Makes a value of so many bytes.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: usize) -> Charged {
        match self.bytes.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(Failure::limit(Limit::Bytes)),
        }
    }

    /// Makes a list, or an object, of so many values.
    #[inline]
    pub(super) fn values(&mut self, values: usize) -> Charged {
        self.bytes(values.saturating_mul(VALUE_BYTES))
    }

    /// Reads a value without what it holds.
    #[inline]
    pub(super) fn look(&mut self, value: Value<'_>) -> Charged {
        let len = match value {
            Value::Text(text) => text.len() as u64,
            Value::Bytes(bytes) => bytes.len() as u64,
            _ => return Ok(()),
        };
        if len < TEXT_STEP { Ok(()) } else { self.step(len / TEXT_STEP) }
    }

    /// Reads all of a value. Lists share their items, so a small one can be a tree without end.
    pub(super) fn tree(&mut self, value: Value<'_>) -> Charged {
        self.branch(value, 0)
    }

    fn branch(&mut self, value: Value<'_>, depth: usize) -> Charged {
        if depth == DEPTH {
            return Err(Failure::limit(Limit::Depth));
        }
        let values = match value {
            Value::Array(items) => items,
            Value::Object(object) => object.values(),
            leaf => return self.step(1).and_then(|()| self.look(leaf)),
        };
        self.step(1)?;
        values.iter().try_for_each(|value| self.branch(*value, depth + 1))
    }

    /// For the kind of a value in a sentence.
    pub(super) fn sentence() -> Self {
        Self { steps: 1_000, bytes: 0 }
    }

    /// A budget of these.
    #[cfg(test)]
    pub(super) fn new(steps: u64, bytes: u64) -> Self {
        Self { steps, bytes }
    }
}
