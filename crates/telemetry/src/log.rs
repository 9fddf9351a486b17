//! Log lines on stderr.
//!
//! Text on a terminal, one JSON object per line otherwise; the choice can be made by hand. What is
//! logged is decided by an explicit filter, not by the environment. A line that comes from one place
//! again and again is held back and counted, so that a failing target cannot fill a disk.

use std::{io::IsTerminal, str::FromStr};

use tracing_subscriber::{
    EnvFilter, Layer, filter::ParseError, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

mod limit;

use limit::Limited;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for Format {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format { text: text.to_owned() }),
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Levels by module: `info`, `info,throughline_bus=debug`.
    pub filter: String,
    /// How lines are written.
    pub format: Format,
    /// Whether text is colored; colors need a terminal as well.
    pub color: bool,
}

impl Default for Options {
    /// What starts, stops and fails, for whoever reads.
    fn default() -> Self {
        Self { filter: "info".into(), format: Format::Auto, color: true }
    }
}

/// Why logging does not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is malformed.
    #[error(
        "TL0155: the log filter {filter:?} is malformed; write a level, or `info,module=debug`"
    )]
    Filter {
        /// The filter as it was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// There is no such format.
    #[error("TL0156: there is no log format {text:?}; use auto, text or json")]
    Format {
        /// The format as it was given.
        text: String,
    },
    /// Something else receives the log lines of this process.
    #[error("TL0157: logging was started twice")]
    Started(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends every `tracing` event of the process to stderr. Call it once, first.
///
/// # Errors
/// When the filter is malformed, or logging was started before.
pub fn init(options: &Options) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&options.filter)
        .map_err(|source| LogError::Filter { filter: options.filter.clone(), source })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match options.format {
        Format::Auto => !terminal,
        Format::Text => false,
        Format::Json => true,
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let layer = if json {
        let format = Limited::json(fmt::format().json().flatten_event(true));
        let fields = fmt::format::JsonFields::new();
        lines.fmt_fields(fields).event_format(format).boxed()
    } else {
        let color = options.color && terminal;
        lines.with_ansi(color).event_format(Limited::text(fmt::format().with_ansi(color))).boxed()
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(LogError::Started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_by_name() {
        assert_eq!("json".parse::<Format>().unwrap(), Format::Json);
        assert!("yaml".parse::<Format>().unwrap_err().to_string().starts_with("TL0156"));
    }

    #[test]
    fn a_malformed_filter_is_refused() {
        let options = Options { filter: "info,=,".into(), ..Options::default() };
        let error = init(&options).unwrap_err();
        assert!(error.to_string().starts_with("TL0155"), "{error}");
    }
}
