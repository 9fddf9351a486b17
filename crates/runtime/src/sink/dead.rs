//! The dead letters of a sink.

use throughline_avro::{Schema, SchemaId};
use throughline_bus::{Bus, Outgoing, TransactionalProducer, Undecodable};
use throughline_connector::{DeliverError, RecordPosition};
use throughline_event::{PartitionId, RecordBatch, TopicName, WorkerName};

use crate::dead_letter::{self, DeadLetter, Input, Part, Stage};
use crate::host::now;
use crate::{Host, WorkerError, topics};

/// Writes the dead letters of one sink. Its producer is opened with the first one: a sink that
/// refuses nothing costs no connection.
pub(super) struct Dead {
    worker: WorkerName,
    topic: TopicName,
    key: SchemaId,
    value: SchemaId,
    transactional_id: String,
    bus: Bus,
    producer: Option<TransactionalProducer>,
}

impl Dead {
    pub(super) fn prepare(
        worker: &WorkerName,
        topics: &[TopicName],
        host: &Host,
    ) -> Result<Self, WorkerError> {
        let mut most = 1;
        for topic in topics {
            // Sinks may start before the processors that fill their topics.
            most = most.max(topics::ensure(&host.bus, topic, host.partitions)?);
        }
        let dead = TopicName::dead(worker);
        topics::ensure(&host.bus, &dead, most)?;
        let register = |subject: String, text| {
            let schema = Schema::parse(text).expect("the dead letter's schemas are valid");
            host.bus.register(&subject, &schema)
        };
        Ok(Self {
            key: register(dead.key_subject(), dead_letter::KEY_SCHEMA)?,
            value: register(dead.value_subject(), dead_letter::VALUE_SCHEMA)?,
            worker: worker.clone(),
            topic: dead,
            transactional_id: format!("throughline-sink-{worker}-{}", host.instance),
            bus: host.bus.clone(),
            producer: None,
        })
    }

    /// A record that the target refused; durable when this returns.
    pub(super) fn refused(
        &mut self,
        batch: &RecordBatch,
        position: &RecordPosition,
        error: &DeliverError,
        bus: &Bus,
    ) -> Result<(), WorkerError> {
        let refused = batch.iter().find(|record| {
            record.offset == position.offset
                && record.partition == position.partition.partition
                && *record.topic == position.partition.topic
        });
        let DeliverError::Refused { code, reason, .. } = error else { return Ok(()) };
        let part = |datum| Part::of(datum, bus);
        tracing::warn!(worker = %self.worker, place = %position, code, "record refused by the target");
        let key = refused.and_then(|record| record.key).map(part);
        let value = refused.and_then(|record| record.value).map(part);
        let input = Input {
            partition: position.partition.clone(),
            offset: position.offset,
            timestamp: refused.map(|record| record.timestamp).unwrap_or_default(),
        };
        let letter = DeadLetter {
            id: format!("{}@{}", input.partition, input.offset),
            worker: self.worker.clone(),
            stage: Stage::Deliver.as_str().to_owned(),
            code: (*code).to_owned(),
            kind: "refused".to_owned(),
            reason: reason.clone(),
            place: position.to_string(),
            program: None,
            line: None,
            parked: false,
            failed_at: now(),
            input: Some(input),
            key,
            value,
        };
        self.write(&[letter])
    }

    /// Records that are not Avro in the registry's wire format.
    pub(super) fn undecodable(&mut self, records: &[Undecodable]) -> Result<(), WorkerError> {
        let letter = |bad| DeadLetter::undecodable(&self.worker, Stage::Deliver, bad);
        let letters: Vec<_> = records.iter().map(letter).collect();
        self.write(&letters)
    }

    fn write(&mut self, letters: &[DeadLetter]) -> Result<(), WorkerError> {
        if letters.is_empty() {
            return Ok(());
        }
        let producer = match &mut self.producer {
            Some(producer) => producer,
            none => none.insert(self.bus.producer(&self.transactional_id)?),
        };
        producer.begin()?;
        for letter in letters {
            let partition: Option<PartitionId> =
                letter.input.as_ref().map(|input| input.partition.partition);
            producer.send(&Outgoing {
                topic: &self.topic,
                partition,
                key: Some((self.key, &DeadLetter::key_datum(&letter.id))),
                value: Some((self.value, &letter.to_datum())),
                headers: &[],
                timestamp: None,
            })?;
        }
        producer.commit()?;
        Ok(())
    }
}
