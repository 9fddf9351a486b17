//! What an operator sees when a broker cannot start, and what an in-process user gets.

use std::{io, net::SocketAddr, path::PathBuf};

use throughline_log::{OpenError, TopicPartition};

use crate::blocking::Stopped;

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can be reached from other machines, and there is no authentication yet.
    #[error("TL0301: the broker listens on loopback only, not on {listen}; use 127.0.0.1 or [::1]")]
    NotLoopback {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// The address could not be bound.
    #[error(
        "TL0302: could not listen on {listen}; write a free port, or 0 for any: `bus: {{embedded: \
         {{kafka: \"127.0.0.1:0\", registry: \"127.0.0.1:0\"}}}}`"
    )]
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The data folder could not be opened.
    #[error("TL0303: could not open the data folder of the broker")]
    Open(#[from] OpenError),
    /// State in an internal topic could not be read or written.
    #[error("TL0304: could not read or store {what}; see the cause that follows")]
    Load {
        /// Which state.
        what: &'static str,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Partitions hold records and the catalogue does not know their topics.
    #[error(
        "TL0315: the catalogue in {} does not name the topic of {count} partitions that hold \
         records, {first} is one: it has lost records; nothing was removed, restore the folder \
         __catalogue-0 there from a copy",
        folder.display()
    )]
    CatalogueDamaged {
        /// The folder of all partitions.
        folder: PathBuf,
        /// One of the partitions.
        first: TopicPartition,
        /// How many there are.
        count: usize,
    },
    /// The catalogue names partitions that are not there.
    #[error(
        "TL0316: the catalogue names {count} partitions whose folders are missing in {}, {first} is \
         one; nothing was changed, restore the folder from a copy, or create it empty to begin that \
         partition anew",
        folder.display()
    )]
    PartitionMissing {
        /// The folder of all partitions.
        folder: PathBuf,
        /// One of the partitions.
        first: TopicPartition,
        /// How many there are.
        count: usize,
    },
    /// `default_partitions` is out of range.
    #[error("TL0305: default_partitions is {found}, allowed are 1 to 10000")]
    DefaultPartitions {
        /// The value.
        found: i32,
    },
    /// `max_request_bytes` is out of range.
    #[error("TL0306: max_request_bytes is {found}, allowed are 1 KiB to 2 GiB")]
    RequestLimit {
        /// The value.
        found: usize,
    },
    /// The memory budget is smaller than one request.
    #[error("TL0307: in_flight_bytes {budget} is less than max_request_bytes {request}; raise it")]
    InFlightBudget {
        /// `in_flight_bytes`.
        budget: usize,
        /// `max_request_bytes`.
        request: usize,
    },
    /// `maintenance_interval` is zero.
    #[error("TL0309: maintenance_interval is 0; use a second or more")]
    MaintenanceInterval,
    /// The runtime ended while the broker started.
    #[error("TL0314: the broker was stopped while it started; start it again")]
    Stopped,
    /// The registry already has metrics of a broker.
    #[error("TL0308: could not register the broker's metrics; use one registry per broker")]
    Metrics(#[from] prometheus::Error),
}

impl From<Stopped> for StartError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl StartError {
    pub(crate) fn load(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Load { what, source: source.into() }
    }
}

/// Why an in-process read or write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The topic is already there.
    #[error("topic {topic} already exists")]
    TopicExists {
        /// The topic.
        topic: String,
    },
    /// There is no such topic or partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// The topic's name, size or settings are not allowed.
    #[error("TL0310: topic {topic} could not be created: {reason}")]
    TopicRefused {
        /// The topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// There was nothing to append, or more than fits into one batch.
    #[error("an append needs 1 record or more, and at most 2 GiB in all")]
    BatchSize,
    /// The log refused the records, or they are not durable.
    #[error("TL0311: could not append to {topic}-{partition}")]
    Append {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The log's answer.
        #[source]
        source: throughline_log::AppendError,
    },
    /// The stored records could not be read.
    #[error("TL0312: could not read {topic}-{partition} at offset {offset}")]
    Read {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where.
        offset: i64,
        /// The log's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The catalogue could not be written.
    #[error("TL0313: could not store the topic {topic}")]
    Storage {
        /// The topic.
        topic: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
