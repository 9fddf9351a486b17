//! What was measured, and how it is written down.

use anyhow::Result;

use super::{Arm, Run};
use crate::{
    machine,
    report::{Goal, Report, fine, percent, whole},
    settings::Settings,
    statistics::{Spread, noise},
};

/// The goal: records a second on one core.
const RATE: f64 = 200_000.0;

/// The goal: how much faster a hand-written mapping may be.
const FACTOR: f64 = 3.0;

/// What is mapped.
pub(crate) struct Facts {
    pub(crate) orders: usize,
    pub(crate) lines: usize,
    pub(crate) refused: usize,
    pub(crate) bytes_in: usize,
    pub(crate) bytes_out: usize,
}

/// Everything.
pub(crate) struct Results {
    pub(crate) runs: Vec<Run>,
    facts: Facts,
    load_before: String,
}

impl Arm {
    fn name(self) -> &'static str {
        match self {
            Self::Normalizer => "normalizer",
            Self::NormalizerAgain => "normalizer again",
            Self::Handwritten => "hand-written",
        }
    }
}

impl Results {
    pub(crate) fn start(facts: Facts) -> Self {
        Self { runs: Vec::new(), facts, load_before: machine::load() }
    }

    fn of(&self, arm: Arm, what: impl Fn(&Run) -> f64) -> Spread {
        Spread::of(self.runs.iter().filter(|run| run.arm == arm).map(what))
    }

    fn noise(&self, what: impl Fn(&Run) -> f64 + Copy) -> f64 {
        noise(self.of(Arm::Normalizer, what), self.of(Arm::NormalizerAgain, what))
    }

    pub(crate) fn write(&self, settings: &Settings) -> Result<()> {
        let mut report = Report::new("normalizer", "Normalizer: Sunrise orders, Avro in and out");
        report.paragraph(&self.method(settings));
        report.goals(&self.goals());
        self.rates(&mut report);
        self.steps(&mut report);
        self.raw(&mut report);
        report.write()
    }

    fn method(&self, settings: &Settings) -> String {
        let Facts { orders, lines, refused, bytes_in, bytes_out } = self.facts;
        format!(
            "{orders} orders with {lines} lines from `systems/sunrise/data/orders.csv`, as change \
             events of {} bytes on average, become canonical orders of {} bytes with their key. Both sides \
             refuse the same {refused} further orders, which are not timed. One thread. The hand-written mapping is Rust for this one purpose on the same Avro reader \
             and writer; before anything is timed, its records are compared with the normalizer's, \
             byte for byte, event ids included. {} runs of one second each, in turn, the order \
             reversed in every second round; \"again\" is the same thing once more in each round: \
             the distance of the medians is the noise. Records/s are those of one second \
             of the thread's CPU time. The steps are timed by the clock in runs of their own, each \
             over all orders before the next begins, so that other work on the machine shows. Load averages before {} and after {}.",
            bytes_in / orders,
            bytes_out / orders,
            settings.runs,
            self.load_before,
            machine::load(),
        )
    }

    fn goals(&self) -> Vec<Goal> {
        let rate = |run: &Run| run.rate;
        let ours = self.of(Arm::Normalizer, rate).median;
        let factor = self.of(Arm::Handwritten, rate).median / ours;
        let close = |share: f64| (share - 1.0).abs() < 2.0 * self.noise(rate);
        vec![
            Goal {
                what: "records/s on one core".to_owned(),
                goal: format!("at least {}", whole(RATE)),
                found: whole(ours),
                met: ours >= RATE,
                close: close(ours / RATE),
            },
            Goal {
                what: "hand-written mapping".to_owned(),
                goal: format!("at most {FACTOR} times as fast"),
                found: format!("{} times", fine(factor)),
                met: factor <= FACTOR,
                close: close(factor / FACTOR),
            },
        ]
    }

    fn rates(&self, report: &mut Report) {
        report.heading("From event to canonical record");
        let lines = self.facts.lines as f64 / self.facts.orders as f64;
        let row = |arm: Arm| {
            let rate = self.of(arm, |run| run.rate);
            let noise = if arm == Arm::Normalizer {
                percent(self.noise(|run| run.rate))
            } else {
                String::new()
            };
            let name = arm.name().to_owned();
            vec![name, rate.show(whole), noise, whole(rate.median * lines), cost(rate)]
        };
        let rows = [Arm::Normalizer, Arm::NormalizerAgain, Arm::Handwritten].map(row);
        let header =
            ["mapping", "records/s (range)", "noise", "order lines/s", "CPU s per million records"];
        report.table(&header, &rows);
    }

    fn steps(&self, report: &mut Report) {
        report.heading("Where the time goes");
        report.paragraph("Nanoseconds for one record, medians with their range.");
        let show = |number: f64| whole(number);
        let row = |arm: Arm| {
            vec![
                arm.name().to_owned(),
                self.of(arm, |run| run.steps.decode).show(show),
                self.of(arm, |run| run.steps.map).show(show),
                self.of(arm, |run| run.steps.encode).show(show),
            ]
        };
        let mut rows: Vec<_> =
            [Arm::Normalizer, Arm::NormalizerAgain, Arm::Handwritten].map(row).into();
        rows.push(vec![
            "noise".to_owned(),
            percent(self.noise(|run| run.steps.decode)),
            percent(self.noise(|run| run.steps.map)),
            percent(self.noise(|run| run.steps.encode)),
        ]);
        let header = ["mapping", "decode", "map", "check and encode"];
        report.table(&header, &rows);
        report.paragraph(
            "The hand-written mapping makes its checks while it maps; the normalizer checks the \
             invariants when it encodes.",
        );
    }

    fn raw(&self, report: &mut Report) {
        report.heading("Every run");
        let row = |run: &Run| {
            vec![
                run.arm.name().to_owned(),
                whole(run.rate),
                whole(run.steps.decode),
                whole(run.steps.map),
                whole(run.steps.encode),
            ]
        };
        let rows: Vec<_> = self.runs.iter().map(row).collect();
        let header = ["mapping", "records/s", "decode ns", "map ns", "check and encode ns"];
        report.table(&header, &rows);
    }
}

/// CPU seconds of a million records.
fn cost(rate: Spread) -> String {
    fine(1e6 / rate.median)
}
