//! `lag`: how far each worker is behind its topics.

use std::ops::ControlFlow;

use serde_json::json;
use throughline_bus::{Bus, Isolation, PartitionInfo};
use throughline_event::{Offset, TopicName, TopicPartition, WorkerName};

use crate::args::Global;
use crate::exit::{Exit, Fail, Failure};
use crate::flow::Flow;
use crate::running;

pub(crate) fn run(global: &Global) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    let mut rows = vec![["worker", "role", "topic", "behind"].map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for Reader { role, name, group, topics } in readers(&flow) {
        for (topic, behind) in behind(&bus, &group, &topics)? {
            let row = [&name.to_string(), role, &topic.to_string(), &behind.to_string()];
            rows.push(row.map(|cell: &str| cell.to_owned()).to_vec());
            json.push(json!({"worker": name, "role": role, "topic": topic, "behind": behind}));
        }
    }
    crate::output::rows(global, &rows, json)
}

/// Whether no worker has anything before it. Processors are asked first: what they have written
/// then is what the sinks are asked about.
pub(super) fn none(bus: &Bus, flow: &Flow) -> Result<bool, Failure> {
    for Reader { group, topics, .. } in readers(flow) {
        if behind(bus, &group, &topics)?.iter().any(|(_, behind)| *behind > 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A worker that reads topics.
struct Reader<'f> {
    role: &'static str,
    name: &'f WorkerName,
    group: String,
    topics: Vec<TopicName>,
}

/// Processors, then sinks.
fn readers(flow: &Flow) -> Vec<Reader<'_>> {
    let processors = flow.processors.iter().map(|p| Reader {
        role: "processor",
        name: &p.name,
        group: p.name.processor_group(),
        topics: throughline_connector::Processor::inputs(&*p.normalizer)
            .iter()
            .map(|input| input.topic.clone())
            .collect(),
    });
    let sinks = flow.sinks.iter().map(|s| Reader {
        role: "sink",
        name: &s.name,
        group: s.name.sink_group(),
        topics: s.topics.clone(),
    });
    processors.chain(sinks).collect()
}

/// Up to so many offsets the records are counted; more are given as offsets, an upper bound, since
/// transaction markers have offsets too.
const COUNTED: i64 = 1_000;

/// The records from an offset to the end.
fn records(bus: &Bus, at: &TopicPartition, from: Offset) -> Result<i64, Failure> {
    let mut records = 0;
    bus.read_to_end(at, from, Isolation::ReadCommitted, |_| {
        records += 1;
        ControlFlow::Continue(())
    })
    .exit(Exit::Unavailable)?;
    Ok(records)
}

/// How far a group is behind, per topic.
fn behind(bus: &Bus, group: &str, topics: &[TopicName]) -> Result<Vec<(TopicName, i64)>, Failure> {
    let known = bus.topics().exit(Exit::Unavailable)?;
    let topics: Vec<TopicName> =
        topics.iter().filter(|t| known.iter().any(|k| k.topic == **t)).cloned().collect();
    let committed = bus.committed(group, &topics).exit(Exit::Unavailable)?;
    let mut behind = Vec::new();
    for topic in topics {
        let mut sum = 0;
        for PartitionInfo { partition, start, end } in
            bus.describe(&topic).exit(Exit::Unavailable)?
        {
            let at = |at: &TopicPartition| at.topic == topic && at.partition == partition;
            let next = committed.iter().find(|(tp, _)| at(tp)).and_then(|(_, offset)| *offset);
            let next = next.unwrap_or(start).max(start);
            let offsets = end.0 - next.0;
            let at = TopicPartition { topic: topic.clone(), partition };
            sum += if offsets <= COUNTED { records(bus, &at, next)? } else { offsets };
        }
        behind.push((topic, sum.max(0)));
    }
    Ok(behind)
}
