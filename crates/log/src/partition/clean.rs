//! Retention and compaction of one partition.
//!
//! Only segments that a checkpoint has passed are touched: recovery reads from the checkpoint on
//! and expects to find what it describes.

use std::io::{self, IoSlice};
use std::sync::{Arc, TryLockError};

use super::{Partition, State};
use crate::aborted;
use crate::batch::BatchHeader;
use crate::checkpoint::{Cleaned, StoredExtent};
use crate::compaction::swap::Swap;
use crate::compaction::{Horizons, Known, Pass};
use crate::error::{Attempt, IoFault, LogError};
use crate::fetch::{CleanReport, Status};
use crate::files::LogFile;
use crate::folder::lock;
use crate::options::PartitionConfig;
use crate::segment::Segment;
use crate::small_file;

/// Compacted batches are collected to writes of this size.
const WRITE_BYTES: usize = 1 << 20;

/// A compacted segment while it is written.
struct Output {
    file: Arc<dyn LogFile>,
    path: std::path::PathBuf,
    buffer: Vec<u8>,
    size: u64,
    /// Offsets of the markers in it.
    markers: Vec<i64>,
}

impl Partition {
    /// Applies retention and compaction once, and forgets idle producers. Call it regularly from
    /// a thread that may block; a second call at the same time returns at once.
    ///
    /// # Errors
    /// When files cannot be read or written; the log stays as it was and the next call tries again.
    pub fn clean(&self, now_ms: i64) -> Result<CleanReport, LogError> {
        let mut report = CleanReport::default();
        let _cleaning = match self.cleaning.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(report),
        };
        match self.ends().status {
            Status::Open => {}
            Status::Failed => return Err(self.refusal().into()),
            Status::Closed => return Err(self.closed().into()),
        }
        let config = self.config();
        let expiry_ms = self.folder.options.producer_expiry_ms;
        report.producers_expired =
            self.state().producers.expire(now_ms, now_ms.saturating_sub(expiry_ms));
        self.roll_aged(&config, now_ms)?;
        self.retain(&config, now_ms, &mut report)?;
        if config.compact {
            self.compact(&config, now_ms, &mut report)?;
        }
        Ok(report)
    }

    /// Closes a growing segment that is due by age or by retention, so that it can be cleaned
    /// even when nobody appends.
    fn roll_aged(&self, config: &PartitionConfig, now_ms: i64) -> Result<(), LogError> {
        let mut state = self.state();
        let Some(growing) = state.segments.last().cloned() else { return Ok(()) };
        let opened = *state.opened_ms.get_or_insert(now_ms);
        let aged = now_ms.saturating_sub(opened) >= config.segment_ms;
        if growing.size() > 0 && (aged || expired(&growing, config, now_ms)) {
            self.roll(&mut state)?;
            drop(state);
            self.sync();
        }
        Ok(())
    }

    /// Removes segments from the front of the log.
    fn retain(
        &self,
        config: &PartitionConfig,
        now_ms: i64,
        report: &mut CleanReport,
    ) -> Result<(), LogError> {
        let (count, log_start) = {
            let state = self.state();
            let count = removable(&state, config, now_ms);
            (count, state.segments.get(count).map_or(0, |segment| segment.base))
        };
        if count == 0 {
            return Ok(());
        }
        self.move_log_start(&mut lock(&self.extent), log_start)?;
        let removed: Vec<_> = self.state().segments.drain(..count).collect();
        for segment in removed {
            report.segments_deleted += 1;
            report.bytes_deleted += segment.size();
            for extension in ["log", "index", "timeindex", "aborted"] {
                let path = segment.stem.with_extension(extension);
                self.folder.files.remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }

    fn compact(
        &self,
        config: &PartitionConfig,
        now_ms: i64,
        report: &mut CleanReport,
    ) -> Result<(), LogError> {
        loop {
            let extent = lock(&self.extent).clone();
            let (closed, upto, known) = {
                let state = self.state();
                let closed = compactable(&state, config, now_ms);
                let known = known(&state);
                let end = closed.last().map_or(0, |segment| segment.extent().next_offset);
                (closed, end.min(state.ends().last_stable_offset), known)
            };
            let from = extent.cleaned_upto();
            if !due(&closed, from, upto, &extent.cleaned, config, now_ms)
                && (report.passes == 0 || from >= upto)
            {
                return Ok(());
            }
            let horizons = Horizons::new(extent.cleaned, now_ms, config.delete_retention_ms);
            let budget = self.folder.options.compaction_bytes;
            let upto = upto.max(from);
            let mut pass = Pass::prepare(&closed, from, upto, known, horizons, budget)?;
            let concerned = closed.partition_point(|segment| segment.base < pass.upto);
            let mut rest = &closed[..concerned];
            while !rest.is_empty() {
                let (group, others) = rest.split_at(group(rest, config.segment_bytes));
                self.rewrite(group, &mut pass, report)?;
                rest = others;
            }
            report.passes += 1;
            report.records_read = pass.records_read;
            report.records_removed += pass.records_removed;
            let done = pass.upto >= upto;
            self.store_cleaned(pass.finish())?;
            if done {
                return Ok(());
            }
        }
    }

    fn store_cleaned(&self, cleaned: Vec<Cleaned>) -> Result<(), LogError> {
        let mut extent = lock(&self.extent);
        let changed = StoredExtent { cleaned, ..extent.clone() };
        self.store_extent(&changed)?;
        *extent = changed;
        Ok(())
    }

    /// Writes what stays of a group of segments to one new segment and swaps it in.
    fn rewrite(
        &self,
        group: &[Arc<Segment>],
        pass: &mut Pass,
        report: &mut CleanReport,
    ) -> Result<(), LogError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let end = self.state().segments.iter().find(|next| next.base > last.base).map(|s| s.base);
        let Some(end) = end else { return Ok(()) };
        let swap = Swap { base: first.base, end };
        let files = &*self.folder.files;
        let before: u64 = group.iter().map(|segment| segment.size()).sum();
        let mut output = self.output(&swap)?;
        let written = self.write_output(group, pass, &mut output);
        if written.is_err() || (group.len() == 1 && output.size == before) {
            files.remove_file(&output.path).at("remove", &output.path)?;
            return written;
        }
        let aborted: Vec<_> = group
            .iter()
            .flat_map(|segment| Pass::aborted_kept(&segment.extent().aborted, &output.markers))
            .collect();
        let path = swap.path(&self.path, "swap-aborted");
        small_file::replace(files, &path, &aborted::encode(&aborted))?;
        report.bytes_compacted += before.saturating_sub(output.size);
        // From the rename on the change is decided. When it cannot be completed now, the next open
        // does it, and until then nothing may build on the old segments.
        self.swap_in(group, &swap, &output, aborted).inspect_err(|fault| {
            self.folder.fail(&self.id, fault.action, &fault.source);
        })?;
        Ok(())
    }

    fn write_output(
        &self,
        group: &[Arc<Segment>],
        pass: &mut Pass,
        output: &mut Output,
    ) -> Result<(), LogError> {
        for segment in group {
            pass.rewrite(segment, |batch| output.push(batch))?;
        }
        output.flush()?;
        Ok(output.file.sync().at("sync", &output.path)?)
    }

    fn output(&self, swap: &Swap) -> Result<Output, LogError> {
        let path = swap.path(&self.path, "cleaned");
        self.folder.files.remove_file(&path).at("remove", &path)?;
        let file = self.folder.files.open(&path, true).at("create", &path)?;
        Ok(Output { file, path, buffer: Vec::new(), size: 0, markers: Vec::new() })
    }

    /// Puts the compacted segment in place and shows it to readers.
    fn swap_in(
        &self,
        group: &[Arc<Segment>],
        swap: &Swap,
        output: &Output,
        aborted: Vec<aborted::Aborted>,
    ) -> Result<(), IoFault> {
        let files = &self.folder.files;
        let path = swap.path(&self.path, "swap");
        files.rename(&output.path, &path).at("rename", &output.path)?;
        files.sync_dir(&self.path).at("sync folder", &self.path)?;
        swap.finish(&self.path, &**files)?;
        let new = Segment::open(&self.path, swap.base, files)?;
        if let Err(error) = new.rebuild(output.size, self.folder.options.index_interval_bytes) {
            return Err(io::Error::other(error)).at("read back", &new.path());
        }
        new.seal();
        {
            let mut extent = new.extent();
            extent.next_offset = swap.end;
            extent.aborted = aborted;
        }
        // Without room for it the index stays in memory and is rebuilt by the next open.
        self.sync_indexes(&new)?;
        let mut state = self.state();
        let at = state.segments.partition_point(|segment| segment.base < swap.base);
        state.segments.splice(at..at + group.len(), [Arc::new(new)]);
        Ok(())
    }
}

impl Output {
    fn push(&mut self, batch: &[u8]) -> Result<(), LogError> {
        if let Ok(header) = BatchHeader::parse(batch)
            && header.is_control()
        {
            self.markers.push(header.base_offset);
        }
        self.buffer.extend_from_slice(batch);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LogError> {
        self.file.append(&mut [IoSlice::new(&self.buffer)]).at("write", &self.path)?;
        self.size += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Whether all records of a segment are older than `retention.ms`. Records without a time are
/// never too old.
fn expired(segment: &Segment, config: &PartitionConfig, now_ms: i64) -> bool {
    let Some(retention_ms) = config.retention_ms.filter(|_| config.delete) else { return false };
    let latest = segment.extent().latest;
    latest.is_some_and(|latest| {
        latest.timestamp >= 0 && latest.timestamp < now_ms.saturating_sub(retention_ms)
    })
}

/// How many segments from the front are below the log start or beyond retention.
fn removable(state: &State, config: &PartitionConfig, now_ms: i64) -> usize {
    let mut bytes: u64 = state.segments.iter().map(|segment| segment.size()).sum();
    let mut count = 0;
    for (segment, next) in state.segments.iter().zip(state.segments.iter().skip(1)) {
        let size = segment.size();
        let too_many = config.retention_bytes.is_some_and(|limit| bytes - size >= limit);
        let due = next.base <= state.log_start
            || expired(segment, config, now_ms)
            || (config.delete && too_many);
        let settled = segment.base < state.checkpoint_segment && next.base <= state.high_watermark;
        if !due || !settled {
            break;
        }
        bytes -= size;
        count += 1;
    }
    count
}

/// The closed segments that compaction may rewrite.
fn compactable(state: &State, config: &PartitionConfig, now_ms: i64) -> Vec<Arc<Segment>> {
    let young_ms = now_ms.saturating_sub(config.min_compaction_lag_ms);
    let old_enough = |segment: &Segment| {
        config.min_compaction_lag_ms == 0
            || segment.extent().latest.is_none_or(|latest| latest.timestamp <= young_ms)
    };
    let closed = state.segments.len() - 1;
    state.segments[..closed]
        .iter()
        .take_while(|segment| segment.base < state.checkpoint_segment && old_enough(segment))
        .cloned()
        .collect()
}

fn known(state: &State) -> Known {
    let all = state.segments.iter();
    Known {
        last_offsets: state.producers.iter().map(|known| (known.id, known.last_offset)).collect(),
        aborted: all.flat_map(|segment| segment.extent().aborted.clone()).collect(),
    }
}

/// Whether enough is new, or something has waited long enough to be removed.
fn due(
    closed: &[Arc<Segment>],
    from: i64,
    upto: i64,
    cleaned: &[Cleaned],
    config: &PartitionConfig,
    now_ms: i64,
) -> bool {
    let waited = cleaned.iter().any(|cleaned| {
        let at_ms = cleaned.at_ms.saturating_add(config.delete_retention_ms);
        cleaned.removable > 0 && now_ms >= at_ms
    });
    let mut all = 0;
    let mut dirty = 0;
    for segment in closed {
        let extent = segment.extent();
        all += extent.size;
        if extent.next_offset > from && segment.base < upto {
            dirty += extent.size;
        }
    }
    let enough = dirty as f64 >= all as f64 * config.min_cleanable_dirty_ratio;
    waited || (dirty > 0 && from < upto && enough)
}

/// How many segments from the front fit into one.
fn group(segments: &[Arc<Segment>], segment_bytes: u64) -> usize {
    let base = segments.first().map_or(0, |segment| segment.base);
    let mut bytes = 0;
    let fits = |segment: &&Arc<Segment>| {
        let extent = segment.extent();
        bytes += extent.size;
        bytes <= segment_bytes && extent.next_offset - base < i64::from(i32::MAX)
    };
    segments.iter().take_while(fits).count().max(1)
}
