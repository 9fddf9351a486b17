//! What happened to a document.

use std::fmt;

/// The kind of a change, in Debezium's letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `c`: seen for the first time in the stream.
    Create,
    /// `u`: was known and is different now.
    Update,
    /// `d`: was known and is gone.
    Delete,
    /// `r`: read from an initial or requested snapshot.
    Read,
}

impl Op {
    /// The letter on the wire.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Read => "r",
        }
    }

    /// The kind for a letter on the wire.
    pub fn from_letter(letter: &str) -> Option<Self> {
        match letter {
            "c" => Some(Self::Create),
            "u" => Some(Self::Update),
            "d" => Some(Self::Delete),
            "r" => Some(Self::Read),
            _ => None,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letter())
    }
}

/// The difference between the document last published for a key and the one just read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub op: Op,
    /// The document last published, as an Avro datum; absent for a key that was not there.
    pub before: Option<Vec<u8>>,
    /// The document as it is now, as an Avro datum; absent for a key that is gone.
    pub after: Option<Vec<u8>>,
}
