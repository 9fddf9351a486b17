//! What was measured, and how it is written down.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{
    Arm, Run,
    dump::CHANGED,
    parts::{Step, Usage},
};
use crate::{
    machine,
    report::{Goal, Report, fine, percent, whole},
    settings::Settings,
    statistics::{Spread, noise},
};

/// The goal: rows a second on two cores.
const RATE: f64 = 100_000.0;

/// Threads below this share of a run's CPU time are not listed.
const SMALL: f64 = 0.01;

/// Everything.
pub(crate) struct Results {
    pub(crate) runs: Vec<Run>,
    rows: usize,
    load_before: String,
}

impl Arm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parts => "a process for each step",
            Self::PartsAgain => "the same again",
            Self::One => "one process",
            Self::Baseline => "baseline",
        }
    }
}

impl Results {
    pub(crate) fn start(rows: usize) -> Self {
        Self { runs: Vec::new(), rows, load_before: machine::load() }
    }

    fn of(&self, arm: Arm) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.arm == arm)
    }

    fn spread(&self, arm: Arm, what: impl Fn(&Run) -> f64) -> Spread {
        Spread::of(self.of(arm).map(what))
    }

    fn noise(&self, what: impl Fn(&Run) -> f64 + Copy) -> f64 {
        noise(self.spread(Arm::Parts, what), self.spread(Arm::PartsAgain, what))
    }

    fn rate(&self, run: &Run) -> f64 {
        self.rows as f64 / run.first
    }

    fn per_million(&self, cpu: f64) -> f64 {
        cpu * 1e6 / self.rows as f64
    }

    pub(crate) fn write(&self, settings: &Settings) -> Result<()> {
        let mut report = Report::new("flow", "Flow: a stock dump from file to canonical to file");
        report.paragraph(&self.method(settings));
        report.goals(&self.goals());
        self.rates(&mut report);
        self.steps(&mut report);
        self.threads(&mut report);
        self.raw(&mut report);
        report.write()
    }

    fn method(&self, settings: &Settings) -> String {
        format!(
            "A dump of {} rows in the shape of `systems/sunrise/data/inventory.csv` (its rows again \
             and again, each time with SKUs of their own) is renamed into the watched folder of a \
             running flow: the files producer reads it and compares each row with its state, the \
             sunrise mapping makes canonical records of it, the files sink writes JSON Lines. The \
             program is the release build, its settings are the defaults, the bus is embedded; every \
             commit is fsynced. Time runs from the renaming, waits of the watched folder and of the \
             unfinished file included, until the last row stands in a finished file; that is looked \
             at every 5 ms. Then the same dump comes with one row in {CHANGED} changed. After that \
             the target is compared with the dumps: a lost, repeated or swapped row is an error. \
             \"Baseline\" is a single-threaded Rust program on the same dumps: it compares each row \
             with an SQLite table and appends what changed to one file of JSON Lines, with an fsync \
             of both after each 5,000 rows, no log in between, no dead letters and fewer fields. \
             {} runs of each, in turn, the order reversed in every second round, the disk synced \
             before each. \"The same again\" is measured in each round, too: the distance of the \
             medians is the noise, and no difference below twice the noise means anything. Range: \
             lowest and highest run. Load averages before {} and after {}.",
            whole(self.rows as f64),
            settings.runs,
            self.load_before,
            machine::load(),
        )
    }

    fn goals(&self) -> Vec<Goal> {
        let floor = self.noise(|run| self.rate(run));
        let goal = |arm: Arm| {
            let found = self.spread(arm, |run| self.rate(run)).median;
            Goal {
                what: format!("stock rows/s, {}", arm.name()),
                goal: format!("at least {} on 2 cores", whole(RATE)),
                found: whole(found),
                met: found >= RATE,
                close: (found / RATE - 1.0).abs() < 2.0 * floor,
            }
        };
        vec![goal(Arm::One), goal(Arm::Parts)]
    }

    fn rates(&self, report: &mut Report) {
        report.heading("From the dump to the target");
        let row = |arm: Arm| {
            let floor = |what: &dyn Fn(&Run) -> f64| match arm {
                Arm::Parts => percent(self.noise(what)),
                _ => String::new(),
            };
            let rate = |run: &Run| self.rate(run);
            let second = |run: &Run| self.rows as f64 / run.second;
            let cpu = |run: &Run| self.per_million(run.cpu);
            let peak = self.spread(arm, |run| run.usages.iter().map(|usage| usage.peak).sum());
            vec![
                arm.name().to_owned(),
                self.spread(arm, rate).show(whole),
                floor(&rate),
                self.spread(arm, second).show(whole),
                floor(&second),
                self.spread(arm, cpu).show(fine),
                floor(&cpu),
                if arm == Arm::Baseline { "-".to_owned() } else { peak.show(whole) },
            ]
        };
        let header = [
            "what",
            "rows/s (range)",
            "noise",
            "rows/s of the second dump (range)",
            "noise",
            "CPU s per million rows (range)",
            "noise",
            "peak memory, MB",
        ];
        report.table(&header, &Arm::ALL.map(row));
        let cpu = self.spread(Arm::One, |run| self.per_million(run.cpu)).median;
        report.paragraph(&format!(
            "At the CPU time of one process, two cores with nothing else to do and never idle would \
             take {} rows/s.",
            whole(2e6 / cpu)
        ));
    }

    fn usages(&self, arm: Arm, step: Step) -> impl Iterator<Item = (&Run, &Usage)> {
        let own = move |run| Self::usage(run, step).map(|usage| (run, usage));
        self.of(arm).filter_map(own)
    }

    fn usage(run: &Run, step: Step) -> Option<&Usage> {
        run.usages.iter().find(|usage| usage.step == step)
    }

    fn steps(&self, report: &mut Report) {
        report.heading("Each step");
        report.paragraph(
            "Of the runs with a process for each step, the first dump. A step is done when it has \
             used 99 % of its CPU time; the share is that of one core, from the begin until then.",
        );
        let row = |step: Step| {
            let spread = |what: &dyn Fn(&Run, &Usage) -> f64| {
                Spread::of(self.usages(Arm::Parts, step).map(|(run, usage)| what(run, usage)))
            };
            vec![
                step.name().to_owned(),
                spread(&|_, usage| self.per_million(usage.cpu)).show(fine),
                spread(&|_, usage| usage.cpu / usage.done.max(0.001)).show(percent),
                spread(&|run, usage| usage.done / run.first).show(percent),
                spread(&|_, usage| usage.peak).show(whole),
            ]
        };
        let header = [
            "step",
            "CPU s per million rows (range)",
            "share of a core",
            "done after, of the whole time",
            "peak memory, MB",
        ];
        report.table(&header, &Step::PARTS.map(row));
    }

    fn threads(&self, report: &mut Report) {
        report.heading("Each thread");
        report.paragraph(
            "The same runs: CPU seconds per million rows by the names of threads, as the kernel \
             shortens them. `rdk:` are those of the Kafka client.",
        );
        let mut rows = Vec::new();
        for step in Step::PARTS {
            let usages = || self.usages(Arm::Parts, step).map(|(_, usage)| usage);
            let names: BTreeSet<&String> =
                usages().flat_map(|usage| usage.threads.keys()).collect();
            for name in names {
                let cpu = |usage: &Usage| usage.threads.get(name).copied().unwrap_or_default();
                let spread = Spread::of(usages().map(|usage| self.per_million(cpu(usage))));
                let whole = Spread::of(usages().map(|usage| self.per_million(usage.cpu)));
                if spread.median > SMALL * whole.median {
                    rows.push(vec![step.name().to_owned(), name.clone(), spread.show(fine)]);
                }
            }
        }
        report.table(&["step", "thread", "CPU s per million rows (range)"], &rows);
    }

    fn raw(&self, report: &mut Report) {
        report.heading("Every run");
        let cpu = |run: &Run, step: Step| {
            Self::usage(run, step)
                .map_or_else(|| "-".to_owned(), |usage| fine(self.per_million(usage.cpu)))
        };
        let row = |run: &Run| {
            let mut row = vec![
                run.arm.name().to_owned(),
                whole(self.rate(run)),
                fine(run.first),
                fine(run.second),
                fine(self.per_million(run.cpu)),
            ];
            row.extend(Step::PARTS.map(|step| cpu(run, step)));
            row
        };
        let rows: Vec<_> = self.runs.iter().map(row).collect();
        let header = [
            "what",
            "rows/s",
            "first dump, s",
            "second dump, s",
            "CPU s per million",
            "producer",
            "processor",
            "sink",
            "bus",
        ];
        report.table(&header, &rows);
    }
}
