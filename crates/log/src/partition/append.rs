//! Appending: check every batch, then write all of them in one call or nothing.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Partition, State};
use crate::aborted::Aborted;
use crate::batch::{BatchHeader, Marker, PATCHED, set_log_append_time};
use crate::error::{AppendError, BatchFault, IoFault};
use crate::fetch::{Appended, Origin, Status};
use crate::folder::is_full;
use crate::options::{FlushPolicy, PartitionConfig};
use crate::producers::ProducerState;
use crate::records::Records;
use crate::segment::Segment;

/// Index entries hold positions of 32 bits.
const MAX_SEGMENT_BYTES: u64 = u32::MAX as u64;

/// Records without a key that an error names; the batch is refused as a whole anyway.
const MISSING_KEYS: usize = 4096;

/// Why the bytes were not written.
enum WriteFailure {
    /// Nothing has changed.
    Refused(AppendError),
    /// Part of them is in the file and could not be cut off again.
    Uncut(io::Error),
}

impl From<AppendError> for WriteFailure {
    fn from(error: AppendError) -> Self {
        Self::Refused(error)
    }
}

/// One checked batch of a request.
struct Incoming {
    header: BatchHeader,
    marker: Option<Marker>,
    /// Where it begins in the request.
    at: usize,
}

/// What is written and takes effect once it is.
struct Plan {
    batches: Vec<Incoming>,
    producers: Vec<ProducerState>,
    /// Ended transactions: producer, first offset, marker offset, committed.
    ended: Vec<(i64, i64, i64, bool)>,
    bytes: u64,
    first: Option<(i64, i64)>,
    last_offset: i64,
    duplicate: bool,
}

impl Partition {
    /// Appends one or more v2 record batches as received. Checks magic, length, CRC-32C, counts,
    /// the producer's id, epoch and sequence, and in a compacted partition that every record of a
    /// client has a key; sets base offset and leader epoch, which the CRC does not cover. A duplicate of one of the producer's last five batches gives the first
    /// offsets again. Returns when the page cache has the bytes: see [`Partition::durable`].
    ///
    /// # Errors
    /// See [`AppendError`]; nothing is stored then, not even the first of several batches.
    pub fn append(
        &self,
        batches: Bytes,
        origin: Origin,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let config = self.config();
        let mut incoming = check(&batches, origin, &config)?;
        let batches =
            if config.log_append_time { stamp(batches, &mut incoming, now_ms) } else { batches };
        let mut state = self.state();
        match state.status {
            Status::Open => {}
            Status::Failed => return Err(self.refusal()),
            Status::Closed => return Err(self.closed()),
        }
        let plan = plan(&state, incoming, now_ms)?;
        if !plan.batches.is_empty() {
            match self.write(&mut state, &plan, &batches, &config, now_ms) {
                Ok(()) => self.take_over(&mut state, &plan),
                Err(WriteFailure::Refused(error)) => return Err(error),
                Err(WriteFailure::Uncut(error)) => {
                    drop(state);
                    self.folder.fail(&self.id, "cut after a failed write", &error);
                    return Err(self.refusal());
                }
            }
        }
        let base_offset = plan.first.map_or(state.log_end, |(base, _)| base);
        Ok(Appended {
            base_offset,
            last_offset: plan.last_offset,
            log_append_time: if config.log_append_time { now_ms } else { -1 },
            log_start: state.log_start,
            duplicate: plan.duplicate,
        })
    }

    /// Writes the batches at the end of the growing segment, or takes everything back.
    fn write(
        &self,
        state: &mut State,
        plan: &Plan,
        bytes: &[u8],
        config: &PartitionConfig,
        now_ms: i64,
    ) -> Result<(), WriteFailure> {
        self.folder.reserve(plan.bytes)?;
        self.roll_if_due(state, plan, config, now_ms)?;
        let Some(segment) = state.segments.last().cloned() else {
            return Err(self.closed().into());
        };
        let size = segment.size();
        let heads: Vec<[u8; PATCHED]> =
            plan.batches.iter().map(|batch| batch.header.patch(batch.header.base_offset)).collect();
        let mut slices = Vec::with_capacity(plan.batches.len() * 2);
        for (batch, head) in plan.batches.iter().zip(&heads) {
            slices.push(IoSlice::new(head));
            slices.push(IoSlice::new(&bytes[batch.at + PATCHED..batch.at + batch.header.size]));
        }
        if let Err(error) = segment.file.append(&mut slices) {
            segment.file.set_len(size).map_err(WriteFailure::Uncut)?;
            return Err(self.refused_write(error, &segment).into());
        }
        state.opened_ms.get_or_insert(now_ms);
        Ok(())
    }

    fn refused_write(&self, source: io::Error, segment: &Segment) -> AppendError {
        if is_full(&source) {
            return self.folder.disk_full();
        }
        IoFault { action: "append to", path: segment.path(), source }.into()
    }

    /// Everything that follows from a successful write.
    fn take_over(&self, state: &mut State, plan: &Plan) {
        let interval = self.folder.options.index_interval_bytes;
        for producer in &plan.producers {
            state.producers.put(producer.clone());
        }
        for (_, first_offset, marker_offset, _) in &plan.ended {
            state.producers.ended(*first_offset, *marker_offset);
        }
        if let Some(segment) = state.segments.last() {
            let mut extent = segment.extent();
            for batch in &plan.batches {
                extent.push(segment.base, &batch.header, interval);
            }
            for (producer_id, first_offset, marker_offset, commit) in &plan.ended {
                if !commit {
                    extent.aborted.push(Aborted {
                        producer_id: *producer_id,
                        first_offset: *first_offset,
                        marker_offset: *marker_offset,
                        stable_end: state.producers.first_open().unwrap_or(*marker_offset + 1),
                    });
                }
            }
            state.log_end = extent.next_offset;
        }
        state.since_checkpoint += plan.bytes;
        let page_cache = self.flush_policy() == FlushPolicy::PageCache;
        if page_cache {
            state.high_watermark = state.log_end;
            state.producers.durable(state.high_watermark);
        }
        self.publish(state);
        let checkpoint = state.since_checkpoint >= self.folder.options.checkpoint_bytes;
        if !page_cache || checkpoint || !state.unsynced.is_empty() {
            self.enqueue(state);
        }
    }

    fn roll_if_due(
        &self,
        state: &mut State,
        plan: &Plan,
        config: &PartitionConfig,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let Some(segment) = state.segments.last() else { return Err(self.closed()) };
        let size = segment.size();
        let limit = config.segment_bytes.min(MAX_SEGMENT_BYTES);
        let full = size + plan.bytes > limit;
        let old = state.opened_ms.is_some_and(|at| now_ms.saturating_sub(at) >= config.segment_ms);
        let far = plan.last_offset - segment.base > i64::from(i32::MAX);
        if size > 0 && (full || old || far) { self.roll(state) } else { Ok(()) }
    }

    /// Closes the growing segment and begins the next one.
    pub(super) fn roll(&self, state: &mut State) -> Result<(), AppendError> {
        let new = match Segment::create(&self.path, state.log_end, &self.folder.files) {
            Ok(new) => Arc::new(new),
            Err(fault) if is_full(&fault.source) => return Err(self.folder.disk_full()),
            Err(fault) => return Err(fault.into()),
        };
        if let Some(old) = state.segments.last() {
            old.seal();
            state.unsynced.push(Arc::clone(old));
        }
        state.segments.push(new);
        state.folder_changed = true;
        state.checkpoint_due = true;
        state.opened_ms = None;
        Ok(())
    }

    /// Puts the partition into the syncer's next round.
    pub(super) fn enqueue(&self, state: &mut State) {
        if !state.queued
            && let Some(itself) = self.itself.upgrade()
        {
            state.queued = true;
            self.folder.enqueue(itself);
        }
    }
}

/// Decodes and checks the headers of all batches, and their checksums.
fn check(
    bytes: &[u8],
    origin: Origin,
    config: &PartitionConfig,
) -> Result<Vec<Incoming>, AppendError> {
    let client = origin == Origin::Client;
    let mut incoming = Vec::with_capacity(1);
    let mut at = 0;
    while at < bytes.len() {
        let corrupt = |reason| AppendError::Corrupt { at, reason };
        let rest = &bytes[at..];
        let header = BatchHeader::parse(rest).map_err(corrupt)?;
        if client && header.size > config.max_message_bytes as usize {
            return Err(AppendError::TooLarge {
                bytes: header.size,
                limit: config.max_message_bytes,
            });
        }
        BatchHeader::verify(rest).map_err(corrupt)?;
        header.check_new(client).map_err(|reason| AppendError::Invalid { reason })?;
        let marker = if header.is_control() {
            let parsed = Marker::parse(&header, rest);
            Some(parsed.map_err(|reason| AppendError::Invalid { reason })?)
        } else {
            None
        };
        if client {
            check_records(&header, rest, config.compact)?;
        }
        incoming.push(Incoming { header, marker, at });
        at += header.size;
    }
    if incoming.is_empty() {
        return Err(AppendError::Invalid { reason: BatchFault::Empty });
    }
    Ok(incoming)
}

/// Records that cannot be decoded would stop every consumer at them. Compaction keeps the newest
/// record of each key, so there every record needs one.
fn check_records(header: &BatchHeader, batch: &[u8], compact: bool) -> Result<(), AppendError> {
    let most = if compact { MISSING_KEYS } else { 0 };
    let missing = Records::new(header, batch).and_then(|records| records.without_key(most));
    match missing {
        Ok(records) if records.is_empty() => Ok(()),
        Ok(records) => Err(AppendError::MissingKey { records }),
        Err(_) => Err(AppendError::Invalid { reason: BatchFault::Records }),
    }
}

/// A copy of the batches with the time of the log in them.
fn stamp(bytes: Bytes, incoming: &mut [Incoming], now_ms: i64) -> Bytes {
    let mut bytes = bytes.try_into_mut().unwrap_or_else(|bytes| BytesMut::from(&bytes[..]));
    for batch in incoming {
        set_log_append_time(&mut bytes[batch.at..batch.at + batch.header.size], now_ms);
        batch.header.max_timestamp = now_ms;
    }
    bytes.freeze()
}

/// Gives every batch its offsets and checks it against its producer's state.
fn plan(state: &State, incoming: Vec<Incoming>, now_ms: i64) -> Result<Plan, AppendError> {
    let mut plan = Plan {
        batches: Vec::with_capacity(incoming.len()),
        producers: Vec::new(),
        ended: Vec::new(),
        bytes: 0,
        first: None,
        last_offset: state.log_end - 1,
        duplicate: false,
    };
    let mut next = state.log_end;
    for mut batch in incoming {
        batch.header.base_offset = next;
        if batch.header.last_offset() >= i64::MAX - 1 {
            return Err(AppendError::Invalid { reason: BatchFault::Offset });
        }
        if let Some(first) = plan.check_producer(state, &batch, now_ms)? {
            plan.duplicate = true;
            plan.first.get_or_insert(first);
            plan.last_offset = first.1;
            continue;
        }
        plan.first.get_or_insert((next, batch.header.last_offset()));
        plan.last_offset = batch.header.last_offset();
        plan.bytes += batch.header.size as u64;
        next = batch.header.next_offset();
        plan.batches.push(batch);
    }
    Ok(plan)
}

impl Plan {
    /// Applies the batch to a copy of its producer's state; the offsets of the first time when it
    /// is a duplicate.
    fn check_producer(
        &mut self,
        state: &State,
        batch: &Incoming,
        now_ms: i64,
    ) -> Result<Option<(i64, i64)>, AppendError> {
        let id = batch.header.producer_id;
        if !batch.header.has_producer() {
            return Ok(None);
        }
        let staged = self.producers.iter().position(|producer| producer.id == id);
        let mut producer = match staged.and_then(|at| self.producers.get(at)) {
            Some(staged) => staged.clone(),
            None => state.producers.get(id).cloned().unwrap_or_else(|| ProducerState::new(id)),
        };
        if let Some(marker) = batch.marker {
            producer.check_marker(&batch.header, marker)?;
            if let Some(first) = producer.apply_marker(&batch.header, marker) {
                self.ended.push((id, first, batch.header.base_offset, marker.commit));
            }
        } else {
            if let Some(duplicate) = producer.check(&batch.header)? {
                return Ok(Some((duplicate.base_offset, duplicate.last_offset)));
            }
            producer.apply(&batch.header);
        }
        producer.seen_ms = now_ms;
        match staged.and_then(|at| self.producers.get_mut(at)) {
            Some(staged) => *staged = producer,
            None => self.producers.push(producer),
        }
        Ok(None)
    }
}
