//! Values while a record is normalized: documents, what mappings make of them, canonical records.
//!
//! They are two words, their kind and one that says the rest, and can be copied. What does not fit
//! lies in an [`Arena`] that is emptied after each record; text and bytes stay in the record or in
//! the mapping. An object is a [`Shape`], the names, and the values in the order of the names. Shapes
//! that are known when a mapping is loaded find a [`Symbol`] by its number, those made while it runs
//! by its text.

mod object;
pub(crate) mod vocabulary;
mod vrl;

use bumpalo::Bump;
use chrono::{DateTime, Utc};

pub(crate) use self::object::{Object, Shape};
pub(crate) use self::vocabulary::{Symbol, Vocabulary, VocabularyBuilder};
pub(crate) use self::vrl::{from_vrl, to_vrl};

/// A value.
///
/// Every variant holds a whole word or nothing, so that a value travels in two registers. With a byte
/// in one of them it is copied through memory in odd pieces, for which the processor waits longer
/// than for what is done with it.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(&'a bool),
    Integer(i64),
    Timestamp(&'a DateTime<Utc>),
    Text(&'a &'a str),
    /// Bytes that are not UTF-8; those that are come as text.
    Bytes(&'a &'a [u8]),
    Array(&'a &'a [Value<'a>]),
    Object(Object<'a>),
    /// What VRL has and no mapping can write: a float, a pattern. Only its kind is known.
    Foreign(&'a &'static str),
}

const _: () =
    assert!(size_of::<Result<Value<'_>, Box<()>>>() == 16, "an answer is no larger than a value");

/// Where the values of one record lie.
#[derive(Debug, Default)]
pub struct Arena(Bump);

/// Where values are made, and the names that are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) arena: &'a Bump,
    pub(crate) vocabulary: &'a Vocabulary,
}

/// Memory that is kept from one record to the next; most records need a few KiB.
const KEPT_BYTES: usize = 1 << 20;

impl Arena {
    /// The same without its values. The memory is kept for those of the next record, unless this
    /// one was so large that few will need it.
    pub(crate) fn emptied(mut self) -> Self {
        if self.0.allocated_bytes() > KEPT_BYTES {
            return Self::default();
        }
        self.0.reset();
        self
    }

    pub(crate) fn scope<'a>(&'a self, vocabulary: &'a Vocabulary) -> Scope<'a> {
        Scope { arena: &self.0, vocabulary }
    }
}

impl<'a> Scope<'a> {
    /// Text of its own.
    pub(crate) fn text(&self, text: &str) -> Value<'a> {
        self.borrowed(self.arena.alloc_str(text))
    }

    /// Text that lies where it can stay.
    #[inline]
    pub(crate) fn borrowed(&self, text: &'a str) -> Value<'a> {
        Value::Text(self.arena.alloc(text))
    }

    /// Bytes of its own, or text when they are UTF-8.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Value<'a> {
        self.borrowed_bytes(self.arena.alloc_slice_copy(bytes))
    }

    /// Bytes that lie where they can stay, or text when they are UTF-8.
    pub(crate) fn borrowed_bytes(&self, bytes: &'a [u8]) -> Value<'a> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.borrowed(text),
            Err(_) => Value::Bytes(self.arena.alloc(bytes)),
        }
    }

    pub(crate) fn timestamp(&self, time: DateTime<Utc>) -> Value<'a> {
        Value::Timestamp(self.arena.alloc(time))
    }

    /// A list of these.
    pub(crate) fn array(&self, items: &[Value<'a>]) -> Value<'a> {
        self.list(self.arena.alloc_slice_copy(items))
    }

    /// A list of items that lie in the arena.
    #[inline]
    pub(crate) fn list(&self, items: &'a [Value<'a>]) -> Value<'a> {
        Value::Array(self.arena.alloc(items))
    }

    /// An object of a shape that the vocabulary has; one value for each of its names.
    pub(crate) fn object(&self, shape: usize, values: &'a [Value<'a>]) -> Value<'a> {
        Value::Object(Object::new(self.vocabulary.shape(shape), values, self.arena))
    }

    /// An object of any names; of one that comes twice the last value counts.
    pub(crate) fn entries(&self, mut entries: Vec<(&'a str, Value<'a>)>) -> Value<'a> {
        entries.reverse();
        entries.sort_by_key(|(name, _)| *name);
        entries.dedup_by_key(|(name, _)| *name);
        let names = self.arena.alloc_slice_fill_iter(entries.iter().map(|(name, _)| *name));
        let values = self.arena.alloc_slice_fill_iter(entries.iter().map(|(_, value)| *value));
        Value::Object(Object::new(self.arena.alloc(Shape::of_entries(names)), values, self.arena))
    }
}

impl From<bool> for Value<'_> {
    #[inline]
    fn from(boolean: bool) -> Self {
        Self::Boolean(if boolean { &true } else { &false })
    }
}

impl<'a> Value<'a> {
    pub(crate) fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of text, or of what is not quite text.
    pub(crate) fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(**boolean),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&'a [Value<'a>]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<Object<'a>> {
        match self {
            Self::Object(object) => Some(*object),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What VRL calls its kind.
    pub(crate) fn kind_str(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Timestamp(_) => "timestamp",
            Self::Text(_) | Self::Bytes(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "map",
            Self::Foreign(kind) => kind,
        }
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
