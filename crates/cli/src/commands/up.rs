//! `up` and `run`: everything in one process, or one part of it.

use std::time::Duration;

use throughline_event::WorkerName;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::process::{Process, Scope, is_halted};

/// Who speaks in the log: the process, whatever the command that started it.
const LOG: &str = "throughline";

/// How often the workers are looked at while they run.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(global: &Global, scope: Scope) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let mut process = Process::start(&flow, &scope)?;
    let workers: Vec<String> =
        process.status().iter().map(|worker| format!("{} {}", worker.role, worker.name)).collect();
    let bus = process.bus().options();
    tracing::info!(
        target: LOG,
        workers = workers.join(", "),
        kafka = bus.brokers,
        registry = bus.registry,
        metrics = process.metrics_address().map(tracing::field::display),
        "running"
    );
    let runs = |name: &WorkerName| process.status().iter().any(|worker| worker.name == *name);
    for (processor, file, construct, line) in flow.run_by_vrl().filter(|(name, ..)| runs(name)) {
        tracing::info!(
            target: LOG,
            processor = %processor,
            place = format!("{file}:{line}"),
            construct,
            "the mapping runs on VRL's own interpreter, several times slower"
        );
    }
    // A single worker that halted has nothing left to do; among others it is a matter for alerts.
    let single = matches!(scope, Scope::Part(_));
    while !process.signalled(LOOK) {
        let status = process.status();
        if single && !status.is_empty() && status.iter().all(is_halted) {
            break;
        }
    }
    tracing::info!(target: LOG, "draining");
    process.drain()?;
    Ok(Exit::Ok)
}
