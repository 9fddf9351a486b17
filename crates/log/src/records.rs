//! The records inside a batch, one at a time and without holding them: a key is hashed as it
//! streams by, values and headers are skipped.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varint | offset delta varint
//!               | key length varint, key | value length varint, value | headers
//! ```

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufRead, Read, Write};

use crate::batch::{BatchHeader, HEADER};
use crate::codec::{self, Encoder};

/// Hashes of keys: 128 bits under a secret that is new for every compaction, so that two keys do
/// not collide, not even on purpose.
#[derive(Debug, Default)]
pub(crate) struct KeyHasher {
    left: RandomState,
    right: RandomState,
}

/// The hash of a record's key.
pub(crate) type KeyHash = (u64, u64);

/// What compaction and lookups by time need of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<KeyHash>,
    /// The value is null.
    pub(crate) tombstone: bool,
}

/// What is left of one record.
type Body<'r, 'a> = io::Take<&'r mut Box<dyn BufRead + 'a>>;

/// The records of one batch.
pub(crate) struct Records<'a> {
    header: BatchHeader,
    plain: Box<dyn BufRead + 'a>,
    left: i32,
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl<'a> Records<'a> {
    /// `batch` is the whole batch of this header.
    pub(crate) fn new(header: &BatchHeader, batch: &'a [u8]) -> io::Result<Self> {
        let packed = batch.get(HEADER..header.size).ok_or_else(invalid)?;
        let plain = codec::reader(header.codec(), packed)?;
        Ok(Self { header: *header, plain, left: header.records })
    }

    /// The positions of the records that have no key, at most `most` of them. Fails when the bytes
    /// are not these records and nothing else.
    pub(crate) fn without_key(mut self, most: usize) -> io::Result<Vec<i32>> {
        let mut found = Vec::new();
        for position in 0..self.left {
            let (mut body, _) = self.begin()?;
            match varint(&mut body)? {
                -1 if found.len() < most => found.push(position),
                -1 => {}
                size => skip(&mut body, length(size)?)?,
            }
            skip_nullable(&mut body)?;
            for _ in 0..length(varint(&mut body)?)? {
                let name = length(varint(&mut body)?)?;
                skip(&mut body, name)?;
                skip_nullable(&mut body)?;
            }
            if body.limit() > 0 {
                return Err(invalid());
            }
        }
        if !self.plain.fill_buf()?.is_empty() {
            return Err(invalid());
        }
        Ok(found)
    }

    /// Begins the next record: what follows is its key, and the time and offset before it.
    fn begin(&mut self) -> io::Result<(Body<'_, 'a>, (i64, i64))> {
        let length = length(varint(&mut self.plain)?)?;
        let mut body = (&mut self.plain).take(length);
        skip(&mut body, 1)?;
        let timestamp_delta = varint(&mut body)?;
        let offset_delta = varint(&mut body)?;
        if !(0..=i64::from(self.header.last_offset_delta)).contains(&offset_delta) {
            return Err(invalid());
        }
        Ok((body, (timestamp_delta, offset_delta)))
    }

    /// The next record; `None` behind the last one.
    pub(crate) fn next(&mut self, keys: &KeyHasher) -> io::Result<Option<RecordHead>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let (mut body, (timestamp_delta, offset_delta)) = self.begin()?;
        let key = match varint(&mut body)? {
            -1 => None,
            size => Some(hash(&mut body, length(size)?, keys)?),
        };
        let tombstone = varint(&mut body)? < 0;
        let rest = body.limit();
        skip(&mut body, rest)?;
        let timestamp = if self.header.is_log_append_time() {
            self.header.max_timestamp
        } else {
            self.header.base_timestamp.saturating_add(timestamp_delta)
        };
        let offset = self.header.base_offset.saturating_add(offset_delta);
        Ok(Some(RecordHead { offset, timestamp, key, tombstone }))
    }

    /// Copies the records for which `kept` says so, by position in the batch, behind what `out`
    /// holds.
    pub(crate) fn copy_kept(mut self, kept: &[bool], out: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut encoder = Encoder::new(self.header.codec(), out)?;
        for kept in kept {
            let raw = varint(&mut self.plain)?;
            let length = length(raw)?;
            if *kept {
                write_varint(&mut encoder, raw)?;
                if io::copy(&mut (&mut self.plain).take(length), &mut encoder)? != length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            } else {
                skip(&mut self.plain, length)?;
            }
        }
        encoder.finish()
    }
}

fn length(value: i64) -> io::Result<u64> {
    if (0..=i64::from(i32::MAX)).contains(&value) {
        Ok(value.cast_unsigned())
    } else {
        Err(invalid())
    }
}

fn varint(from: &mut impl Read) -> io::Result<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    Err(invalid())
}

fn write_varint(to: &mut impl Write, value: i64) -> io::Result<()> {
    let mut value = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while value >= 0x80 {
        to.write_all(&[(value & 0x7f) as u8 | 0x80])?;
        value >>= 7;
    }
    to.write_all(&[value as u8])
}

fn skip(from: &mut impl BufRead, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut from.take(bytes), &mut io::sink())?;
    if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Skips bytes behind their length, which is -1 for null.
fn skip_nullable(from: &mut impl BufRead) -> io::Result<()> {
    match varint(from)? {
        -1 => Ok(()),
        size => skip(from, length(size)?),
    }
}

fn hash(from: &mut impl BufRead, size: u64, keys: &KeyHasher) -> io::Result<KeyHash> {
    let mut left = keys.left.build_hasher();
    let mut right = keys.right.build_hasher();
    let mut key = from.take(size);
    loop {
        let chunk = key.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        left.write(chunk);
        right.write(chunk);
        let read = chunk.len();
        key.consume(read);
    }
    if key.limit() > 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((left.finish(), right.finish()))
}
