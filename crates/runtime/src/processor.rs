//! The processor worker: read, map, write, in one Kafka transaction per batch.
//!
//! A transaction holds the outputs, the dead letters, the tombstones of what resumed and the input
//! offsets, so a crash anywhere leaves all of it or nothing. Any failure of the bus ends the worker;
//! the supervisor starts it again from the committed offsets, with the parked keys read anew.

mod program;

use std::sync::Arc;
use std::time::{Duration, Instant};

use throughline_bus::{
    Consumer, ConsumerOptions, Polled, Rebalance, TransactionalProducer, Undecodable,
};
use throughline_connector::{ProcessError, Processor};
use throughline_event::{Offset, Record, RecordBatch, Role, TopicPartition, WorkerName};

use throughline_telemetry::Stage;

use crate::dead_letter::{DeadLetter, DeadLetterStage, Input, Part, Stored};
use crate::host::now;
use crate::meter::Meter;
use crate::parking::{MOST_PARKED, Parking};
use crate::{Host, Worker, WorkerError};
use program::Program;

/// Records of one transaction: enough to hide the commit, few enough to retry at once.
const BATCH_RECORDS: usize = 5_000;

/// The longest wait for records; a drain is seen after it at the latest.
const POLL: Duration = Duration::from_millis(100);

/// One processor worker.
#[derive(Clone)]
pub struct ProcessorOptions {
    /// Its name.
    pub name: WorkerName,
    /// The function it runs.
    pub processor: Arc<dyn Processor>,
}

impl std::fmt::Debug for ProcessorOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessorOptions").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ProcessorOptions {
    /// The worker that runs it, for the supervisor.
    pub fn worker(self, host: Host) -> Worker {
        Worker::new(self.name.clone(), Role::Processor, host, move |host| run(&self, host))
    }
}

/// Runs one processor until it is drained or fails.
pub(crate) fn run(options: &ProcessorOptions, host: &Host) -> Result<(), WorkerError> {
    let program = Program::prepare(options, host)?;
    let group = options.name.in_role(Role::Processor);
    let producer = host.bus.producer(&format!("{group}-{}", host.instance))?;
    let consumer = host.bus.consumer(ConsumerOptions {
        rebalance: Rebalance::Eager,
        instance: Some(format!("{}-{}", options.name, host.instance)),
        ..ConsumerOptions::new(group, program.inputs())
    })?;
    let meter = Meter::new(host, &options.name);
    let parking = Parking::default();
    let mut worker = Work { program, host, producer, consumer, parking, meter, failed: None };
    let mut batch = RecordBatch::new();
    while !host.shutdown.is_draining() {
        worker.meter.beat();
        worker.turn(&mut batch)?;
    }
    worker.meter.ready(false);
    worker.consumer.close();
    Ok(())
}

struct Work<'h> {
    program: Program,
    host: &'h Host,
    producer: TransactionalProducer,
    consumer: Consumer,
    parking: Parking,
    meter: Meter,
    /// How many records of this transaction were parked, and the place of the first.
    failed: Option<(u64, String)>,
}

impl Work<'_> {
    fn turn(&mut self, batch: &mut RecordBatch) -> Result<(), WorkerError> {
        match self.consumer.poll(batch, BATCH_RECORDS, self.host.batch_bytes, POLL)? {
            Polled::Assigned(partitions) => {
                self.assigned(&partitions)?;
                self.meter.ready(true);
            }
            Polled::Revoked { partitions, .. } => self.parking.forget(&partitions),
            Polled::Records { undecodable, next } => {
                self.transaction(batch, &undecodable, &next)?;
            }
            Polled::Nothing => {}
        }
        self.meter.lag(&self.consumer.lag());
        Ok(())
    }

    /// One batch, all or nothing.
    fn transaction(
        &mut self,
        batch: &RecordBatch,
        undecodable: &[Undecodable],
        next: &[(TopicPartition, Offset)],
    ) -> Result<(), WorkerError> {
        let started = Instant::now();
        self.producer.begin()?;
        for record in batch.iter() {
            self.record(&record)?;
        }
        for bad in undecodable {
            let stage = DeadLetterStage::Process;
            self.dead(&DeadLetter::undecodable(&self.program.name, stage, bad))?;
        }
        let group = self.consumer.group()?;
        self.producer.send_offsets(&group, next)?;
        let mapped = self.meter.took(Stage::Map, started);
        self.producer.commit()?;
        self.meter.took(Stage::Commit, mapped);
        self.meter.progressed();
        self.meter.read(batch);
        self.meter.parked(self.parking.len());
        // One line a batch: a broken mapping fails for every record.
        if let Some((records, first)) = self.failed.take() {
            tracing::warn!(
                worker = %self.program.name, records, first,
                "records parked with their keys; see `throughline dlq list`"
            );
        }
        if self.parking.len() > MOST_PARKED {
            return Err(WorkerError::TooManyParked {
                worker: self.program.name.clone(),
                parked: self.parking.len(),
                limit: MOST_PARKED,
            });
        }
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), WorkerError> {
        // A tombstone follows a delete event that said everything; it is there for compaction.
        if record.value.is_none() {
            return Ok(());
        }
        // Most workers have nothing parked: no record pays for a key to look up.
        let at = (self.parking.len() > 0).then(|| {
            let (topic, partition) = (record.topic.clone(), record.partition);
            let key = record.key.map(|key| key.bytes.to_vec()).unwrap_or_default();
            (TopicPartition { topic, partition }, key)
        });
        let parked = at.as_ref().and_then(|at| self.parking.get(at));
        let parked_before = parked.and_then(|parked| parked.before.as_ref()).map(Option::as_deref);
        match self.program.process(record, parked_before, &mut self.producer, &mut self.meter) {
            Ok(()) => at.map_or(Ok(()), |at| self.resumed(&at)),
            Err(program::Failure::Bus(error)) => Err(error.into()),
            Err(program::Failure::Process(error)) => self.park(record, error),
        }
    }

    /// The key's newest event went through: what was parked before it is resolved.
    fn resumed(&mut self, at: &(TopicPartition, Vec<u8>)) -> Result<(), WorkerError> {
        if let Some(parked) = self.parking.resume(at) {
            for id in &parked.ids {
                self.program.resolve(id, at.0.partition, &mut self.producer)?;
            }
            tracing::info!(
                worker = %self.program.name, partition = %at.0, events = parked.ids.len(),
                "parked key resumed"
            );
        }
        Ok(())
    }

    fn park(&mut self, record: &Record<'_>, error: ProcessError) -> Result<(), WorkerError> {
        let before = self.program.before(record);
        let letter = failed_letter(&self.program.name, record, error, &self.host.bus).fitting();
        self.failed.get_or_insert_with(|| (0, letter.place.clone())).0 += 1;
        self.dead(&letter)?;
        self.parking.park(letter, Some(before));
        Ok(())
    }

    fn dead(&mut self, letter: &DeadLetter) -> Result<(), WorkerError> {
        self.meter.dead(&letter.kind);
        Ok(self.program.dead(letter, &mut self.producer)?)
    }

    /// Reads what is parked in these partitions and tries it again: the mapping may be another one.
    fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), WorkerError> {
        self.program.load_parked(partitions, self.host, &mut self.parking)?;
        for partition in partitions {
            for at in self.parking.of_partition(&partition.topic, partition.partition) {
                self.retry(&at)?;
            }
        }
        Ok(())
    }

    fn retry(&mut self, at: &(TopicPartition, Vec<u8>)) -> Result<(), WorkerError> {
        let Some(parked) = self.parking.get(at).cloned() else { return Ok(()) };
        // Its input did not fit into the letter: without it, it would look like a tombstone.
        if parked.newest.value.is_none() {
            return Ok(());
        }
        let Some(stored) = Stored::new(&parked.newest, &self.host.bus)? else {
            return Ok(());
        };
        self.producer.begin()?;
        let before = parked.before.as_ref().map(Option::as_deref);
        match self.program.process(&stored.record(), before, &mut self.producer, &mut self.meter) {
            Ok(()) => {
                self.resumed(at)?;
                self.producer.commit()?;
            }
            Err(program::Failure::Bus(error)) => return Err(error.into()),
            Err(program::Failure::Process(_)) => self.producer.abort()?,
        }
        Ok(())
    }
}

fn failed_letter(
    worker: &WorkerName,
    record: &Record<'_>,
    error: ProcessError,
    bus: &throughline_bus::Bus,
) -> DeadLetter {
    let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
    DeadLetter {
        id: DeadLetter::id_of(&partition, record.offset),
        worker: worker.clone(),
        stage: DeadLetterStage::Process,
        code: error.code.to_owned(),
        kind: error.kind.to_owned(),
        reason: error.reason,
        place: format!("{partition} offset {}", record.offset),
        program: Some(error.program),
        line: error.line.and_then(|line| i32::try_from(line).ok()),
        parked: true,
        failed_at: now(),
        input: Some(Input { partition, offset: record.offset, timestamp: record.timestamp }),
        key: record.key.map(|datum| Part::of(datum, bus)),
        value: record.value.map(|datum| Part::of(datum, bus)),
    }
}
