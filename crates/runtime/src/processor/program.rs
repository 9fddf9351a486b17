//! A processor with its topics and schema ids: turns what it returns into records of the log.

use std::sync::Arc;

use throughline_avro::{Schema, SchemaId};
use throughline_bus::{Bus, BusError, Outgoing, Recovery, TransactionalProducer};
use throughline_connector::{Outputs, ProcessError, Processor, Produced};
use throughline_event::{Micros, PartitionId, Record, TopicName, TopicPartition, WorkerName};

use super::ProcessorOptions;
use crate::dead_letter::{self, DeadLetter, Stored, read};
use crate::meter::Meter;
use crate::parking::Parking;
use crate::{Host, WorkerError, topics};

/// Why a record did not go through.
pub(super) enum Failure {
    /// The bus failed: the transaction is lost.
    Bus(BusError),
    /// The record cannot be processed: nothing of it was sent.
    Process(ProcessError),
}

struct Output {
    topic: TopicName,
    key: SchemaId,
    value: SchemaId,
}

/// A processor that is ready to run.
pub(super) struct Program {
    pub(super) name: WorkerName,
    processor: Arc<dyn Processor>,
    outputs: Vec<Output>,
    dead: Output,
    buffer: Outputs,
}

impl Program {
    /// Creates the topics and registers the schemas of everything it writes.
    pub(super) fn prepare(options: &ProcessorOptions, host: &Host) -> Result<Self, WorkerError> {
        let mut outputs = Vec::new();
        for output in options.processor.outputs() {
            outputs.push(prepare_output(
                &host.bus,
                &output.topic,
                host.partitions,
                (&output.key, &output.value),
            )?);
        }
        let mut most = 1;
        for input in options.processor.inputs() {
            // The raw topics may not be there yet when all workers start together.
            most = most.max(topics::ensure(&host.bus, &input.topic, host.partitions)?);
        }
        let parse = |text| Schema::parse(text).expect("the dead letter's schemas are valid");
        let schemas = (parse(dead_letter::KEY_SCHEMA), parse(dead_letter::VALUE_SCHEMA));
        let topic = TopicName::dead(&options.name);
        let dead = prepare_output(&host.bus, &topic, most, (&schemas.0, &schemas.1))?;
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
        let partition = letter.input.as_ref().map(|input| input.partition.partition);
        let sent = self.send_dead(&letter.id, partition, Some(&letter.to_datum()), producer);
        match sent {
            // An input near the limit does not fit beside its reason: its place stands for it.
            Err(error) if error.recovery() == Recovery::Refuse => {
                let letter = DeadLetter { value: None, ..letter.clone() };
                self.send_dead(&letter.id, partition, Some(&letter.to_datum()), producer)
            }
            sent => sent,
        }
    }

    /// Resolves a dead letter.
    pub(super) fn resolve(
        &self,
        id: &str,
        partition: PartitionId,
        producer: &mut TransactionalProducer,
    ) -> Result<(), BusError> {
        self.send_dead(id, Some(partition), None, producer)
    }

    fn send_dead(
        &self,
        id: &str,
        partition: Option<PartitionId>,
        value: Option<&[u8]>,
        producer: &mut TransactionalProducer,
    ) -> Result<(), BusError> {
        producer.send(&Outgoing {
            topic: &self.dead.topic,
            partition,
            key: Some((self.dead.key, &DeadLetter::key_datum(id))),
            value: value.map(|value| (self.dead.value, value)),
            headers: &[],
            timestamp: None,
        })
    }

    /// Reads what is parked in these input partitions.
    pub(super) fn load_parked(
        &self,
        partitions: &[TopicPartition],
        bus: &Bus,
        parking: &mut Parking,
    ) -> Result<(), WorkerError> {
        let mut numbers: Vec<PartitionId> = partitions.iter().map(|at| at.partition).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let letters = read::unresolved(bus, &self.dead.topic, number)?;
            for letter in letters.into_iter().filter(|letter| letter.parked) {
                let input = letter.input.as_ref().map(|input| &input.partition);
                if input.is_some_and(|input| partitions.contains(input)) {
                    let before = Stored::new(&letter, bus)?
                        .and_then(|stored| self.before(&stored.record()).map(<[u8]>::to_vec));
                    parking.park(letter, before.as_deref());
                }
            }
        }
        Ok(())
    }
}

/// What a processor gave, as a record.
fn outgoing<'a>(outputs: &'a [Output], produced: &'a Produced, timestamp: Micros) -> Outgoing<'a> {
    let output = &outputs[produced.output.0];
    Outgoing {
        topic: &output.topic,
        partition: None,
        key: Some((output.key, &produced.key)),
        value: produced.value.as_deref().map(|value| (output.value, value)),
        headers: &produced.headers,
        timestamp: Some(timestamp),
    }
}

fn prepare_output(
    bus: &Bus,
    topic: &TopicName,
    partitions: i32,
    (key, value): (&Schema, &Schema),
) -> Result<Output, WorkerError> {
    topics::ensure(bus, topic, partitions)?;
    Ok(Output {
        topic: topic.clone(),
        key: bus.register(&topic.key_subject(), key)?,
        value: bus.register(&topic.value_subject(), value)?,
    })
}
