//! `demo`: a real sample shop's exports through the embedded bus into canonical streams and to a
//! folder; stays live until Ctrl-C.

pub(crate) mod folder;
mod report;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::process::{Process, Scope, is_halted};
use report::Counts;

/// How often counts are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Nothing moved for so long: what was there is done.
const SETTLED: Duration = Duration::from_millis(700);

pub(crate) fn run(folder: &Path, once: bool) -> Result<Exit, Failure> {
    let started = Instant::now();
    let continued = folder::prepare(folder)?;
    let flow = super::load_file(&folder.join("throughline.yaml"), Format::Text)?;
    let mut process = Process::start(&flow, &Scope::All)?;
    output::line(&report::opening(folder, continued))?;
    let (mut known, settled) = settle(&mut process);
    if !settled {
        process.drain()?;
        return Ok(Exit::Ok);
    }
    let took = started.elapsed().saturating_sub(SETTLED);
    output::line(&report::summary(&process, folder, &known, took)?)?;
    if !once {
        output::line(&report::closing(&process, folder))?;
        while !process.signalled(LOOK) {
            let counts = Counts::read(&process);
            if let Some(change) = counts.since(&known) {
                output::line(&change)?;
                known = counts;
            }
        }
        output::line("draining: what was read is made durable, the next start goes on from here")?;
    }
    process.drain()?;
    Ok(Exit::Ok)
}

/// Waits until the counts stand still; false when a signal came first.
fn settle(process: &mut Process) -> (Counts, bool) {
    let mut counts = Counts::read(process);
    let mut moved = Instant::now();
    loop {
        if process.signalled(LOOK) {
            return (counts, false);
        }
        let now = Counts::read(process);
        if now != counts {
            counts = now;
            moved = Instant::now();
        }
        let status = process.status();
        let workers = process.metrics().health().workers();
        let ready = workers.len() == status.len() && workers.iter().all(|worker| worker.ready);
        if (ready && moved.elapsed() >= SETTLED) || status.iter().any(is_halted) {
            return (counts, true);
        }
    }
}
