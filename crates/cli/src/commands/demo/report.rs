//! What the demo prints.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use throughline_runtime::WorkerState;

use crate::output::table;
use crate::process::Process;

/// Records in and out by worker, system and entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    read: BTreeMap<Labels, u64>,
    written: BTreeMap<Labels, u64>,
}

type Labels = (String, String, String);

impl Counts {
    /// The counters as they are now.
    pub(super) fn read(process: &Process) -> Self {
        let mut counts = Self::default();
        for family in process.metrics().registry().gather() {
            let into = match family.name() {
                "throughline_records_in_total" => &mut counts.read,
                "throughline_records_out_total" => &mut counts.written,
                _ => continue,
            };
            for metric in family.get_metric() {
                let label = |name: &str| {
                    let found = metric.get_label().iter().find(|label| label.name() == name);
                    found.map(|label| label.value().to_owned()).unwrap_or_default()
                };
                let labels = (label("flow"), label("system"), label("entity"));
                into.insert(labels, metric.get_counter().get_value() as u64);
            }
        }
        counts
    }
}

pub(super) fn opening(folder: &Path, continued: bool) -> String {
    let what = if continued { "continuing in" } else { "a new folder:" };
    format!(
        "Throughline demo, {what} {}\n\
         This is a demo on sample data (commercetools Sunrise, Apache-2.0); it is not a production set-up.",
        folder.display()
    )
}

/// What happened at each step, and `refused`, what was refused and why. A folder that is continued tells
/// nothing about speed: most of the time it is the start that is measured.
pub(super) fn summary(
    process: &Process,
    folder: &Path,
    counts: &Counts,
    took: Option<Duration>,
    refused: &str,
) -> String {
    let mut rows = vec![["step", "what", "read", "written"].map(str::to_owned).to_vec()];
    let of = |map: &BTreeMap<Labels, u64>, flow: &str| -> Vec<(String, u64)> {
        let mine = map.iter().filter(|((name, ..), _)| name == flow);
        mine.map(|((_, system, entity), n)| (format!("{system}.{entity}"), *n)).collect()
    };
    for (step, flow, prefix) in
        [("capture", "shop-exports", "cdc."), ("normalize", "shop", ""), ("deliver", "lake", "")]
    {
        let written = of(&counts.written, flow);
        if flow == "shop" {
            let read: u64 = of(&counts.read, flow).iter().map(|(_, n)| n).sum();
            rows.push(vec![
                step.to_owned(),
                "cdc.shop.*".to_owned(),
                read.to_string(),
                String::new(),
            ]);
            for (topic, n) in written {
                rows.push(vec![String::new(), topic, String::new(), n.to_string()]);
            }
            continue;
        }
        for (at, (topic, n)) in of(&counts.read, flow).into_iter().enumerate() {
            let out = written.iter().find(|(name, _)| *name == topic).map_or(0, |(_, n)| *n);
            let step = if at == 0 { step } else { "" };
            rows.push(vec![
                step.to_owned(),
                format!("{prefix}{topic}"),
                n.to_string(),
                out.to_string(),
            ]);
        }
    }
    let delivered: u64 = of(&counts.written, "lake").iter().map(|(_, n)| n).sum();
    let target = folder.join("target");
    let mut text = String::new();
    if delivered == 0 {
        text.push_str("\nnothing new since the last start: the target holds everything\n");
    } else {
        text.push_str(&format!("\n{}\n\n{delivered} ", table(&rows)));
        text.push_str(&match took.map(|took| took.as_secs_f64()) {
            None => format!("canonical records more in {}\n", target.display()),
            Some(seconds) => format!(
                "canonical records in {} after {seconds:.1} s, start included: {:.0}/s\n",
                target.display(),
                delivered as f64 / seconds.max(0.001)
            ),
        });
    }
    text.push_str(refused);
    for status in process.status() {
        if let WorkerState::Halted { error } | WorkerState::Waiting { error } = status.state {
            text.push_str(&format!("{} {}: {error}\n", status.role, status.name));
        }
    }
    text
}

/// Where everything is, and what to try.
pub(super) fn closing(process: &Process, folder: &Path) -> String {
    let metrics = process.metrics_address().map(|at| format!("http://{at}/metrics"));
    let (kafka, registry) = process
        .served()
        .map(|bus| (bus.kafka.to_string(), bus.registry.clone()))
        .unwrap_or_default();
    let config = folder.join("throughline.yaml");
    // As it was typed, so that the lines below can be copied: `target/release/throughline`.
    let program = std::env::args().next().unwrap_or_else(|| "throughline".to_owned());
    format!(
        "data      {data}\nKafka     {kafka}\nregistry  {registry}\nmetrics   {metrics}\n\n\
         It stays live. From a second terminal:\n  \
         echo '1119,9001,A0E20000000252G,148.75,2,297.5' >> {orders}\n  \
         {program} --config {config} tail canonical.order -n 1 -e\n  \
         {program} --config {config} dlq list\n  \
         kcat -b {kafka} -C -t canonical.order -o -4 -e -f '%t %p %o %S bytes\\n'\n  \
         curl -s {metrics} | grep throughline_records\n\
         Ctrl-C drains and ends it; a second start continues.\n",
        data = folder.join("data").display(),
        metrics = metrics.unwrap_or_default(),
        orders = folder.join("exports/orders.csv").display(),
        config = config.display(),
    )
}
