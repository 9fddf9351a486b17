//! Building and reading record batches, independently of the log's own code.

use std::io::{Read, Write};

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A batch to be encoded; uncompressed unless `codec` says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
    pub(crate) attributes: i16,
    pub(crate) base_timestamp: i64,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: i64,
}

pub(crate) const TRANSACTIONAL: i16 = 1 << 4;
pub(crate) const CONTROL: i16 = 1 << 5;

impl Batch {
    /// Records with these values and a time of 1,000, 1,001 ...
    pub(crate) fn of(values: &[&str]) -> Self {
        let records = values
            .iter()
            .zip(1_000..)
            .map(|(value, timestamp)| Record {
                key: None,
                value: Some(value.as_bytes().to_vec()),
                timestamp,
            })
            .collect();
        Self::new(records)
    }

    /// Keys with values; `None` is a tombstone.
    pub(crate) fn keyed(records: &[(&str, Option<&str>)]) -> Self {
        let records = records
            .iter()
            .zip(1_000..)
            .map(|((key, value), timestamp)| Record {
                key: Some(key.as_bytes().to_vec()),
                value: value.map(|value| value.as_bytes().to_vec()),
                timestamp,
            })
            .collect();
        Self::new(records)
    }

    pub(crate) fn new(records: Vec<Record>) -> Self {
        Self {
            records,
            producer_id: -1,
            epoch: -1,
            sequence: -1,
            attributes: 0,
            base_timestamp: 1_000,
        }
    }

    pub(crate) fn by(self, producer_id: i64, epoch: i16, sequence: i32) -> Self {
        Self { producer_id, epoch, sequence, ..self }
    }

    pub(crate) fn transactional(self) -> Self {
        Self { attributes: self.attributes | TRANSACTIONAL, ..self }
    }

    pub(crate) fn at(mut self, timestamp: i64) -> Self {
        for (record, delta) in self.records.iter_mut().zip(0..) {
            record.timestamp = timestamp + delta;
        }
        self.base_timestamp = timestamp;
        self
    }

    pub(crate) fn codec(self, codec: i16) -> Self {
        Self { attributes: self.attributes & !7 | codec, ..self }
    }

    /// A COMMIT or ABORT marker.
    pub(crate) fn marker(
        producer_id: i64,
        epoch: i16,
        commit: bool,
        coordinator_epoch: i32,
    ) -> Self {
        let mut key = vec![0, 0];
        key.extend_from_slice(&i16::from(commit).to_be_bytes());
        let mut value = vec![0, 0];
        value.extend_from_slice(&coordinator_epoch.to_be_bytes());
        let record = Record { key: Some(key), value: Some(value), timestamp: 1_000 };
        let mut batch = Self::new(vec![record]).by(producer_id, epoch, -1);
        batch.attributes = TRANSACTIONAL | CONTROL;
        batch
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut records = Vec::new();
        for (record, delta) in self.records.iter().zip(0..) {
            let mut body = vec![0];
            put_varint(&mut body, record.timestamp - self.base_timestamp);
            put_varint(&mut body, delta);
            put_bytes(&mut body, record.key.as_deref());
            put_bytes(&mut body, record.value.as_deref());
            put_varint(&mut body, 0);
            put_varint(&mut records, body.len() as i64);
            records.extend_from_slice(&body);
        }
        let records = compress(self.attributes & 7, records);
        let count = i32::try_from(self.records.len()).unwrap();
        let latest = self.records.iter().map(|record| record.timestamp).max().unwrap_or(-1);
        let mut out = BytesMut::new();
        out.put_i64(77);
        out.put_i32(49 + i32::try_from(records.len()).unwrap());
        out.put_i32(9);
        out.put_i8(2);
        out.put_u32(0);
        out.put_i16(self.attributes);
        out.put_i32(count - 1);
        out.put_i64(self.base_timestamp);
        out.put_i64(latest);
        out.put_i64(self.producer_id);
        out.put_i16(self.epoch);
        out.put_i32(self.sequence);
        out.put_i32(count);
        out.put_slice(&records);
        seal(&mut out);
        out.freeze()
    }
}

/// Sets the checksum.
pub(crate) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varint(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// A batch that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadBatch {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) attributes: i16,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
    pub(crate) max_timestamp: i64,
    pub(crate) records: Vec<(i64, Record)>,
}

impl ReadBatch {
    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }
}

/// Decodes whole batches and checks their checksums.
pub(crate) fn decode(mut bytes: &[u8]) -> Vec<ReadBatch> {
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        let size = 12 + usize::try_from((&bytes[8..]).get_i32()).unwrap();
        let (mut batch, rest) = bytes.split_at(size);
        assert_eq!(crc32c::crc32c(&batch[21..]), (&batch[17..]).get_u32(), "checksum");
        bytes = rest;
        let base_offset = batch.get_i64();
        let _length = batch.get_i32();
        let leader_epoch = batch.get_i32();
        batch.advance(5);
        let attributes = batch.get_i16();
        let last_offset = base_offset + i64::from(batch.get_i32());
        let base_timestamp = batch.get_i64();
        let max_timestamp = batch.get_i64();
        let producer_id = batch.get_i64();
        let epoch = batch.get_i16();
        let sequence = batch.get_i32();
        let count = batch.get_i32();
        let plain = decompress(attributes & 7, batch);
        let mut plain = &plain[..];
        let mut records = Vec::new();
        for _ in 0..count {
            let length = usize::try_from(varint(&mut plain)).unwrap();
            let (mut body, rest) = plain.split_at(length);
            plain = rest;
            body.advance(1);
            let timestamp = base_timestamp + varint(&mut body);
            let offset = base_offset + varint(&mut body);
            let key = take_bytes(&mut body);
            let value = take_bytes(&mut body);
            records.push((offset, Record { key, value, timestamp }));
        }
        assert!(plain.is_empty(), "{} bytes behind the records", plain.len());
        batches.push(ReadBatch {
            base_offset,
            last_offset,
            leader_epoch,
            attributes,
            producer_id,
            epoch,
            sequence,
            max_timestamp,
            records,
        });
    }
    batches
}

fn compress(codec: i16, plain: Vec<u8>) -> Vec<u8> {
    match codec {
        0 => plain,
        1 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap()
        }
        // One raw block, as librdkafka writes it.
        2 => snap::raw::Encoder::new().compress_vec(&plain).unwrap(),
        3 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap()
        }
        4 => zstd::encode_all(&plain[..], 0).unwrap(),
        _ => plain,
    }
}

fn decompress(codec: i16, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match codec {
        0 => plain.extend_from_slice(bytes),
        1 => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap()),
        2 => match bytes.strip_prefix(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01") {
            None => plain = snap::raw::Decoder::new().decompress_vec(bytes).unwrap(),
            Some(mut blocks) => {
                while !blocks.is_empty() {
                    let size = blocks.get_u32() as usize;
                    let block = snap::raw::Decoder::new().decompress_vec(&blocks[..size]);
                    plain.extend(block.unwrap());
                    blocks.advance(size);
                }
            }
        },
        3 => drop(lz4_flex::frame::FrameDecoder::new(bytes).read_to_end(&mut plain).unwrap()),
        4 => plain = zstd::decode_all(bytes).unwrap(),
        _ => panic!("codec {codec}"),
    }
    plain
}

fn varint(bytes: &mut &[u8]) -> i64 {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.get_u8();
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

fn take_bytes(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(varint(bytes)).ok()?;
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    Some(taken.to_vec())
}
