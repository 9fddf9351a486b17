//! The page of metrics.

use throughline_telemetry::metrics::{BUCKETS, DEFINITIONS};

/// `docs/reference/metrics.md`.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# Metrics of the workers\n\n\
         <!-- Written by `cargo xtask gen` from crates/telemetry/src/metrics/definitions.rs. -->\n\n\
         Every process serves them in Prometheus' text format under `/metrics` at the address of \
         `metrics:` in `throughline.yaml`. Beside them stand `/livez` (every worker's loop turns) and \
         `/readyz` (every worker does its work). Labels are names of the configuration or fixed \
         words, never a key or a person.\n\n\
         | metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for metric in DEFINITIONS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        page += &format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind.as_str(),
            labels.join(", "),
            metric.help
        );
    }
    let buckets: Vec<String> = BUCKETS.iter().map(f64::to_string).collect();
    page + &format!("\nBuckets of histograms, in seconds: {}.\n", buckets.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_row() {
        let page = page();
        assert!(DEFINITIONS.iter().all(|metric| page.contains(&format!("| `{}` |", metric.name))));
        assert!(page.contains("0.001, 0.005"));
    }
}
