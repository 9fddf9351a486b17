//! What goes wrong in a connector of any kind.

/// Any error, as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a connector could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The other side may answer later; the runtime tries again with back-off.
    #[error("{code}: could not reach {target}; {fix}")]
    Unreachable {
        /// Stable code.
        code: &'static str,
        /// What was to be reached.
        target: String,
        /// What to look at.
        fix: String,
        /// The cause.
        #[source]
        cause: BoxError,
    },
    /// It will not work until a person acts.
    #[error("{code}: {problem}; {fix}")]
    Refused {
        /// Stable code.
        code: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do.
        fix: String,
    },
}
