//! What a worker is.

use std::fmt;

use crate::WorkerName;

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Follows a source system.
    Producer,
    /// Maps raw topics to canonical ones.
    Processor,
    /// Writes a target system.
    Sink,
}

impl Role {
    /// All roles, in the order in which records pass them.
    pub const ALL: [Self; 3] = [Self::Producer, Self::Processor, Self::Sink];

    /// The section of `throughline.yaml` that holds the workers of this role.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Producer => "producers",
            Self::Processor => "processors",
            Self::Sink => "sinks",
        }
    }

    /// The word in logs, groups and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Processor => "processor",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl WorkerName {
    /// The name of a worker of this role to the brokers: a producer's transactional id, of which the
    /// broker lets one instance commit; a processor's or sink's consumer group, whose offsets say how
    /// far it is.
    pub fn in_role(&self, role: Role) -> String {
        format!("throughline-{role}-{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_transactional_ids_keep_their_names() {
        // Offsets and fencing hang on them: under another name a worker begins again.
        let worker = WorkerName::new("lake").unwrap();
        assert_eq!(worker.in_role(Role::Producer), "throughline-producer-lake");
        assert_eq!(worker.in_role(Role::Processor), "throughline-processor-lake");
        assert_eq!(worker.in_role(Role::Sink), "throughline-sink-lake");
    }
}
