//! `reference`: what this build accepts and exposes, as `docs/reference` publishes it.

use throughline_broker::METRICS;
use throughline_config::reference;
use throughline_telemetry::metrics::{BUCKETS, DEFINITIONS};

use crate::args::Reference;
use crate::catalog::BuiltIn;
use crate::exit::{Exit, Fail, Failure};
use crate::output;

pub(crate) fn run(what: Reference) -> Result<Exit, Failure> {
    let text = match what {
        Reference::Schema => schema()?,
        Reference::Config => reference::page(&BuiltIn),
        Reference::Metrics => metrics(),
    };
    output::line(text.trim_end())?;
    Ok(Exit::Ok)
}

/// The JSON Schema of `throughline.yaml` with the options of every connector of this build.
pub(crate) fn schema() -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(&reference::schema(&BuiltIn));
    text.map(|text| text + "\n").exit(Exit::Internal)
}

/// The page of metrics.
fn metrics() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         <!-- Written by `cargo xtask gen` from crates/telemetry/src/metrics/definitions.rs and \
         crates/broker/src/metrics.rs. -->\n\n\
         Every process serves them in Prometheus' text format under `/metrics` at the address of \
         `metrics:` in `throughline.yaml`; `throughline run producer|processor|sink` takes a free \
         port instead and logs it. Beside them stand `/livez` (every worker's loop turns), \
         `/readyz` (every worker does its work) and `/workers` (what each does, as JSON). The unit is the end of a name: `_seconds`, \
         `_bytes`, else a count. Labels are names of the configuration or fixed words, never a key \
         or a person; a metric with labels appears with the first value that is counted.\n\n\
         ## Workers and process\n\n",
    );
    page += HEAD;
    for metric in DEFINITIONS {
        page += &row(metric.name, metric.kind.as_str(), metric.labels, metric.help);
    }
    let buckets: Vec<String> = BUCKETS.iter().map(f64::to_string).collect();
    page += &format!("\nBuckets of histograms, in seconds: {}.\n", buckets.join(", "));
    page += "\n## Embedded broker\n\nIn the process that serves the embedded bus (`up`, `demo`, `run bus`).\n\n";
    page += HEAD;
    for metric in METRICS {
        page += &row(metric.name, metric.kind(), metric.labels, metric.help);
    }
    page
}

const HEAD: &str = "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n";

fn row(name: &str, kind: &str, labels: &[&str], help: &str) -> String {
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
}

#[cfg(test)]
mod tests;
