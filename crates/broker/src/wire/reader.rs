//! A cursor over untrusted bytes: every read is checked, nothing is allocated.

use super::Malformed;

/// Reads Kafka's primitive types from a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over all of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, Malformed> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// An unsigned varint of at most five bytes.
    pub(crate) fn uvarint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Malformed::BadLength);
            }
        }
        Err(Malformed::Endless)
    }

    /// A zigzag varint of up to 64 bits, as record fields use it.
    pub(crate) fn varlong(&mut self) -> Result<i64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Malformed::Endless)
    }

    /// The length prefix of a string or an array of the older encoding; `None` is null.
    fn old_length(length: i64) -> Result<Option<usize>, Malformed> {
        match length {
            -1 => Ok(None),
            _ => usize::try_from(length).map(Some).map_err(|_| Malformed::BadLength),
        }
    }

    /// Length of a string: 16 bits, or a compact varint in flexible versions.
    pub(crate) fn string_length(&mut self, flexible: bool) -> Result<Option<usize>, Malformed> {
        if flexible { self.compact_length() } else { Self::old_length(self.i16()?.into()) }
    }

    /// Length of bytes or of an array: 32 bits, or a compact varint in flexible versions.
    pub(crate) fn long_length(&mut self, flexible: bool) -> Result<Option<usize>, Malformed> {
        if flexible { self.compact_length() } else { Self::old_length(self.i32()?.into()) }
    }

    fn compact_length(&mut self) -> Result<Option<usize>, Malformed> {
        Ok(self.uvarint()?.checked_sub(1).map(|length| length as usize))
    }

    /// A nullable UTF-8 string.
    pub(crate) fn nullable_string(&mut self, flexible: bool) -> Result<Option<&'a str>, Malformed> {
        let Some(length) = self.string_length(flexible)? else { return Ok(None) };
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| Malformed::Utf8)
    }

    /// A UTF-8 string that must not be null.
    pub(crate) fn string(&mut self, flexible: bool) -> Result<&'a str, Malformed> {
        self.nullable_string(flexible)?.ok_or(Malformed::Null)
    }

    /// Bytes that must not be null.
    pub(crate) fn bytes(&mut self, flexible: bool) -> Result<&'a [u8], Malformed> {
        let length = self.long_length(flexible)?.ok_or(Malformed::Null)?;
        self.take(length)
    }

    /// Skips the tagged fields that end every struct of a flexible version.
    pub(crate) fn skip_tags(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let length = self.uvarint()? as usize;
            self.take(length)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_be_wrong_is_told_apart() {
        let mut endless = Reader::new(&[0xff; 16]);
        assert_eq!(endless.uvarint(), Err(Malformed::Endless));
        assert_eq!(endless.varlong(), Err(Malformed::Endless));
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x7f]).uvarint(),
            Err(Malformed::BadLength)
        );
        for flexible in [false, true] {
            let null: &[u8] = if flexible { &[0] } else { &[0xff; 4] };
            assert_eq!(Reader::new(null).nullable_string(flexible), Ok(None));
            assert_eq!(Reader::new(null).string(flexible), Err(Malformed::Null));
            assert_eq!(Reader::new(null).bytes(flexible), Err(Malformed::Null));
        }
        assert_eq!(Reader::new(b"\0\x01\xff").string(false), Err(Malformed::Utf8));
        assert_eq!(Reader::new(b"\xff\xfe").string(false), Err(Malformed::BadLength));
        assert_eq!(Reader::new(b"\0\x02a").string(false), Err(Malformed::Truncated));
    }
}
