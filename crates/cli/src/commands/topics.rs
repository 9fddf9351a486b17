//! `topics`: what is on the log.

use serde_json::{Value, json};
use throughline_bus::{Bus, PartitionInfo};
use throughline_event::TopicName;

use crate::args::Global;
use crate::exit::{Exit, Fail, Failure};
use crate::output::{self, Format};
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

/// A topic as a whole, then its partitions.
fn describe(global: &Global, bus: &Bus, topic: &TopicName) -> Result<Exit, Failure> {
    let partitions = partitions(bus, topic)?;
    let cleanup = bus.cleanup(topic).exit(Exit::Unavailable)?;
    let known = bus.subjects().exit(Exit::Unavailable)?;
    let own = [topic.key_subject(), topic.value_subject()];
    let subjects: Vec<&String> = own.iter().filter(|subject| known.contains(subject)).collect();
    if global.output == Format::Json {
        let shown = |PartitionInfo { partition, start, end }: &PartitionInfo| json!({"partition": partition, "start": start, "end": end});
        let partitions: Vec<Value> = partitions.iter().map(shown).collect();
        let whole = json!({
            "topic": topic, "cleanup": cleanup, "subjects": subjects, "partitions": partitions,
        });
        output::line(&whole.to_string())?;
        return Ok(Exit::Ok);
    }
    let shown = match subjects.as_slice() {
        [] => "none in the registry".to_owned(),
        subjects => subjects.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", "),
    };
    output::line(&format!("topic       {topic}\ncleanup     {cleanup}\nsubjects    {shown}\n"))?;
    let mut rows = vec![["partition", "start", "end"].map(str::to_owned).to_vec()];
    for PartitionInfo { partition, start, end } in partitions {
        rows.push([partition.to_string(), start.to_string(), end.to_string()].to_vec());
    }
    output::line(&output::table(&rows))?;
    Ok(Exit::Ok)
}

fn partitions(bus: &Bus, topic: &TopicName) -> Result<Vec<PartitionInfo>, Failure> {
    bus.describe(topic).exit(Exit::Unavailable)
}
