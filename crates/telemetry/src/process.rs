//! CPU time and memory of this process, read from `/proc` when somebody asks.

use std::fs;

use prometheus::{
    Counter, Gauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::metrics::{CPU_SECONDS, Definition, RESIDENT_BYTES};

/// Ticks per second in `/proc/self/stat`. The kernel fixes this unit for programs, whatever its own
/// timer is.
const TICKS: f64 = 100.0;

#[derive(Debug)]
pub(crate) struct Process {
    cpu: Desc,
    resident: Desc,
}

impl Process {
    pub(crate) fn new() -> Self {
        Self { cpu: description(&CPU_SECONDS), resident: description(&RESIDENT_BYTES) }
    }
}

fn description(of: &Definition) -> Desc {
    Desc::new(of.name.into(), of.help.into(), vec![], Default::default())
        .expect("definitions are valid")
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.cpu, &self.resident]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        if let Some(seconds) =
            fs::read_to_string("/proc/self/stat").ok().and_then(|t| cpu_seconds(&t))
            && let Ok(counter) = Counter::new(CPU_SECONDS.name, CPU_SECONDS.help)
        {
            counter.inc_by(seconds);
            families.extend(counter.collect());
        }
        if let Some(bytes) =
            fs::read_to_string("/proc/self/status").ok().and_then(|t| resident_bytes(&t))
            && let Ok(gauge) = Gauge::new(RESIDENT_BYTES.name, RESIDENT_BYTES.help)
        {
            gauge.set(bytes);
            families.extend(gauge.collect());
        }
        families
    }
}

/// User and system time. The name of the program stands in brackets in front and may contain spaces
/// and brackets itself.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((user + system) as f64 / TICKS)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some((kib * 1024) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_program_name() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("42 (x) S 1"), None);
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        assert_eq!(resident_bytes("VmRSS:\tmany\n"), None);
    }

    #[test]
    fn this_process_has_both() {
        let names: Vec<_> =
            Process::new().collect().iter().map(|family| family.name().to_owned()).collect();
        assert_eq!(names, [CPU_SECONDS.name, RESIDENT_BYTES.name]);
    }
}
