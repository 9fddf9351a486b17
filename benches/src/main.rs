//! The figures of the product, measured.
//!
//! `cargo run --release -p throughline-benches -- all` runs every bench and writes
//! `benches/results/<name>.md`: the machine, the commit, the command, every run with its numbers,
//! medians with their range, and the noise of the same thing against itself. What is compared runs
//! on the same machine in the same minutes, and the order of the sides changes with every round.
//!
//! Nothing is skipped in silence: a bench that cannot run is an error that says how to leave it out.

mod broker;
mod flow;
mod machine;
mod normalizer;
mod process;
mod program;
mod report;
mod settings;
mod start;
mod statistics;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::settings::Settings;

/// Measures the product and writes benches/results.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Every bench.
    All(Settings),
    /// The embedded broker beside Apache Kafka and librdkafka's mock broker.
    Broker(Settings),
    /// A stock dump through the whole program, from file to file.
    Flow(Settings),
    /// The mapping of the sample shop's orders beside a hand-written one.
    Normalizer(Settings),
    /// How soon the program is of use, and what it costs while it is not used.
    Start(Settings),
    /// The embedded broker as a process of its own, until its standard input ends.
    #[command(hide = true)]
    Serve {
        /// The data folder.
        folder: PathBuf,
    },
    /// librdkafka's mock broker as a process of its own, until its standard input ends.
    #[command(hide = true)]
    ServeMock,
}

fn main() -> Result<()> {
    let bench = Arguments::parse().bench;
    ensure!(!cfg!(debug_assertions), "a debug build says nothing about speed; run with --release");
    machine::describe();
    match bench {
        Bench::All(settings) => {
            start::run(&settings)?;
            flow::run(&settings)?;
            normalizer::run(&settings)?;
            broker::run(&settings)
        }
        Bench::Broker(settings) => broker::run(&settings),
        Bench::Flow(settings) => flow::run(&settings),
        Bench::Normalizer(settings) => normalizer::run(&settings),
        Bench::Start(settings) => start::run(&settings),
        Bench::Serve { folder } => broker::servers::serve_embedded(&folder),
        Bench::ServeMock => broker::servers::serve_mock(),
    }
}
