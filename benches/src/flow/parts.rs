//! The flow as processes: one for each step, or one for all.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::dump;
use crate::{process::Process, program};

/// How often the target is looked at, which bounds the precision of every duration.
const LOOK: Duration = Duration::from_millis(5);

/// Looks at the target between two looks at the CPU time.
const SAMPLE: u32 = 10;

/// Nothing takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(300);

/// A process of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Producer,
    Processor,
    Sink,
    /// The embedded broker and registry.
    Bus,
    /// All of them in one process.
    All,
}

impl Step {
    /// The processes of a flow, in the order of its records, the bus last.
    pub(crate) const PARTS: [Self; 4] = [Self::Producer, Self::Processor, Self::Sink, Self::Bus];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Processor => "processor",
            Self::Sink => "sink",
            Self::Bus => "bus",
            Self::All => "all",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Producer => &["run", "producer", "shop-exports"],
            Self::Processor => &["run", "processor", "shop"],
            Self::Sink => &["run", "sink", "lake"],
            Self::Bus => &["run", "bus"],
            Self::All => &["up"],
        }
    }
}

/// What one process did during one dump.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub(crate) step: Step,
    /// CPU seconds.
    pub(crate) cpu: f64,
    /// CPU seconds by the names of threads.
    pub(crate) threads: BTreeMap<String, f64>,
    /// Seconds after the begin when nearly all of its CPU time was used: then it was done.
    pub(crate) done: f64,
    /// Megabytes.
    pub(crate) peak: f64,
}

/// A flow that runs, with its folder.
pub(crate) struct Flow {
    // The steps end before the bus, and all before the folder: fields are dropped in their order.
    parts: Vec<(Step, Process)>,
    folder: TempDir,
    seen: HashSet<PathBuf>,
    lines: usize,
}

impl Flow {
    /// Starts these steps and waits until a few records went all the way.
    pub(crate) fn start(program: &Path, steps: &[Step]) -> Result<Self> {
        let folder = program::data_folder()?;
        let exports = folder.path().join("exports");
        fs::create_dir(&exports)?;
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systems/sunrise/data");
        fs::copy(sample.join("channels.json"), exports.join("channels.json"))?;
        fs::write(folder.path().join("throughline.yaml"), CONFIGURATION)?;
        let mut flow = Self { parts: Vec::new(), folder, seen: HashSet::new(), lines: 0 };
        let serves_bus = |step: &Step| matches!(step, Step::Bus | Step::All);
        for step in steps.iter().filter(|step| serves_bus(step)) {
            flow.spawn(program, *step)?;
            flow.until("the bus to start", |flow| Ok(flow.path("data/running.json").is_file()))?;
        }
        for step in steps.iter().filter(|step| !serves_bus(step)) {
            flow.spawn(program, *step)?;
        }
        let place = |step: Step| steps.iter().position(|other| *other == step);
        flow.parts.sort_by_key(|(step, _)| place(*step));
        flow.until("the first records", |flow| {
            Ok(flow.path("target/canonical.location").read_dir().is_ok_and(|mut files| {
                files.any(|file| file.is_ok_and(|file| visible(&file.path())))
            }))
        })?;
        Ok(flow)
    }

    fn spawn(&mut self, program: &Path, step: Step) -> Result<()> {
        let log = File::create(self.path(&format!("{}.log", step.name())))?;
        let child = Command::new(program)
            .current_dir(self.folder.path())
            .args(["--log", "warn"])
            .args(step.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        self.parts.push((step, Process::new(child)));
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a dump into the watched folder and waits until the target has `more` lines more.
    /// Returns the seconds between, and what the processes did.
    pub(crate) fn run(&mut self, rows: &[dump::Row], more: usize) -> Result<(f64, Vec<Usage>)> {
        let (new, watched) = (self.path("new"), self.path("exports/inventory.csv"));
        dump::write(rows, &new)?;
        program::sync()?;
        // A file that was just written counts as unfinished: an exporter's would be as old.
        thread::sleep(Duration::from_secs(1));
        let before: Vec<BTreeMap<String, f64>> = self.each(Process::threads)?;
        let (goal, begin) = (self.lines + more, Instant::now());
        let mut samples = vec![(0.0, self.each(Process::cpu)?)];
        fs::rename(new, watched)?;
        let mut looks = 0;
        self.until("the dump to arrive", |flow| {
            looks += 1;
            if looks % SAMPLE == 0 {
                samples.push((begin.elapsed().as_secs_f64(), flow.each(Process::cpu)?));
            }
            flow.count()?;
            Ok(flow.lines >= goal)
        })?;
        let seconds = begin.elapsed().as_secs_f64();
        ensure!(self.lines == goal, "the target has {} lines, not {goal}", self.lines);
        samples.push((seconds, self.each(Process::cpu)?));
        let threads = self.each(Process::threads)?;
        let usage = |at: usize| -> Result<Usage> {
            let (step, process) = &self.parts[at];
            let difference = |(name, cpu): (&String, &f64)| {
                let old = before[at].get(name).copied().unwrap_or_default();
                (name.clone(), (cpu - old).max(0.0))
            };
            let threads = threads[at].iter().map(difference).collect();
            let (cpu, done) = used(samples.iter().map(|(time, cpu)| (*time, cpu[at])));
            Ok(Usage { step: *step, cpu, threads, done, peak: process.memory()?.peak })
        };
        let usages = (0..self.parts.len()).map(usage).collect::<Result<_>>()?;
        Ok((seconds, usages))
    }

    fn each<T>(&self, what: impl Fn(&Process) -> Result<T>) -> Result<Vec<T>> {
        self.parts.iter().map(|(_, process)| what(process)).collect()
    }

    /// The lines that the target has of the stock.
    pub(crate) fn text(&self) -> Result<String> {
        let mut files: Vec<&PathBuf> = self.seen.iter().collect();
        files.sort();
        files.into_iter().map(|file| Ok(fs::read_to_string(file)?)).collect()
    }

    /// Counts the lines of files that became visible: those never change.
    fn count(&mut self) -> Result<()> {
        let Ok(files) = fs::read_dir(self.path("target/canonical.inventory")) else {
            return Ok(());
        };
        for file in files {
            let path = file?.path();
            if visible(&path) && !self.seen.contains(&path) {
                self.lines += fs::read(&path)?.iter().filter(|byte| **byte == b'\n').count();
                self.seen.insert(path);
            }
        }
        Ok(())
    }

    fn until(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !look(self)? {
            let ended = self.parts.iter_mut().find_map(|(step, process)| {
                process.child().try_wait().ok().flatten().map(|status| (*step, status))
            });
            if let Some((step, status)) = ended {
                bail!("{} ended with {status}: {}", step.name(), self.logs());
            }
            ensure!(Instant::now() < deadline, "waited in vain for {what}: {}", self.logs());
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn logs(&self) -> String {
        let log = |(step, _): &(Step, Process)| {
            fs::read_to_string(self.path(&format!("{}.log", step.name()))).unwrap_or_default()
        };
        self.parts.iter().map(log).collect()
    }
}

/// CPU time between the first and the last sample, and the time when all but a hundredth was used.
fn used(samples: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, f64) {
    let first = samples.clone().next().map_or(0.0, |(_, cpu)| cpu);
    let total = samples.clone().last().map_or(0.0, |(_, cpu)| cpu) - first;
    let mut all = samples.filter(|(_, cpu)| cpu - first >= 0.99 * total);
    (total, all.next().map_or(0.0, |(time, _)| time))
}

fn visible(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl")
}

/// Everything that is not said is the default.
const CONFIGURATION: &str = "\
version: 1
data: ./data
bus: {embedded: {kafka: 127.0.0.1:0, registry: 127.0.0.1:0}}
metrics: 127.0.0.1:0
systems: {shop: {pack: sunrise, settings: {currency: EUR}}}
ownership: {order: shop, inventory: shop, customer: shop, location: shop}
producers: {shop-exports: {kind: files, system: shop, folder: ./exports}}
sinks:
  lake:
    kind: files
    topics: [canonical.inventory, canonical.location]
    folder: ./target
    format: jsonl
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_done_when_it_has_used_nearly_all_of_its_time() {
        let samples = [(0.0, 5.0), (1.0, 5.5), (2.0, 5.999), (3.0, 6.0)];
        assert_eq!(used(samples.into_iter()), (1.0, 2.0));
        assert_eq!(used([(0.0, 5.0)].into_iter()), (0.0, 0.0));
    }
}
