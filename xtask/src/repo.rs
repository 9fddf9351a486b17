//! The repository: its crates and its files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use toml::Table;

/// The repository that this program was built from.
#[derive(Debug)]
pub(crate) struct Repo {
    pub(crate) root: PathBuf,
}

/// One member of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its folder from the root: `crates/log`.
    pub(crate) folder: String,
    /// Its manifest.
    pub(crate) manifest: Table,
}

/// The folders whose subfolders are crates, and the crates that stand alone.
const PARENTS: [&str; 4] = ["crates", "producers", "processors", "sinks"];
const SINGLES: [&str; 2] = ["benches", "xtask"];

impl Repo {
    /// The repository around this program's manifest.
    pub(crate) fn here() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent")?;
        Ok(Self { root: root.to_owned() })
    }

    /// Every crate, sorted by folder.
    pub(crate) fn members(&self) -> Result<Vec<Member>> {
        let mut folders: Vec<String> = SINGLES.map(str::to_owned).into();
        for parent in PARENTS {
            for entry in self.entries(parent)? {
                folders.push(format!("{parent}/{entry}"));
            }
        }
        folders.retain(|folder| self.root.join(folder).join("Cargo.toml").is_file());
        folders.sort();
        folders.into_iter().map(|folder| self.member(folder)).collect()
    }

    fn member(&self, folder: String) -> Result<Member> {
        let path = self.root.join(&folder).join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {folder}"))?;
        let manifest = text.parse().with_context(|| format!("{folder}/Cargo.toml is malformed"))?;
        Ok(Member { folder, manifest })
    }

    /// The names in a folder, sorted; none when there is no such folder.
    fn entries(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.root.join(folder);
        if !path.is_dir() {
            return Ok(vec![]);
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Every Rust file below the crates, from the root, sorted.
    pub(crate) fn rust_files(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for folder in PARENTS.into_iter().chain(SINGLES) {
            self.collect(folder, &mut files)?;
        }
        files.sort();
        Ok(files)
    }

    fn collect(&self, folder: &str, files: &mut Vec<String>) -> Result<()> {
        for name in self.entries(folder)? {
            let path = format!("{folder}/{name}");
            if self.root.join(&path).is_dir() {
                // A crate that was built by itself keeps its output beside its sources.
                if name != "target" {
                    self.collect(&path, files)?;
                }
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
        Ok(())
    }

    /// The text of a file, from the root.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.root.join(path)).with_context(|| format!("could not read {path}"))
    }
}

impl Member {
    /// The names in a table of dependencies: `dependencies` or `dev-dependencies`.
    pub(crate) fn dependencies(&self, table: &str) -> Vec<&str> {
        let direct = self.manifest.get(table).and_then(toml::Value::as_table);
        let target = self.manifest.get("target").and_then(toml::Value::as_table);
        let targets = target
            .into_iter()
            .flat_map(Table::values)
            .filter_map(|target| target.get(table)?.as_table());
        direct.into_iter().chain(targets).flat_map(Table::keys).map(String::as_str).collect()
    }

    /// The name of the package.
    pub(crate) fn name(&self) -> &str {
        self.manifest
            .get("package")
            .and_then(|package| package.get("name")?.as_str())
            .unwrap_or_default()
    }
}

/// The part of a source before its inline tests.
pub(crate) fn without_tests(source: &str) -> &str {
    let end = ["\n#[cfg(test)]\nmod tests {", "\n#[cfg(test)]\n#[expect"]
        .iter()
        .filter_map(|start| source.find(start))
        .min();
    end.map_or(source, |end| &source[..end + 1])
}

/// Whether a whole file is test code.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_of_this_repository_are_found() {
        let repo = Repo::here().unwrap();
        let folders: Vec<_> = repo.members().unwrap().into_iter().map(|m| m.folder).collect();
        for folder in ["crates/config", "sinks/files", "xtask"] {
            assert!(folders.iter().any(|found| found == folder), "{folders:?}");
        }
        let files = repo.rust_files().unwrap();
        assert!(files.iter().any(|file| file == "xtask/src/repo.rs"));
    }

    #[test]
    fn dependencies_of_every_target_are_seen() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\n\
                        [target.'cfg(unix)'.dependencies]\nb = \"1\"\n[dev-dependencies]\nc = \"1\"\n";
        let member = Member { folder: "crates/x".into(), manifest: manifest.parse().unwrap() };
        assert_eq!(member.dependencies("dependencies"), ["a", "b"]);
        assert_eq!(member.dependencies("dev-dependencies"), ["c"]);
        assert_eq!(member.name(), "x");
    }

    #[test]
    fn inline_tests_are_cut_off() {
        assert_eq!(without_tests("a\n\n#[cfg(test)]\nmod tests {\nb\n}\n"), "a\n\n");
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests;\n"), "a\n#[cfg(test)]\nmod tests;\n");
        assert!(is_test_file("crates/log/src/segment/tests.rs"));
        assert!(is_test_file("crates/log/tests/main.rs"));
        assert!(!is_test_file("crates/log/src/testing.rs"));
    }
}
