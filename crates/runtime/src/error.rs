//! Why a worker stopped, and what the supervisor does about it.

use throughline_bus::{BusError, Recovery};
use throughline_connector::{BoxError, CaptureError, ConnectError, DeliverError, RecordPosition};
use throughline_document::StoreError;
use throughline_event::{EntityName, EnvelopeError, Offset, TopicName, TopicPartition, WorkerName};

/// Why a worker stopped before it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The bus.
    #[error("the bus failed")]
    Bus(#[from] BusError),
    /// The connector did not reach its system.
    #[error("could not connect")]
    Connect(#[from] ConnectError),
    /// The source.
    #[error("could not read the source")]
    Capture(#[from] CaptureError),
    /// The target.
    #[error("could not write the target")]
    Deliver(#[from] DeliverError),
    /// The local state.
    #[error("the state store failed")]
    Store(#[from] StoreError),
    /// A schema of the connector.
    #[error("the entity {entity} cannot be published")]
    Entity {
        /// The entity.
        entity: EntityName,
        /// The cause.
        #[source]
        source: EnvelopeError,
    },
    /// A record of a topic that only this worker writes is one of ours, and damaged or too new.
    #[error(
        "TL0604: the record at offset {offset} of {partition} is ours and cannot be read; {fix}"
    )]
    DamagedRecord {
        /// The partition.
        partition: TopicPartition,
        /// Its offset.
        offset: Offset,
        /// What to do.
        fix: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// Columns were changed so that what was published does not fit them.
    #[error(
        "TL0613: what was published of {entity} does not fit its columns any more, at offset {offset} \
         of {partition}; undo the change, or publish the entity under another name"
    )]
    OtherColumns {
        /// The entity.
        entity: EntityName,
        /// The partition.
        partition: TopicPartition,
        /// The offset of the record that does not fit.
        offset: Offset,
        /// Which field, and why.
        #[source]
        source: BoxError,
    },
    /// The source's position is gone, and what was published from it is not.
    #[error(
        "TL0611: {topic} holds no position of {worker}, which has published up to version \
         {version}: the topic was lost or made anew; restore it, or let the source be read from its \
         beginning with `throughline offsets set {worker} beginning`"
    )]
    PositionLost {
        /// The producer.
        worker: WorkerName,
        /// The topic of its position.
        topic: TopicName,
        /// The newest version that it has published.
        version: i64,
    },
    /// The source's position is older than what was published from it.
    #[error(
        "TL0614: {partition} ends at offset {end}, before the position that {worker} has published \
         up to: the topic lost its end, or is an older copy; restore it, or let the source be read \
         from its beginning with `throughline offsets set {worker} beginning`"
    )]
    PositionBehind {
        /// The producer.
        worker: WorkerName,
        /// Where its positions stand.
        partition: TopicPartition,
        /// Where that ends.
        end: Offset,
    },
    /// So many keys failed that the program, or the target, is plainly wrong.
    #[error(
        "TL0605: {parked} keys of {worker} are parked, more than {limit}; mend the mapping, or \
         what the target refuses, and start again: nothing is lost, the input is read again from the last good record"
    )]
    TooManyParked {
        /// The worker.
        worker: WorkerName,
        /// How many.
        parked: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The partitions of the batch in hand may belong to another member of the group now.
    #[error("TL0609: the group was rebalanced while the target was away; the batch is read again")]
    Rebalanced,
    /// A sink named a record that it was not given: a defect of the sink.
    #[error(
        "TL0610: {worker} refused {position}, which is not in the batch that it was given; \
         please report it"
    )]
    NotInBatch {
        /// The worker.
        worker: WorkerName,
        /// What it named.
        position: RecordPosition,
    },
    /// The target shows nothing of what it was delivered.
    #[error(
        "TL0620: the target of {worker} shows nothing of {partition}, which it was delivered up to \
         offset {offset}; mount or restore the target that was written, or fill a new one from the \
         beginning: `throughline offsets set {worker} {} {} 0`", partition.topic, partition.partition.0
    )]
    OtherTarget {
        /// The worker.
        worker: WorkerName,
        /// A partition whose offsets are committed.
        partition: TopicPartition,
        /// The committed offset.
        offset: Offset,
    },
    /// The options were changed under a running worker.
    #[error("TL0606: the options of {worker} are not valid")]
    Options {
        /// The worker.
        worker: WorkerName,
    },
    /// A thread of our own panicked: a defect.
    #[error("TL0607: {worker} panicked: {message}; please report it")]
    Panicked {
        /// The worker.
        worker: WorkerName,
        /// The panic's message.
        message: String,
    },
    /// The operating system.
    #[error("TL0608: could not {what}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl WorkerError {
    /// Whether a person must act before the worker can go on.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Bus(error) => error.recovery() == Recovery::Stop,
            Self::Connect(error) => matches!(error, ConnectError::Refused { .. }),
            Self::Capture(error) => matches!(error, CaptureError::Halt { .. }),
            Self::Deliver(error) => matches!(error, DeliverError::Halt { .. }),
            Self::Entity { .. }
            | Self::DamagedRecord { .. }
            | Self::OtherColumns { .. }
            | Self::PositionLost { .. }
            | Self::PositionBehind { .. }
            | Self::TooManyParked { .. }
            | Self::OtherTarget { .. }
            | Self::Options { .. } => true,
            Self::Rebalanced
            | Self::NotInBatch { .. }
            | Self::Store(_)
            | Self::Panicked { .. }
            | Self::Io { .. } => false,
        }
    }
}

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
