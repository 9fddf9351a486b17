//! What was measured, and how it is written down.

use std::{fs, path::Path};

use anyhow::Result;

use super::{Idle, Run, SETTLE, WATCH};
use crate::{
    machine, program,
    report::{Goal, Report, percent, whole},
    settings::Settings,
    statistics::{Spread, noise},
};

/// The goal: milliseconds to the first canonical record.
const FIRST: f64 = 500.0;

/// The goal: megabytes of the stripped program.
const SIZE: f64 = 60.0;

/// The goal: share of a core when idle.
const IDLE: f64 = 0.01;

/// Everything.
pub(crate) struct Results {
    /// Each with whether it is the second of its round.
    pub(crate) runs: Vec<(bool, Run)>,
    pub(crate) idle: Vec<Idle>,
    /// Megabytes by profile.
    sizes: Vec<(&'static str, f64)>,
    load_before: String,
}

impl Results {
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let megabytes = |path: &Path| -> Result<f64> { Ok(fs::metadata(path)?.len() as f64 / 1e6) };
        let mut sizes = vec![("release", megabytes(program)?)];
        if let Some(dist) = program::dist()? {
            sizes.push(("dist", megabytes(&dist)?));
        }
        Ok(Self { runs: Vec::new(), idle: Vec::new(), sizes, load_before: machine::load() })
    }

    fn of(&self, again: bool, what: impl Fn(&Run) -> f64) -> Spread {
        Spread::of(self.runs.iter().filter(|run| run.0 == again).map(|run| what(&run.1)))
    }

    pub(crate) fn write(&self, settings: &Settings) -> Result<()> {
        let mut report = Report::new("start", "Start: from nothing to the first canonical record");
        report.paragraph(&self.method(settings));
        report.goals(&self.goals());
        self.start_up(&mut report);
        self.idle(&mut report);
        self.sizes(&mut report);
        self.raw(&mut report);
        report.write()
    }

    fn method(&self, settings: &Settings) -> String {
        format!(
            "`throughline demo` in a folder that does not exist: it writes the sample shop's exports \
             there, starts the embedded bus, the producer, the processor and the sink, and begins to \
             read. Time runs from the start of the process until a Kafka consumer (librdkafka), \
             which is made when the bus serves and waits for the topics, has the first record of a \
             `canonical.` topic; the program itself is in the page cache. {} rounds of two starts; \
             the distance of the medians of the first and the second ones is the noise. The demo of \
             each first start is then left alone for {} s and watched for {} s. Range: lowest and \
             highest run. Load averages before {} and after {}.",
            settings.runs,
            SETTLE.as_secs(),
            WATCH.as_secs(),
            self.load_before,
            machine::load(),
        )
    }

    fn goals(&self) -> Vec<Goal> {
        let first = |run: &Run| run.first;
        let (found, again) = (self.of(false, first), self.of(true, first));
        let milliseconds = found.median * 1e3;
        let idle = Spread::of(self.idle.iter().map(|idle| idle.cpu));
        let mut goals = vec![Goal {
            what: "first canonical record of a fresh demo".to_owned(),
            goal: format!("within {FIRST} ms"),
            found: format!("{} ms", whole(milliseconds)),
            met: milliseconds <= FIRST,
            close: (milliseconds / FIRST - 1.0).abs() < 2.0 * noise(found, again),
        }];
        for (profile, size) in &self.sizes {
            goals.push(Goal {
                what: format!("stripped program, profile {profile}"),
                goal: format!("below {SIZE} MB"),
                found: format!("{size:.1} MB"),
                met: *size < SIZE,
                close: false,
            });
        }
        goals.push(Goal {
            what: "idle CPU of the demo".to_owned(),
            goal: "below 1 % of a core".to_owned(),
            found: format!("{:.2} %", idle.median * 100.0),
            met: idle.median < IDLE,
            close: idle.min < IDLE && idle.max >= IDLE,
        });
        goals
    }

    fn start_up(&self, report: &mut Report) {
        report.heading("A fresh demo");
        let records = Spread::of(self.runs.iter().map(|run| run.1.records as f64));
        report.paragraph(&format!(
            "Milliseconds from the start of the process. The sample data gives {} canonical records.",
            records.show(whole)
        ));
        let row = |name: &str, what: fn(&Run) -> f64| {
            let milliseconds = |run: &Run| what(run) * 1e3;
            let (found, again) = (self.of(false, milliseconds), self.of(true, milliseconds));
            vec![
                name.to_owned(),
                found.show(whole),
                again.show(whole),
                percent(noise(found, again)),
            ]
        };
        let rows = [
            row("the bus serves", |run| run.bus),
            row("first canonical record read", |run| run.first),
            row("last canonical record of the sample data read", |run| run.last),
            row("CPU time until then", |run| run.cpu),
        ];
        report.table(&["until", "ms (range)", "again", "noise"], &rows);
    }

    fn idle(&self, report: &mut Report) {
        report.heading("The demo with nothing to do");
        let spread = |what: fn(&Idle) -> f64| Spread::of(self.idle.iter().map(what));
        let share = |share: f64| format!("{:.2} %", share * 100.0);
        let megabytes = |size: f64| format!("{size:.1} MB");
        let rows = [
            vec!["CPU, of a core".to_owned(), spread(|idle| idle.cpu).show(share)],
            vec!["memory".to_owned(), spread(|idle| idle.memory.now).show(megabytes)],
            vec![
                "peak since the start".to_owned(),
                spread(|idle| idle.memory.peak).show(megabytes),
            ],
        ];
        report.table(&["what", "found (range)"], &rows);
    }

    fn sizes(&self, report: &mut Report) {
        report.heading("The program");
        let size =
            |(profile, size): &(&str, f64)| vec![(*profile).to_owned(), format!("{size:.1}")];
        let mut rows: Vec<_> = self.sizes.iter().map(size).collect();
        if rows.len() == 1 {
            rows.push(vec!["dist".to_owned(), "not built here".to_owned()]);
        }
        report.table(&["profile", "MB, symbols stripped"], &rows);
    }

    fn raw(&self, report: &mut Report) {
        report.heading("Every run");
        let show = |seconds: f64| whole(seconds * 1e3);
        let row = |(again, run): &(bool, Run)| {
            let name = if *again { "again" } else { "start" };
            vec![name.to_owned(), show(run.bus), show(run.first), show(run.last), show(run.cpu)]
        };
        let rows: Vec<_> = self.runs.iter().map(row).collect();
        report.table(&["run", "bus, ms", "first record", "last record", "CPU ms"], &rows);
        let idle = |idle: &Idle| {
            vec![
                format!("{:.2}", idle.cpu * 100.0),
                format!("{:.1}", idle.memory.now),
                format!("{:.1}", idle.memory.peak),
            ]
        };
        let rows: Vec<_> = self.idle.iter().map(idle).collect();
        report.table(&["idle CPU, % of a core", "memory, MB", "peak, MB"], &rows);
    }
}
