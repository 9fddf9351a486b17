//! What was measured, and how it is written down.

use std::fmt::Write as _;

use anyhow::Result;

use super::{IDLE_PARTITIONS, LINGERS, SETTLE, SHORT_LOG, kafka, latency::Latency};
use crate::{
    machine,
    process::Memory,
    report::{Goal, Report, fine, percent, whole},
    settings::Settings,
    statistics::{Spread, noise},
};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arm {
    Embedded,
    /// The embedded broker once more: the noise.
    EmbeddedAgain,
    Kafka,
    Mock,
}

impl Arm {
    fn name(self) -> String {
        match self {
            Self::Embedded => "embedded".to_owned(),
            Self::EmbeddedAgain => "embedded again".to_owned(),
            Self::Kafka => format!("Kafka {}", kafka::VERSION),
            Self::Mock => "mock".to_owned(),
        }
    }
}

/// What is written and read in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) size: usize,
    pub(crate) partitions: i32,
    pub(crate) records: u64,
}

impl Shape {
    pub(crate) fn name(&self) -> String {
        let plural = if self.partitions == 1 { "" } else { "s" };
        format!("{} B, {} partition{plural}", self.size, self.partitions)
    }
}

/// Records a second, and CPU seconds of the broker for a million records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) rate: f64,
    pub(crate) cpu: f64,
}

/// A topic written and read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) produce: Run,
    /// Nothing when the broker cannot hold the topic.
    pub(crate) consume: Option<Run>,
    /// A short log, again and again.
    pub(crate) again: Run,
}

/// An idle broker: the share of a core, and megabytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
}

/// Everything.
pub(crate) struct Results {
    pub(crate) idle: Vec<(Arm, Idle)>,
    pub(crate) latencies: Vec<(u32, Arm, Latency)>,
    pub(crate) memory: Vec<(Arm, Memory)>,
    passes: Vec<(Shape, Arm, Pass)>,
    load_before: String,
}

/// One of the things that are done with a shape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Produce,
    Consume,
    Again,
}

impl Work {
    const ALL: [Self; 3] = [Self::Produce, Self::Consume, Self::Again];

    fn name(self) -> &'static str {
        match self {
            Self::Produce => "produce",
            Self::Consume => "consume",
            Self::Again => "consume again",
        }
    }

    fn of(self, pass: &Pass) -> Option<Run> {
        match self {
            Self::Produce => Some(pass.produce),
            Self::Consume => pass.consume,
            Self::Again => Some(pass.again),
        }
    }
}

/// All runs of one kind of work on one shape by one broker.
struct Series {
    work: Work,
    shape: Shape,
    arm: Arm,
    runs: Vec<Run>,
}

impl Series {
    fn rate(&self) -> Spread {
        Spread::of(self.runs.iter().map(|run| run.rate))
    }

    fn cpu(&self) -> Spread {
        Spread::of(self.runs.iter().map(|run| run.cpu))
    }
}

impl Results {
    pub(crate) fn start() -> Self {
        Self {
            idle: Vec::new(),
            latencies: Vec::new(),
            memory: Vec::new(),
            passes: Vec::new(),
            load_before: machine::load(),
        }
    }

    pub(crate) fn add(&mut self, shape: &Shape, arm: Arm, pass: Pass) {
        self.passes.push((*shape, arm, pass));
    }

    /// In the order of measuring; every broker of a case behind one another.
    fn series(&self) -> Vec<Series> {
        let mut all: Vec<Series> = Vec::new();
        for work in Work::ALL {
            for (shape, arm, pass) in &self.passes {
                let Some(run) = work.of(pass) else { continue };
                let same = |series: &&mut Series| {
                    series.work == work && series.shape == *shape && series.arm == *arm
                };
                match all.iter_mut().find(same) {
                    Some(series) => series.runs.push(run),
                    None => {
                        all.push(Series { work, shape: *shape, arm: *arm, runs: vec![run] });
                    }
                }
            }
        }
        all
    }

    pub(crate) fn write(&self, settings: &Settings) -> Result<()> {
        let series = self.series();
        let mut report = Report::new("broker", "Broker: embedded, Apache Kafka, mock");
        report.paragraph(&self.method(settings));
        report.goals(&self.goals(&series));
        throughput(&mut report, &series);
        self.latency(&mut report);
        self.memory(&mut report);
        raw(&mut report, &series);
        report.write()
    }

    fn method(&self, settings: &Settings) -> String {
        let kafka = if settings.without_kafka {
            "**Apache Kafka was left out with `--without-kafka`: there is nothing to compare with.** "
        } else {
            "Apache Kafka runs in KRaft mode with a heap of 512 MB and the JVM options of its start \
             script; like everybody's it does not fsync before it acknowledges. "
        };
        format!(
            "One client program (librdkafka) for all: acks=all, idempotent, linger 5 ms, no \
             compression, the record's number checked when it is read. The embedded broker fsyncs \
             before every acknowledgement. {kafka}librdkafka's mock broker keeps records in memory: \
             it shows what the client itself can do. It keeps only 5 MiB of a partition, so \"consume\", \
             which reads all that was just produced once, leaves it out. In \"consume again\" \
             everybody holds one short log of {short:.1} MB in each partition, which is read from the \
             beginning again and again until as many records were read as in the other runs; the \
             way back to the beginning is part of the time, and for this the client asks brokers to \
             wait 1 ms for more at the end of a log. There the mock's rate is the client's limit. \
             CPU is that of all threads of the broker's process. Every broker is a process of its own on the same cores as the client \
             and took {} records before the first run; the disk is synced before each run, which \
             spares everybody Kafka's delayed writes. {} runs of each case, all brokers in turn, \
             the order reversed in every second round. \"Embedded again\" is the same process \
             measured a second time in each round; the distance of the two medians is the noise, \
             and no difference below twice the noise means anything. Range: lowest and highest run. \
             Load averages before {} and after {}.",
            whole(settings.warm_up as f64),
            settings.runs,
            self.load_before,
            machine::load(),
            short = SHORT_LOG as f64 / 1e6,
        )
    }

    fn goals(&self, series: &[Series]) -> Vec<Goal> {
        let mut goals = Vec::new();
        for ours in series.iter().filter(|series| series.arm == Arm::Embedded) {
            let case = format!("{} {}", ours.work.name(), ours.shape.name());
            let (rate, cpu) = (ours.rate().median, ours.cpu().median);
            let kafka = beside(series, ours, Arm::Kafka);
            let mock = beside(series, ours, Arm::Mock);
            let again = beside(series, ours, Arm::EmbeddedAgain);
            // A difference below twice the noise means nothing.
            let close = |of: fn(&Series) -> Spread, goal: f64| {
                let floor = again.map_or(0.0, |again| noise(of(ours), of(again)));
                (of(ours).median / goal - 1.0).abs() < 2.0 * floor
            };
            // Without Kafka there is no goal: the lower of both bounds counts.
            let Some(kafka) = kafka else { continue };
            let by_kafka = kafka.rate().median;
            let mut goal = 1.2 * by_kafka;
            let mut text = "1.2 x Kafka".to_owned();
            let mut found = format!("{}: {} x Kafka", whole(rate), fine(rate / by_kafka));
            if let Some(mock) = mock {
                let by_mock = mock.rate().median;
                goal = goal.min(0.9 * by_mock);
                text.push_str(" or 0.9 x mock, the lower");
                let _ = write!(found, ", {} x mock", fine(rate / by_mock));
            }
            goals.push(Goal {
                what: format!("{case}: records/s"),
                goal: format!("{}: {text}", whole(goal)),
                found,
                met: rate >= goal,
                close: close(Series::rate, goal),
            });
            let goal = 0.4 * kafka.cpu().median;
            goals.push(Goal {
                what: format!("{case}: broker CPU"),
                goal: "at most 0.4 x Kafka".to_owned(),
                found: format!("{} x Kafka", fine(cpu / kafka.cpu().median)),
                met: cpu <= goal,
                close: close(Series::cpu, goal),
            });
        }
        goals.extend(self.idle_goals());
        goals
    }

    fn idle_goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        let idle = self.idle.iter().find(|(arm, _)| *arm == Arm::Embedded);
        if let Some((_, idle)) = idle {
            goals.push(Goal {
                what: format!("idle memory, {IDLE_PARTITIONS} partitions"),
                goal: "below 40 MB".to_owned(),
                found: format!("{:.1} MB", idle.memory),
                met: idle.memory < 40.0,
                close: false,
            });
            goals.push(Goal {
                what: format!("idle CPU, {IDLE_PARTITIONS} partitions"),
                goal: "below 0.5 % of a core".to_owned(),
                found: format!("{:.2} %", idle.cpu * 100.0),
                met: idle.cpu < 0.005,
                close: false,
            });
        }
        goals
    }

    fn latency(&self, report: &mut Report) {
        report.heading("End to end at 1,000 records/s");
        report.paragraph(
            "200 B, one partition, milliseconds from the intended time of sending to the consumer. \
             Medians of the runs with their range; the highest is over all runs.",
        );
        let mut rows = Vec::new();
        for linger in LINGERS {
            for arm in [Arm::Embedded, Arm::EmbeddedAgain, Arm::Kafka] {
                let runs = || {
                    let same = self.latencies.iter();
                    same.filter(move |run| run.0 == linger && run.1 == arm).map(|run| run.2)
                };
                if runs().next().is_some() {
                    rows.push(vec![
                        format!("{linger} ms"),
                        arm.name(),
                        Spread::of(runs().map(|run| run.p50)).show(fine),
                        Spread::of(runs().map(|run| run.p99)).show(fine),
                        fine(Spread::of(runs().map(|run| run.max)).max),
                    ]);
                }
            }
        }
        report.table(&["linger", "broker", "p50 (range)", "p99 (range)", "highest"], &rows);
    }

    fn memory(&self, report: &mut Report) {
        report.heading("Memory and idle CPU");
        report.paragraph(&format!(
            "Idle: fresh process, one topic of {IDLE_PARTITIONS} partitions with a record in each, \
             nobody connected, watched after {} s; both at the same time. Peak: the highest \
             resident memory until the end of all runs.",
            SETTLE.as_secs()
        ));
        let row = |(arm, memory): &(Arm, Memory)| {
            let idle = self.idle.iter().find(|(other, _)| other == arm).map(|(_, idle)| idle);
            let idle = |show: &dyn Fn(&Idle) -> String| idle.map_or("-".to_owned(), show);
            vec![
                arm.name(),
                idle(&|idle| format!("{:.1} MB", idle.memory)),
                idle(&|idle| format!("{:.2} %", idle.cpu * 100.0)),
                format!("{:.1} MB", memory.now),
                format!("{:.1} MB", memory.peak),
            ]
        };
        let rows: Vec<_> = self.memory.iter().map(row).collect();
        let header = ["broker", "idle memory", "idle CPU, of a core", "memory at the end", "peak"];
        report.table(&header, &rows);
    }
}

/// The same work on the same shape by another broker.
fn beside<'a>(series: &'a [Series], ours: &Series, arm: Arm) -> Option<&'a Series> {
    let same =
        |other: &&Series| other.work == ours.work && other.shape == ours.shape && other.arm == arm;
    series.iter().find(same)
}

fn throughput(report: &mut Report, series: &[Series]) {
    for work in Work::ALL {
        report.heading(work.name());
        let mut rows = Vec::new();
        for one in series.iter().filter(|series| series.work == work) {
            let base = beside(series, one, Arm::Embedded);
            let again = beside(series, one, Arm::EmbeddedAgain);
            let floor = |of: fn(&Series) -> Spread| match (base, again) {
                (Some(base), Some(again)) if one.arm == Arm::Embedded => {
                    percent(noise(of(base), of(again)))
                }
                _ => String::new(),
            };
            rows.push(vec![
                one.shape.name(),
                one.arm.name(),
                one.rate().show(whole),
                floor(Series::rate),
                one.cpu().show(fine),
                floor(Series::cpu),
            ]);
        }
        let header = [
            "case",
            "broker",
            "records/s (range)",
            "noise",
            "broker CPU s per million records (range)",
            "noise",
        ];
        report.table(&header, &rows);
    }
}

fn raw(report: &mut Report, series: &[Series]) {
    report.heading("Every run");
    let list = |values: &mut dyn Iterator<Item = String>| values.collect::<Vec<_>>().join("; ");
    let row = |one: &Series| {
        vec![
            one.work.name().to_owned(),
            one.shape.name(),
            one.arm.name(),
            whole(one.shape.records as f64),
            list(&mut one.runs.iter().map(|run| whole(run.rate))),
            list(&mut one.runs.iter().map(|run| fine(run.cpu))),
        ]
    };
    let rows: Vec<_> = series.iter().map(row).collect();
    let header =
        ["work", "case", "broker", "records a run", "records/s", "broker CPU s per million"];
    report.table(&header, &rows);
}
