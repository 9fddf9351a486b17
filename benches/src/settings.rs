//! What can be chosen on the command line.

use clap::Args;

/// How long and how often to measure.
#[derive(Args)]
pub(crate) struct Settings {
    /// Runs of each case; medians of fewer than five are indications only.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Records of 200 bytes in one run of the broker; records of 1 KB are two fifths of it.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub(crate) records: u64,
    /// Records that every broker takes and gives before anything is measured.
    #[arg(long, default_value_t = 3_000_000)]
    pub(crate) warm_up: u64,
    /// Rows of the stock dump that goes through the whole flow.
    #[arg(long, default_value_t = 500_000, value_parser = rows)]
    pub(crate) rows: usize,
    /// Length of one run at 1,000 records a second.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) latency_seconds: u64,
    /// How long idle brokers are watched.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) idle_seconds: u64,
    /// Leave Apache Kafka out, which needs Java and Maven.
    #[arg(long)]
    pub(crate) without_kafka: bool,
}

fn rows(text: &str) -> Result<usize, String> {
    let rows = text.parse().map_err(|error| format!("{error}"))?;
    if rows < 1_000 { Err("at least 1000".to_owned()) } else { Ok(rows) }
}
