//! Exit codes (sysexits) and the one place where an error chain is printed.

use std::process::ExitCode;

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It worked.
    Ok,
    /// It ran and found something: failed tests, drift, violations of a check.
    Findings,
    /// The command line.
    Usage,
    /// The data.
    Data,
    /// Something that is needed does not answer.
    Unavailable,
    /// A defect of ours.
    Internal,
    /// The configuration.
    Config,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Findings => 1,
            Self::Usage => 64,
            Self::Data => 65,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error and the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code.
    pub(crate) exit: Exit,
    /// What to print; nothing when it was printed already.
    pub(crate) error: Option<anyhow::Error>,
}

/// Gives an error its exit code.
pub(crate) trait Fail<T> {
    /// The error leaves the process with this code.
    fn exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Fail<T> for Result<T, E> {
    fn exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: Some(error.into()) })
    }
}

impl Failure {
    /// A failure from a message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, error: Some(anyhow::Error::msg(message.into())) }
    }

    /// A failure that was printed already.
    pub(crate) fn printed(exit: Exit) -> Self {
        Self { exit, error: None }
    }
}
