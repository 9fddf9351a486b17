//! `topics`: what is on the log.

use serde_json::json;
use throughline_bus::{Bus, PartitionInfo};
use throughline_event::TopicName;

use crate::args::Global;
use crate::exit::{Exit, Fail, Failure};
use crate::output;
use crate::running;

pub(crate) fn run(global: &Global, topic: Option<&str>) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    match topic {
        Some(topic) => describe(global, &bus, &TopicName::new(topic).exit(Exit::Usage)?),
        None => list(global, &bus),
    }
}

fn list(global: &Global, bus: &Bus) -> Result<Exit, Failure> {
    let mut rows = vec![["topic", "partitions", "offsets"].map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for topic in bus.topics().exit(Exit::Unavailable)? {
        let offsets: i64 = partitions(bus, &topic.topic)?.iter().map(|p| p.end.0 - p.start.0).sum();
        rows.push(vec![topic.topic.to_string(), topic.partitions.to_string(), offsets.to_string()]);
        json.push(json!({
            "topic": topic.topic, "partitions": topic.partitions, "offsets": offsets
        }));
    }
    output::rows(global, &rows, json)
}

fn describe(global: &Global, bus: &Bus, topic: &TopicName) -> Result<Exit, Failure> {
    let mut rows = vec![["partition", "start", "end"].map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for PartitionInfo { partition, start, end } in partitions(bus, topic)? {
        rows.push([partition.to_string(), start.to_string(), end.to_string()].to_vec());
        json.push(json!({"partition": partition, "start": start, "end": end}));
    }
    output::rows(global, &rows, json)
}

fn partitions(bus: &Bus, topic: &TopicName) -> Result<Vec<PartitionInfo>, Failure> {
    bus.describe(topic).exit(Exit::Unavailable)
}
