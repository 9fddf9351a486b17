//! What one poll gathers.

use throughline_event::{Offset, PartitionId, RecordBatch, TopicPartition};

use super::Polled;
use crate::BusError;
use crate::decode::{Decoder, Entry, Undecodable, topic_name};

/// What a poll has gathered beside the batch.
#[derive(Debug, Default)]
pub(super) struct Filled {
    undecodable: Vec<Undecodable>,
    undecodable_bytes: usize,
    next: Vec<(TopicPartition, Offset)>,
}

impl Filled {
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    pub(super) fn is_full(
        &self,
        batch: &RecordBatch,
        max_records: usize,
        max_bytes: usize,
    ) -> bool {
        batch.len() + self.undecodable.len() >= max_records.max(1)
            || batch.size() + self.undecodable_bytes >= max_bytes.max(1)
    }

    pub(super) fn take(
        &mut self,
        decoder: &mut Decoder,
        message: &impl rdkafka::Message,
        batch: &mut RecordBatch,
    ) -> Result<(), BusError> {
        decoder.decode(message, |entry| match entry {
            Entry::Record(record) => batch.push(record),
            Entry::Undecodable(bad) => {
                let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
                self.undecodable_bytes += length(&bad.key) + length(&bad.value);
                self.undecodable.push(bad);
            }
        })?;
        let next = Offset(message.offset()).next();
        // Records of one partition come in runs: the last one is nearly always it.
        match self.next.iter_mut().rev().find(|(partition, _)| is_of(message, partition)) {
            Some((_, offset)) => *offset = next,
            None => {
                let topic = topic_name(message.topic());
                let partition = PartitionId(message.partition());
                self.next.push((TopicPartition { topic, partition }, next));
            }
        }
        Ok(())
    }
}

impl std::convert::From<Filled> for Polled {
    fn from(filled: Filled) -> Self {
        Self::Records { undecodable: filled.undecodable, next: filled.next }
    }
}

/// Whether a message is of this partition.
pub(super) fn is_of(message: &impl rdkafka::Message, partition: &TopicPartition) -> bool {
    message.partition() == partition.partition.0 && message.topic() == partition.topic.as_str()
}
