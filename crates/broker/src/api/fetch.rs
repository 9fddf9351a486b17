//! Fetch (key 1), versions 4-12.
//!
//! - Whole batches as stored; the first one is returned even if it is larger than every limit.
//! - An answer holds up to about 1 MiB unless `min_bytes` asks for more. Each begins with another
//!   partition, so that none has to wait for the end of those named before it.
//! - A fetch that finds less than `min_bytes` is parked and woken by appends; nothing polls.
//! - `read_committed` reads up to the last stable offset and lists aborted transactions.
//! - Fetch sessions are always declined (session id 0), which clients accept.
//! - Records in memory for answers share one budget over all connections. An answer takes its share
//!   before it reads and gives back what it did not need, so nothing that waits holds records. One
//!   that waits for long goes without records.
//! - Not implemented: version 13 and topic ids, follower fetching, rack awareness.

mod response;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{ApiKey, FetchRequest, fetch_request::FetchPartition},
};
use throughline_log::{AbortedTxn, Ends, Isolation, Partition, ReadLimit};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until, timeout_at},
};

use super::{Call, Handling, Outgoing, Route, decode};
use crate::{
    core::{Core, LEADER_EPOCH},
    store,
    wire::shape::{I8, I32, I64, Kind, Shape, TEXT, all, since},
};

/// The route; its answer is encoded in parts, so that records are not copied.
pub(crate) const ROUTE: Route =
    Route { key: ApiKey::Fetch, first: 4, last: 12, shape: SHAPE, abort_on_close: true, run };

const PARTITION: &[crate::wire::shape::Field] =
    &[all(I32), since(9, I32), all(I64), since(12, I32), since(5, I64), all(I32)];

const SHAPE: Shape = Shape {
    flexible: 12,
    fields: &[
        all(I32),
        all(I32),
        all(I32),
        all(I32),
        all(I8),
        since(7, I32),
        since(7, I32),
        all(Kind::Structs(&[all(TEXT), all(Kind::Structs(PARTITION))])),
        since(7, Kind::Structs(&[all(TEXT), all(Kind::List(&I32))])),
        since(11, TEXT),
    ],
};

/// The most one answer holds, whatever the client allows; Kafka's `fetch.max.bytes`.
const MAX_RESPONSE_BYTES: usize = 55 * 1024 * 1024;
/// What one answer holds when the client does not insist on more. Records pass through memory on
/// their way from the file to the socket, and this much of it stays in the processor's cache.
const ANSWER_BYTES: usize = 1024 * 1024;
/// The longest a fetch is parked, whatever the client asks for.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// A fetch that has some data but less than `min_bytes` looks again no sooner than after this.
const GATHER: Duration = Duration::from_millis(5);

/// What one partition contributes to an answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    index: i32,
    error: i16,
    high_watermark: i64,
    last_stable_offset: i64,
    log_start: i64,
    aborted: Vec<AbortedTxn>,
    records: Bytes,
}

/// A whole answer before it is encoded.
#[derive(Debug, Default)]
struct Gathered {
    error: i16,
    topics: Vec<(String, Vec<Part>)>,
    bytes: usize,
    /// At least one partition has an error to report now.
    failed: bool,
    /// Waiting would add nothing: there is no room for more.
    full: bool,
    /// Its part of the budget for records.
    share: Option<OwnedSemaphorePermit>,
}

fn run(call: Call, body: Bytes) -> Handling {
    Box::pin(async move {
        let request: FetchRequest = decode(body, call.version)?;
        let gathered = if request.session_id != 0 {
            let error = ResponseError::FetchSessionIdNotFound.code();
            Gathered { error, ..Gathered::default() }
        } else {
            fetch(&call.core, &request).await
        };
        call.core.metrics.record_bytes_out.inc_by(gathered.bytes as u64);
        let parts = response::encode(call.correlation_id, call.version, &gathered)?;
        Ok(Outgoing::Parts { parts, share: gathered.share })
    })
}

async fn fetch(core: &Core, request: &FetchRequest) -> Gathered {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(MAX_WAIT);
    let deadline = Instant::now() + wait;
    let wanted = usize::try_from(request.min_bytes).unwrap_or(0);
    loop {
        // Watching before reading: an append in between wakes the wait below. Anew each time,
        // because a topic that was deleted and created again has other partitions.
        let mut watches = watches(core, request);
        let gathered = gather(core, request).await;
        let ready = gathered.failed || gathered.full || gathered.bytes >= wanted;
        if ready || watches.is_empty() || Instant::now() >= deadline {
            return gathered;
        }
        let some = gathered.bytes > 0;
        drop(gathered);
        if some {
            sleep_until((Instant::now() + GATHER).min(deadline)).await;
        }
        let _ = timeout_at(deadline, any_changed(&mut watches)).await;
    }
}

/// One watch for every partition of the request that exists.
fn watches(core: &Core, request: &FetchRequest) -> Vec<watch::Receiver<Ends>> {
    let partitions = request.topics.iter().flat_map(|topic| {
        let known = core.catalogue.topic(&topic.topic);
        let indexes = topic.partitions.iter().map(|partition| partition.partition);
        indexes.filter_map(move |index| known.as_ref()?.partition(index).cloned())
    });
    partitions.map(|partition| partition.watch()).collect()
}

type Changed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Returns when the ends of any of the partitions change.
async fn any_changed(watches: &mut [watch::Receiver<Ends>]) {
    // An error means that the partition is gone, which is a change as well.
    let changed = watches.iter_mut().map(|watch| {
        let changed: Changed<'_> = Box::pin(async { drop(watch.changed().await) });
        changed
    });
    let mut waiting: Vec<Changed<'_>> = changed.collect();
    poll_fn(|cx| {
        let any = waiting.iter_mut().any(|changed| changed.as_mut().poll(cx).is_ready());
        if any { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Reads what is there now.
async fn gather(core: &Core, request: &FetchRequest) -> Gathered {
    let isolation = match request.isolation_level {
        1 => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    let bytes = |number| usize::try_from(number).unwrap_or(0);
    let insists = bytes(request.min_bytes) > ANSWER_BYTES / 2;
    let most = if insists { MAX_RESPONSE_BYTES } else { ANSWER_BYTES };
    let limit = most.min(bytes(request.max_bytes));
    // A partition that is asked for the rest is mostly read in vain: its next batch is larger.
    let enough = (limit / 2).max(bytes(request.min_bytes).min(limit));
    let topics = request.topics.iter().map(|topic| (core.catalogue.topic(&topic.topic), topic));
    let mut wanted: Vec<_> = topics
        .flat_map(|(known, topic)| {
            let find = move |index| Some(Arc::clone(known.as_ref()?.partition(index)?));
            topic.partitions.iter().map(move |wanted| (find(wanted.partition), wanted))
        })
        .collect();
    let first = if wanted.is_empty() { 0 } else { rand::random_range(0..wanted.len()) };
    wanted.rotate_left(first);
    let mut gathering =
        Gathering { core, isolation, limit, reserved: 0, gathered: Gathered::default() };
    let mut parts = Vec::with_capacity(wanted.len());
    for (partition, wanted) in wanted {
        let part = gathering.part(partition.as_ref(), wanted).await;
        let gathered = &mut gathering.gathered;
        gathered.failed |= part.error != 0;
        gathered.bytes += part.records.len();
        gathered.full |= gathered.bytes > 0 && gathered.bytes >= enough;
        parts.push(part);
    }
    let mut gathered = gathering.gathered;
    if let Some(share) = &mut gathered.share {
        core.give_back(share, gathered.bytes);
    }
    parts.rotate_right(first);
    let mut parts = parts.into_iter();
    let topics = request.topics.iter().map(|topic| {
        (topic.topic.to_string(), parts.by_ref().take(topic.partitions.len()).collect())
    });
    gathered.topics = topics.collect();
    gathered
}

/// An answer in the making.
struct Gathering<'a> {
    core: &'a Core,
    isolation: Isolation,
    /// The most bytes of records it may hold, unless its first batch alone is larger.
    limit: usize,
    /// For how many bytes of records it has its share of the budget.
    reserved: usize,
    gathered: Gathered,
}

impl Gathering<'_> {
    /// Reads what is there now of one partition, with memory for it.
    async fn part(&mut self, partition: Option<&Arc<Partition>>, wanted: &FetchPartition) -> Part {
        let mut needed = self.limit;
        loop {
            let empty = self.gathered.bytes == 0;
            let found = readable(partition, wanted, self.isolation);
            if empty && found && !self.gathered.full && self.reserved < needed {
                // Nothing is held while it waits: two that did could wait for each other.
                self.gathered.share = None;
                self.gathered.share = self.core.response_share(needed).await;
                self.gathered.full = self.gathered.share.is_none();
                self.reserved = needed;
            }
            let room = self.limit.saturating_sub(self.gathered.bytes);
            let mut part = read(partition, wanted, room, self.gathered.full, self.isolation);
            let fits = if empty { self.reserved } else { room };
            if part.records.len() <= fits {
                return part;
            }
            if !empty {
                part.records = Bytes::new();
                part.aborted.clear();
                self.gathered.full = true;
                return part;
            }
            // The first batch is returned whatever its size: read again when there is room for it.
            needed = part.records.len();
        }
    }
}

/// Whether there are records to read now, as far as can be told without reading.
fn readable(
    partition: Option<&Arc<Partition>>,
    wanted: &FetchPartition,
    isolation: Isolation,
) -> bool {
    partition.is_some_and(|partition| {
        let ends = partition.ends();
        let upper = match isolation {
            Isolation::ReadUncommitted => ends.high_watermark,
            Isolation::ReadCommitted => ends.last_stable_offset,
        };
        (ends.log_start..upper).contains(&wanted.fetch_offset)
    })
}

fn read(
    partition: Option<&Arc<Partition>>,
    wanted: &FetchPartition,
    room: usize,
    full: bool,
    isolation: Isolation,
) -> Part {
    let index = wanted.partition;
    let failed = |error: ResponseError, ends: Option<Ends>| Part {
        index,
        error: error.code(),
        high_watermark: ends.map_or(-1, |ends| ends.high_watermark),
        last_stable_offset: ends.map_or(-1, |ends| ends.last_stable_offset),
        log_start: ends.map_or(-1, |ends| ends.log_start),
        ..Part::default()
    };
    let Some(partition) = partition else {
        return failed(ResponseError::UnknownTopicOrPartition, None);
    };
    if wanted.current_leader_epoch > LEADER_EPOCH {
        return failed(ResponseError::UnknownLeaderEpoch, None);
    }
    let ends = partition.ends();
    if full {
        return Part {
            index,
            high_watermark: ends.high_watermark,
            last_stable_offset: ends.last_stable_offset,
            log_start: ends.log_start,
            ..Part::default()
        };
    }
    let max_bytes = usize::try_from(wanted.partition_max_bytes).unwrap_or(0).min(room);
    match partition.read(wanted.fetch_offset, ReadLimit { max_bytes, isolation }) {
        Ok(fetched) => Part {
            index,
            error: 0,
            high_watermark: fetched.high_watermark,
            last_stable_offset: fetched.last_stable_offset,
            log_start: fetched.log_start,
            aborted: fetched.aborted,
            records: fetched.records,
        },
        Err(error) => {
            let code = store::read_error(&error);
            if code != ResponseError::OffsetOutOfRange {
                tracing::error!(partition = %partition.id(), %error, "could not read");
            }
            failed(code, Some(ends))
        }
    }
}

#[cfg(test)]
mod tests;
