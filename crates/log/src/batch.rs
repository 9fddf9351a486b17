//! Record batches (message format 2) by their 61-byte header; records are not decoded here.
//!
//! ```text
//!  0 base offset i64      | 21 attributes i16           | 43 producer id i64
//!  8 length i32, of what  | 23 last offset delta i32    | 51 producer epoch i16
//!    follows this field   | 27 base timestamp i64       | 53 base sequence i32
//! 12 leader epoch i32     | 35 max timestamp i64        | 57 record count i32
//! 16 magic i8 = 2         |                             | 61 records
//! 17 CRC-32C u32, of everything from byte 21
//! ```

use bytes::Buf;

use crate::error::BatchFault;

/// Bytes before the records.
pub(crate) const HEADER: usize = 61;
/// Bytes before the part that the length field counts.
const LENGTH_END: usize = 12;
/// Where the part under the checksum begins.
pub(crate) const CRC_FROM: usize = 21;
/// Base offset, length and leader epoch: the bytes that the log writes anew.
pub(crate) const PATCHED: usize = 16;
/// There is one node and it leads for ever.
pub(crate) const LEADER_EPOCH: i32 = 0;

const CODEC_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// The decoded header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) base_offset: i64,
    /// Size of the whole batch in bytes.
    pub(crate) size: usize,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) records: i32,
}

impl BatchHeader {
    /// Decodes and checks what needs no further bytes. `bytes` may go on beyond the batch or end
    /// within its records.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BatchFault> {
        let mut buf = bytes.get(..HEADER).ok_or(BatchFault::CutShort)?;
        let base_offset = buf.get_i64();
        let length = usize::try_from(buf.get_i32()).map_err(|_| BatchFault::Length)?;
        let size = length + LENGTH_END;
        let _leader_epoch = buf.get_i32();
        if buf.get_i8() != 2 {
            return Err(BatchFault::Magic);
        }
        if size < HEADER {
            return Err(BatchFault::Length);
        }
        let header = Self {
            base_offset,
            size,
            crc: buf.get_u32(),
            attributes: buf.get_i16(),
            last_offset_delta: buf.get_i32(),
            base_timestamp: buf.get_i64(),
            max_timestamp: buf.get_i64(),
            producer_id: buf.get_i64(),
            producer_epoch: buf.get_i16(),
            base_sequence: buf.get_i32(),
            records: buf.get_i32(),
        };
        let records = i64::from(header.records);
        if header.last_offset_delta < 0
            || records < 0
            || records > i64::from(header.last_offset_delta) + 1
        {
            return Err(BatchFault::Count);
        }
        Ok(header)
    }

    /// Decodes the batch at the start of `bytes` and checks its checksum.
    pub(crate) fn verify(bytes: &[u8]) -> Result<Self, BatchFault> {
        let header = Self::parse(bytes)?;
        let covered = bytes.get(CRC_FROM..header.size).ok_or(BatchFault::CutShort)?;
        if crc32c::crc32c(covered) == header.crc { Ok(header) } else { Err(BatchFault::Checksum) }
    }

    /// A header found in a segment: its offsets must not overflow either.
    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    pub(crate) fn last_sequence(&self) -> i32 {
        add_sequence(self.base_sequence, self.last_offset_delta)
    }

    pub(crate) fn codec(&self) -> i16 {
        self.attributes & CODEC_MASK
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub(crate) fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    pub(crate) fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    /// The rules for a batch that is about to be appended, beyond being well-formed.
    pub(crate) fn check_new(&self, from_client: bool) -> Result<(), BatchFault> {
        if self.records < 1 || self.records - 1 != self.last_offset_delta {
            return Err(BatchFault::Count);
        }
        if self.codec() > 4 {
            return Err(BatchFault::Codec);
        }
        if from_client && self.is_control() {
            return Err(BatchFault::Control);
        }
        let sequenced = self.base_sequence >= 0 || (!from_client && self.base_sequence == -1);
        let producer_fits = if self.has_producer() {
            self.producer_epoch >= 0 && sequenced
        } else {
            self.producer_id == -1
                && self.base_sequence <= 0
                && !self.is_transactional()
                && !self.is_control()
        };
        if producer_fits { Ok(()) } else { Err(BatchFault::Producer) }
    }

    /// The first bytes of the batch with its place in the log.
    pub(crate) fn patch(&self, base_offset: i64) -> [u8; PATCHED] {
        let length = i32::try_from(self.size - LENGTH_END).unwrap_or(i32::MAX);
        let mut patched = [0; PATCHED];
        patched[..8].copy_from_slice(&base_offset.to_be_bytes());
        patched[8..12].copy_from_slice(&length.to_be_bytes());
        patched[12..].copy_from_slice(&LEADER_EPOCH.to_be_bytes());
        patched
    }
}

/// Sets the time of every record in a whole batch to `now_ms`, and the checksum.
pub(crate) fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    if batch.len() < HEADER {
        return;
    }
    let attributes = i16::from_be_bytes([batch[21], batch[22]]) | LOG_APPEND_TIME;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&now_ms.to_be_bytes());
    set_crc(batch);
}

/// Sets the checksum of a whole batch.
pub(crate) fn set_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// Sequences count from 0 to `i32::MAX` and start again.
pub(crate) fn add_sequence(sequence: i32, by: i32) -> i32 {
    sequence.wrapping_add(by) & i32::MAX
}

/// The content of a control batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) commit: bool,
    pub(crate) coordinator_epoch: i32,
}

impl Marker {
    /// Decodes the single record of a COMMIT or ABORT batch.
    pub(crate) fn parse(header: &BatchHeader, batch: &[u8]) -> Result<Self, BatchFault> {
        let records = batch.get(HEADER..header.size).ok_or(BatchFault::CutShort)?;
        if header.records != 1 || header.codec() != 0 || !header.has_producer() {
            return Err(BatchFault::Marker);
        }
        parse_marker(records).ok_or(BatchFault::Marker)
    }
}

fn parse_marker(mut records: &[u8]) -> Option<Marker> {
    let _length = varint(&mut records)?;
    let _attributes = records.try_get_i8().ok()?;
    let _timestamp_delta = varint(&mut records)?;
    let _offset_delta = varint(&mut records)?;
    if varint(&mut records)? < 4 {
        return None;
    }
    let _version = records.try_get_i16().ok()?;
    let kind = records.try_get_i16().ok()?;
    if varint(&mut records)? < 6 {
        return None;
    }
    let _version = records.try_get_i16().ok()?;
    let coordinator_epoch = records.try_get_i32().ok()?;
    (0..=1).contains(&kind).then_some(Marker { commit: kind == 1, coordinator_epoch })
}

/// A zigzag varint of at most ten bytes.
pub(crate) fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    None
}
