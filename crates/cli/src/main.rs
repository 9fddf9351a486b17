//! `throughline`: the one binary. Subcommands and wiring only.

mod args;
mod catalog;
mod commands;
mod connectors;
mod exit;
mod flow;
mod output;
mod packs;
mod process;
mod running;
mod view;

use std::process::ExitCode;

use clap::FromArgMatches;
use throughline_telemetry::log;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Fail, Failure};

fn main() -> ExitCode {
    let parsed = Cli::shown().try_get_matches();
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and the version are answers, not mistakes.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _printed: std::io::Result<()> = error.print();
            return code.into();
        }
    };
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(Failure { exit, error }) => {
            if let Some(error) = error {
                output::note(&format!("error: {}", throughline_runtime::chain(error.as_ref())));
            }
            exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let Cli { global, command } = cli;
    let quiet = matches!(command, Command::Demo { .. }) && global.log == "info";
    // What goes wrong is part of what the demo prints.
    let filter = if quiet { "error" } else { &global.log };
    let options =
        log::Options { filter: filter.to_owned(), color: output::color(), ..Default::default() };
    log::init(&options).exit(Exit::Usage)?;
    match command {
        Command::Demo { folder, once } => commands::demo::run(&folder, once),
        Command::Init { pack } => commands::init::run(&global, &pack),
        Command::Validate => commands::validate::run(&global),
        Command::Check => commands::check::run(&global),
        Command::Up => commands::up::run(&global, process::Scope::All),
        Command::Run(part) => commands::up::run(&global, process::Scope::Part(part)),
        Command::Test { pack, update } => commands::test::run(&global, pack.as_deref(), update),
        Command::Tail(tail) => commands::tail::run(&global, &tail),
        Command::Topics { topic } => commands::topics::run(&global, topic.as_deref()),
        Command::Schemas(what) => commands::schemas::run(&global, &what),
        Command::Lag => commands::lag::run(&global),
        Command::Offsets(what) => commands::offsets::run(&global, &what),
        Command::Dlq(what) => commands::dlq::run(&global, &what),
        Command::Explain { code } => commands::explain::run(&code),
        Command::Reference { what } => commands::reference::run(what),
        Command::Version => commands::version::run(&global),
        Command::Completions { shell } => commands::completions::run(shell),
    }
}
