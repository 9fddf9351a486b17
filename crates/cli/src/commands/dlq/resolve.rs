//! `dlq resolve`: letters that a person has dealt with.
//!
//! Not those of parked keys: a processor compares the next event of the key with what the oldest of
//! its letters holds. Without it, what was published of the key before would stay for good.

use serde_json::json;
use throughline_bus::Bus;
use throughline_event::{PartitionId, WorkerName};
use throughline_runtime::dead_letter::{self, Unresolved};

use crate::args::Global;
use crate::exit::{Exit, Fail, Failure};
use crate::output::{self, Format};

/// What one id stands for.
struct Open<'l> {
    id: &'l str,
    partition: PartitionId,
    parked: bool,
}

/// Resolves the letters of these ids, or all that are not parked.
pub(super) fn run(
    global: &Global,
    bus: &Bus,
    worker: &WorkerName,
    found: &Unresolved,
    ids: Option<&Vec<String>>,
) -> Result<Exit, Failure> {
    let open = open(found);
    let chosen = match ids {
        Some(ids) => named(worker, &open, ids)?,
        None => open.iter().filter(|letter| !letter.parked).collect(),
    };
    let letters: Vec<_> = chosen.iter().map(|l| (l.id.to_owned(), l.partition)).collect();
    if !letters.is_empty() {
        dead_letter::resolve(bus, worker, &letters).exit(Exit::Unavailable)?;
    }
    let parked = open.iter().filter(|letter| letter.parked).count();
    output::line(&match global.output {
        Format::Text => format!("{} dead letters resolved, {parked} are parked", letters.len()),
        Format::Json => {
            let ids: Vec<&str> = chosen.iter().map(|letter| letter.id).collect();
            json!({"resolved": ids, "parked": parked}).to_string()
        }
    })?;
    Ok(Exit::Ok)
}

fn open(found: &Unresolved) -> Vec<Open<'_>> {
    let letters = found.letters.iter().map(|letter| Open {
        id: &letter.id,
        partition: letter.partition(),
        parked: letter.parked,
    });
    // Whether its key waits cannot be read; nothing could be made of it if it does.
    let damaged = found.damaged.iter().map(|damaged| Open {
        id: &damaged.id,
        partition: damaged.partition.partition,
        parked: false,
    });
    letters.chain(damaged).collect()
}

/// The letters of these ids, all of them or none.
fn named<'o, 'l>(
    worker: &WorkerName,
    open: &'o [Open<'l>],
    ids: &[String],
) -> Result<Vec<&'o Open<'l>>, Failure> {
    let mut chosen = Vec::new();
    let (mut unknown, mut parked) = (Vec::new(), Vec::new());
    for id in ids {
        match open.iter().find(|letter| letter.id == id) {
            None => unknown.push(format!("{id:?}")),
            Some(letter) if letter.parked => parked.push(format!("{id:?}")),
            Some(letter) => chosen.push(letter),
        }
    }
    if !unknown.is_empty() {
        let what = format!(" with the id {}, nothing was resolved", unknown.join(", "));
        return Err(super::none_with(worker, &what));
    }
    if !parked.is_empty() {
        let parked = parked.join(", ");
        let text = format!(
            "TL9025: the key of {parked} is parked and compared with this letter when it resumes, \
             nothing was resolved; mend the mapping or what the target refuses, or publish the key \
             anew: the letter is resolved then"
        );
        return Err(Failure::new(Exit::Data, text));
    }
    Ok(chosen)
}
