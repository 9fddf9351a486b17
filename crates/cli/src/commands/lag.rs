//! `lag`: how far each worker is behind its topics, and what it is doing.

mod state;

use std::ops::ControlFlow;

use serde_json::json;
use throughline_bus::{Bus, Isolation, PartitionInfo};
use throughline_event::{Offset, Role, TopicName, TopicPartition, WorkerName};
use throughline_runtime::positions;

use crate::args::Global;
use crate::exit::{Exit, Fail, Failure};
use crate::flow::{Flow, PlannedProducer};
use crate::{running, view};
use state::States;

pub(crate) fn run(global: &Global) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    let header = ["worker", "role", "topic", "behind", "state"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    let states = States::ask(&flow);
    for PlannedProducer { name, .. } in &flow.producers {
        let topic = TopicName::positions(name);
        let state = states.told(name).unwrap_or_else(|| states.unknown());
        let missing = states.missing(name);
        let told = missing.map_or_else(|| state.clone(), |missing| format!("{state}; {missing}"));
        let position = positions::newest(&bus, name).exit(Exit::Unavailable)?;
        let at = position.as_ref();
        let shown = match at {
            Some((_, at)) => format!("{told}; position of {}", view::time(*at)),
            None => format!("{told}; no position yet"),
        };
        // How much of a source is not read yet nobody knows.
        let row = [name.as_str(), "producer", topic.as_str(), "-", &shown];
        rows.push(row.map(str::to_owned).to_vec());
        json.push(json!({
            "worker": name, "role": "producer", "topic": topic, "state": state,
            "version": at.map(|(version, _)| version),
            "position_at": at.map(|(_, at)| view::time(*at)), "missing": missing,
        }));
    }
    for Reader { role, name, group, topics } in readers(&flow) {
        let told = states.told(name).map(Ok);
        let told = told.unwrap_or_else(|| bus.members(&group).map(state::of_members));
        let state = told.exit(Exit::Unavailable)?;
        for (topic, behind) in behind(&bus, &group, &topics)? {
            let row = [name.as_str(), role.as_str(), topic.as_str(), &behind.to_string(), &state];
            rows.push(row.map(str::to_owned).to_vec());
            json.push(json!({
                "worker": name, "role": role.as_str(), "topic": topic, "behind": behind, "state": state,
            }));
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
pub(super) struct Reader<'f> {
    role: Role,
    pub(super) name: &'f WorkerName,
    pub(super) group: String,
    pub(super) topics: Vec<TopicName>,
}

/// Processors, then sinks.
pub(super) fn readers(flow: &Flow) -> Vec<Reader<'_>> {
    let processors = flow.processors.iter().map(|p| Reader {
        role: Role::Processor,
        name: &p.name,
        group: p.name.in_role(Role::Processor),
        topics: throughline_connector::Processor::inputs(&*p.normalizer)
            .iter()
            .map(|input| input.topic.clone())
            .collect(),
    });
    let sinks = flow.sinks.iter().map(|s| Reader {
        role: Role::Sink,
        name: &s.name,
        group: s.name.in_role(Role::Sink),
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

/// Those of the topics that there are.
pub(super) fn existing(bus: &Bus, topics: &[TopicName]) -> Result<Vec<TopicName>, Failure> {
    let known = bus.topics().exit(Exit::Unavailable)?;
    Ok(topics.iter().filter(|t| known.iter().any(|k| k.topic == **t)).cloned().collect())
}

/// How far a group is behind, per topic.
fn behind(bus: &Bus, group: &str, topics: &[TopicName]) -> Result<Vec<(TopicName, i64)>, Failure> {
    let topics = existing(bus, topics)?;
    let committed = bus.committed(group, &topics).exit(Exit::Unavailable)?;
    let mut behind = Vec::new();
    for topic in topics {
        let mut sum = 0;
        for PartitionInfo { partition, start, end } in
            bus.describe(&topic).exit(Exit::Unavailable)?
        {
            let at = |at: &TopicPartition| at.topic == topic && at.partition == partition;
            let next =
                committed.iter().find(|(tp, _)| at(tp)).and_then(|(_, committed)| *committed);
            let next = next.map_or(start, |next| next.offset).max(start);
            let offsets = end.0 - next.0;
            let at = TopicPartition { topic: topic.clone(), partition };
            sum += if offsets <= COUNTED { records(bus, &at, next)? } else { offsets };
        }
        behind.push((topic, sum.max(0)));
    }
    Ok(behind)
}
