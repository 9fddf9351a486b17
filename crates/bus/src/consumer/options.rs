//! How a consumer reads.

use throughline_event::TopicName;

/// Which records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Only those of committed transactions, and those outside of any.
    #[default]
    ReadCommitted,
    /// All, those of open and aborted transactions too.
    ReadUncommitted,
}

impl Isolation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}

/// Where a partition without a committed offset begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// At the first record there is.
    #[default]
    Earliest,
    /// Behind the last one.
    Latest,
}

/// How partitions move between the members of a group. All members must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rebalance {
    /// Only the partitions that move stop (`cooperative-sticky`). For sinks.
    #[default]
    Cooperative,
    /// All partitions stop (`range`). For transactions: the client joins the next generation only
    /// when the worker has given its partitions back, so the generation cannot change under an open
    /// transaction, which the broker would refuse to commit. `range` also gives partition n of every
    /// input to the same member.
    Eager,
}

/// How to consume.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// The consumer group.
    pub group: String,
    /// The topics.
    pub topics: Vec<TopicName>,
    /// Where a partition without a committed offset begins.
    pub from: From,
    /// Which records are read.
    pub isolation: Isolation,
    /// How partitions move.
    pub rebalance: Rebalance,
    /// A name that is this member's own and stays over restarts: a worker that comes back within
    /// the session timeout (10 s) gets its partitions at once and no other member notices. Two
    /// workers with one name fence each other.
    pub instance: Option<String>,
}

impl ConsumerOptions {
    /// The defaults: from the earliest, committed records only, cooperative.
    pub fn new(group: impl Into<String>, topics: impl IntoIterator<Item = TopicName>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().collect(),
            from: From::default(),
            isolation: Isolation::default(),
            rebalance: Rebalance::default(),
            instance: None,
        }
    }
}
