//! Everything that CI runs, in the order of its cost.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    generate, kafka,
    repo::Repo,
    tidy,
    tools::{DENY, NEXTEST, run},
};

/// One step: its name, what it is for, and how it runs. Arguments come from
/// `cargo xtask test STEP ARGS`; there are none when all steps run.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Repo, &[&str]) -> Result<()>,
}

/// Cheap steps first: a wrong format is known in a second, not after the build. Suites that start
/// other programs (a Kafka, clients in other languages) are added at the end.
const STEPS: &[Step] = &[
    Step { name: "fmt", about: "the format of the sources", run: fmt },
    Step {
        name: "tidy",
        about: "dependency direction, file lengths",
        run: |repo, _| tidy::run(repo),
    },
    Step { name: "deny", about: "licenses, banned crates, sources", run: deny },
    Step { name: "clippy", about: "lints are errors", run: clippy },
    Step { name: "rustdoc", about: "the documentation of the sources", run: rustdoc },
    Step { name: "unit", about: "unit and integration tests", run: unit },
    Step {
        name: "gen",
        about: "generated pages are up to date",
        run: |repo, _| generate::check(repo),
    },
    Step { name: "doc", about: "tests in the documentation", run: doc },
    Step { name: "kafka", about: "tests of the bus on Apache Kafka", run: kafka::test },
];

/// The names of the steps and what they are for.
pub(crate) fn steps() -> String {
    STEPS.iter().map(|step| format!("  {:<9} {}\n", step.name, step.about)).collect()
}

/// Runs every step and stops at the first that fails.
pub(crate) fn all(repo: &Repo) -> Result<()> {
    let started = Instant::now();
    let mut took = Vec::new();
    for step in STEPS {
        took.push((step.name, timed(repo, step, &[])?));
    }
    println!("\n== all {} steps passed in {}", STEPS.len(), seconds(started.elapsed()));
    for (name, took) in took {
        println!("   {name:<9} {}", seconds(took));
    }
    Ok(())
}

/// Runs one step.
pub(crate) fn one(repo: &Repo, name: &str, arguments: &[&str]) -> Result<()> {
    match STEPS.iter().find(|step| step.name == name) {
        Some(step) => timed(repo, step, arguments).map(drop),
        None => bail!("there is no step `{name}`; steps:\n{}", steps()),
    }
}

fn timed(repo: &Repo, step: &Step, arguments: &[&str]) -> Result<Duration> {
    println!("\n== {}: {}", step.name, step.about);
    let started = Instant::now();
    (step.run)(repo, arguments).with_context(|| {
        format!("step `{}` failed; run it alone with `cargo xtask test {}`", step.name, step.name)
    })?;
    let took = started.elapsed();
    println!("== {} passed in {}", step.name, seconds(took));
    Ok(took)
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// Cargo in the root of the repository. Incremental builds cost time and space where everything is
/// built once.
fn cargo(repo: &Repo, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&repo.root).args(arguments).env("CARGO_INCREMENTAL", "0");
    cargo
}

fn fmt(repo: &Repo, _: &[&str]) -> Result<()> {
    run(&mut cargo(repo, &["fmt", "--all", "--check"]))
}

fn deny(repo: &Repo, _: &[&str]) -> Result<()> {
    let program = DENY.find(repo)?;
    // Crates that are missing on this machine are fetched first; the check itself needs no network.
    run(&mut cargo(repo, &["fetch", "--locked", "--quiet"]))?;
    run(Command::new(program).current_dir(&repo.root).args([
        "--offline",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}

fn clippy(repo: &Repo, _: &[&str]) -> Result<()> {
    run(&mut cargo(
        repo,
        &["clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
    ))
}

fn rustdoc(repo: &Repo, _: &[&str]) -> Result<()> {
    let mut doc = cargo(
        repo,
        &["doc", "--locked", "--workspace", "--no-deps", "--document-private-items", "--quiet"],
    );
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The tests under nextest, which runs each in its own process; `cargo test` where it cannot be
/// had. The summary of the runner is the last thing that is printed.
fn unit(repo: &Repo, arguments: &[&str]) -> Result<()> {
    match NEXTEST.find(repo) {
        Ok(program) => {
            let fixed = ["nextest", "run", "--locked", "--workspace", "--no-fail-fast"];
            let mut nextest = Command::new(program);
            nextest.current_dir(&repo.root).args(fixed).args(["--status-level", "fail"]);
            run(nextest.args(arguments).env("CARGO_INCREMENTAL", "0"))
        }
        Err(error) => {
            println!("nextest is not available, so cargo test runs the tests: {error:#}");
            let fixed = ["test", "--locked", "--workspace", "--all-targets", "--no-fail-fast"];
            run(cargo(repo, &fixed).args(arguments))
        }
    }
}

fn doc(repo: &Repo, _: &[&str]) -> Result<()> {
    run(&mut cargo(repo, &["test", "--locked", "--workspace", "--doc", "--quiet"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_lists_the_known_ones() {
        let error = one(&Repo::here().unwrap(), "unti", &[]).unwrap_err().to_string();
        assert!(STEPS.iter().all(|step| error.contains(step.name)), "{error}");
    }

    #[test]
    fn steps_have_their_own_names() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
