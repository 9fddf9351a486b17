//! The wire format below the typed messages: request headers, and a structural check of a request
//! body before anything is decoded from it.
//!
//! `kafka-protocol` reserves memory for as many array elements as a request *claims* to hold, so a
//! request of twenty bytes could ask for hundreds of gigabytes. [`shape::Shape::check`] walks the
//! body first and proves that every claimed element is really there.

pub(crate) mod header;
pub(crate) mod reader;
pub(crate) mod shape;
pub(crate) mod writer;

/// The longest name of a group, of its members and of a transactional producer, in bytes. The
/// broker keeps them for days, and any client can make up new ones; real ones end at some 300.
pub(crate) const MAX_NAME: usize = 1_000;

/// As much of a client's name as is kept.
pub(crate) fn shorten(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME)]
}

/// Why a frame was refused. The connection is closed; the text goes to the log and to a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the frame ends inside a field")]
    Truncated,
    #[error("a length is negative or does not fit")]
    BadLength,
    #[error("a number of variable length has no last byte")]
    Endless,
    #[error("a text is not UTF-8")]
    Utf8,
    #[error("a field is null that must not be")]
    Null,
    #[error("version {0} is not known")]
    Version(i16),
    #[error("kind {0} is not known")]
    Kind(u8),
    #[error("more array elements than a request may hold")]
    TooManyElements,
}
