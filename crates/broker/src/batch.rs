//! Record batches (message format 2) that the broker itself writes and reads: its internal topics,
//! transaction markers, and records of in-process users. Client batches are never decoded.

use bytes::{Bytes, BytesMut};

use crate::wire::{Malformed, reader::Reader};

/// Bytes before the first record.
const HEADER: usize = 61;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const CODEC: i16 = 0b111;

/// The producer of a transactional batch or of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Abort,
    Commit,
}

/// A key and a value, either of which may be null.
pub(crate) type KeyValue = (Option<Bytes>, Option<Bytes>);

/// An uncompressed batch of `records`, at most `i32::MAX` bytes, or `None` when it is empty or
/// would be larger. With a producer the batch belongs to that producer's open transaction.
pub(crate) fn encode(
    records: &[KeyValue],
    timestamp_ms: i64,
    producer: Option<Producer>,
) -> Option<Bytes> {
    let attributes = if producer.is_some() { TRANSACTIONAL } else { 0 };
    build(records, timestamp_ms, attributes, producer)
}

/// The control batch that ends a transaction in one partition.
pub(crate) fn marker(
    producer: Producer,
    marker: Marker,
    coordinator_epoch: i32,
    timestamp_ms: i64,
) -> Bytes {
    let kind: u8 = if marker == Marker::Commit { 1 } else { 0 };
    let key = Bytes::copy_from_slice(&[0, 0, 0, kind]);
    let mut value = BytesMut::from(&[0u8, 0][..]);
    value.extend_from_slice(&coordinator_epoch.to_be_bytes());
    let records = [(Some(key), Some(value.freeze()))];
    build(&records, timestamp_ms, TRANSACTIONAL | CONTROL, Some(producer))
        .expect("a marker is small and has one record")
}

fn build(
    records: &[KeyValue],
    timestamp_ms: i64,
    attributes: i16,
    producer: Option<Producer>,
) -> Option<Bytes> {
    let count = i32::try_from(records.len()).ok().filter(|count| *count > 0)?;
    let payload: usize = records.iter().map(|(k, v)| 32 + len(k) + len(v)).sum();
    let mut out = BytesMut::with_capacity(HEADER + payload);
    let (id, epoch) = producer.map_or((-1, -1), |producer| (producer.id, producer.epoch));
    out.extend_from_slice(&0i64.to_be_bytes());
    out.extend_from_slice(&0i32.to_be_bytes());
    out.extend_from_slice(&(-1i32).to_be_bytes());
    out.extend_from_slice(&[2]);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&attributes.to_be_bytes());
    out.extend_from_slice(&(count - 1).to_be_bytes());
    out.extend_from_slice(&timestamp_ms.to_be_bytes());
    out.extend_from_slice(&timestamp_ms.to_be_bytes());
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&epoch.to_be_bytes());
    out.extend_from_slice(&(-1i32).to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    let mut record = BytesMut::new();
    for (delta, (key, value)) in (0i64..).zip(records) {
        record.clear();
        record.extend_from_slice(&[0]);
        put_varlong(&mut record, 0);
        put_varlong(&mut record, delta);
        put_nullable(&mut record, key.as_deref());
        put_nullable(&mut record, value.as_deref());
        put_varlong(&mut record, 0);
        put_varlong(&mut out, record.len() as i64);
        out.extend_from_slice(&record);
    }
    let length = i32::try_from(out.len() - 12).ok()?;
    put_at(&mut out, 8, &length.to_be_bytes());
    let crc = crc32c::crc32c(out.get(21..)?);
    put_at(&mut out, 17, &crc.to_be_bytes());
    Some(out.freeze())
}

fn len(bytes: &Option<Bytes>) -> usize {
    bytes.as_ref().map_or(0, Bytes::len)
}

fn put_at(out: &mut BytesMut, at: usize, bytes: &[u8]) {
    let field = out.get_mut(at..at + bytes.len()).expect("the header is there");
    field.copy_from_slice(bytes);
}

fn put_nullable(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(out, -1),
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}

fn put_varlong(out: &mut BytesMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.extend_from_slice(&[(rest as u8 & 0x7f) | 0x80]);
        rest >>= 7;
    }
    out.extend_from_slice(&[rest as u8]);
}

/// What the broker needs to know of a client's batch before it is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Records that the header claims.
    pub(crate) records: u64,
    /// The producer whose open transaction the batch belongs to.
    pub(crate) transaction: Option<Producer>,
}

/// Looks at the header of a request's only batch; `None` when there is not exactly one.
pub(crate) fn summarize(bytes: &[u8]) -> Option<Summary> {
    let header = Header::read(bytes).filter(|header| header.total == bytes.len())?;
    let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
    Some(Summary {
        records: u64::try_from(header.count).unwrap_or(0),
        transaction: (header.attributes & TRANSACTIONAL != 0).then_some(producer),
    })
}

/// The fixed part of a batch.
#[derive(Debug, Clone, Copy)]
struct Header {
    base_offset: i64,
    /// Length with everything.
    total: usize,
    attributes: i16,
    last_delta: i32,
    first_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    count: i32,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        let mut reader = Reader::new(bytes);
        let base_offset = reader.i64().ok()?;
        let length = usize::try_from(reader.i32().ok()?).ok()?;
        let total = length.checked_add(12).filter(|n| *n >= HEADER && *n <= bytes.len())?;
        reader.take(9).ok()?;
        let attributes = reader.i16().ok()?;
        let last_delta = reader.i32().ok()?;
        let first_timestamp = reader.i64().ok()?;
        reader.i64().ok()?;
        let (producer_id, producer_epoch) = (reader.i64().ok()?, reader.i16().ok()?);
        reader.i32().ok()?;
        let count = reader.i32().ok()?;
        Some(Header {
            base_offset,
            total,
            attributes,
            last_delta,
            first_timestamp,
            producer_id,
            producer_epoch,
            count,
        })
    }
}

/// A batch as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) base_offset: i64,
    /// The offset after the last one of the batch.
    pub(crate) next_offset: i64,
    /// The producer, for batches of idempotent or transactional producers.
    pub(crate) producer: Option<Producer>,
    attributes: i16,
    first_timestamp: i64,
    count: i32,
    payload: Bytes,
}

/// A record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
}

/// Why a stored batch cannot be read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchError {
    #[error("the batch at offset {base_offset} is compressed")]
    Compressed { base_offset: i64 },
    #[error("the batch at offset {base_offset} is malformed: {source}")]
    Malformed { base_offset: i64, source: Malformed },
}

impl Batch {
    /// Takes the next batch off `stored`; `None` at the end or at an incomplete batch.
    pub(crate) fn next(stored: &mut Bytes) -> Option<Batch> {
        let header = Header::read(stored)?;
        let batch = stored.split_to(header.total);
        let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
        Some(Batch {
            base_offset: header.base_offset,
            next_offset: header
                .base_offset
                .wrapping_add(i64::from(header.last_delta))
                .wrapping_add(1),
            producer: (producer.id >= 0).then_some(producer),
            attributes: header.attributes,
            first_timestamp: header.first_timestamp,
            count: header.count,
            payload: batch.slice(HEADER..),
        })
    }

    /// The time of the first record, in milliseconds since 1970, UTC.
    pub(crate) fn timestamp_ms(&self) -> i64 {
        self.first_timestamp
    }

    /// Whether the batch waits for its transaction's end.
    pub(crate) fn transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// The marker in a control batch.
    pub(crate) fn marker(&self) -> Option<Marker> {
        if self.attributes & CONTROL == 0 {
            return None;
        }
        let key = self.records().ok()?.into_iter().next()?.key?;
        match key.get(2..4)? {
            [0, 0] => Some(Marker::Abort),
            [0, 1] => Some(Marker::Commit),
            _ => None,
        }
    }

    /// Whether the batch holds markers rather than data.
    pub(crate) fn control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The records of an uncompressed batch.
    pub(crate) fn records(&self) -> Result<Vec<Record>, BatchError> {
        if self.attributes & CODEC != 0 {
            return Err(BatchError::Compressed { base_offset: self.base_offset });
        }
        self.parse()
            .map_err(|source| BatchError::Malformed { base_offset: self.base_offset, source })
    }

    fn parse(&self) -> Result<Vec<Record>, Malformed> {
        let mut reader = Reader::new(&self.payload);
        let mut records = Vec::new();
        for _ in 0..self.count {
            let length = usize::try_from(reader.varlong()?).map_err(|_| Malformed::BadLength)?;
            let mut record = Reader::new(reader.take(length)?);
            record.i8()?;
            let timestamp_delta = record.varlong()?;
            let offset_delta = record.varlong()?;
            records.push(Record {
                offset: self.base_offset.wrapping_add(offset_delta),
                timestamp_ms: self.first_timestamp.wrapping_add(timestamp_delta),
                key: self.nullable(&mut record)?,
                value: self.nullable(&mut record)?,
            });
        }
        Ok(records)
    }

    fn nullable(&self, record: &mut Reader<'_>) -> Result<Option<Bytes>, Malformed> {
        match record.varlong()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| Malformed::BadLength)?;
                Ok(Some(self.payload.slice_ref(record.take(length)?)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &'static str, value: Option<&'static str>) -> KeyValue {
        (Some(Bytes::from_static(key.as_bytes())), value.map(|v| Bytes::from_static(v.as_bytes())))
    }

    #[test]
    fn a_batch_reads_back_as_it_was_written() {
        let long = (None, Some(Bytes::from(vec![b'x'; 300])));
        let records = [pair("a", Some("1")), pair("b", None), long.clone()];
        let mut stored = encode(&records, 1_700_000_000_000, None).unwrap();
        let batch = Batch::next(&mut stored).unwrap();
        assert!(stored.is_empty());
        assert_eq!((batch.base_offset, batch.next_offset), (0, 3));
        assert_eq!((batch.producer, batch.transactional(), batch.control()), (None, false, false));
        let read = batch.records().unwrap();
        assert_eq!(
            read.iter().map(|r| (r.key.clone(), r.value.clone())).collect::<Vec<_>>(),
            records
        );
        assert_eq!(read.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(read.iter().all(|r| r.timestamp_ms == 1_700_000_000_000));
    }

    #[test]
    fn markers_name_their_producer_and_outcome() {
        let producer = Producer { id: 7, epoch: 3 };
        for outcome in [Marker::Abort, Marker::Commit] {
            let mut stored = marker(producer, outcome, 0, 5);
            let batch = Batch::next(&mut stored).unwrap();
            assert_eq!((batch.producer, batch.marker()), (Some(producer), Some(outcome)));
        }
    }

    #[test]
    fn truncated_batches_are_not_read_and_never_panic() {
        let whole = encode(&[pair("key", Some("value"))], 1, None).unwrap();
        for cut in 0..whole.len() {
            assert!(Batch::next(&mut whole.slice(..cut)).is_none());
        }
        for at in HEADER..whole.len() {
            let mut bent = BytesMut::from(&whole[..]);
            bent[at] ^= 0xff;
            let _ = Batch::next(&mut bent.freeze()).unwrap().records();
        }
    }

    #[test]
    fn a_compressed_batch_is_refused_by_name() {
        let mut bytes = BytesMut::from(&encode(&[pair("k", None)], 1, None).unwrap()[..]);
        bytes[22] |= 2;
        let batch = Batch::next(&mut bytes.freeze()).unwrap();
        assert_eq!(batch.records(), Err(BatchError::Compressed { base_offset: 0 }));
    }

    #[test]
    fn an_empty_batch_is_not_built() {
        assert!(encode(&[], 1, None).is_none());
    }
}
