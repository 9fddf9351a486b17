//! The dead letters of a sink, and the keys that are parked behind them.
//!
//! Canonical records are whole, so the newest one stands for all that are parked under its key. A key
//! resumes when the target takes a newer record of it, or, at the start of a worker, the newest that
//! it refused.

use std::collections::HashMap;

use throughline_bus::{Partitions, TransactionalProducer, Undecodable};
use throughline_connector::{Receipt, RecordPosition};
use throughline_event::{
    Offset, PartitionId, Record, RecordBatch, Role, TopicName, TopicPartition, WorkerName,
};

use crate::dead_letter::{DeadLetter, DeadLetterStage, Input, Part, read};
use crate::host::now;
use crate::parking::{MOST_PARKED, Parking};
use crate::target::{Target, ensure};
use crate::{Host, WorkerError};

/// A partition and the datum of a key.
pub(super) type KeyAt = (TopicPartition, Vec<u8>);

/// Writes the dead letters of one sink. Its producer is opened with the first one: a sink that
/// refuses nothing costs no connection.
pub(super) struct Dead {
    worker: WorkerName,
    target: Target,
    transactional_id: String,
    host: Host,
    producer: Option<TransactionalProducer>,
    parking: Parking,
    /// Parked keys of which the target took a newer record, and its offset. It may not be durable
    /// there yet.
    superseded: HashMap<KeyAt, Offset>,
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
            most = most.max(ensure(&host.bus, topic, Partitions::Initially(host.partitions))?);
        }
        Ok(Self {
            target: Target::dead(&host.bus, worker, Partitions::Initially(most))?,
            worker: worker.clone(),
            transactional_id: format!("{}-{}", worker.in_role(Role::Sink), host.instance),
            host: host.clone(),
            producer: None,
            parking: Parking::default(),
            superseded: HashMap::new(),
        })
    }

    /// How many keys are parked.
    pub(super) fn parked(&self) -> usize {
        self.parking.len()
    }

    /// Reads what is parked in these partitions, and returns the newest letter of each key.
    pub(super) fn load(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(KeyAt, DeadLetter)>, WorkerError> {
        let mut numbers: Vec<PartitionId> = partitions.iter().map(|at| at.partition).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let (worker, topic) = (&self.worker, &self.target.topic);
            let letters = read::of_partition(&self.host, worker, topic, number)?;
            for letter in letters.unwrap_or_default() {
                let of = |input: &Input| partitions.contains(&input.partition);
                if letter.parked && letter.input.as_ref().is_some_and(of) {
                    self.parking.park(letter, None);
                }
            }
        }
        let keys =
            partitions.iter().flat_map(|at| self.parking.of_partition(&at.topic, at.partition));
        let newest = |at: KeyAt| self.parking.get(&at).map(|parked| (at, parked.newest.clone()));
        Ok(keys.filter_map(newest).collect())
    }

    /// These partitions went to another worker.
    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        self.parking.forget(partitions);
        self.superseded.retain(|(at, _), _| !partitions.contains(at));
    }

    /// The target took these records; they count for parked keys when they are durable.
    pub(super) fn delivered(&mut self, batch: &RecordBatch) {
        if self.parking.len() == 0 {
            return;
        }
        for record in batch.iter() {
            let Some(key) = record.key else { continue };
            let (topic, partition) = (record.topic.clone(), record.partition);
            let at = (TopicPartition { topic, partition }, key.bytes.to_vec());
            let newest = self.parking.get(&at).and_then(|parked| parked.newest.input.as_ref());
            if newest.is_some_and(|input| record.offset >= input.offset) {
                self.superseded.insert(at, record.offset);
            }
        }
    }

    /// Resolves the keys whose newer records are durable by this receipt. Before its offsets are
    /// committed: after a crash in between the records are delivered again.
    pub(super) fn durable(&mut self, receipt: &Receipt) -> Result<(), WorkerError> {
        if self.superseded.is_empty() {
            return Ok(());
        }
        let held = |(at, offset): (&KeyAt, &Offset)| {
            receipt.next.iter().any(|(partition, next)| *partition == at.0 && offset < next)
        };
        let keys = self.superseded.iter().filter(|&entry| held(entry));
        let keys: Vec<KeyAt> = keys.map(|(at, _)| at.clone()).collect();
        self.resume(&keys)
    }

    /// The target holds the newest record of these keys: all their letters are resolved.
    pub(super) fn resume(&mut self, keys: &[KeyAt]) -> Result<(), WorkerError> {
        let mut letters = Vec::new();
        for at in keys {
            let ids = self.parking.get(at).map(|parked| &parked.ids);
            letters.extend(ids.into_iter().flatten().map(|id| (id.clone(), at.0.partition, None)));
        }
        self.write(&letters)?;
        for at in keys {
            self.superseded.remove(at);
            if let Some(parked) = self.parking.resume(at) {
                let records = parked.ids.len();
                tracing::info!(worker = %self.worker, partition = %at.0, records, "parked key resumed");
            }
        }
        Ok(())
    }

    /// A record that the target refused; durable when this returns.
    pub(super) fn refused(
        &mut self,
        record: &Record<'_>,
        position: &RecordPosition,
        code: &'static str,
        reason: String,
    ) -> Result<(), WorkerError> {
        tracing::warn!(worker = %self.worker, place = %position, code, "record refused by the target");
        let bus = &self.host.bus;
        let key = record.key.map(|datum| Part::of(datum, bus));
        let value = record.value.map(|datum| Part::of(datum, bus));
        let input = Input {
            partition: position.partition.clone(),
            offset: position.offset,
            timestamp: record.timestamp,
        };
        let mut letter = DeadLetter {
            id: DeadLetter::id_of(&input.partition, input.offset),
            worker: self.worker.clone(),
            stage: DeadLetterStage::Deliver,
            code: code.to_owned(),
            kind: "refused".to_owned(),
            reason,
            place: position.to_string(),
            program: None,
            line: None,
            // A key without which nothing can be held back, or bytes that cannot be tried again.
            parked: key.is_some() && [&key, &value].into_iter().flatten().all(is_datum),
            failed_at: now(),
            input: Some(input),
            key,
            value,
        };
        // Without its value it would be tried again as a delete.
        letter.parked &= !letter.too_large();
        let letter = letter.fitting();
        self.write(&[addressed(&letter)])?;
        if letter.parked {
            let key = letter.key.as_ref().map(|key| key.bytes.clone()).unwrap_or_default();
            self.superseded.remove(&(position.partition.clone(), key));
            self.parking.park(letter, None);
        }
        if self.parking.len() > MOST_PARKED {
            let (worker, parked) = (self.worker.clone(), self.parking.len());
            return Err(WorkerError::TooManyParked { worker, parked, limit: MOST_PARKED });
        }
        Ok(())
    }

    /// Records that are not Avro in the registry's wire format.
    pub(super) fn undecodable(&mut self, records: &[Undecodable]) -> Result<(), WorkerError> {
        let letter = |bad| DeadLetter::undecodable(&self.worker, DeadLetterStage::Deliver, bad);
        let letters: Vec<_> = records.iter().map(letter).collect();
        self.write(&letters.iter().map(addressed).collect::<Vec<_>>())
    }

    /// Writes letters, or their tombstones, in one transaction.
    fn write(&mut self, letters: &[Addressed]) -> Result<(), WorkerError> {
        if letters.is_empty() {
            return Ok(());
        }
        let producer = match &mut self.producer {
            Some(producer) => producer,
            none => none.insert(self.host.bus.producer(&self.transactional_id)?),
        };
        producer.begin()?;
        for (id, partition, letter) in letters {
            let key = DeadLetter::key_datum(id);
            producer.send(&self.target.outgoing_to(*partition, &key, letter.as_deref()))?;
        }
        producer.commit()?;
        Ok(())
    }
}

/// The id of a letter, the partition of its input, and its datum; none for its tombstone.
type Addressed = (String, PartitionId, Option<Vec<u8>>);

fn addressed(letter: &DeadLetter) -> Addressed {
    (letter.id.clone(), letter.partition(), Some(letter.to_datum()))
}

fn is_datum(part: &Part) -> bool {
    part.schema.is_some()
}
