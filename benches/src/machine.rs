//! Where the numbers come from.

use std::{fs, process::Command, sync::OnceLock, thread};

/// The machine, the commit and the command, as lines for a report.
///
/// Asked for first when the program starts: the commit may have changed when it ends.
pub(crate) fn describe() -> &'static [(&'static str, String)] {
    static FACTS: OnceLock<Vec<(&str, String)>> = OnceLock::new();
    FACTS.get_or_init(facts)
}

fn facts() -> Vec<(&'static str, String)> {
    vec![
        ("cores", cores()),
        ("memory", memory()),
        ("kernel", line("/proc/sys/kernel/osrelease")),
        ("commit", commit()),
        ("command", command()),
    ]
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    line("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn cores() -> String {
    let number = thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name");
    format!("{number} ({model})")
}

fn memory() -> String {
    let total = field("/proc/meminfo", "MemTotal");
    let kilobytes: u64 = total.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default();
    format!("{:.1} GB", kilobytes as f64 / 1e6)
}

fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("`cargo run --release -p throughline-benches -- {}`", arguments.join(" "))
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments);
        let output = git.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".into() };
    match git(&["status", "--porcelain", "--untracked-files=no", ".."]).as_deref() {
        Some("") => commit,
        _ => format!("{commit} with uncommitted changes"),
    }
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The value of the first `name : value` line of a file under /proc.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    value.unwrap_or_else(|| "unknown".to_owned())
}
