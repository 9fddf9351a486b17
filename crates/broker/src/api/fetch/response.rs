//! Encodes the answer as a list of slices: the records go to the socket as they were read, without
//! a copy into a response buffer.

use bytes::{Bytes, BytesMut};

use super::{Gathered, Part};
use crate::api::Fatal;

/// The version from which lengths are compact and structs end with tagged fields.
const FLEXIBLE: i16 = 12;

/// A response frame in parts.
pub(super) fn encode(
    correlation_id: i32,
    version: i16,
    gathered: &Gathered,
) -> Result<Vec<Bytes>, Fatal> {
    let mut out = Encoder { version, parts: Vec::new(), current: BytesMut::new(), length: 0 };
    out.i32(correlation_id);
    out.tags();
    out.i32(0);
    if version >= 7 {
        out.i16(gathered.error);
        out.i32(0);
    }
    out.count(gathered.topics.len());
    for (name, parts) in &gathered.topics {
        out.text(name);
        out.count(parts.len());
        for part in parts {
            out.partition(part);
        }
        out.tags();
    }
    out.tags();
    out.finish()
}

struct Encoder {
    version: i16,
    parts: Vec<Bytes>,
    current: BytesMut,
    length: usize,
}

impl Encoder {
    fn partition(&mut self, part: &Part) {
        self.i32(part.index);
        self.i16(part.error);
        self.i64(part.high_watermark);
        self.i64(part.last_stable_offset);
        if self.version >= 5 {
            self.i64(part.log_start);
        }
        self.count(part.aborted.len());
        for aborted in &part.aborted {
            self.i64(aborted.producer_id);
            self.i64(aborted.first_offset);
            self.tags();
        }
        if self.version >= 11 {
            self.i32(-1);
        }
        self.count(part.records.len());
        if !part.records.is_empty() {
            self.splice(part.records.clone());
        }
        self.tags();
    }

    fn put(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        self.current.extend_from_slice(bytes);
    }

    fn i16(&mut self, value: i16) {
        self.put(&value.to_be_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }

    /// No tagged fields.
    fn tags(&mut self) {
        if self.version >= FLEXIBLE {
            self.put(&[0]);
        }
    }

    /// The length of an array or of bytes.
    fn count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("answers are smaller than 4 GiB");
        if self.version < FLEXIBLE {
            return self.put(&count.to_be_bytes());
        }
        self.uvarint(count + 1);
    }

    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.put(&[(value as u8 & 0x7f) | 0x80]);
            value >>= 7;
        }
        self.put(&[value as u8]);
    }

    fn text(&mut self, text: &str) {
        if self.version < FLEXIBLE {
            let length = i16::try_from(text.len()).expect("topic names came in as short strings");
            self.i16(length);
        } else {
            self.count(text.len());
        }
        self.put(text.as_bytes());
    }

    fn splice(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        self.parts.push(self.current.split().freeze());
        self.parts.push(bytes);
    }

    fn finish(mut self) -> Result<Vec<Bytes>, Fatal> {
        self.parts.push(self.current.split().freeze());
        let length = i32::try_from(self.length)
            .map_err(|_| Fatal::Encode { reason: "the answer is larger than 2 GiB".to_owned() })?;
        self.parts.insert(0, Bytes::copy_from_slice(&length.to_be_bytes()));
        Ok(self.parts)
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::{
        messages::{FetchResponse, ResponseHeader},
        protocol::{Decodable, HeaderVersion},
    };
    use throughline_log::AbortedTxn;

    use super::*;

    #[test]
    fn every_version_decodes_to_what_was_encoded() {
        let part = Part {
            index: 3,
            error: 0,
            high_watermark: 200,
            last_stable_offset: 150,
            log_start: 10,
            aborted: vec![AbortedTxn { producer_id: 9, first_offset: 120 }],
            records: Bytes::from(vec![7; 300]),
        };
        let failed = Part { index: 4, error: 1, records: Bytes::new(), ..Part::default() };
        for version in 4..=12 {
            let gathered = Gathered {
                topics: vec![("orders".into(), vec![part_of(&part), part_of(&failed)])],
                ..Gathered::default()
            };
            let frame = encode(77, version, &gathered).unwrap().concat();
            let (length, rest) = frame.split_at(4);
            assert_eq!(i32::from_be_bytes(length.try_into().unwrap()) as usize, rest.len());
            let mut body = Bytes::copy_from_slice(rest);
            let header_version = FetchResponse::header_version(version);
            let header = ResponseHeader::decode(&mut body, header_version).unwrap();
            assert_eq!(header.correlation_id, 77);
            let response = FetchResponse::decode(&mut body, version).unwrap();
            assert!(body.is_empty(), "version {version} leaves bytes over");
            let partitions = &response.responses[0].partitions;
            assert_eq!(response.responses[0].topic.0.as_str(), "orders");
            assert_eq!(partitions[0].records.as_deref(), Some(&[7u8; 300][..]));
            assert_eq!(
                (partitions[0].high_watermark, partitions[0].last_stable_offset),
                (200, 150)
            );
            assert_eq!(partitions[0].log_start_offset, if version >= 5 { 10 } else { -1 });
            let aborted = partitions[0].aborted_transactions.as_ref().unwrap();
            assert_eq!((aborted[0].producer_id.0, aborted[0].first_offset), (9, 120));
            assert_eq!((partitions[1].partition_index, partitions[1].error_code), (4, 1));
        }
    }

    fn part_of(part: &Part) -> Part {
        Part { aborted: part.aborted.clone(), records: part.records.clone(), ..*part }
    }
}
