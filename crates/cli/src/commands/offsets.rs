//! `offsets`: where workers go on, and how to let one that is stopped go on elsewhere.

use std::time::{Duration, Instant};

use serde_json::json;
use throughline_bus::{Bus, BusError, CommittedBy};
use throughline_connector::Holding;
use throughline_event::{Offset, PartitionId, TopicName, TopicPartition, WorkerName};
use throughline_runtime::positions;

use super::lag::{Reader, readers};
use crate::args::{Global, Offsets};
use crate::exit::{Exit, Fail, Failure};
use crate::flow::Flow;
use crate::output;
use crate::running;

/// A little more than the session of a worker that has ended.
const SESSION: Duration = Duration::from_secs(12);

/// What stands for the place before everything.
const BEGINNING: &str = "beginning";

pub(crate) fn run(global: &Global, what: &Offsets) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    match what {
        Offsets::List { worker } => list(global, &flow, &bus, worker.as_deref()),
        Offsets::Set { worker, topic, partition, offset } => {
            let producer = flow.producers.iter().find(|p| p.name.as_str() == worker);
            match (producer, partition, offset) {
                (Some(producer), None, None) if topic == BEGINNING => begin(&bus, &producer.name),
                (None, Some(partition), Some(offset)) => {
                    let reader = reader(&flow, worker)?;
                    set(&flow, &bus, &reader, topic, PartitionId(*partition), Offset(*offset))
                }
                _ => Err(misplaced(
                    "a processor or sink goes on at `TOPIC PARTITION OFFSET`, a producer at \
                     `beginning`",
                )),
            }
        }
    }
}

fn reader<'f>(flow: &'f Flow, wanted: &str) -> Result<Reader<'f>, Failure> {
    let mut known = Vec::new();
    for reader in readers(flow) {
        if reader.name.as_str() == wanted || reader.group == wanted {
            return Ok(reader);
        }
        known.push(reader.name.as_str());
    }
    let (role, name, known) = ("processor or sink", wanted, known.join(", "));
    let text = format!("TL9004: there is no {role} {name:?} in the configuration; it has: {known}");
    Err(Failure::new(Exit::Usage, text))
}

fn list(global: &Global, flow: &Flow, bus: &Bus, worker: Option<&str>) -> Result<Exit, Failure> {
    let readers = match worker {
        Some(worker) => vec![reader(flow, worker)?],
        None => readers(flow),
    };
    let header = ["worker", "topic", "partition", "offset", "committed by"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for Reader { name, group, topics, .. } in readers {
        let topics = super::lag::existing(bus, &topics)?;
        for (at, committed) in bus.committed(&group, &topics).exit(Exit::Unavailable)? {
            let offset = committed.map(|committed| committed.offset);
            let by = committed.map(|committed| match committed.by {
                CommittedBy::Lost => "nobody: the log did not hold it",
                CommittedBy::Worker => "the worker",
                CommittedBy::OtherProgram => "another program",
            });
            let shown = offset.map_or_else(|| "none".to_owned(), |offset| offset.to_string());
            let (topic, number) = (at.topic.as_str(), at.partition.to_string());
            let row = [name.as_str(), topic, &number, &shown, by.unwrap_or_default()];
            rows.push(row.map(str::to_owned).to_vec());
            json.push(json!({
                "worker": name, "group": group, "topic": at.topic, "partition": at.partition,
                "offset": offset, "ours": committed.map(|committed| committed.by == CommittedBy::Worker),
            }));
        }
    }
    crate::output::rows(global, &rows, json)
}

fn set(
    flow: &Flow,
    bus: &Bus,
    reader: &Reader<'_>,
    topic: &str,
    partition: PartitionId,
    offset: Offset,
) -> Result<Exit, Failure> {
    let topic = TopicName::new(topic).exit(Exit::Usage)?;
    let read = reader.topics.contains(&topic);
    let found = bus.describe(&topic).exit(Exit::Data)?;
    let log = found.iter().find(|info| info.partition == partition).filter(|_| read);
    let at = TopicPartition { topic, partition };
    let Some(log) = log else {
        return Err(misplaced(&format!("{} reads no partition {at}", reader.name)));
    };
    // What the log has no more cannot be read; 0 stands for all that it has.
    let offset = offset.max(log.start);
    if offset > log.end {
        return Err(misplaced(&format!("{at} ends at {}, before {offset}", log.end)));
    }
    set_when_free(bus, &reader.group, &[(at.clone(), offset)]).exit(Exit::Unavailable)?;
    let sink = flow.sinks.iter().find(|sink| sink.name == *reader.name);
    let held = sink.map(|sink| sink.holds(flow, &at)).transpose().exit(Exit::Unavailable)?;
    output::line(&told(reader.name, &at, offset, held.flatten().as_ref()))?;
    Ok(Exit::Ok)
}

/// Where the worker goes on: where its target says so, if that keeps a place of its own.
fn told(
    worker: &WorkerName,
    at: &TopicPartition,
    offset: Offset,
    held: Option<&Holding>,
) -> String {
    match held {
        Some(Holding { next, remove }) if *next != offset => format!(
            "offset {offset} of {at} is set, but {worker} goes on at {next}: its target holds what \
             comes before; to have it written anew from {offset}, remove {remove} before {worker} \
             starts"
        ),
        _ => format!("{worker} goes on at offset {offset} of {at}"),
    }
}

/// Sets offsets, after the sessions of workers that have ended. They keep their partitions for that
/// long, to have them at once when they are started again.
fn set_when_free(
    bus: &Bus,
    group: &str,
    offsets: &[(TopicPartition, Offset)],
) -> Result<(), BusError> {
    let began = Instant::now();
    let mut told = false;
    loop {
        match bus.set_committed(group, offsets) {
            Err(BusError::GroupInUse { .. }) if began.elapsed() < SESSION => {
                if !told {
                    output::note("waiting ten seconds for a worker that has ended");
                    told = true;
                }
                std::thread::sleep(SESSION / 50);
            }
            done => return done,
        }
    }
}

fn misplaced(problem: &str) -> Failure {
    Failure::new(Exit::Usage, format!("TL9026: {problem}; see `throughline offsets list`"))
}

fn begin(bus: &Bus, producer: &WorkerName) -> Result<Exit, Failure> {
    positions::begin_anew(bus, producer).exit(Exit::Unavailable)?;
    output::line(&format!("{producer} reads its source from the beginning at its next start"))?;
    Ok(Exit::Ok)
}
