//! `dlq`: what could not be delivered, and why.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use throughline_bus::Bus;
use throughline_event::{Datum, WorkerName};
use throughline_runtime::dead_letter::{DeadLetter, Part, unresolved};

use crate::args::{Dlq, Global};
use crate::exit::{Exit, Fail, Failure};
use crate::output::{self, Format};
use crate::{running, view};

pub(crate) fn run(global: &Global, what: &Dlq) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    match what {
        Dlq::List { worker } => list(global, &bus, worker.as_deref()),
        Dlq::Show { worker, id } => show(&bus, worker, id.as_deref()),
    }
}

/// The unresolved dead letters of one worker, or of all.
fn letters(bus: &Bus, worker: Option<&str>) -> Result<Vec<DeadLetter>, Failure> {
    let wanted = worker.map(WorkerName::new).transpose().exit(Exit::Usage)?;
    let mut letters = Vec::new();
    for topic in bus.topics().exit(Exit::Unavailable)? {
        let Some(owner) = topic.topic.dead_of() else { continue };
        if wanted.as_ref().is_none_or(|wanted| *wanted == owner) {
            let found = unresolved(bus, &topic.topic, topic.partitions).exit(Exit::Unavailable)?;
            letters.extend(found.letters);
        }
    }
    Ok(letters)
}

fn list(global: &Global, bus: &Bus, worker: Option<&str>) -> Result<Exit, Failure> {
    let letters = letters(bus, worker)?;
    if global.output == Format::Json {
        let row = |letter: &DeadLetter| {
            json!({
                "id": letter.id, "worker": letter.worker, "stage": letter.stage.as_str(),
                "code": letter.code, "kind": letter.kind, "reason": letter.reason,
                "place": letter.place, "parked": letter.parked,
            })
        };
        output::line(&Value::from_iter(letters.iter().map(row)).to_string())?;
        return Ok(Exit::Ok);
    }
    let mut groups: BTreeMap<(String, String, String), (usize, String)> = BTreeMap::new();
    for letter in letters {
        let group = (letter.worker.to_string(), letter.code, letter.kind);
        groups
            .entry(group)
            .or_insert_with(|| (0, format!("{}: {}", letter.place, letter.reason)))
            .0 += 1;
    }
    let mut rows = vec![["worker", "code", "kind", "count", "first"].map(str::to_owned).to_vec()];
    for ((worker, code, kind), (count, first)) in groups {
        rows.push(vec![worker, code, kind, count.to_string(), first]);
    }
    output::line(&output::table(&rows))?;
    Ok(Exit::Ok)
}

fn show(bus: &Bus, worker: &str, id: Option<&str>) -> Result<Exit, Failure> {
    let letters = letters(bus, Some(worker))?;
    let found: Vec<&DeadLetter> =
        letters.iter().filter(|letter| id.is_none_or(|id| letter.id == id)).collect();
    if found.is_empty() {
        let what = id.map_or_else(String::new, |id| format!(" with the id {id:?}"));
        let text = format!("TL9006: {worker} has no dead letter{what}; see `throughline dlq list`");
        return Err(Failure::new(Exit::Data, text));
    }
    for letter in found {
        output::line(&whole(bus, letter).to_string())?;
    }
    Ok(Exit::Ok)
}

fn whole(bus: &Bus, letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "worker": letter.worker,
        "stage": letter.stage.as_str(),
        "code": letter.code,
        "kind": letter.kind,
        "reason": letter.reason,
        "place": letter.place,
        "program": letter.program,
        "line": letter.line,
        "parked": letter.parked,
        "failed_at": letter.failed_at.millis(),
        "key": part(bus, letter.key.as_ref()),
        "input": part(bus, letter.value.as_ref()),
    })
}

/// An input as JSON where it is a datum, else as text.
fn part(bus: &Bus, part: Option<&Part>) -> Value {
    let Some(part) = part else { return Value::Null };
    match part.schema.and_then(|id| bus.schema(id).ok()) {
        Some(schema) => view::datum(Datum { schema: &schema, bytes: &part.bytes }),
        None => Value::from(String::from_utf8_lossy(&part.bytes)),
    }
}
