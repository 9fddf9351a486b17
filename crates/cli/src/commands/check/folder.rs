//! The folder of the log and of the workers' state.

use std::fs::OpenOptions;
use std::path::Path;

use throughline_config::{ByteSize, Config};

use super::Looked;
use crate::flow::folders::{BUS, STATE};

/// The log keeps 128 MiB in reserve and compaction writes beside what it replaces; with less than
/// this the disk is full within the day.
const LEAST_FREE: ByteSize = ByteSize::mib(1024);

/// Whether the data folder can be written and has room. It is made at the first start.
pub(super) fn data(config: &Config) -> Looked {
    let folder = &config.data;
    let existing = folder.ancestors().find(|at| at.exists()).unwrap_or(Path::new("."));
    let mut problems = Vec::new();
    for part in [BUS, STATE].map(|part| folder.join(part)).iter().filter(|at| at.exists()) {
        problems.extend(refused(part));
    }
    problems.extend(refused(existing));
    let mut seen = String::new();
    match fs4::available_space(existing) {
        Ok(free) => {
            seen = format!("writable, {} MiB free", free >> 20);
            if free < LEAST_FREE.as_u64() {
                problems.push(format!(
                    "TL9011: {} has {} MiB free, and {LEAST_FREE} are needed for the log and its \
                     compaction; free some space or set `data` to a larger disk",
                    existing.display(),
                    free >> 20
                ));
            }
        }
        Err(error) => problems.push(format!(
            "TL9012: the free space of {} cannot be read; check its file system: {error}",
            existing.display()
        )),
    }
    Looked::new(format!("data folder {}", folder.display()), seen, problems)
}

/// Why nothing can be written into a folder.
fn refused(folder: &Path) -> Option<String> {
    let probe = folder.join(format!(".throughline-check-{}", std::process::id()));
    let written = OpenOptions::new().create_new(true).write(true).open(&probe);
    let error = written.and_then(|_| std::fs::remove_file(&probe)).err()?;
    Some(format!(
        "TL9010: {} cannot be written; make it a folder of the user that runs Throughline: {error}",
        folder.display()
    ))
}
