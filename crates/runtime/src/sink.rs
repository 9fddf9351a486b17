//! The sink worker: read, deliver, commit what the receipt says.
//!
//! A batch that the target cannot take now is delivered again until it can, while nothing more is
//! read, so memory stays flat. A record that the target refuses goes to the dead letters and parks
//! its key; the rest is delivered. The key resumes with its next record that the target takes, or
//! when the worker starts again and the target takes the one that it refused.

mod dead;

use std::time::{Duration, Instant};

use serde_json::Value;
use throughline_bus::{Committed, Consumer, ConsumerOptions, Polled, Undecodable};
use throughline_connector::{
    DeliverError, Disposition, Receipt, RecordPosition, Sink, SinkContext,
};
use throughline_event::{Offset, Record, RecordBatch, Role, TopicPartition, WorkerName};
use throughline_telemetry::Stage;

use crate::backoff::Backoff;
use crate::dead_letter::{DeadLetter, Stored};
use crate::meter::Meter;
use crate::{Host, WorkerError, kinds};

/// Records of one batch.
const BATCH_RECORDS: usize = 10_000;

/// The longest wait for records; a drain is seen after it at the latest.
const POLL: Duration = Duration::from_millis(100);

/// Runs one sink until it is drained or fails.
pub(crate) fn run<S: Sink>(
    options: Value,
    cx: SinkContext,
    host: &Host,
) -> Result<(), WorkerError> {
    let settings = kinds::settings::<S::Options>(options, &cx.name)?;
    let block = kinds::reactor()?;
    let dead = dead::Dead::prepare(&cx.name, &cx.topics, host)?;
    let group = cx.name.in_role(Role::Sink);
    let meter = Meter::new(host, &cx.name);
    let (worker, topics) = (cx.name.clone(), cx.topics.clone());
    let instance = Some(format!("{}-{}", cx.name, host.instance));
    let sink = block.block_on(S::connect(settings, cx))?;
    let options = ConsumerOptions { instance, ..ConsumerOptions::new(group, topics) };
    let consumer = host.bus.consumer(options)?;
    let ahead = Receipt::default();
    let mut worker = Work { worker, sink, host, consumer, dead, block, meter, ahead };
    let mut batch = RecordBatch::new();
    while !host.shutdown.is_draining() {
        worker.meter.beat();
        worker.turn(&mut batch)?;
    }
    worker.drain()
}

struct Work<'h, S> {
    worker: WorkerName,
    sink: S,
    host: &'h Host,
    consumer: Consumer,
    dead: dead::Dead,
    block: tokio::runtime::Runtime,
    meter: Meter,
    /// What the target holds beyond the committed offsets.
    ahead: Receipt,
}

impl<S: Sink> Work<'_, S> {
    fn turn(&mut self, batch: &mut RecordBatch) -> Result<(), WorkerError> {
        let wait = self.sink.flush_due().map_or(POLL, |due| due.min(POLL));
        let polled = self.consumer.poll(batch, BATCH_RECORDS, self.host.batch_bytes, wait)?;
        // The poll found the log to hold what the target holds.
        match &polled {
            Polled::Revoked { partitions, .. } => {
                self.ahead.next.retain(|(at, _)| !partitions.contains(at));
            }
            _ => {
                let ahead = std::mem::take(&mut self.ahead);
                self.commit(&ahead)?;
            }
        }
        match polled {
            Polled::Assigned(partitions) => {
                self.assigned(&partitions)?;
                self.meter.ready(true);
            }
            Polled::Revoked { partitions, lost } => {
                if !lost {
                    self.flush(true)?;
                }
                self.dead.forget(&partitions);
                self.block.block_on(self.sink.revoked(&partitions));
            }
            Polled::Records { undecodable, .. } => self.deliver(batch, &undecodable)?,
            Polled::Nothing => {}
        }
        self.meter.lag(&self.consumer.lag());
        if self.sink.flush_due().is_some_and(|due| due.is_zero()) {
            self.flush(false)?;
        }
        Ok(())
    }

    /// The target's own word on where to go on holds before the committed offset.
    fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), WorkerError> {
        let mut backoff = Backoff::default();
        loop {
            match self.block.block_on(self.sink.assigned(partitions)) {
                Ok(receipt) => {
                    for (partition, offset) in &receipt.next {
                        self.consumer.seek(partition, *offset)?;
                    }
                    self.meter.progressed();
                    self.skipped(partitions, receipt)?;
                    break;
                }
                Err(error) => self.wait(error, &mut backoff)?,
            }
            if self.host.shutdown.is_draining() {
                return Ok(());
            }
        }
        self.is_the_target(partitions)?;
        for (at, letter) in self.dead.load(partitions)? {
            self.retry(&at, &letter)?;
        }
        self.meter.parked(self.dead.parked());
        Ok(())
    }

    /// Notes what the target holds beyond the committed offsets. It is skipped, so no later receipt
    /// would tell of it, and the worker would seem to be behind until the next record came.
    fn skipped(&mut self, partitions: &[TopicPartition], held: Receipt) -> Result<(), WorkerError> {
        let committed = self.consumer.committed(partitions)?;
        let behind = |(at, next): &(TopicPartition, Offset)| {
            let of = committed.iter().find(|(committed, _)| committed == at);
            of.and_then(|(_, of)| of.as_ref()).is_none_or(|committed| committed.offset < *next)
        };
        self.ahead.next.extend(held.next.into_iter().filter(behind));
        Ok(())
    }

    /// What is committed was durable at the target, so the target has seen the partition. Where the
    /// log begins at the committed offset nothing was, or an operator fills a new target.
    fn is_the_target(&self, partitions: &[TopicPartition]) -> Result<(), WorkerError> {
        for (partition, committed) in self.consumer.committed(partitions)? {
            let Some(Committed { offset, .. }) = committed else { continue };
            if self.sink.has_seen(&partition) {
                continue;
            }
            if offset > self.host.bus.describe_partition(&partition)?.start {
                let worker = self.worker.clone();
                return Err(WorkerError::OtherTarget { worker, partition, offset });
            }
        }
        Ok(())
    }

    /// Tries a parked record again: what it was refused for may be mended.
    fn retry(&mut self, at: &dead::KeyAt, letter: &DeadLetter) -> Result<(), WorkerError> {
        let Some(stored) = Stored::new(letter, &self.host.bus)? else { return Ok(()) };
        let mut backoff = Backoff::default();
        while !self.host.shutdown.is_draining() {
            match self.block.block_on(self.sink.retry(&stored.record())) {
                Ok(true) => return self.dead.resume(std::slice::from_ref(at)),
                Ok(false) => return Ok(()),
                Err(error) => match error.disposition() {
                    Disposition::DeadLetter { .. } => return Ok(()),
                    Disposition::Retry { .. } | Disposition::Halt => {
                        self.wait(error, &mut backoff)?
                    }
                },
            }
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        batch: &RecordBatch,
        undecodable: &[Undecodable],
    ) -> Result<(), WorkerError> {
        self.dead.undecodable(undecodable)?;
        let mut backoff = Backoff::default();
        let mut rest = None;
        let started = Instant::now();
        loop {
            let batch = rest.as_ref().unwrap_or(batch);
            match self.block.block_on(self.sink.deliver(batch)) {
                Ok(receipt) => {
                    self.meter.took(Stage::Deliver, started);
                    self.meter.read(batch);
                    self.meter.delivered(batch);
                    self.dead.delivered(batch);
                    self.worked();
                    return self.commit(&receipt);
                }
                Err(error) => match error.disposition() {
                    Disposition::DeadLetter { position, code, reason } => {
                        let Some((refused, others)) = split(batch, &position) else {
                            let worker = self.worker.clone();
                            return Err(WorkerError::NotInBatch { worker, position });
                        };
                        self.meter.dead("refused");
                        self.dead.refused(&refused, &position, code, reason)?;
                        self.meter.parked(self.dead.parked());
                        rest = Some(others);
                    }
                    Disposition::Retry { .. } | Disposition::Halt => {
                        self.wait(error, &mut backoff)?
                    }
                },
            }
            if self.host.shutdown.is_draining() {
                return Ok(());
            }
        }
    }

    /// Waits while the target is away; keeps the group's membership, reads nothing.
    fn wait(&mut self, error: DeliverError, backoff: &mut Backoff) -> Result<(), WorkerError> {
        let Disposition::Retry { after } = error.disposition() else { return Err(error.into()) };
        let wait = backoff.next(after);
        let text = crate::chain(&error);
        self.meter.failed(format!("waits for its target: {text}"));
        tracing::warn!(
            error = text,
            wait_ms = wait.as_millis(),
            "target not writable, the batch will be delivered again"
        );
        // Polling goes on, which keeps the member alive; paused partitions give no records.
        let held = self.consumer.assignment().to_vec();
        self.consumer.pause(&held)?;
        let until = Instant::now() + wait;
        let mut none = RecordBatch::new();
        while Instant::now() < until && !self.host.shutdown.is_draining() {
            self.meter.beat();
            match self.consumer.poll(&mut none, 1, 1, POLL.min(wait))? {
                Polled::Nothing => {}
                // The batch in hand may belong to others now: start over from what is committed.
                Polled::Assigned(_) | Polled::Revoked { .. } | Polled::Records { .. } => {
                    return Err(WorkerError::Rebalanced);
                }
            }
        }
        self.consumer.resume(&held)?;
        Ok(())
    }

    /// The target took something, so it is there again.
    fn worked(&mut self) {
        if !self.host.shutdown.is_draining() {
            self.meter.ready(true);
        }
        self.meter.progressed();
    }

    fn flush(&mut self, all: bool) -> Result<(), WorkerError> {
        let mut backoff = Backoff::default();
        loop {
            match self.block.block_on(self.sink.flush(all)) {
                Ok(receipt) => {
                    self.worked();
                    return self.commit(&receipt);
                }
                Err(error) => self.wait(error, &mut backoff)?,
            }
            if self.host.shutdown.is_draining() {
                return Ok(());
            }
        }
    }

    /// Offsets are committed from receipts and from nothing else.
    fn commit(&mut self, receipt: &Receipt) -> Result<(), WorkerError> {
        if !receipt.next.is_empty() {
            self.dead.durable(receipt)?;
            self.meter.parked(self.dead.parked());
            self.consumer.commit(&receipt.next)?;
        }
        Ok(())
    }

    /// What was delivered becomes durable; what was only read is read again at the next start.
    fn drain(mut self) -> Result<(), WorkerError> {
        self.meter.ready(false);
        self.flush(true)?;
        self.consumer.close();
        Ok(())
    }
}

/// The record at a position, and all the others; `None` when the batch does not hold it.
fn split<'b>(
    batch: &'b RecordBatch,
    position: &RecordPosition,
) -> Option<(Record<'b>, RecordBatch)> {
    let mut found = None;
    let mut others = RecordBatch::new();
    for record in batch.iter() {
        let same = record.offset == position.offset
            && record.partition == position.partition.partition
            && *record.topic == position.partition.topic;
        if same {
            found = Some(record);
        } else {
            others.push(record);
        }
    }
    found.map(|record| (record, others))
}
