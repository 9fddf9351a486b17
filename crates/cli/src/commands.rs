//! One file per command.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod dlq;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod lag;
pub(crate) mod offsets;
pub(crate) mod reference;
pub(crate) mod schemas;
pub(crate) mod tail;
pub(crate) mod test;
pub(crate) mod topics;
pub(crate) mod up;
pub(crate) mod validate;
pub(crate) mod version;

use std::path::Path;

use throughline_config::Report;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::flow::{self, Flow};
use crate::output::{self, Format};

/// Loads and compiles the configuration; prints everything that is wrong with it.
pub(crate) fn load(global: &Global) -> Result<Flow, Failure> {
    load_file(&global.config, global.output)
}

pub(crate) fn load_file(file: &Path, format: Format) -> Result<Flow, Failure> {
    flow::load(file).or_else(|report| refuse(&report, format))
}

/// Prints a report; the failure that comes back has nothing more to say.
pub(crate) fn refuse<T>(report: &Report, format: Format) -> Result<T, Failure> {
    match format {
        Format::Json => output::line(&report.to_json().to_string())?,
        Format::Text => output::note(report.render(output::color()).trim_end()),
    }
    Err(Failure::printed(Exit::Config))
}
