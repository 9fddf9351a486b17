//! Layouts of request bodies, and the walk that proves a body matches its layout.

use super::{Malformed, reader::Reader};

/// The most array elements one request may hold. An element of the smallest kind takes two bytes
/// on the wire and about a hundred decoded, so this bounds a request at some 25 MB of memory.
const MAX_ELEMENTS: usize = 250_000;

/// The longest string in bytes, which is what its plain form can say.
const MAX_TEXT: usize = i16::MAX as usize;

/// One kind of field on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// So many bytes, always.
    Fixed(usize),
    /// A string, possibly null.
    Text,
    /// Bytes, possibly null.
    Blob,
    /// An array of primitive elements.
    List(&'static Kind),
    /// An array of structs.
    Structs(&'static [Field]),
}

pub(crate) const I8: Kind = Kind::Fixed(1);
pub(crate) const BOOL: Kind = Kind::Fixed(1);
pub(crate) const I16: Kind = Kind::Fixed(2);
pub(crate) const I32: Kind = Kind::Fixed(4);
pub(crate) const I64: Kind = Kind::Fixed(8);
pub(crate) const UUID: Kind = Kind::Fixed(16);
pub(crate) const TEXT: Kind = Kind::Text;
pub(crate) const BLOB: Kind = Kind::Blob;

/// A field and the versions that carry it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    first: i16,
    last: i16,
    kind: Kind,
}

/// A field of every version.
pub(crate) const fn all(kind: Kind) -> Field {
    Field { first: 0, last: i16::MAX, kind }
}

/// A field of version `first` and later.
pub(crate) const fn since(first: i16, kind: Kind) -> Field {
    Field { first, last: i16::MAX, kind }
}

/// A field of versions up to and including `last`.
pub(crate) const fn until(last: i16, kind: Kind) -> Field {
    Field { first: 0, last, kind }
}

/// A field of versions `first` to `last`, both included.
pub(crate) const fn between(first: i16, last: i16, kind: Kind) -> Field {
    Field { first, last, kind }
}

/// The layout of one request over all its versions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The first version with compact lengths and tagged fields.
    pub(crate) flexible: i16,
    /// The fields in wire order.
    pub(crate) fields: &'static [Field],
}

impl Shape {
    /// Checks that `body` is a whole request of this version: every claimed length is there, and
    /// the number of array elements is bounded. Returns how many bytes are left over: they are
    /// ignored, as Kafka does, because librdkafka 2.16 ends some Metadata requests with one.
    pub(crate) fn check(&self, body: &[u8], version: i16) -> Result<usize, Malformed> {
        let mut walk = Walk {
            reader: Reader::new(body),
            version,
            flexible: version >= self.flexible,
            elements: MAX_ELEMENTS,
        };
        walk.fields(self.fields)?;
        Ok(walk.reader.remaining())
    }
}

struct Walk<'a> {
    reader: Reader<'a>,
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), Malformed> {
        for field in fields {
            if (field.first..=field.last).contains(&self.version) {
                self.value(field.kind)?;
            }
        }
        if self.flexible {
            self.reader.skip_tags()?;
        }
        Ok(())
    }

    fn value(&mut self, kind: Kind) -> Result<(), Malformed> {
        match kind {
            Kind::Fixed(length) => self.reader.take(length).map(drop),
            Kind::Text => {
                let length = self.reader.string_length(self.flexible)?.unwrap_or(0);
                // The compact form could claim more; what is kept is written with 16 bits.
                if length > MAX_TEXT {
                    return Err(Malformed::BadLength);
                }
                self.reader.take(length).map(drop)
            }
            Kind::Blob => {
                let length = self.reader.long_length(self.flexible)?.unwrap_or(0);
                self.reader.take(length).map(drop)
            }
            Kind::List(element) => self.repeat(|walk| walk.value(*element)),
            Kind::Structs(fields) => self.repeat(|walk| walk.fields(fields)),
        }
    }

    fn repeat(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let count = self.reader.long_length(self.flexible)?.unwrap_or(0);
        self.elements = self.elements.checked_sub(count).ok_or(Malformed::TooManyElements)?;
        for _ in 0..count {
            each(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Shape = Shape {
        flexible: 1,
        fields: &[all(Kind::List(&TEXT)), since(1, Kind::Structs(&[all(I32), until(0, I64)]))],
    };

    #[test]
    fn a_whole_body_passes_in_both_encodings() {
        assert_eq!(NAMES.check(&[0, 0, 0, 1, 0, 2, b'a', b'b'], 0), Ok(0));
        assert_eq!(NAMES.check(&[2, 3, b'a', b'b', 2, 0, 0, 0, 9, 0, 0], 1), Ok(0));
    }

    #[test]
    fn an_array_that_claims_more_than_the_frame_holds_is_refused() {
        assert_eq!(NAMES.check(&[0, 0, 0, 9, 0, 1, b'a'], 0), Err(Malformed::Truncated));
        assert_eq!(NAMES.check(&[0x7f, 0xff, 0xff, 0xff], 0), Err(Malformed::TooManyElements));
        assert_eq!(
            NAMES.check(&[0xff, 0xff, 0xff, 0xff, 0x0f], 1),
            Err(Malformed::TooManyElements)
        );
        assert_eq!(NAMES.check(&[0xff, 0xff, 0xff, 0xff, 0x7f], 1), Err(Malformed::BadLength));
    }

    #[test]
    fn negative_lengths_are_refused_and_left_over_bytes_counted() {
        assert_eq!(NAMES.check(&[0xff, 0xff, 0xff, 0xfe], 0), Err(Malformed::BadLength));
        assert_eq!(NAMES.check(&[0xff, 0xff, 0xff, 0xff], 0), Ok(0), "null is allowed");
        assert_eq!(NAMES.check(&[0, 0, 0, 0, 7], 0), Ok(1));
    }
}
