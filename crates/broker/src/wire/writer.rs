//! Writes the records of the internal topics in Kafka's primitive types.

use bytes::{Bytes, BytesMut};

/// Builds a key or a value.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: BytesMut,
}

impl Writer {
    /// An empty record with its leading version.
    pub(crate) fn versioned(version: i16) -> Self {
        let mut writer = Self::default();
        writer.i16(version);
        writer
    }

    pub(crate) fn i8(&mut self, value: i8) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Bytes without a length.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A string of at most 32,767 bytes, as every string of the protocol is.
    pub(crate) fn string(&mut self, text: &str) {
        self.nullable_string(Some(text));
    }

    /// A string or null.
    pub(crate) fn nullable_string(&mut self, text: Option<&str>) {
        let Some(text) = text else { return self.i16(-1) };
        let length = i16::try_from(text.len()).expect("strings of the protocol fit in 16 bits");
        self.i16(length);
        self.raw(text.as_bytes());
    }

    /// The number of elements that follow.
    pub(crate) fn count(&mut self, count: usize) {
        self.i32(i32::try_from(count).expect("counts are bounded by the request size"));
    }

    /// Bytes with their length.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    /// The finished record.
    pub(crate) fn finish(self) -> Bytes {
        self.out.freeze()
    }
}
