//! What a worker counts, gathered per batch so that no record pays for a label look-up.

use std::time::{Duration, Instant};

use throughline_bus::PartitionLag;
use throughline_event::{Micros, RecordBatch, TopicName, WorkerName};
use throughline_telemetry::{Stage, WorkerMetrics};

use crate::Host;
use crate::host::now;

/// How often counts reach the metrics and the lag is looked at.
const EVERY: Duration = Duration::from_millis(200);

/// The metrics of one worker.
pub(crate) struct Meter {
    metrics: WorkerMetrics,
    counted: Vec<(TopicName, Counts)>,
    /// The place of the last one: most records are of the same topic as the one before.
    last: usize,
    /// The time of the newest record that was read.
    newest: Micros,
    reported: Instant,
}

#[derive(Default)]
struct Counts {
    read: u64,
    written: u64,
}

impl Meter {
    pub(crate) fn new(host: &Host, worker: &WorkerName) -> Self {
        let metrics = host.metrics.worker(worker.as_str());
        let (counted, last) = (Vec::new(), 0);
        Self { metrics, counted, last, newest: now(), reported: Instant::now() }
    }

    /// The loop turned: counts of the last turns are reported when it is time.
    pub(crate) fn beat(&mut self) {
        self.metrics.beat();
        if self.reported.elapsed() >= EVERY {
            self.report();
        }
    }

    /// Whether the worker does its work; a worker that drains reports what it counted.
    pub(crate) fn ready(&mut self, ready: bool) {
        self.metrics.ready(ready);
        if !ready {
            self.report();
        }
    }

    /// Whether the source had nothing more, all of it published.
    pub(crate) fn caught_up(&self, caught_up: bool) {
        self.metrics.caught_up(caught_up);
    }

    /// What is not there of the source, which keeps the worker from nothing.
    pub(crate) fn missing(&self, missing: Option<String>) {
        self.metrics.missing(missing);
    }

    /// Some work is done: what failed before is over.
    pub(crate) fn progressed(&self) {
        self.metrics.progressed();
    }

    /// The worker tries again what failed, and does nothing else.
    pub(crate) fn failed(&self, problem: String) {
        self.metrics.failed(problem);
    }

    fn report(&mut self) {
        self.reported = Instant::now();
        for (topic, counts) in std::mem::take(&mut self.counted) {
            let (system, entity) = labels(&topic);
            if counts.read > 0 {
                self.metrics.records_in(system, entity, counts.read);
            }
            if counts.written > 0 {
                self.metrics.records_out(system, entity, counts.written);
            }
        }
    }

    /// Notes how long a stage took since `started`; returns the time now, where the next one starts.
    pub(crate) fn took(&self, stage: Stage, started: Instant) -> Instant {
        let now = Instant::now();
        self.metrics.stage(stage, now.duration_since(started));
        now
    }

    fn counts(&mut self, topic: &TopicName) -> &mut Counts {
        let of = |(known, _): &(TopicName, Counts)| known == topic;
        if !self.counted.get(self.last).is_some_and(of) {
            self.last = self.counted.iter().position(of).unwrap_or_else(|| {
                // The name is copied once per report, not per record.
                self.counted.push((topic.clone(), Counts::default()));
                self.counted.len() - 1
            });
        }
        &mut self.counted[self.last].1
    }

    /// Rows read from the source for a raw topic.
    pub(crate) fn captured(&mut self, topic: &TopicName, rows: usize) {
        self.counts(topic).read += rows as u64;
    }

    /// One record was written to a topic.
    pub(crate) fn out(&mut self, topic: &TopicName) {
        self.counts(topic).written += 1;
    }

    /// The records of a batch were read and worked on.
    pub(crate) fn read(&mut self, batch: &RecordBatch) {
        for record in batch.iter() {
            self.counts(record.topic).read += 1;
            self.newest = self.newest.max(record.timestamp);
        }
    }

    /// The target took the records of a batch.
    pub(crate) fn delivered(&mut self, batch: &RecordBatch) {
        let at = now();
        for record in batch.iter() {
            self.counts(record.topic).written += 1;
        }
        // One observation a batch: its newest record is what a person waits for.
        if let Some(newest) = batch.iter().last() {
            let micros = at.0.saturating_sub(newest.timestamp.0).max(0).unsigned_abs();
            let (_, entity) = labels(newest.topic);
            self.metrics.end_to_end(entity, Duration::from_micros(micros));
            self.metrics.watermark(entity, newest.timestamp.millis() as f64 / 1e3);
        }
    }

    pub(crate) fn dead(&self, kind: &str) {
        let known = ["row", "mapping", "invariant", "decode", "refused"];
        let reason = known.into_iter().find(|known| *known == kind).unwrap_or("other");
        self.metrics.dead_letters(reason, 1);
    }

    pub(crate) fn parked(&self, keys: usize) {
        self.metrics.parked_keys(keys as u64);
    }

    pub(crate) fn lag(&self, partitions: &[PartitionLag]) {
        let records = partitions.iter().map(|partition| partition.lag).sum();
        let behind = if records == 0 { 0 } else { now().0.saturating_sub(self.newest.0).max(0) };
        self.metrics.lag(records, Duration::from_micros(behind.unsigned_abs()));
    }
}

/// The labels `system` and `entity` of a topic: those of `cdc.<system>.<entity>`, else its first and
/// last part.
fn labels(topic: &TopicName) -> (&str, &str) {
    let name = topic.as_str();
    let (head, entity) = name.rsplit_once('.').unwrap_or(("", name));
    (head.rsplit_once('.').map_or(head, |(_, system)| system), entity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_system_and_the_entity() {
        for (topic, expected) in [
            ("cdc.shop.order", ("shop", "order")),
            ("canonical.order", ("canonical", "order")),
            ("observed.erp.order", ("erp", "order")),
            ("plain", ("", "plain")),
        ] {
            assert_eq!(labels(&TopicName::new(topic).unwrap()), expected);
        }
    }
}
