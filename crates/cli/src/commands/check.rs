//! `check`: validate, then reach everything that is configured and compare it with what will be
//! needed. Nothing is created or changed; everything that is wrong is told at once.
//!
//! Not looked at: whether a cluster lets this user write to the topics that exist and use the
//! transactional ids, which Kafka tells only to those who try.

mod bus;
mod folder;

use serde_json::{Value, json};
use throughline_event::Role;
use throughline_runtime::{Reached, WorkerError, chain, needs};

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::flow::Flow;
use crate::output::{self, Format};
use crate::process::PARTITIONS;

/// One thing that was looked at.
struct Looked {
    what: String,
    /// What was seen when all is well.
    seen: String,
    /// Everything that is wrong with it, each with its code and its fix.
    problems: Vec<String>,
    /// It only does not answer, which may mend itself.
    absent: bool,
}

impl Looked {
    fn new(what: impl Into<String>, seen: impl Into<String>, problems: Vec<String>) -> Self {
        Self { what: what.into(), seen: seen.into(), problems, absent: false }
    }
}

pub(crate) fn run(global: &Global) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let looked = look(&flow);
    report(global, &looked)?;
    Ok(verdict(&looked))
}

fn verdict(looked: &[Looked]) -> Exit {
    let mut wrong = looked.iter().filter(|looked| !looked.problems.is_empty()).peekable();
    if wrong.peek().is_none() {
        return Exit::Ok;
    }
    // Somebody who waits for the bus to come up tells this from what waiting does not mend.
    if wrong.all(|looked| looked.absent) { Exit::Unavailable } else { Exit::Findings }
}

fn look(flow: &Flow) -> Vec<Looked> {
    let mut looked = vec![folder::data(&flow.config)];
    let reached = bus::reach(&flow.config, &mut looked);
    for producer in &flow.producers {
        let what = format!("producer {}", producer.name);
        let needed = match producer.reach(flow) {
            Ok(Reached { entities, missing }) => {
                let seen = [vec!["ok".to_owned()], missing].concat().join("; ");
                looked.push(Looked::new(format!("{what}, source"), seen, vec![]));
                needs::of_producer(&producer.name, &producer.system, &entities, PARTITIONS)
            }
            Err(error) => Err(error),
        };
        match (needed, &reached) {
            (Ok(needed), Some(bus)) => looked.push(bus::needed(bus, &what, None, &needed)),
            (Ok(_), None) => {}
            (Err(error), _) => {
                looked.push(Looked::new(format!("{what}, source"), "", vec![told(&error)]));
            }
        }
    }
    workers(flow, reached.as_ref(), &mut looked);
    looked
}

/// Processors and sinks.
fn workers(flow: &Flow, reached: Option<&throughline_bus::Bus>, looked: &mut Vec<Looked>) {
    for processor in &flow.processors {
        let needed = needs::of_processor(&processor.name, &*processor.normalizer, PARTITIONS);
        let what = format!("processor {}", processor.name);
        let group = processor.name.in_role(Role::Processor);
        looked.extend(reached.map(|bus| bus::needed(bus, &what, Some(&group), &needed)));
    }
    for sink in &flow.sinks {
        let what = format!("sink {}", sink.name);
        let problems = sink.reach(flow).err().map(|error| told(&error)).into_iter().collect();
        looked.push(Looked::new(format!("{what}, target"), "ok", problems));
        let needed = needs::of_sink(&sink.name, &sink.topics, PARTITIONS);
        let group = sink.name.in_role(Role::Sink);
        looked.extend(reached.map(|bus| bus::needed(bus, &what, Some(&group), &needed)));
    }
}

/// A problem begins with its code.
fn told(error: &WorkerError) -> String {
    match error {
        WorkerError::Connect(error) => chain(error),
        error => chain(error),
    }
}

fn report(global: &Global, looked: &[Looked]) -> Result<(), Failure> {
    if global.output == Format::Json {
        let row = |l: &Looked| json!({"checked": l.what, "seen": l.seen, "problems": l.problems});
        return output::line(&Value::from_iter(looked.iter().map(row)).to_string());
    }
    for Looked { what, seen, problems, .. } in looked {
        if problems.is_empty() {
            output::line(&format!("{what}: {seen}"))?;
        }
        for problem in problems {
            output::line(&format!("{what}: FAILED: {problem}"))?;
        }
    }
    let found: usize = looked.iter().map(|looked| looked.problems.len()).sum();
    let noun = if found == 1 { "problem" } else { "problems" };
    output::line(&format!("{found} {noun}"))
}

#[cfg(test)]
mod tests;
