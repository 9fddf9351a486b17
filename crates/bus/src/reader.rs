//! Readers: partitions read without a group, to their end or for as long as somebody looks.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use throughline_event::{Offset, PartitionId, TopicName, TopicPartition};

use crate::BusError;
use crate::consumer::{Isolation, Next, Pump, config, list_with_offsets, with_ends};
use crate::decode::{Decoder, Entry};
use crate::error::{Recovery, is_transient, reason, recovery};
use crate::options::BusOptions;
use crate::schemas::Schemas;
use crate::signal::{Waited, Waker};
use crate::topics::{PartitionInfo, Topics};

/// How long nothing may come before a read to the end gives up, and how long it waits for the end
/// of somebody else's transaction. A little more than such a transaction may last.
pub const READ_PATIENCE: Duration = Duration::from_secs(75);

/// Where a tail begins, in each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TailFrom {
    /// At the first record.
    Earliest,
    /// Behind the last one.
    Latest,
    /// At this offset.
    Offset(Offset),
    /// So many offsets before the end; fewer records when markers or compaction took some of them.
    Last(u64),
}

/// How to read without a group.
#[derive(Debug, Clone)]
pub struct TailOptions {
    /// The topic.
    pub topic: TopicName,
    /// Which partitions; all when empty.
    pub partitions: Vec<PartitionId>,
    /// Where to begin.
    pub from: TailFrom,
    /// Whether to wait for new records; otherwise it ends with what was there when it began.
    pub follow: bool,
    /// Which records are read.
    pub isolation: Isolation,
}

/// What a tail found.
#[derive(Debug)]
pub enum Tailed<'a> {
    /// A record.
    Entry(Entry<'a>),
    /// Nothing before the timeout, or a [`Waker`] was used.
    Nothing,
    /// Every partition was read to the end it had at the beginning.
    End,
}

/// One partition on its way to the end it had when the reading began.
struct Course {
    partition: PartitionId,
    end: Offset,
    done: bool,
}

/// Partitions of one topic, read in the order in which they come.
pub struct Tail {
    pump: Pump,
    decoder: Decoder,
    courses: Vec<Course>,
    follow: bool,
}

impl Tail {
    pub(crate) fn new(
        options: &BusOptions,
        schemas: Arc<Schemas>,
        topics: &Topics,
        wanted: &TailOptions,
    ) -> Result<Self, BusError> {
        let TailOptions { topic, partitions, from, follow, isolation } = wanted;
        let all = topics.describe(topic)?;
        let is_wanted =
            |info: &PartitionInfo| partitions.is_empty() || partitions.contains(&info.partition);
        let begin = |info: &PartitionInfo| match from {
            TailFrom::Earliest => info.start,
            TailFrom::Latest => info.end,
            TailFrom::Offset(offset) => (*offset).clamp(info.start, info.end),
            TailFrom::Last(count) => {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                Offset(info.end.0.saturating_sub(count)).max(info.start)
            }
        };
        let found: Vec<_> = all.into_iter().filter(is_wanted).collect();
        if found.is_empty() {
            let problem = format!("{topic} has none of the partitions {partitions:?}");
            let fix = "name partitions of the topic, or none for all of them";
            return Err(BusError::Options { option: "tail", problem, fix });
        }
        let begins: Vec<_> = found.iter().map(|info| (info.partition, begin(info))).collect();
        let pump = open(options, *isolation, *follow)?;
        begin_at(&pump, topic, &begins)?;
        let course = |(info, (_, begin)): (&PartitionInfo, &(PartitionId, Offset))| Course {
            partition: info.partition,
            end: info.end,
            done: *begin >= info.end,
        };
        Ok(Self {
            pump,
            decoder: Decoder::new(schemas),
            courses: found.iter().zip(&begins).map(course).collect(),
            follow: *follow,
        })
    }

    /// Wakes this tail from other threads.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(self.pump.signal()))
    }

    /// Hands the next record to `take`; waits at most `timeout` for it.
    ///
    /// # Errors
    /// When the registry does not answer, the record at hand is passed over; when the brokers
    /// refuse to let the topic be read.
    pub fn next<T>(
        &mut self,
        timeout: Duration,
        take: impl FnOnce(Tailed<'_>) -> T,
    ) -> Result<T, BusError> {
        let deadline = Instant::now() + timeout;
        loop {
            if !self.follow && self.courses.iter().all(|course| course.done) {
                return Ok(take(Tailed::End));
            }
            self.pump.signal().look();
            match self.pump.next() {
                Next::Message(message) => {
                    let number = message.partition();
                    let course = self.courses.iter_mut().find(|c| c.partition.0 == number);
                    let Some(course) = course else { continue };
                    course.done |= Offset(message.offset()).next() >= course.end;
                    if !self.follow && message.offset() >= course.end.0 {
                        continue;
                    }
                    return self.decoder.decode(&message, |entry| take(Tailed::Entry(entry)));
                }
                // The end of what can be read: for one that follows no end, for the other the
                // records of an open transaction are not there.
                Next::End(partition) => {
                    self.courses
                        .iter_mut()
                        .filter(|course| course.partition == partition)
                        .for_each(|course| course.done = true);
                }
                Next::Failed(error) => check(&error)?,
                Next::Empty => {
                    if self.pump.signal().wait(deadline) != Waited::Look {
                        return Ok(take(Tailed::Nothing));
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tail")
    }
}

/// Reads one partition from an offset to the end it has now; see [`crate::Bus::read_to_end`].
pub(crate) fn read_to_end(
    options: &BusOptions,
    schemas: &Arc<Schemas>,
    topics: &Topics,
    reading: &Reading<'_>,
    mut take: impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> Result<Offset, BusError> {
    let Reading { partition, from, isolation, patience } = reading;
    let bounds = topics.offsets(&partition.topic, partition.partition)?;
    if *from > bounds.end {
        let partition = (*partition).clone();
        return Err(BusError::BeyondEnd { partition, from: *from, end: bounds.end });
    }
    let begin = (*from).max(bounds.start);
    if begin == bounds.end {
        return Ok(begin);
    }
    let pump = open(options, *isolation, false)?;
    let end = match isolation {
        Isolation::ReadCommitted => wait_until_stable(&pump, reading, bounds.end)?,
        Isolation::ReadUncommitted => bounds.end,
    };
    // Not before: the client would tell an end that lies before the transactions just waited for.
    begin_at(&pump, &partition.topic, &[(partition.partition, begin)])?;
    let mut decoder = Decoder::new(Arc::clone(schemas));
    let mut next = begin;
    let mut last_progress = Instant::now();
    loop {
        pump.signal().look();
        match pump.next() {
            // In offset order, so everything before the end has been seen.
            Next::Message(message) if message.offset() >= end.0 => return Ok(end),
            Next::Message(message) => {
                let flow = retried(*patience, || decoder.decode(&message, &mut take))?;
                next = Offset(message.offset()).next();
                last_progress = Instant::now();
                if flow.is_break() {
                    return Ok(next);
                }
            }
            // Nothing is left below the last stable offset, which is behind the end.
            Next::End(_) => return Ok(next.max(end)),
            Next::Failed(error) => check(&error)?,
            Next::Empty => {
                if last_progress.elapsed() >= *patience {
                    return Err(stalled(&pump, reading, next, end));
                }
                pump.signal().wait(last_progress + *patience);
            }
        }
    }
}

/// What [`read_to_end`] reads.
pub(crate) struct Reading<'a> {
    pub(crate) partition: &'a TopicPartition,
    pub(crate) from: Offset,
    pub(crate) isolation: Isolation,
    pub(crate) patience: Duration,
}

/// Waits until every transaction that began before `end` is over, and returns the last stable
/// offset. Only then does the end that the client reports lie behind everything that was there when
/// the reading began.
fn wait_until_stable(pump: &Pump, reading: &Reading<'_>, end: Offset) -> Result<Offset, BusError> {
    let (topic, partition) = (&reading.partition.topic, reading.partition.partition);
    let began = Instant::now();
    let (mut pause, mut stable) = (Duration::from_millis(5), None);
    loop {
        let left = reading.patience.saturating_sub(began.elapsed()).max(Duration::from_millis(100));
        match pump.consumer().fetch_watermarks(topic.as_str(), partition.0, left) {
            Ok((_, found)) if found >= end.0 => return Ok(Offset(found)),
            Ok((_, found)) => stable = Some(Offset(found)),
            // The brokers are away: they may come back before patience ends.
            Err(_) => {}
        }
        if began.elapsed() >= reading.patience {
            let (waited, partition) = (reading.patience, reading.partition.clone());
            return Err(match stable {
                Some(stable) => BusError::OpenTransaction { partition, stable, end, waited },
                None => stalled(pump, reading, reading.from, end),
            });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}

fn stalled(pump: &Pump, reading: &Reading<'_>, position: Offset, end: Offset) -> BusError {
    let told = pump.consumer().context().log().last_error();
    BusError::Stalled {
        partition: reading.partition.clone(),
        position,
        end,
        waited: reading.patience,
        reason: told.unwrap_or_else(|| "the client saw no error".to_owned()),
    }
}

/// Tries again while the registry does not answer.
fn retried<T>(
    patience: Duration,
    mut call: impl FnMut() -> Result<T, BusError>,
) -> Result<T, BusError> {
    let began = Instant::now();
    loop {
        match call() {
            Err(error) if error.recovery() == Recovery::Retry && began.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(200));
            }
            result => return result,
        }
    }
}

fn open(options: &BusOptions, isolation: Isolation, follow: bool) -> Result<Pump, BusError> {
    // The client insists on a group to assign partitions. Nothing joins or commits in it.
    let group = format!("{}-reader", options.client_id);
    let mut config = config(options, &group, isolation);
    with_ends(&mut config, follow);
    Pump::new(&config, &group)
}

fn begin_at(
    pump: &Pump,
    topic: &TopicName,
    begins: &[(PartitionId, Offset)],
) -> Result<(), BusError> {
    let partition = |number| TopicPartition { topic: topic.clone(), partition: number };
    let begins: Vec<_> = begins.iter().map(|(number, at)| (partition(*number), *at)).collect();
    pump.consumer().assign(&list_with_offsets(&begins)).map_err(|error| failed(&error))
}

fn check(error: &KafkaError) -> Result<(), BusError> {
    match error.rdkafka_error_code() {
        Some(code) if is_transient(code) => Ok(()),
        _ => Err(failed(error)),
    }
}

fn failed(error: &KafkaError) -> BusError {
    BusError::Consumer {
        action: "read",
        group: "none".to_owned(),
        reason: reason(error),
        recovery: recovery(error),
    }
}
