//! `demo`: a real sample shop's exports through the embedded bus into canonical streams and to a
//! folder; stays live until Ctrl-C.

pub(crate) mod folder;
mod refused;
mod report;
mod target;

use std::path::Path;
use std::time::{Duration, Instant};

use throughline_runtime::chain;

use super::lag;
use crate::exit::{Exit, Failure};
use crate::flow::{Flow, PlannedProducer};
use crate::output::{self, Format};
use crate::process::{Process, Scope, is_halted};
use refused::Refused;
use report::Counts;
use target::Target;

/// How often counts are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Counts are reported by the workers now and then; they are whole after so long.
const REPORTED: Duration = Duration::from_millis(500);

pub(crate) fn run(folder: &Path, once: bool) -> Result<Exit, Failure> {
    let started = Instant::now();
    let continued = folder::prepare(folder)?;
    let flow = super::load_file(&folder.join("throughline.yaml"), Format::Text)?;
    sources(&flow)?;
    let mut process = Process::start(&flow, &Scope::All)?;
    output::line(&report::opening(folder, continued))?;
    let Some((counts, moved)) = settle(&mut process, &flow)? else {
        process.drain()?;
        return Ok(Exit::Ok);
    };
    let took = moved.duration_since(started);
    let mut refused = Refused::default();
    let told = refused.summary(process.bus())?;
    let took = (!continued).then_some(took);
    output::line(&report::summary(&process, folder, &counts, took, &told))?;
    if !once {
        let mut target = Target::new(folder);
        output::line(&report::closing(&process, folder))?;
        while !process.signalled(REPORTED) {
            if let Some(change) = target.changes() {
                output::line(&change)?;
            }
            for refusal in refused.changes(process.bus())? {
                output::line(&refusal)?;
            }
        }
        output::line("draining: what was read is made durable, the next start goes on from here")?;
    }
    process.drain()?;
    Ok(Exit::Ok)
}

/// Refuses a folder that lacks what the demo reads: nobody would put it there while it waits.
fn sources(flow: &Flow) -> Result<(), Failure> {
    for producer in &flow.producers {
        if let Err(error) = producer.reach(flow) {
            let text = format!("{}; or name another --folder for a new demo", chain(&error));
            return Err(Failure::new(Exit::Unavailable, text));
        }
    }
    Ok(())
}

/// Waits until the producers have published all that their sources hold and nobody is behind, or a
/// worker halted. The counts then, and when they moved last; `None` when a signal came first.
fn settle(process: &mut Process, flow: &Flow) -> Result<Option<(Counts, Instant)>, Failure> {
    let mut counts = Counts::read(process);
    let mut moved = Instant::now();
    loop {
        if process.signalled(LOOK) {
            return Ok(None);
        }
        let now = Counts::read(process);
        if now != counts {
            counts = now;
            moved = Instant::now();
        }
        if process.status().iter().any(is_halted) {
            return Ok(Some((counts, moved)));
        }
        let workers = process.metrics().health().workers();
        let published = |producer: &PlannedProducer| {
            workers.iter().any(|w| w.caught_up && w.name == producer.name.as_str())
        };
        // In this order: what is published cannot grow while the others are asked about it.
        if flow.producers.iter().all(published)
            && moved.elapsed() >= REPORTED
            && lag::none(process.bus(), flow)?
        {
            return Ok(Some((counts, moved)));
        }
    }
}
