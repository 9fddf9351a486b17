//! Idempotent and transactional producers of one partition, by Kafka's rules.
//!
//! - The last five batches per producer are remembered: sending one again gives its offsets.
//! - A sequence must continue the last one; a higher epoch begins at 0. A producer that is not
//!   known may begin anywhere, as in Kafka since 2.5: its state has expired, or it continues on a
//!   recreated topic.
//! - The first transactional batch opens a transaction, a marker closes it. What is open, or
//!   closed by a marker that is not durable yet, holds back the last stable offset.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::batch::{BatchHeader, Marker, add_sequence};
use crate::error::AppendError;
use crate::fetch::ProducerInfo;

/// How many batches per producer are remembered, as many as a producer may have in flight.
pub(crate) const REMEMBERED: usize = 5;

/// Sequences and offsets of one appended batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SequencedBatch {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
}

/// What is known about one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProducerState {
    pub(crate) id: i64,
    /// -1 before its first batch.
    pub(crate) epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) last_timestamp: i64,
    /// When it was last heard of by the broker's clock; -1 when its batches were only read back.
    pub(crate) seen_ms: i64,
    /// First offset of its open transaction.
    pub(crate) open: Option<i64>,
    /// The last offset it wrote, markers included; compaction keeps that batch.
    pub(crate) last_offset: i64,
    batches: [SequencedBatch; REMEMBERED],
    remembered: usize,
}

impl ProducerState {
    pub(crate) fn new(id: i64) -> Self {
        Self {
            id,
            epoch: -1,
            coordinator_epoch: -1,
            last_timestamp: -1,
            seen_ms: -1,
            open: None,
            last_offset: -1,
            batches: [SequencedBatch::default(); REMEMBERED],
            remembered: 0,
        }
    }

    /// The remembered batches, oldest first.
    pub(crate) fn batches(&self) -> &[SequencedBatch] {
        &self.batches[..self.remembered]
    }

    /// Adds the newest batch and forgets the sixth.
    pub(crate) fn remember(&mut self, batch: SequencedBatch) {
        if self.remembered == REMEMBERED {
            self.batches.rotate_left(1);
            self.remembered -= 1;
        }
        self.batches[self.remembered] = batch;
        self.remembered += 1;
    }

    fn last_sequence(&self) -> Option<i32> {
        self.batches().last().map(|batch| batch.last_sequence)
    }

    fn check_epoch(&self, header: &BatchHeader) -> Result<(), AppendError> {
        if header.producer_epoch < self.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: self.id,
                current: self.epoch,
                found: header.producer_epoch,
            });
        }
        Ok(())
    }

    /// Whether the batch was appended before, or an error when it does not continue.
    pub(crate) fn check(
        &self,
        header: &BatchHeader,
    ) -> Result<Option<SequencedBatch>, AppendError> {
        self.check_epoch(header)?;
        if header.base_sequence >= 0 && self.epoch >= 0 {
            let same_epoch = header.producer_epoch == self.epoch;
            if same_epoch {
                let duplicate = self.batches().iter().find(|batch| {
                    batch.first_sequence == header.base_sequence
                        && batch.last_sequence == header.last_sequence()
                });
                if let Some(duplicate) = duplicate {
                    return Ok(Some(*duplicate));
                }
            }
            let expected = match self.last_sequence().filter(|_| same_epoch) {
                Some(last) => add_sequence(last, 1),
                None => 0,
            };
            if header.base_sequence != expected {
                return Err(AppendError::OutOfOrderSequence {
                    producer_id: self.id,
                    expected,
                    found: header.base_sequence,
                });
            }
        }
        if self.open.is_some() && !header.is_transactional() {
            return Err(AppendError::InvalidTxnState { producer_id: self.id });
        }
        Ok(None)
    }

    /// Whether a coordinator may write this marker.
    pub(crate) fn check_marker(
        &self,
        header: &BatchHeader,
        marker: Marker,
    ) -> Result<(), AppendError> {
        self.check_epoch(header)?;
        if marker.coordinator_epoch < self.coordinator_epoch {
            return Err(AppendError::CoordinatorFenced {
                producer_id: self.id,
                current: self.coordinator_epoch,
                found: marker.coordinator_epoch,
            });
        }
        Ok(())
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.remembered = 0;
        }
    }

    /// Takes over an appended data batch whose header has its final base offset.
    pub(crate) fn apply(&mut self, header: &BatchHeader) {
        self.enter_epoch(header.producer_epoch);
        self.last_timestamp = header.max_timestamp;
        self.last_offset = header.last_offset();
        if header.base_sequence >= 0 {
            self.remember(SequencedBatch {
                first_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                base_offset: header.base_offset,
                last_offset: header.last_offset(),
            });
        }
        // A batch that compaction has emptied holds nothing that could be open.
        if header.is_transactional() && header.records > 0 {
            self.open.get_or_insert(header.base_offset);
        }
    }

    /// Takes over an appended marker; gives the first offset of the transaction that it ends.
    pub(crate) fn apply_marker(&mut self, header: &BatchHeader, marker: Marker) -> Option<i64> {
        self.enter_epoch(header.producer_epoch);
        self.last_timestamp = header.max_timestamp;
        self.last_offset = header.last_offset();
        self.coordinator_epoch = marker.coordinator_epoch;
        self.open.take()
    }
}

/// A transaction that a marker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ended {
    first_offset: i64,
    marker_offset: i64,
}

/// All producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    by_id: HashMap<i64, ProducerState>,
    /// First offsets of open transactions, and whose they are.
    open: BTreeMap<i64, i64>,
    /// Ended by markers that are not durable yet.
    ended: VecDeque<Ended>,
}

impl Producers {
    pub(crate) fn get(&self, id: i64) -> Option<&ProducerState> {
        self.by_id.get(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// In no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ProducerState> {
        self.by_id.values()
    }

    /// Replaces what is known about a producer.
    pub(crate) fn put(&mut self, state: ProducerState) {
        let before = self.by_id.get(&state.id).and_then(|state| state.open);
        if before != state.open {
            if let Some(first) = before {
                self.open.remove(&first);
            }
            if let Some(first) = state.open {
                self.open.insert(first, state.id);
            }
        }
        self.by_id.insert(state.id, state);
    }

    /// Remembers that the transaction which began at `first_offset` is over once the marker is
    /// durable.
    pub(crate) fn ended(&mut self, first_offset: i64, marker_offset: i64) {
        self.ended.push_back(Ended { first_offset, marker_offset });
    }

    /// Forgets ended transactions whose markers are below the high watermark.
    pub(crate) fn durable(&mut self, high_watermark: i64) {
        while self.ended.front().is_some_and(|ended| ended.marker_offset < high_watermark) {
            self.ended.pop_front();
        }
    }

    /// The first offset of a transaction that is not decided; `end` when there is none.
    pub(crate) fn stable_end(&self, end: i64) -> i64 {
        let open = self.open.keys().next().copied().unwrap_or(end);
        let ended = self.ended.iter().map(|ended| ended.first_offset).min().unwrap_or(end);
        open.min(ended).min(end)
    }

    /// The first offset of an open transaction, whether or not later markers are durable.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// Forgets producers that were last heard of before `since_ms` and have nothing open. Times in
    /// batches do not count, as they are the producer's and may be years old.
    pub(crate) fn expire(&mut self, now_ms: i64, since_ms: i64) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, state| {
            if state.seen_ms < 0 {
                state.seen_ms = now_ms;
            }
            state.open.is_some() || state.seen_ms >= since_ms
        });
        before - self.by_id.len()
    }

    /// For DescribeProducers, by id.
    pub(crate) fn infos(&self) -> Vec<ProducerInfo> {
        let mut infos: Vec<_> = self
            .by_id
            .values()
            .map(|state| ProducerInfo {
                producer_id: state.id,
                epoch: state.epoch,
                last_sequence: state.last_sequence().unwrap_or(-1),
                last_timestamp: state.last_timestamp,
                coordinator_epoch: state.coordinator_epoch,
                open_transaction: state.open,
            })
            .collect();
        infos.sort_by_key(|info| info.producer_id);
        infos
    }
}
