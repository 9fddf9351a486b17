//! The chores of this repository: `cargo xtask <test|tidy|gen|new>`.
//!
//! - `test` runs everything that CI runs, or the steps that are named.
//! - `tidy` checks what no compiler checks: who may depend on whom, and how long files are.
//! - `gen` writes the generated reference pages; with `--check` it only compares them.
//! - `new` writes the skeleton of a connector.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

use std::process::ExitCode;

use anyhow::{Result, bail};

mod generate;
mod kafka;
mod repo;
mod scaffold;
mod test;
mod tidy;
mod tools;

use repo::Repo;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [STEP [ARGS]]                  everything that CI runs, or one step of it
  tidy                                dependency direction, file lengths, lints
  gen [--check]                       write the generated reference pages
  new producer|processor|sink NAME    write the skeleton of a connector
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let repo = Repo::here()?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] | ["help" | "--help" | "-h", ..] | [_, "--help" | "-h", ..] => {
            print!("{USAGE}\nsteps of `test`, in order:\n{}", test::steps());
            Ok(())
        }
        ["test"] => test::all(&repo),
        ["test", step, rest @ ..] => test::one(&repo, step, rest),
        ["tidy"] => tidy::run(&repo),
        ["gen"] => generate::write(&repo),
        ["gen", "--check"] => generate::check(&repo),
        ["new", role, name] => scaffold::write(&repo, role, name),
        _ => bail!("unknown command\n\n{USAGE}"),
    }
}
