//! Reading a partition of the worker's own to its end: a drain ends it, and a wait is told.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use throughline_bus::{Entry, Isolation, READ_PATIENCE, Recovery, Undecodable};
use throughline_event::{Offset, TopicPartition, WorkerName};

use crate::{Host, WorkerError, chain};

/// How long a silent partition is waited for at first; a drain is seen after it at the latest.
const LOOK: Duration = Duration::from_secs(1);

/// The longest look: a slow broker has to be let answer.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Reads committed records from an offset to the end, and returns the offset to go on at; nothing
/// when a drain came before. `what` follows "waits for" where it is told.
///
/// # Errors
/// When nothing came for [`READ_PATIENCE`]; what `take` fails with.
pub(crate) fn to_end(
    host: &Host,
    (worker, what): (&WorkerName, &str),
    at: &TopicPartition,
    from: Offset,
    mut take: impl FnMut(Entry<'_>) -> Result<(), WorkerError>,
) -> Result<Option<Offset>, WorkerError> {
    let (mut next, mut progress, mut look) = (from, Instant::now(), LOOK);
    let mut told = false;
    while !host.shutdown.is_draining() {
        let mut failure = None;
        let committed = Isolation::ReadCommitted;
        let read = host.bus.read_to_end_within(look, at, next, committed, |entry| {
            if host.shutdown.is_draining() {
                return ControlFlow::Break(());
            }
            (next, progress) = (offset_of(&entry).next(), Instant::now());
            failure = take(entry).err();
            if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let error = match (failure, read) {
            (Some(failure), _) => return Err(failure),
            (None, Ok(_)) if host.shutdown.is_draining() => break,
            (None, Ok(end)) => return Ok(Some(end)),
            (None, Err(error)) => error,
        };
        if error.recovery() != Recovery::Retry || progress.elapsed() >= READ_PATIENCE {
            return Err(error.into());
        }
        let text = chain(&error);
        if !told {
            tracing::warn!(worker = %worker, error = text, "waiting for {what}");
            told = true;
        }
        host.metrics.health().failed(worker.as_str(), format!("waits for {what}: {text}"));
        // What fails at once is not asked again at once.
        host.shutdown.wait(LOOK / 10);
        look = (look * 2).min(LONGEST_LOOK);
    }
    Ok(None)
}

fn offset_of(entry: &Entry<'_>) -> Offset {
    match entry {
        Entry::Record(record) => record.offset,
        Entry::Undecodable(bad) => bad.offset,
    }
}

/// Says that a record was passed over that no worker has written.
pub(crate) fn passed_over(
    code: &str,
    at: &TopicPartition,
    offset: Offset,
    problem: &dyn std::error::Error,
) {
    tracing::warn!(
        code, topic = %at.topic, partition = at.partition.0, offset = offset.0,
        error = chain(problem),
        "a record that another program wrote was passed over"
    );
}

/// The same for one that is not in the wire format of the registry, or names a schema that it has
/// not.
pub(crate) fn undecodable(bad: &Undecodable) {
    passed_over(bad.reason.code(), &bad.partition, bad.offset, &bad.reason);
}
