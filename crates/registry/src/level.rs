//! Compatibility levels.

/// Which earlier versions a new schema must be able to read, or be readable by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompatibilityLevel {
    /// Anything goes.
    None,
    /// The new schema reads data of the latest version; consumers are upgraded first.
    #[default]
    Backward,
    /// The new schema reads data of all versions.
    BackwardTransitive,
    /// The latest version reads data of the new schema; producers are upgraded first.
    Forward,
    /// All versions read data of the new schema.
    ForwardTransitive,
    /// Both ways with the latest version.
    Full,
    /// Both ways with all versions.
    FullTransitive,
}

impl CompatibilityLevel {
    const ALL: [(Self, &'static str); 7] = [
        (Self::None, "NONE"),
        (Self::Backward, "BACKWARD"),
        (Self::BackwardTransitive, "BACKWARD_TRANSITIVE"),
        (Self::Forward, "FORWARD"),
        (Self::ForwardTransitive, "FORWARD_TRANSITIVE"),
        (Self::Full, "FULL"),
        (Self::FullTransitive, "FULL_TRANSITIVE"),
    ];

    /// The name that the API and the topic use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        // The array lists the variants in their declared order.
        Self::ALL[self as usize].1
    }

    /// The level of that name in any case, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map(|(level, _)| *level)
    }

    pub(crate) fn backward(self) -> bool {
        matches!(
            self,
            Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive
        )
    }

    pub(crate) fn forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    pub(crate) fn transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}
