//! Reading a datum by position.
//!
//! - A length is checked against the bytes that remain before anything is read or allocated.
//! - An array whose items take no bytes (`null`, empty records) can claim any count for free; one
//!   cursor accepts [`FREE_ITEMS`] of those in all, so that ten bytes cannot keep a reader busy.
//! - Skipping trusts the byte size of a block with a negative count, as the specification intends.

use crate::schema::Node;

/// How deep records, arrays, maps and unions may nest in one datum.
///
/// Equal to the limit of `serde_json`, so whatever one direction accepts the other can write.
pub const MAX_DEPTH: usize = 128;

/// Items without any bytes that one cursor accepts; real schemas have none.
const FREE_ITEMS: usize = 1 << 16;

/// Why bytes are not a datum of the schema that they were read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("expected {expected} at byte {offset}, found the end of the bytes")]
    End {
        /// Where the value begins.
        offset: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// A variable-length number does not fit its type.
    #[error("expected {expected} at byte {offset}, found a number that does not fit it")]
    Range {
        /// Where the number begins.
        offset: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// A byte that is neither 0 nor 1.
    #[error("expected a boolean at byte {offset}, found {found}")]
    Boolean {
        /// Where it is.
        offset: usize,
        /// The byte.
        found: u8,
    },
    /// A length or count is negative or larger than what remains.
    #[error("expected {expected} at byte {offset}, found {found} with {remaining} bytes left")]
    Length {
        /// Where the length begins.
        offset: usize,
        /// What should be there.
        expected: &'static str,
        /// The length or count.
        found: i64,
        /// Bytes after it.
        remaining: usize,
    },
    /// A string is not UTF-8.
    #[error("expected UTF-8 text at byte {offset}")]
    Utf8 {
        /// The first byte that is wrong.
        offset: usize,
    },
    /// A union branch or enum symbol that the schema does not have.
    #[error("expected {expected} below {limit} at byte {offset}, found {found}")]
    Index {
        /// Where the index begins.
        offset: usize,
        /// What should be there.
        expected: &'static str,
        /// The index.
        found: i64,
        /// How many the schema has.
        limit: usize,
    },
    /// A decimal of more digits than any schema here may have.
    #[error("expected a decimal of at most {limit} bytes at byte {offset}, found {found}")]
    Decimal {
        /// Where the value begins.
        offset: usize,
        /// Significant bytes found.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Values nest deeper than [`MAX_DEPTH`].
    #[error("expected at most {MAX_DEPTH} nested values at byte {offset}")]
    Depth {
        /// Where the innermost value begins.
        offset: usize,
    },
    /// Bytes follow the datum.
    #[error("expected the end of the datum at byte {offset}, found {remaining} bytes more")]
    Trailing {
        /// Where the datum ends.
        offset: usize,
        /// Bytes after it.
        remaining: usize,
    },
    /// A recursive type whose [`Schema`](crate::Schema) is gone; keep the schema while reading.
    #[error("expected a recursive record at byte {offset}, its schema was dropped")]
    SchemaDropped {
        /// Where the record begins.
        offset: usize,
    },
}

impl DecodeError {
    /// The byte at which the datum stops making sense.
    pub fn offset(&self) -> usize {
        match *self {
            Self::End { offset, .. }
            | Self::Range { offset, .. }
            | Self::Boolean { offset, .. }
            | Self::Length { offset, .. }
            | Self::Utf8 { offset }
            | Self::Index { offset, .. }
            | Self::Decimal { offset, .. }
            | Self::Depth { offset }
            | Self::Trailing { offset, .. }
            | Self::SchemaDropped { offset } => offset,
        }
    }
}

/// The head of one block of an array or map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Items or entries that follow; never zero.
    pub items: usize,
    /// Bytes of the whole block, when the writer said so.
    pub bytes: Option<usize>,
}

/// A position in a datum.
///
/// After an error the position is unspecified, but still inside the bytes.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
    free_items: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, free_items: FREE_ITEMS }
    }

    /// The offset of the next byte.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The bytes from offset `start` to the position; empty when `start` lies behind it.
    #[inline]
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.position).unwrap_or_default()
    }

    /// Checks that everything was read.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            remaining => Err(DecodeError::Trailing { offset: self.position, remaining }),
        }
    }

    /// Reads a `boolean`.
    #[inline]
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        let offset = self.position;
        match self.bytes.get(offset) {
            Some(&found @ (0 | 1)) => {
                self.position += 1;
                Ok(found == 1)
            }
            Some(&found) => Err(DecodeError::Boolean { offset, found }),
            None => Err(DecodeError::End { offset, expected: "a boolean" }),
        }
    }

    /// Reads an `int`.
    #[inline]
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        let offset = self.position;
        let value = self.number("an int")?;
        i32::try_from(value).map_err(|_| DecodeError::Range { offset, expected: "an int" })
    }

    /// Reads a `long`.
    #[inline]
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        self.number("a long")
    }

    /// Reads a `float`.
    #[inline]
    pub fn float(&mut self) -> Result<f32, DecodeError> {
        self.chunk("a float").map(f32::from_le_bytes)
    }

    /// Reads a `double`.
    #[inline]
    pub fn double(&mut self) -> Result<f64, DecodeError> {
        self.chunk("a double").map(f64::from_le_bytes)
    }

    /// Reads `bytes`, borrowed.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        self.sized("bytes with their length")
    }

    /// Reads a `string`, borrowed and checked to be UTF-8.
    #[inline]
    pub fn str(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.sized("a string with its length")?;
        std::str::from_utf8(bytes).map_err(|error| DecodeError::Utf8 {
            offset: self.position - bytes.len() + error.valid_up_to(),
        })
    }

    /// Reads a `fixed` of `len` bytes, borrowed.
    #[inline]
    pub fn fixed(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        self.take(len, "a fixed")
    }

    /// Reads the index of an enum's symbol, below `symbols`.
    #[inline]
    pub fn enum_index(&mut self, symbols: usize) -> Result<usize, DecodeError> {
        self.index("an enum index", symbols)
    }

    /// Reads the index of a union's branch, below `branches`.
    #[inline]
    pub fn union_branch(&mut self, branches: usize) -> Result<usize, DecodeError> {
        self.index("a union branch", branches)
    }

    /// Reads the head of an array's or map's next block; `None` is the end.
    ///
    /// The count may be used for a loop, not for an allocation of more than [`Cursor::remaining`].
    #[inline]
    pub fn block(&mut self) -> Result<Option<Block>, DecodeError> {
        let offset = self.position;
        let count = self.number("a block count")?;
        if count == 0 {
            return Ok(None);
        }
        let bytes = if count < 0 { Some(self.length("a block size")?) } else { None };
        let items = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        let free = items.saturating_sub(self.remaining());
        self.charge_free_items(free, items, offset)?;
        Ok(Some(Block { items, bytes }))
    }

    /// Skips one value of the type `node`.
    #[inline]
    pub fn skip(&mut self, node: &Node) -> Result<(), DecodeError> {
        self.skip_at(node, 0)
    }

    /// Skips one value of the type `node` and returns its bytes.
    #[inline]
    pub fn value(&mut self, node: &Node) -> Result<&'a [u8], DecodeError> {
        let start = self.position;
        self.skip(node)?;
        Ok(self.since(start))
    }

    fn skip_at(&mut self, node: &Node, depth: usize) -> Result<(), DecodeError> {
        match node {
            Node::Null => Ok(()),
            Node::Boolean => self.boolean().map(drop),
            Node::Int(_) => self.int().map(drop),
            Node::Long(_) => self.long().map(drop),
            Node::Float => self.fixed(4).map(drop),
            Node::Double => self.fixed(8).map(drop),
            Node::Bytes(_) => self.bytes().map(drop),
            Node::String(_) => self.sized("a string with its length").map(drop),
            Node::Fixed(len, _) => self.fixed(*len).map(drop),
            Node::Enum(symbols) => self.enum_index(symbols.len()).map(drop),
            _ => self.skip_nested(node, self.deeper(depth)?),
        }
    }

    fn skip_nested(&mut self, node: &Node, depth: usize) -> Result<(), DecodeError> {
        match node {
            Node::Array(item) => self.skip_blocks(item, false, depth),
            Node::Map(value) => self.skip_blocks(value, true, depth),
            Node::Union(branches) => {
                let branch = self.union_branch(branches.len())?;
                self.skip_at(&branches[branch], depth)
            }
            Node::Record(record) => {
                record.fields.iter().try_for_each(|field| self.skip_at(&field.node, depth))
            }
            Node::Recursive(record) => {
                let record =
                    record.upgrade().ok_or(DecodeError::SchemaDropped { offset: self.position })?;
                record.fields.iter().try_for_each(|field| self.skip_at(&field.node, depth))
            }
            _ => self.skip_at(node, depth),
        }
    }

    fn skip_blocks(&mut self, node: &Node, keyed: bool, depth: usize) -> Result<(), DecodeError> {
        let free = !keyed && node.takes_no_bytes();
        while let Some(block) = self.item_block(free)? {
            match block.bytes {
                Some(bytes) => drop(self.take(bytes, "a block")?),
                None if free => {}
                None => {
                    for _ in 0..block.items {
                        if keyed {
                            self.sized("a map key with its length")?;
                        }
                        self.skip_at(node, depth)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A block whose items are known to take bytes or to be `free`: those count even when the
    /// bytes of later values would cover them, so that nested blocks cannot multiply.
    pub(crate) fn item_block(&mut self, free: bool) -> Result<Option<Block>, DecodeError> {
        let offset = self.position;
        let block = self.block()?;
        if let (true, Some(block)) = (free, block) {
            self.charge_free_items(block.items, block.items, offset)?;
        }
        Ok(block)
    }

    fn charge_free_items(
        &mut self,
        charge: usize,
        items: usize,
        offset: usize,
    ) -> Result<(), DecodeError> {
        match self.free_items.checked_sub(charge) {
            Some(left) => {
                self.free_items = left;
                Ok(())
            }
            None => Err(DecodeError::Length {
                offset,
                expected: "a block count",
                found: i64::try_from(items).unwrap_or(i64::MAX),
                remaining: self.remaining(),
            }),
        }
    }

    pub(crate) fn deeper(&self, depth: usize) -> Result<usize, DecodeError> {
        if depth == MAX_DEPTH {
            return Err(DecodeError::Depth { offset: self.position });
        }
        Ok(depth + 1)
    }

    #[inline]
    fn index(&mut self, expected: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let offset = self.position;
        let found = self.number(expected)?;
        match usize::try_from(found) {
            Ok(index) if index < limit => Ok(index),
            _ => Err(DecodeError::Index { offset, expected, found, limit }),
        }
    }

    #[inline]
    fn sized(&mut self, expected: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.length(expected)?;
        self.take(len, expected)
    }

    /// A byte length that was checked against what remains.
    #[inline]
    fn length(&mut self, expected: &'static str) -> Result<usize, DecodeError> {
        let offset = self.position;
        let found = self.number(expected)?;
        let remaining = self.remaining();
        match usize::try_from(found) {
            Ok(len) if len <= remaining => Ok(len),
            _ => Err(DecodeError::Length { offset, expected, found, remaining }),
        }
    }

    #[inline]
    fn take(&mut self, len: usize, expected: &'static str) -> Result<&'a [u8], DecodeError> {
        match self.bytes[self.position..].split_at_checked(len) {
            Some((taken, _)) => {
                self.position += len;
                Ok(taken)
            }
            None => Err(DecodeError::End { offset: self.position, expected }),
        }
    }

    #[inline]
    fn chunk<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], DecodeError> {
        match self.bytes[self.position..].first_chunk::<N>() {
            Some(chunk) => {
                self.position += N;
                Ok(*chunk)
            }
            None => Err(DecodeError::End { offset: self.position, expected }),
        }
    }

    #[inline]
    fn number(&mut self, expected: &'static str) -> Result<i64, DecodeError> {
        // Most numbers in real records are branches and short lengths: one byte.
        match self.bytes.get(self.position) {
            Some(&byte) if byte < 0x80 => {
                self.position += 1;
                Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1))
            }
            _ => self.long_number(expected),
        }
    }

    fn long_number(&mut self, expected: &'static str) -> Result<i64, DecodeError> {
        let offset = self.position;
        let mut value = 0u64;
        for (index, &byte) in self.bytes[offset..].iter().take(10).enumerate() {
            // The tenth byte holds the one bit that is left.
            if index == 9 && byte > 1 {
                return Err(DecodeError::Range { offset, expected });
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.position = offset + index + 1;
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(DecodeError::End { offset, expected })
    }
}

#[cfg(test)]
mod tests;
