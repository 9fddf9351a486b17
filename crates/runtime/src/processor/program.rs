//! A processor with its topics and schema ids: turns what it returns into records of the log.

use std::sync::Arc;

use throughline_bus::{BusError, Outgoing, Partitions, TransactionalProducer};
use throughline_connector::{Outputs, ProcessError, Processor, Produced};
use throughline_event::{Micros, PartitionId, Record, TopicName, TopicPartition, WorkerName};

use super::ProcessorOptions;
use crate::dead_letter::{DeadLetter, Stored, read};
use crate::meter::Meter;
use crate::parking::Parking;
use crate::target::{Target, ensure};
use crate::{Host, WorkerError};

/// Why a record did not go through.
pub(super) enum Failure {
    /// The bus failed: the transaction is lost.
    Bus(BusError),
    /// The record cannot be processed: nothing of it was sent.
    Process(ProcessError),
}

/// A processor that is ready to run.
pub(super) struct Program {
    pub(super) name: WorkerName,
    processor: Arc<dyn Processor>,
    outputs: Vec<Target>,
    dead: Target,
    buffer: Outputs,
}

impl Program {
    /// Creates the topics and registers the schemas of everything it writes.
    pub(super) fn prepare(options: &ProcessorOptions, host: &Host) -> Result<Self, WorkerError> {
        let initially = Partitions::Initially(host.partitions);
        let mut outputs = Vec::new();
        for output in options.processor.outputs() {
            let schemas = (&output.key, &output.value);
            outputs.push(Target::prepare(&host.bus, &output.topic, initially, schemas)?);
        }
        let mut most = 1;
        for input in options.processor.inputs() {
            // The raw topics may not be there yet when all workers start together.
            most = most.max(ensure(&host.bus, &input.topic, initially)?);
        }
        let dead = Target::dead(&host.bus, &options.name, Partitions::Initially(most))?;
        Ok(Self {
            name: options.name.clone(),
            processor: Arc::clone(&options.processor),
            outputs,
            dead,
            buffer: Outputs::default(),
        })
    }

    pub(super) fn inputs(&self) -> Vec<TopicName> {
        self.processor.inputs().iter().map(|input| input.topic.clone()).collect()
    }

    /// Processes a record and sends what it gives; sends nothing when it fails.
    pub(super) fn process(
        &mut self,
        record: &Record<'_>,
        parked_before: Option<Option<&[u8]>>,
        producer: &mut TransactionalProducer,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        self.buffer.records.clear();
        self.processor
            .process(record, parked_before, &mut self.buffer)
            .map_err(Failure::Process)?;
        let outgoing = |produced| outgoing(&self.outputs, produced, record.timestamp);
        // Before anything is sent: what a record gives belongs together.
        for produced in &self.buffer.records {
            if let Err(error) = producer.fits(&outgoing(produced)) {
                return Err(Failure::Process(self.too_large(&error)));
            }
        }
        for produced in &self.buffer.records {
            let outgoing = outgoing(produced);
            producer.send(&outgoing).map_err(Failure::Bus)?;
            meter.out(outgoing.topic);
        }
        Ok(())
    }

    fn too_large(&self, error: &BusError) -> ProcessError {
        ProcessError {
            code: error.code(),
            reason: error.to_string(),
            program: self.name.to_string(),
            line: None,
            kind: "size",
        }
    }

    /// The document before, when the record is a change event at all.
    pub(super) fn before<'a>(&self, record: &Record<'a>) -> Option<&'a [u8]> {
        self.processor.before(record).ok().flatten()
    }

    /// Writes a dead letter beside the input's partition.
    pub(super) fn dead(
        &self,
        letter: &DeadLetter,
        producer: &mut TransactionalProducer,
    ) -> Result<(), BusError> {
        let datum = letter.to_datum();
        self.send_dead(&letter.id, letter.partition(), Some(&datum), producer)
    }

    /// Resolves a dead letter.
    pub(super) fn resolve(
        &self,
        id: &str,
        partition: PartitionId,
        producer: &mut TransactionalProducer,
    ) -> Result<(), BusError> {
        self.send_dead(id, partition, None, producer)
    }

    fn send_dead(
        &self,
        id: &str,
        partition: PartitionId,
        value: Option<&[u8]>,
        producer: &mut TransactionalProducer,
    ) -> Result<(), BusError> {
        producer.send(&self.dead.outgoing_to(partition, &DeadLetter::key_datum(id), value))
    }

    /// Reads what is parked in these input partitions.
    pub(super) fn load_parked(
        &self,
        partitions: &[TopicPartition],
        host: &Host,
        parking: &mut Parking,
    ) -> Result<(), WorkerError> {
        let mut numbers: Vec<PartitionId> = partitions.iter().map(|at| at.partition).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let letters = read::of_partition(host, &self.name, &self.dead.topic, number)?;
            let letters = letters.unwrap_or_default();
            for letter in letters.into_iter().filter(|letter| letter.parked) {
                let input = letter.input.as_ref().map(|input| &input.partition);
                if input.is_some_and(|input| partitions.contains(input)) {
                    let stored = Stored::new(&letter, &host.bus)?;
                    let before =
                        |stored: Stored<'_>| self.before(&stored.record()).map(<[u8]>::to_vec);
                    let before = stored.map(before);
                    parking.park(letter, before.as_ref().map(Option::as_deref));
                }
            }
        }
        Ok(())
    }
}

/// What a processor gave, as a record.
fn outgoing<'a>(outputs: &'a [Target], produced: &'a Produced, timestamp: Micros) -> Outgoing<'a> {
    let output = &outputs[produced.output.0];
    Outgoing {
        headers: &produced.headers,
        timestamp: Some(timestamp),
        ..output.outgoing(&produced.key, produced.value.as_deref())
    }
}
