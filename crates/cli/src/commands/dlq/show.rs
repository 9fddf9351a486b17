//! `dlq show`: whole letters with their inputs.

use serde_json::{Value, json};
use throughline_bus::Bus;
use throughline_event::{Datum, WorkerName};
use throughline_runtime::dead_letter::{DeadLetter, Part, Unresolved};

use crate::args::Global;
use crate::exit::{Exit, Fail, Failure};
use crate::output::{self, Format};
use crate::view;

pub(super) fn run(
    global: &Global,
    bus: &Bus,
    worker: &WorkerName,
    found: &Unresolved,
    id: Option<&str>,
) -> Result<Exit, Failure> {
    let wanted = |letter: &&DeadLetter| id.is_none_or(|id| letter.id == id);
    let letters: Vec<&DeadLetter> = found.letters.iter().filter(wanted).collect();
    if letters.is_empty() {
        let what = id.map_or_else(String::new, |id| format!(" with the id {id:?}"));
        return Err(super::none_with(worker, &what));
    }
    for letter in letters {
        let whole = whole(bus, letter);
        output::line(&match global.output {
            Format::Text => serde_json::to_string_pretty(&whole).exit(Exit::Internal)?,
            Format::Json => whole.to_string(),
        })?;
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
        "failed_at": view::time(letter.failed_at),
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
