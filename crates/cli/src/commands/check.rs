//! `check`: validate, then reach the bus, the registry, the sources and the targets.

use std::path::Path;

use serde_json::{Value, json};
use throughline_bus::Bus;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::flow::Flow;
use crate::output::{self, Format};
use crate::running;

/// One thing that was tried.
struct Tried {
    what: String,
    problem: Option<String>,
}

pub(crate) fn run(global: &Global) -> Result<Exit, Failure> {
    let flow = super::load(global)?;
    let mut tried = vec![bus(&flow)];
    tried.extend(
        flow.producers
            .iter()
            .map(|p| folder(&flow, &format!("producer {}", p.name), &p.options, false)),
    );
    tried.extend(
        flow.sinks.iter().map(|s| folder(&flow, &format!("sink {}", s.name), &s.options, true)),
    );
    match global.output {
        Format::Json => {
            let row = |t: &Tried| json!({"checked": t.what, "problem": t.problem});
            output::line(&Value::from_iter(tried.iter().map(row)).to_string())?;
        }
        Format::Text => {
            for Tried { what, problem } in &tried {
                let verdict =
                    problem.as_deref().map_or("ok".to_owned(), |p| format!("FAILED: {p}"));
                output::line(&format!("{what}: {verdict}"))?;
            }
        }
    }
    let found = tried.iter().any(|tried| tried.problem.is_some());
    Ok(if found { Exit::Findings } else { Exit::Ok })
}

/// An embedded bus that does not run is no problem: `up` starts it. Its folder must be writable.
fn bus(flow: &Flow) -> Tried {
    let embedded = matches!(flow.config.bus, throughline_config::Bus::Embedded(_));
    let reached = running::bus_options(&flow.config).and_then(|options| {
        Bus::connect(options)
            .map_err(|error| Failure { exit: Exit::Unavailable, error: error.into() })
    });
    match reached {
        Ok(_) => Tried { what: "bus and registry".to_owned(), problem: None },
        Err(_) if embedded => Tried {
            what: format!("embedded bus (not running) in {}", flow.config.data.display()),
            problem: writable(&flow.config.data),
        },
        Err(failure) => Tried {
            what: "bus and registry".to_owned(),
            problem: Some(throughline_runtime::chain(failure.error.as_ref())),
        },
    }
}

/// The folder that a connector of files reads or writes.
fn folder(flow: &Flow, who: &str, options: &Value, write: bool) -> Tried {
    let folder = options.get("folder").and_then(Value::as_str).unwrap_or(".");
    let folder = flow.config.folder.join(folder);
    let problem = if write {
        writable(&folder)
    } else {
        std::fs::read_dir(&folder).err().map(|error| format!("{}: {error}", folder.display()))
    };
    Tried { what: format!("{who}: {}", folder.display()), problem }
}

/// A folder that is missing is created when it is first written.
fn writable(folder: &Path) -> Option<String> {
    let existing = folder.ancestors().find(|at| at.is_dir()).unwrap_or(Path::new("."));
    let probe = existing.join(format!(".throughline-check-{}", std::process::id()));
    match std::fs::write(&probe, b"") {
        Ok(()) => {
            let _removed: std::io::Result<()> = std::fs::remove_file(&probe);
            None
        }
        Err(error) => Some(format!("{} is not writable: {error}", existing.display())),
    }
}
