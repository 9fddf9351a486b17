//! `dlq`: what could not be delivered, and why.

mod resolve;
mod show;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use throughline_bus::Bus;
use throughline_event::{Micros, TopicName, WorkerName};
use throughline_runtime::chain;
use throughline_runtime::dead_letter::{DeadLetter, Unresolved, unresolved};

use crate::args::{Dlq, Global};
use crate::exit::{Exit, Fail, Failure};
use crate::flow::Flow;
use crate::output::{self, Format};
use crate::{running, view};

pub(crate) fn run(global: &Global, what: &Dlq) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    match what {
        Dlq::List { worker: None } => list(global, &all(&bus)?),
        Dlq::List { worker: Some(worker) } => list(global, &of(&flow, &bus, worker)?.1),
        Dlq::Show { worker, id } => {
            let (worker, found) = of(&flow, &bus, worker)?;
            show::run(global, &bus, &worker, &found, id.as_deref())
        }
        Dlq::Resolve { worker, ids, all } => {
            let (worker, found) = of(&flow, &bus, worker)?;
            resolve::run(global, &bus, &worker, &found, (!all).then_some(ids))
        }
    }
}

/// The unresolved dead letters of all workers that ever had one.
fn all(bus: &Bus) -> Result<Unresolved, Failure> {
    let mut all = Unresolved::default();
    for topic in bus.topics().exit(Exit::Unavailable)? {
        if topic.topic.dead_of().is_some() {
            let found = read(bus, &topic.topic, topic.partitions)?;
            all.letters.extend(found.letters);
            all.damaged.extend(found.damaged);
        }
    }
    Ok(all)
}

/// The unresolved dead letters of a worker, one that the configuration has no more included.
fn of(flow: &Flow, bus: &Bus, worker: &str) -> Result<(WorkerName, Unresolved), Failure> {
    let worker = WorkerName::new(worker).exit(Exit::Usage)?;
    let topic = TopicName::dead(&worker);
    let topics = bus.topics().exit(Exit::Unavailable)?;
    if let Some(known) = topics.into_iter().find(|known| known.topic == topic) {
        return Ok((worker, read(bus, &topic, known.partitions)?));
    }
    let producers = flow.producers.iter().map(|p| &p.name);
    let processors = flow.processors.iter().map(|p| &p.name);
    let sinks = flow.sinks.iter().map(|s| &s.name);
    if producers.chain(processors).chain(sinks).any(|name| *name == worker) {
        // It has not run yet.
        return Ok((worker, Unresolved::default()));
    }
    let text = format!("TL9027: there is no worker {worker}; see `throughline dlq list`");
    Err(Failure::new(Exit::Data, text))
}

/// Reads a topic, and says what in it are no letters.
fn read(bus: &Bus, topic: &TopicName, partitions: i32) -> Result<Unresolved, Failure> {
    let found = unresolved(bus, topic, partitions).exit(Exit::Unavailable)?;
    if found.foreign > 0 {
        let count = found.foreign;
        output::note(&format!("{topic}: {count} records of other programs were passed over"));
    }
    for damaged in &found.damaged {
        output::note(&format!(
            "{topic}: the letter {:?} at offset {} cannot be read, and can be resolved: {}",
            damaged.id,
            damaged.offset,
            chain(&damaged.error)
        ));
    }
    Ok(found)
}

/// That a worker has no such letter; `what` begins with a space or is empty.
fn none_with(worker: &WorkerName, what: &str) -> Failure {
    let text = format!("TL9006: {worker} has no dead letter{what}; see `throughline dlq list`");
    Failure::new(Exit::Data, text)
}

/// Whether its key waits for it.
fn state(letter: &DeadLetter) -> &'static str {
    if letter.parked { "parked" } else { "past" }
}

/// Letters of one worker, for one reason, in one state.
struct Group<'l> {
    first: &'l DeadLetter,
    since: Micros,
    count: usize,
}

/// All letters as JSON. Of those that cannot be read only the id and the place are known.
fn rows(found: &Unresolved) -> Value {
    let letters = found.letters.iter().map(|letter| {
        json!({
            "id": letter.id, "worker": letter.worker, "stage": letter.stage.as_str(),
            "code": letter.code, "kind": letter.kind, "reason": letter.reason,
            "place": letter.place, "parked": letter.parked,
            "failed_at": view::time(letter.failed_at), "damaged": false,
        })
    });
    let damaged = found.damaged.iter().map(|damaged| {
        json!({
            "id": damaged.id, "worker": damaged.partition.topic.dead_of(), "stage": null,
            "code": damaged.error.code(), "kind": null, "reason": chain(&damaged.error),
            "place": format!("{} offset {}", damaged.partition, damaged.offset), "parked": false,
            "failed_at": null, "damaged": true,
        })
    });
    letters.chain(damaged).collect()
}

fn list(global: &Global, found: &Unresolved) -> Result<Exit, Failure> {
    if global.output == Format::Json {
        output::line(&rows(found).to_string())?;
        return Ok(Exit::Ok);
    }
    let mut groups: BTreeMap<_, Group<'_>> = BTreeMap::new();
    for letter in &found.letters {
        let key = (letter.worker.as_str(), &letter.code, &letter.kind, state(letter));
        let new = || Group { first: letter, since: letter.failed_at, count: 0 };
        let group = groups.entry(key).or_insert_with(new);
        group.count += 1;
        group.since = group.since.min(letter.failed_at);
    }
    let header = ["worker", "code", "kind", "state", "count", "since", "first id", "first"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for ((worker, code, kind, state), Group { first, since, count }) in groups {
        let (count, since) = (count.to_string(), view::time(since));
        let what = format!("{}: {}", first.place, first.reason);
        let row = [worker, code, kind, state, &count, &since, &pasteable(&first.id), &what];
        rows.push(row.map(str::to_owned).to_vec());
    }
    if rows.len() == 1 && found.damaged.is_empty() {
        output::note("there are no dead letters");
    }
    output::line(&output::table(&rows))?;
    Ok(Exit::Ok)
}

/// An id as a shell takes it for one argument; those of rows hold spaces.
fn pasteable(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@:+,%=".contains(&byte);
    if id.bytes().all(plain) { id.to_owned() } else { format!("'{}'", id.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use throughline_event::{Offset, PartitionId, TopicPartition};
    use throughline_runtime::dead_letter::{Damaged, DeadLetterError};

    use super::*;

    #[test]
    fn a_shell_takes_a_listed_id_for_one_argument() {
        for id in ["canonical.order-0@7", "stock stock.csv line 3 TL1013", "it's $(x).csv \"a\" \\"]
        {
            let script = format!("printf %s {}", pasteable(id));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), id);
        }
        assert_eq!(pasteable("canonical.order-0@7"), "canonical.order-0@7");
    }

    #[test]
    fn the_id_of_a_letter_that_cannot_be_read_is_listed() {
        let worker = WorkerName::new("lake").unwrap();
        let damaged = Damaged {
            id: "canonical.order/0/7".to_owned(),
            partition: TopicPartition {
                topic: TopicName::dead(&worker),
                partition: PartitionId(0),
            },
            offset: Offset(3),
            error: DeadLetterError::OtherSchema,
        };
        let rows = rows(&Unresolved { damaged: vec![damaged], ..Unresolved::default() });
        let expected = json!([{
            "id": "canonical.order/0/7", "worker": "lake", "stage": null, "code": "TL0603",
            "kind": null, "reason": "TL0603: the record is not a dead letter",
            "place": "dead.lake-0 offset 3", "parked": false, "failed_at": null, "damaged": true,
        }]);
        assert_eq!(rows, expected);
    }
}
