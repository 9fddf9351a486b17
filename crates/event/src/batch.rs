//! Records of the log in batches, as workers see them: keys and values are Avro datums with the
//! schema they were written with; the wire format's prefix is gone.

use std::sync::Arc;

use throughline_avro::Schema;

use crate::{Micros, Offset, PartitionId, TopicName};

/// Header names and values, in order.
pub type Headers = Vec<(String, Vec<u8>)>;

/// An Avro datum and the schema it was written with.
#[derive(Debug, Clone, Copy)]
pub struct Datum<'a> {
    /// The writer's schema.
    pub schema: &'a Arc<Schema>,
    /// The datum, without the wire format's prefix.
    pub bytes: &'a [u8],
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Where it was read.
    pub topic: &'a TopicName,
    /// Its partition.
    pub partition: PartitionId,
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp on the log.
    pub timestamp: Micros,
    /// Its key.
    pub key: Option<Datum<'a>>,
    /// Its value; absent for a tombstone.
    pub value: Option<Datum<'a>>,
    /// Its headers.
    pub headers: &'a [(String, Vec<u8>)],
}

/// Where a datum lies in the batch's bytes, and its schema's place in the batch's list.
#[derive(Debug, Clone, Copy)]
struct Part {
    schema: u32,
    start: usize,
    end: usize,
}

#[derive(Debug, Clone)]
struct Row {
    topic: u32,
    partition: PartitionId,
    offset: Offset,
    timestamp: Micros,
    key: Option<Part>,
    value: Option<Part>,
    headers: Headers,
}

/// Records of one or more partitions; those of one partition are in offset order.
///
/// Keys and values share one buffer, so a batch costs a few allocations, not two a record.
#[derive(Debug, Default, Clone)]
pub struct RecordBatch {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    topics: Vec<TopicName>,
    schemas: Vec<Arc<Schema>>,
}

impl RecordBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    /// Adds a copy of a record.
    pub fn push(&mut self, record: Record<'_>) {
        let topic = match self.topics.iter().rposition(|t| t == record.topic) {
            Some(at) => at,
            None => {
                self.topics.push(record.topic.clone());
                self.topics.len() - 1
            }
        };
        let key = record.key.map(|datum| self.copy(datum));
        let value = record.value.map(|datum| self.copy(datum));
        self.rows.push(Row {
            topic: u32::try_from(topic).expect("a batch has fewer than 2^32 topics"),
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key,
            value,
            headers: record.headers.to_vec(),
        });
    }

    fn copy(&mut self, datum: Datum<'_>) -> Part {
        let schema = match self.schemas.iter().rposition(|s| Arc::ptr_eq(s, datum.schema)) {
            Some(at) => at,
            None => {
                self.schemas.push(Arc::clone(datum.schema));
                self.schemas.len() - 1
            }
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(datum.bytes);
        let schema = u32::try_from(schema).expect("a batch has fewer than 2^32 schemas");
        Part { schema, start, end: self.bytes.len() }
    }

    /// The record at a place in the batch.
    pub fn get(&self, at: usize) -> Option<Record<'_>> {
        self.rows.get(at).map(|row| self.view(row))
    }

    /// All records in order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.rows.iter().map(|row| self.view(row))
    }

    fn view<'a>(&'a self, row: &'a Row) -> Record<'a> {
        let datum = |part: Part| Datum {
            schema: &self.schemas[part.schema as usize],
            bytes: &self.bytes[part.start..part.end],
        };
        Record {
            topic: &self.topics[row.topic as usize],
            partition: row.partition,
            offset: row.offset,
            timestamp: row.timestamp,
            key: row.key.map(datum),
            value: row.value.map(datum),
            headers: &row.headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_pushed() {
        let schema = Arc::new(Schema::parse("\"string\"").unwrap());
        let topics = [TopicName::new("a").unwrap(), TopicName::new("b").unwrap()];
        let headers = vec![("version".to_owned(), b"7".to_vec())];
        let mut batch = RecordBatch::new();
        for (at, topic) in [0, 1, 0].into_iter().enumerate() {
            let bytes = [at as u8; 3];
            batch.push(Record {
                topic: &topics[topic],
                partition: PartitionId(2),
                offset: Offset(at as i64),
                timestamp: Micros(5),
                key: Some(Datum { schema: &schema, bytes: &bytes }),
                value: (at != 1).then_some(Datum { schema: &schema, bytes: &bytes[..2] }),
                headers: &headers,
            });
        }
        assert_eq!((batch.len(), batch.size()), (3, 13));
        let seen: Vec<_> = batch
            .iter()
            .map(|r| (r.topic.as_str(), r.offset.0, r.key.unwrap().bytes[0], r.value.is_some()))
            .collect();
        assert_eq!(seen, [("a", 0, 0, true), ("b", 1, 1, false), ("a", 2, 2, true)]);
        assert_eq!(batch.get(0).unwrap().headers, headers);
        assert!(batch.get(3).is_none());
        batch.clear();
        assert!(batch.is_empty());
    }
}
