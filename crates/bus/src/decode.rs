//! From messages of the client to records: framing taken off, schemas looked up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rdkafka::message::Message;
use throughline_avro::{FrameError, Schema, SchemaId, unframe};
use throughline_event::{
    Datum, Headers, Micros, Offset, PartitionId, Record, TopicName, TopicPartition,
};

use crate::BusError;
use crate::schemas::Schemas;

/// Schemas and topics kept beside the shared cache; beyond it they are looked up there again.
const MOST_KNOWN: usize = 64;

/// The key or the value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its key.
    Key,
    /// Its value.
    Value,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The bytes are not in Confluent's wire format.
    #[error("TL0521: the {part} is not Avro in the wire format of a schema registry")]
    NotFramed {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        #[source]
        source: FrameError,
    },
    /// Its schema is unknown or of no use.
    #[error("TL0522: the schema of the {part} cannot be had")]
    Schema {
        /// Which part.
        part: Part,
        /// Why.
        #[source]
        source: Box<BusError>,
    },
    /// The name of a header is not UTF-8.
    #[error("TL0523: the name of a header is not UTF-8")]
    Header,
}

impl Unreadable {
    /// The stable code, `TL0521`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFramed { .. } => "TL0521",
            Self::Schema { .. } => "TL0522",
            Self::Header => "TL0523",
        }
    }
}

/// A record that could not be read, as it is on the log.
#[derive(Debug)]
pub struct Undecodable {
    /// Its partition.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp on the log.
    pub timestamp: Micros,
    /// What is wrong with it.
    pub reason: Unreadable,
    /// Its key as it is.
    pub key: Option<Vec<u8>>,
    /// Its value as it is.
    pub value: Option<Vec<u8>>,
    /// Its headers; empty when their names cannot be read.
    pub headers: Headers,
}

/// One record as it came.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A record.
    Record(Record<'a>),
    /// One that could not be read.
    Undecodable(Undecodable),
}

/// Turns messages into records; one per consumer.
#[derive(Debug)]
pub(crate) struct Decoder {
    schemas: Arc<Schemas>,
    known: Vec<(SchemaId, Arc<Schema>)>,
    topics: Vec<TopicName>,
}

/// What a part of a message is.
enum Found<'a> {
    /// The place of its schema in `known`, and the datum.
    Datum(usize, &'a [u8]),
    Absent,
    Unreadable(Unreadable),
}

impl Decoder {
    pub(crate) fn new(schemas: Arc<Schemas>) -> Self {
        Self { schemas, known: Vec::new(), topics: Vec::new() }
    }

    /// Hands the message over as a record, or as undecodable. Fails only when the registry does not
    /// answer; the message can then be tried again.
    pub(crate) fn decode<T>(
        &mut self,
        message: &impl Message,
        take: impl FnOnce(Entry<'_>) -> T,
    ) -> Result<T, BusError> {
        if self.known.len() > MOST_KNOWN {
            self.known.clear();
        }
        let key = self.part(Part::Key, message.key())?;
        let value = self.part(Part::Value, message.payload())?;
        let topic = self.topic(message.topic());
        let headers = message.headers().map_or(Some(Vec::new()), owned_headers);
        let offset = Offset(message.offset());
        let timestamp = timestamp(message);
        let (headers, reason) = match (headers, &key, &value) {
            (Some(headers), Found::Unreadable(_), _) | (Some(headers), _, Found::Unreadable(_)) => {
                (headers, None)
            }
            (Some(headers), key, value) => {
                return Ok(take(Entry::Record(Record {
                    topic: &self.topics[topic],
                    partition: PartitionId(message.partition()),
                    offset,
                    timestamp,
                    key: self.datum(key),
                    value: self.datum(value),
                    headers: &headers,
                })));
            }
            (None, ..) => (Vec::new(), Some(Unreadable::Header)),
        };
        let reason = match (reason, key, value) {
            (Some(reason), ..) | (_, Found::Unreadable(reason), _) => reason,
            (_, _, Found::Unreadable(reason)) => reason,
            _ => Unreadable::Header,
        };
        Ok(take(Entry::Undecodable(Undecodable {
            partition: TopicPartition {
                topic: self.topics[topic].clone(),
                partition: PartitionId(message.partition()),
            },
            offset,
            timestamp,
            reason,
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        })))
    }

    fn part<'a>(&mut self, part: Part, bytes: Option<&'a [u8]>) -> Result<Found<'a>, BusError> {
        let Some(bytes) = bytes else { return Ok(Found::Absent) };
        let (id, datum) = match unframe(bytes) {
            Ok(found) => found,
            Err(source) => return Ok(Found::Unreadable(Unreadable::NotFramed { part, source })),
        };
        if let Some(at) = self.known.iter().position(|(known, _)| *known == id) {
            return Ok(Found::Datum(at, datum));
        }
        match self.schemas.get(id) {
            Ok(schema) => {
                self.known.push((id, schema));
                Ok(Found::Datum(self.known.len() - 1, datum))
            }
            // The record's own fault; anything else is the registry's, and the record can wait.
            Err(error @ (BusError::UnknownSchema { .. } | BusError::UnusableSchema { .. })) => {
                Ok(Found::Unreadable(Unreadable::Schema { part, source: Box::new(error) }))
            }
            Err(error) => Err(error),
        }
    }

    fn datum<'a>(&'a self, found: &Found<'a>) -> Option<Datum<'a>> {
        match found {
            Found::Datum(at, bytes) => Some(Datum { schema: &self.known[*at].1, bytes }),
            Found::Absent | Found::Unreadable(_) => None,
        }
    }

    /// The place of a topic's name; names are checked once.
    fn topic(&mut self, name: &str) -> usize {
        if let Some(at) = self.topics.iter().position(|topic| topic.as_str() == name) {
            return at;
        }
        self.topics.push(topic_name(name));
        self.topics.len() - 1
    }
}

/// A name that the broker uses is one that Kafka's rules allow.
pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName::new(name).expect("brokers only have topics with legal names")
}

pub(crate) fn timestamp(message: &impl Message) -> Micros {
    message.timestamp().to_millis().map_or(Micros(0), Micros::from_millis)
}

/// Copies headers; nothing when a name is not UTF-8, on which the client library panics.
fn owned_headers(headers: &impl rdkafka::message::Headers) -> Option<Headers> {
    let copy = || {
        (0..headers.count())
            .filter_map(|at| headers.try_get(at))
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect()
    };
    catch_unwind(AssertUnwindSafe(copy)).ok()
}

#[cfg(test)]
mod tests;
