//! What arrives in the demo's target, as the files there say it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The target, and which of its files were told already.
#[derive(Debug)]
pub(super) struct Target {
    folder: PathBuf,
    told: BTreeSet<PathBuf>,
}

/// What of a line is looked at.
#[derive(Deserialize)]
struct Line {
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    op: String,
}

impl Target {
    /// The target below the demo's folder; what it holds now is told already.
    pub(super) fn new(folder: &Path) -> Self {
        let mut target = Self { folder: folder.join("target"), told: BTreeSet::new() };
        target.told = target.files();
        target
    }

    /// One line for what came since the last look: records that are there now, and deletes.
    pub(super) fn changes(&mut self) -> Option<String> {
        let files = self.files();
        let mut topics: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for file in files.difference(&self.told) {
            let topic = file.parent().and_then(Path::file_name).unwrap_or_default();
            let (written, deleted) = topics.entry(topic.display().to_string()).or_default();
            // A file that is gone again is told by nobody.
            for line in fs::read_to_string(file).unwrap_or_default().lines() {
                match serde_json::from_str::<Line>(line) {
                    Ok(line) if line.meta.op == "delete" => *deleted += 1,
                    _ => *written += 1,
                }
            }
        }
        self.told = files;
        let changes: Vec<String> = topics.into_iter().map(told).collect();
        (!changes.is_empty()).then(|| format!("changed: {}", changes.join(", ")))
    }

    /// The finished files; those that are being written are hidden.
    fn files(&self) -> BTreeSet<PathBuf> {
        let inside = |folder: &Path| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let hidden = |file: &PathBuf| {
            file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
        };
        let topics = inside(&self.folder);
        let files = topics.iter().flat_map(|topic| inside(topic));
        files
            .filter(|file| file.extension().is_some_and(|end| end == "jsonl"))
            .filter(|file| !hidden(file))
            .collect()
    }
}

fn told((topic, (written, deleted)): (String, (usize, usize))) -> String {
    match (written, deleted) {
        (written, 0) => format!("{topic} +{written}"),
        (0, deleted) => format!("{topic} -{deleted}"),
        (written, deleted) => format!("{topic} +{written} -{deleted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_are_told_as_such_and_each_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let topic = folder.path().join("target/canonical.order");
        fs::create_dir_all(&topic).unwrap();
        let line = |op: &str| format!("{{\"meta\":{{\"op\":\"{op}\"}},\"number\":\"1\"}}\n");
        fs::write(topic.join("0.jsonl"), line("upsert")).unwrap();
        let mut target = Target::new(folder.path());
        assert_eq!(target.changes(), None);
        fs::write(topic.join(".1.jsonl"), line("upsert")).unwrap();
        assert_eq!(target.changes(), None);
        fs::write(topic.join("1.jsonl"), line("upsert") + &line("delete") + &line("delete"))
            .unwrap();
        assert_eq!(target.changes().unwrap(), "changed: canonical.order +1 -2");
        assert_eq!(target.changes(), None);
    }
}
