//! CPU time and memory of a process, from /proc.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// Units of CPU time in `/proc/<pid>/stat` per second: `USER_HZ`, which is 100 on every Linux.
const TICKS: f64 = 100.0;

/// How long a process may take to end before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A child process that ends when this is dropped.
pub(crate) struct Process(Child);

/// CPU seconds of each thread of a process, to the nanosecond.
pub(crate) struct CpuTimes(BTreeMap<OsString, f64>);

impl CpuTimes {
    /// What was used since then. The times of a thread that ended in between are not known any
    /// more: brokers end threads that had nothing to do for seconds.
    pub(crate) fn since(&self, then: &Self) -> f64 {
        let before = |thread| then.0.get(thread).copied().unwrap_or_default();
        self.0.iter().map(|(thread, cpu)| cpu - before(thread)).sum()
    }
}

/// Memory of a process in megabytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// CPU seconds that it used so far, in user and kernel mode together.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.0.id());
        let stat = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
        cpu_seconds(&stat).with_context(|| format!("{path} has an unknown form"))
    }

    /// CPU seconds that its threads used so far.
    pub(crate) fn cpu_times(&self) -> Result<CpuTimes> {
        let folder = format!("/proc/{}/task", self.0.id());
        let mut times = BTreeMap::new();
        let tasks = fs::read_dir(&folder).with_context(|| format!("could not read {folder}"))?;
        for task in tasks {
            let task = task?;
            // A thread may end between two looks.
            let Ok(cpu) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            times.insert(task.file_name(), nanoseconds(&cpu)? / 1e9);
        }
        Ok(CpuTimes(times))
    }

    /// CPU seconds by the names of its threads, those that ended left out.
    pub(crate) fn threads(&self) -> Result<BTreeMap<String, f64>> {
        let folder = format!("/proc/{}/task", self.0.id());
        let mut threads = BTreeMap::new();
        let tasks = fs::read_dir(&folder).with_context(|| format!("could not read {folder}"))?;
        for task in tasks {
            let task = task?.path();
            // A thread may end between two looks.
            let read = |name| fs::read_to_string(task.join(name)).ok();
            let (Some(name), Some(cpu)) = (read("comm"), read("schedstat")) else { continue };
            *threads.entry(name.trim().to_owned()).or_default() += nanoseconds(&cpu)? / 1e9;
        }
        Ok(threads)
    }

    /// Its resident memory.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.0.id());
        let status = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
        let read = || {
            Some(Memory { now: megabytes(&status, "VmRSS")?, peak: megabytes(&status, "VmHWM")? })
        };
        read().with_context(|| format!("{path} has an unknown form"))
    }
}

impl Drop for Process {
    /// Asks it to stop, and kills it when it does not.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        let deadline = Instant::now() + STOP_TIMEOUT;
        while asked.is_ok() && Instant::now() < deadline {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU seconds of the calling thread, which other work on the machine does not lengthen.
pub(crate) fn thread_cpu() -> Result<f64> {
    const PATH: &str = "/proc/thread-self/schedstat";
    let text = fs::read_to_string(PATH).with_context(|| format!("could not read {PATH}"))?;
    Ok(nanoseconds(&text)? / 1e9)
}

/// The first number of `schedstat`.
fn nanoseconds(schedstat: &str) -> Result<f64> {
    let first = schedstat.split(' ').next().and_then(|text| text.parse().ok());
    first.with_context(|| format!("{schedstat:?} is not what schedstat should be"))
}

/// Fields 14 and 15 of `stat`, counted behind the name, which may contain anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let kernel: f64 = fields.next()?.parse().ok()?;
    Some((user + kernel) / TICKS)
}

fn megabytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_spaces_and_brackets() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 9 9 20 0 1 0 5 6 7";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_megabytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(megabytes(status, "VmHWM"), Some(2.0));
        assert_eq!(megabytes(status, "VmRSS"), Some(1.0));
        assert_eq!(megabytes(status, "VmSwap"), None);
    }

    #[test]
    fn a_thread_has_cpu_time_that_does_not_go_back() {
        let first = thread_cpu().unwrap();
        assert!(first >= 0.0 && thread_cpu().unwrap() >= first);
    }

    #[test]
    fn threads_that_came_count_from_their_start_and_those_that_went_not_at_all() {
        let times = |of: &[(&str, f64)]| {
            CpuTimes(of.iter().map(|(thread, cpu)| (OsString::from(thread), *cpu)).collect())
        };
        let (then, now) = (times(&[("1", 1.0), ("2", 5.0)]), times(&[("1", 3.0), ("3", 0.5)]));
        assert_eq!(now.since(&then), 2.5);
    }

    #[test]
    fn a_process_is_measured_while_it_runs() {
        let sleep = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::new(sleep);
        assert!(process.cpu().unwrap() < 10.0);
        let times = process.cpu_times().unwrap();
        assert_eq!(times.0.len(), 1);
        assert!(process.cpu_times().unwrap().since(&times) >= 0.0);
        let threads = process.threads().unwrap();
        assert_eq!(threads.keys().map(String::as_str).collect::<Vec<_>>(), ["sleep"]);
        let memory = process.memory().unwrap();
        assert!(memory.now > 0.0 && memory.peak >= memory.now);
    }
}
