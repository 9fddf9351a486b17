//! What may be written, for the whole registry or one subject.

/// A subject's mode, or the registry's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    #[default]
    ReadWrite,
    ReadOnly,
    /// As `ReadOnly`; set for the registry, it wins over every subject's own mode.
    ReadOnlyOverride,
    /// Ids and versions come from the client, and compatibility is not checked.
    Import,
}

impl Mode {
    const ALL: [(Self, &'static str); 4] = [
        (Self::ReadWrite, "READWRITE"),
        (Self::ReadOnly, "READONLY"),
        (Self::ReadOnlyOverride, "READONLY_OVERRIDE"),
        (Self::Import, "IMPORT"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        // The array lists the variants in their declared order.
        Self::ALL[self as usize].1
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(mode, _)| *mode)
    }

    pub(crate) fn read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyOverride)
    }
}
