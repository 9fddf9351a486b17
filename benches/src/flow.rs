//! The whole flow with the program as it is shipped: a stock dump through producer, processor and
//! sink into files, on the embedded bus.
//!
//! In each round the flow runs twice with a process for each step, which shows where time goes and
//! how far the same thing lies from itself, once in one process, and beside it a single-threaded
//! program that does the same without a log. A run that loses, repeats or swaps a row is an error
//! and gives no number.

mod baseline;
mod dump;
mod parts;
mod results;

use std::{path::Path, time::Instant};

use anyhow::Result;

use self::{
    dump::Row,
    parts::{Flow, Step, Usage},
    results::Results,
};
use crate::{process::thread_cpu, program, report::progress, settings::Settings};

/// Whose runs they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arm {
    /// A process for each step.
    Parts,
    /// The same once more: the noise.
    PartsAgain,
    /// All in one process, as `up` does it.
    One,
    /// The program without a log.
    Baseline,
}

impl Arm {
    pub(crate) const ALL: [Self; 4] = [Self::Parts, Self::One, Self::PartsAgain, Self::Baseline];
}

/// One run of one arm.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) arm: Arm,
    /// Seconds from the dump in the watched folder to the last row at the target.
    pub(crate) first: f64,
    /// The same for a second dump in which one row in [`dump::CHANGED`] differs.
    pub(crate) second: f64,
    /// CPU seconds of all processes for the first dump.
    pub(crate) cpu: f64,
    /// The processes during the first dump; none for the baseline.
    pub(crate) usages: Vec<Usage>,
}

/// Measures everything and writes `results/flow.md`.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let program = program::build()?;
    let first = dump::rows(settings.rows)?;
    let second = dump::changed(&first);
    let mut results = Results::start(first.len());
    for round in 0..settings.runs {
        progress(&format!("flow of {} rows, round {}", first.len(), round + 1));
        let mut arms = Arm::ALL;
        if round % 2 == 1 {
            arms.reverse();
        }
        for arm in arms {
            let run = match arm {
                Arm::Parts | Arm::PartsAgain => flow(&program, arm, &Step::PARTS, &first, &second),
                Arm::One => flow(&program, arm, &[Step::All], &first, &second),
                Arm::Baseline => baseline(&first, &second),
            }?;
            progress(&format!("{}: {:.0} rows/s", arm.name(), first.len() as f64 / run.first));
            results.runs.push(run);
        }
    }
    results.write(settings)
}

fn flow(program: &Path, arm: Arm, steps: &[Step], first: &[Row], second: &[Row]) -> Result<Run> {
    let mut flow = Flow::start(program, steps)?;
    let (seconds, usages) = flow.run(first, first.len())?;
    let changes = first.len().div_ceil(dump::CHANGED);
    let (again, _) = flow.run(second, changes)?;
    let text = flow.text()?;
    dump::check(text.lines(), first.iter().chain(second.iter().step_by(dump::CHANGED)))?;
    let cpu = usages.iter().map(|usage| usage.cpu).sum();
    Ok(Run { arm, first: seconds, second: again, cpu, usages })
}

fn baseline(first: &[Row], second: &[Row]) -> Result<Run> {
    let folder = program::data_folder()?;
    let path = |name| folder.path().join(name);
    let copy = |rows: &[Row]| -> Result<(f64, f64)> {
        dump::write(rows, &path("dump"))?;
        program::sync()?;
        let (begin, cpu) = (Instant::now(), thread_cpu()?);
        baseline::copy(&path("dump"), &path("table"), &path("target"))?;
        Ok((begin.elapsed().as_secs_f64(), thread_cpu()? - cpu))
    };
    let (seconds, cpu) = copy(first)?;
    let (again, _) = copy(second)?;
    Ok(Run { arm: Arm::Baseline, first: seconds, second: again, cpu, usages: Vec::new() })
}
