//! The demo on a fresh folder: how soon a consumer reads the first canonical record, and what the
//! process costs when nothing is left to do.

mod results;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use serde_json::Value;

use self::results::Results;
use crate::{
    process::{Memory, Process},
    program,
    report::progress,
    settings::Settings,
};

/// The demo's canonical topics, with a partition each.
const TOPICS: [&str; 4] =
    ["canonical.customer", "canonical.inventory", "canonical.location", "canonical.order"];

/// What the demo says when the sample data is through.
const LIVE: &str = "It stays live";

/// Nothing is read for so long: all that there was has been read.
const QUIET: Duration = Duration::from_millis(500);

/// How long the demo settles before it counts as idle.
const SETTLE: Duration = Duration::from_secs(5);

/// How long an idle demo is watched.
const WATCH: Duration = Duration::from_secs(10);

/// Nothing takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// One start. Seconds from the start of the process.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Until broker and registry are served and the workers begin.
    pub(crate) bus: f64,
    /// Until the first canonical record was read.
    pub(crate) first: f64,
    /// Until the last canonical record of the sample data was read.
    pub(crate) last: f64,
    /// How many records that were.
    pub(crate) records: usize,
    /// CPU seconds until the sample data was through.
    pub(crate) cpu: f64,
}

/// A demo with nothing left to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    /// Share of one core.
    pub(crate) cpu: f64,
    pub(crate) memory: Memory,
}

/// Measures everything and writes `results/start.md`.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let program = program::build()?;
    let mut results = Results::start(&program)?;
    for round in 0..settings.runs {
        progress(&format!("start, round {}", round + 1));
        for again in [false, true] {
            let (mut demo, run) = Demo::start(&program)?;
            results.runs.push((again, run));
            if !again {
                results.idle.push(demo.idle()?);
            }
        }
    }
    results.write(settings)
}

/// A running demo.
struct Demo {
    // The process ends before its folder goes: fields are dropped in their order.
    process: Process,
    _folder: tempfile::TempDir,
}

impl Demo {
    /// Starts a demo in a fresh folder and reads what it makes until it says that it is done.
    fn start(program: &Path) -> Result<(Self, Run)> {
        let folder = program::data_folder()?;
        let path = folder.path().join("demo");
        let log = File::create(folder.path().join("log"))?;
        program::sync()?;
        let begin = Instant::now();
        let child = Command::new(program)
            .args(["--log", "warn", "demo", "--folder"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        let mut process = Process::new(child);
        let output = process.child().stdout.take().context("the demo has no output")?;
        let live = watch(output);
        let address = until(|| Ok(address(&path)))?;
        let bus = begin.elapsed().as_secs_f64();
        let consumer = consumer(&address)?;
        until(|| Ok(topics_exist(&consumer)?.then_some(())))?;
        let mut partitions = TopicPartitionList::new();
        for topic in TOPICS {
            // Fresh partitions begin at 0; asking where they begin would take a timer's 100 ms.
            partitions.add_partition_offset(topic, 0, Offset::Offset(0))?;
        }
        consumer.assign(&partitions)?;
        let (mut first, mut last, mut records) = (None, begin.elapsed(), 0);
        let mut settled = false;
        while !settled || first.is_none() || begin.elapsed() < last + QUIET {
            ensure!(begin.elapsed() < PATIENCE, "{records} records, and never {LIVE:?}");
            settled |= live.try_recv().is_ok();
            if let Some(message) = consumer.poll(Duration::from_millis(1)) {
                message.context("could not read canonical records")?;
                last = begin.elapsed();
                first.get_or_insert(last);
                records += 1;
            }
        }
        let first = first.context("the demo made no canonical record")?.as_secs_f64();
        let (last, cpu) = (last.as_secs_f64(), process.cpu()?);
        Ok((Self { process, _folder: folder }, Run { bus, first, last, records, cpu }))
    }

    /// Watches it while nothing happens.
    fn idle(&mut self) -> Result<Idle> {
        thread::sleep(SETTLE);
        let cpu = || -> Result<f64> { Ok(self.process.threads()?.values().sum()) };
        let (before, begin) = (cpu()?, Instant::now());
        thread::sleep(WATCH);
        let cpu = (cpu()? - before) / begin.elapsed().as_secs_f64();
        Ok(Idle { cpu, memory: self.process.memory()? })
    }
}

/// Reads what the demo prints, to its end, and tells when it is live.
fn watch(output: ChildStdout) -> Receiver<()> {
    let (say, live) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(LIVE) {
                // Nobody listens any more when the bench has failed.
                let _ = say.send(());
            }
        }
    });
    live
}

/// Looks every millisecond.
fn until<T>(mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(found) = look()? {
            return Ok(found);
        }
        thread::sleep(Duration::from_millis(1));
    }
    bail!("the demo did not start in {} s", PATIENCE.as_secs())
}

/// Where the demo's broker listens, once it does.
fn address(folder: &Path) -> Option<String> {
    let text = fs::read(folder.join("data/running.json")).ok()?;
    let running: Value = serde_json::from_slice(&text).ok()?;
    Some(running["kafka"].as_str()?.to_owned())
}

fn consumer(address: &str) -> Result<BaseConsumer> {
    let consumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create();
    consumer.context("could not make a consumer")
}

fn topics_exist(consumer: &BaseConsumer) -> Result<bool> {
    let metadata = consumer.fetch_metadata(None, PATIENCE).context("could not list topics")?;
    let exists = |topic: &&str| metadata.topics().iter().any(|known| known.name() == *topic);
    Ok(TOPICS.iter().all(exists))
}
