//! Grouped documents: the key's datum, then an Avro array of row datums.
//!
//! An order that arrives as lines of a file becomes one document of its lines. The array is always
//! one block with a positive count, so rows are added without reading those that are there.

use throughline_avro::{Cursor, DecodeError, Node, put_block, put_block_end};

/// Why bytes are not a grouped document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The document does not begin with its key.
    #[error("the document does not begin with its key")]
    Key,
    /// What follows the key is not an array in one block.
    #[error("the key is not followed by an array in one block")]
    Array,
}

/// The rows of a grouped document, not yet told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows<'a> {
    count: usize,
    items: &'a [u8],
}

/// Builds the document of `key` with these rows, each a datum.
pub fn build(key: &[u8], rows: &[impl AsRef<[u8]>]) -> Vec<u8> {
    joined(key, Rows { count: 0, items: &[] }, rows)
}

/// The rows of `document`, whose key takes its first `key_len` bytes.
pub fn rows(document: &[u8], key_len: usize) -> Result<Rows<'_>, GroupError> {
    let array = document.get(key_len..).ok_or(GroupError::Key)?;
    let mut cursor = Cursor::new(array);
    let Some(block) = cursor.block().map_err(|_| GroupError::Array)? else {
        return match cursor.remaining() {
            0 => Ok(Rows { count: 0, items: &[] }),
            _ => Err(GroupError::Array),
        };
    };
    match (block.bytes, array.get(cursor.position()..)) {
        (None, Some([items @ .., 0])) => Ok(Rows { count: block.items, items }),
        _ => Err(GroupError::Array),
    }
}

/// `document` with `more` rows behind its own.
pub(crate) fn append(
    document: &[u8],
    key: &[u8],
    more: &[impl AsRef<[u8]>],
) -> Result<Vec<u8>, GroupError> {
    if !document.starts_with(key) {
        return Err(GroupError::Key);
    }
    Ok(joined(key, rows(document, key.len())?, more))
}

fn joined(key: &[u8], rows: Rows<'_>, more: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let added: usize = more.iter().map(|row| row.as_ref().len()).sum();
    // Ten bytes hold any count, one the end.
    let mut document = Vec::with_capacity(key.len() + rows.items.len() + added + 11);
    document.extend_from_slice(key);
    let count = rows.count + more.len();
    if count > 0 {
        put_block(&mut document, count);
        document.extend_from_slice(rows.items);
        more.iter().for_each(|row| document.extend_from_slice(row.as_ref()));
    }
    put_block_end(&mut document);
    document
}

impl<'a> Rows<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The rows one by one, as datums of the type `row`. Nothing follows an error.
    pub fn datums(&self, row: &Node) -> impl Iterator<Item = Result<&'a [u8], DecodeError>> {
        let mut cursor = Cursor::new(self.items);
        let mut left = self.count;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let datum = cursor.value(row);
            if datum.is_err() {
                left = 0;
            }
            Some(datum)
        })
    }
}

#[cfg(test)]
mod tests {
    use throughline_avro::Schema;

    use super::*;

    fn datums<'a>(rows: &Rows<'a>) -> Vec<&'a [u8]> {
        let string = Schema::parse(r#""string""#).unwrap();
        rows.datums(string.root()).map(Result::unwrap).collect()
    }

    #[test]
    fn rows_come_back_in_the_order_they_were_added() {
        let document = build(b"\x04k1", &[b"\x02a", b"\x02b"]);
        assert_eq!(document, b"\x04k1\x04\x02a\x02b\x00");
        let more = append(&document, b"\x04k1", &[b"\x02c"]).unwrap();
        let rows = rows(&more, 3).unwrap();
        assert_eq!((rows.len(), rows.is_empty()), (3, false));
        assert_eq!(datums(&rows), [b"\x02a", b"\x02b", b"\x02c"]);
    }

    #[test]
    fn document_without_rows_is_the_key_and_an_empty_array() {
        let empty = build(b"k", &[] as &[&[u8]]);
        assert_eq!(empty, b"k\x00");
        assert!(rows(&empty, 1).unwrap().is_empty());
        assert_eq!(append(&empty, b"k", &[] as &[&[u8]]).unwrap(), empty);
        assert_eq!(append(&empty, b"k", &[b"\x00"]).unwrap(), build(b"k", &[b"\x00"]));
    }

    #[test]
    fn group_of_many_rows_grows_its_count_to_more_bytes() {
        let mut document = build(b"k", &[] as &[&[u8]]);
        for n in 0..200u8 {
            document = append(&document, b"k", &[[2, n]]).unwrap();
        }
        assert_eq!(rows(&document, 1).unwrap().len(), 200);
    }

    #[test]
    fn bytes_that_are_no_group_are_refused() {
        assert_eq!(append(b"other\x00", b"key", &[b"r"]), Err(GroupError::Key));
        assert_eq!(rows(b"k", 2), Err(GroupError::Key));
        // No array, no end, something behind the end, a block with a byte size.
        for document in [&b"k"[..], b"k\x02a", b"k\x00\x00", b"k\x01\x02a\x00"] {
            assert_eq!(rows(document, 1), Err(GroupError::Array), "{document:?}");
        }
    }

    #[test]
    fn rows_of_another_type_end_with_an_error() {
        let document = build(b"k", &[b"\x08a", b"\x02b"]);
        let string = Schema::parse(r#""string""#).unwrap();
        let rows = rows(&document, 1).unwrap();
        assert_eq!(rows.datums(string.root()).filter(Result::is_err).count(), 1);
    }
}
