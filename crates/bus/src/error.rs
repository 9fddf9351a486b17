//! What can fail on the way to the log, and what a worker does about it.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use throughline_avro::SchemaId;
use throughline_event::{Offset, TopicName, TopicPartition};

/// The cause of an error, as its library gave it.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a worker does about a [`BusError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing changed: the same call may work later. In a transaction, abort it first.
    Retry,
    /// The open transaction cannot be committed: abort it and do its work again.
    Abort,
    /// The client is of no use any more, or the outcome is unknown: drop it, make a new one, and go
    /// on from what the log says was committed.
    Restart,
    /// This record will never be taken: it belongs into the dead letters.
    Refuse,
    /// Going on is wrong until a person acts.
    Stop,
}

/// Why the bus could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// Options that cannot work.
    #[error("TL0501: {option}: {problem}; {fix}")]
    Options {
        /// Which option.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What to write instead.
        fix: &'static str,
    },
    /// No broker answered in time.
    #[error(
        "TL0502: no broker at {brokers} answered within {waited:?} ({reason}); check the address in \
         `bus.brokers`, that the broker runs, and that this machine may reach its advertised address"
    )]
    BrokersUnreachable {
        /// The addresses that were tried.
        brokers: String,
        /// How long was waited.
        waited: Duration,
        /// What the client last saw.
        reason: String,
    },
    /// The registry did not answer.
    #[error(
        "TL0503: the schema registry at {url} did not answer ({reason}); check `bus.registry` and \
         that the registry runs, then try again"
    )]
    RegistryUnreachable {
        /// Its address.
        url: String,
        /// What the client saw.
        reason: String,
    },
    /// The schema breaks the compatibility rule of its subject.
    #[error(
        "TL0504: subject {subject} refuses the schema: {message}; keep old fields as they are and \
         give new ones a default, or, where the change is meant, run `throughline schemas \
         compatibility {subject} --set NONE` and start again"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// What differs, or the registry's own words.
        message: String,
    },
    /// The registry has no schema of this id.
    #[error(
        "TL0505: the registry at {url} has no schema {id}; was its subject deleted for good, or the \
         record written against another registry?"
    )]
    UnknownSchema {
        /// The id.
        id: SchemaId,
        /// The registry that was asked.
        url: String,
    },
    /// The registry has the schema, but it is of no use here.
    #[error("TL0506: schema {id} cannot be used: {reason}")]
    UnusableSchema {
        /// The id.
        id: SchemaId,
        /// Why.
        reason: String,
    },
    /// The registry answered with an error of its own.
    #[error("TL0507: the schema registry refused to {action}: {message} (its code {code})")]
    RegistryRefused {
        /// What was asked.
        action: String,
        /// The registry's code, 0 when it gave none.
        code: u32,
        /// Its message.
        message: String,
    },
    /// The topic does not exist.
    #[error("TL0508: topic {topic} does not exist on {brokers}; {fix}")]
    UnknownTopic {
        /// The topic.
        topic: TopicName,
        /// Where it was looked for.
        brokers: String,
        /// The name that was probably meant, or what to do.
        fix: String,
    },
    /// The topic exists and is not what it must be.
    #[error(
        "TL0509: topic {topic} has {setting}={found}, it must be {wanted}; change the topic, or \
         delete it if its records can be made again"
    )]
    TopicMismatch {
        /// The topic.
        topic: TopicName,
        /// The setting that differs.
        setting: &'static str,
        /// What it must be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The cluster refused an operation on topics.
    #[error("TL0510: could not {action} topic {topic}: {reason}")]
    TopicRefused {
        /// `create`, `describe`, `delete`.
        action: &'static str,
        /// The topic.
        topic: TopicName,
        /// The broker's reason.
        reason: String,
        /// Whether it may work later.
        retry: bool,
    },
    /// Another producer with the same name took over.
    #[error(
        "TL0511: another worker with the name {name} has taken over; run each worker once, or give \
         this one another name"
    )]
    Fenced {
        /// The transactional id or group instance.
        name: String,
    },
    /// A step of a transaction failed.
    #[error("TL0512: could not {action} the transaction of {name}: {reason}")]
    Transaction {
        /// `start`, `begin`, `commit`, `abort`, `add offsets to`.
        action: &'static str,
        /// The transactional id.
        name: String,
        /// The client's reason.
        reason: String,
        /// What to do.
        recovery: Recovery,
    },
    /// A record was taken by the client but not by the broker; the transaction was aborted.
    #[error("TL0513: a record for {topic} was not written: {reason}")]
    Delivery {
        /// Its topic.
        topic: String,
        /// The broker's or client's reason.
        reason: String,
        /// What to do.
        recovery: Recovery,
    },
    /// The record is larger than the client or the broker takes.
    #[error(
        "TL0514: a record of {size} bytes for {topic} is larger than the limit of {limit} bytes; \
         split the document at its source, or leave out what makes it so large"
    )]
    RecordTooLarge {
        /// Its topic.
        topic: TopicName,
        /// Bytes of its key and value with their headers.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The broker did not take records for so long that the queue stayed full.
    #[error(
        "TL0515: the queue to {brokers} stayed full for {waited:?}; the broker is too slow or gone"
    )]
    QueueFull {
        /// The brokers.
        brokers: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The consumer failed.
    #[error("TL0516: could not {action} in group {group}: {reason}")]
    Consumer {
        /// What was done.
        action: &'static str,
        /// The consumer group.
        group: String,
        /// The client's reason.
        reason: String,
        /// What to do.
        recovery: Recovery,
    },
    /// An open transaction of somebody else keeps the end of a partition unreadable.
    #[error(
        "TL0517: records of {partition} from {stable} to {end} belong to a transaction that was \
         still open after {waited:?}; find its producer, or wait until the broker ends it"
    )]
    OpenTransaction {
        /// The partition.
        partition: TopicPartition,
        /// The last stable offset.
        stable: Offset,
        /// The end that was to be reached.
        end: Offset,
        /// How long was waited.
        waited: Duration,
    },
    /// Nothing more was read, although the end was not reached.
    #[error(
        "TL0518: nothing more of {partition} was read for {waited:?} at offset {position}, its end is {end} ({reason})"
    )]
    Stalled {
        /// The partition.
        partition: TopicPartition,
        /// The next offset to read.
        position: Offset,
        /// The end that was to be reached.
        end: Offset,
        /// How long was waited.
        waited: Duration,
        /// What the client last saw.
        reason: String,
    },
    /// The offset to start from lies beyond the end.
    #[error(
        "TL0519: {partition} ends at {end}, before the wanted offset {from}: the topic was created \
         anew or lost records; what was derived from it must be built again"
    )]
    BeyondEnd {
        /// The partition.
        partition: TopicPartition,
        /// The wanted offset.
        from: Offset,
        /// The end.
        end: Offset,
    },
    /// A group's next offset is not in the log any more.
    #[error(
        "TL0526: {group} goes on at offset {offset} of {partition}, and the log holds {start} to \
         {end}: records were lost, removed before they were read, or the topic was created anew; \
         restore the topic, or build what was derived from it again"
    )]
    OutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The consumer group.
        group: String,
        /// The committed offset, or the one that the target asked for.
        offset: Offset,
        /// The first offset of the log.
        start: Offset,
        /// The offset behind the last record.
        end: Offset,
    },
    /// A group's next offset was committed by somebody else.
    #[error(
        "TL0527: {group} would go on at offset {offset} of {partition}, which no worker of this \
         version has committed; if a tool or an older version did, stop the worker and take the \
         place over: `throughline offsets set {group} {topic} {number} {offset}`; if a program that \
         read with the group's name did, what it read never arrived: end it, and set the place \
         before that, 0 for all of it",
        topic = partition.topic, number = partition.partition
    )]
    ForeignOffset {
        /// The partition.
        partition: TopicPartition,
        /// The consumer group.
        group: String,
        /// The offset that was committed.
        offset: Offset,
    },
    /// A group's next offset was once not in the log.
    #[error(
        "TL0530: {group} was to go on at offset {offset} of {partition} when the log did not hold it; \
         what was written since stands where lost records stood, so it may not simply go on: see \
         `throughline explain TL0526`, then set its place: `throughline offsets set {group} {topic} \
         {number} OFFSET`",
        topic = partition.topic, number = partition.partition
    )]
    LogCut {
        /// The partition.
        partition: TopicPartition,
        /// The consumer group.
        group: String,
        /// The offset that the log did not hold.
        offset: Offset,
    },
    /// A topic was deleted while it was read.
    #[error(
        "TL0529: {topic} was deleted while {group} read it, and what it had not read is lost; \
         restore the topic, or start the worker again to go on with an empty one"
    )]
    TopicDeleted {
        /// The topic.
        topic: TopicName,
        /// The consumer group.
        group: String,
    },
    /// Offsets of a group were to be set while it has members.
    #[error("TL0528: {group} has members that read: stop its worker, and try again")]
    GroupInUse {
        /// The consumer group.
        group: String,
    },
    /// The brokers do not serve what the client needs for its promises.
    #[error(
        "TL0525: the brokers at {brokers} serve {api} up to version {found}, and {needed} is \
         needed; use Apache Kafka 2.5 or newer, or what is compatible with it"
    )]
    BrokersTooOld {
        /// Their addresses.
        brokers: String,
        /// The API.
        api: &'static str,
        /// The version that is needed.
        needed: i16,
        /// The newest that is served, -1 for none.
        found: i16,
    },
    /// The client library refused its configuration.
    #[error("TL0520: could not create the Kafka client {name}")]
    Client {
        /// The client id.
        name: String,
        /// The cause.
        #[source]
        cause: Cause,
    },
}

impl BusError {
    /// What a worker does about it.
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::BrokersUnreachable { .. }
            | Self::RegistryUnreachable { .. }
            | Self::OpenTransaction { .. }
            | Self::Stalled { .. } => Recovery::Retry,
            Self::QueueFull { .. } => Recovery::Abort,
            Self::TopicRefused { retry: true, .. } => Recovery::Retry,
            Self::RecordTooLarge { .. } => Recovery::Refuse,
            Self::Transaction { recovery, .. }
            | Self::Delivery { recovery, .. }
            | Self::Consumer { recovery, .. } => *recovery,
            _ => Recovery::Stop,
        }
    }

    /// The stable code, `TL0502`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Options { .. } => "TL0501",
            Self::BrokersUnreachable { .. } => "TL0502",
            Self::RegistryUnreachable { .. } => "TL0503",
            Self::Incompatible { .. } => "TL0504",
            Self::UnknownSchema { .. } => "TL0505",
            Self::UnusableSchema { .. } => "TL0506",
            Self::RegistryRefused { .. } => "TL0507",
            Self::UnknownTopic { .. } => "TL0508",
            Self::TopicMismatch { .. } => "TL0509",
            Self::TopicRefused { .. } => "TL0510",
            Self::Fenced { .. } => "TL0511",
            Self::Transaction { .. } => "TL0512",
            Self::Delivery { .. } => "TL0513",
            Self::RecordTooLarge { .. } => "TL0514",
            Self::QueueFull { .. } => "TL0515",
            Self::Consumer { .. } => "TL0516",
            Self::OpenTransaction { .. } => "TL0517",
            Self::Stalled { .. } => "TL0518",
            Self::BeyondEnd { .. } => "TL0519",
            Self::Client { .. } => "TL0520",
            Self::BrokersTooOld { .. } => "TL0525",
            Self::OutOfRange { .. } => "TL0526",
            Self::ForeignOffset { .. } => "TL0527",
            Self::GroupInUse { .. } => "TL0528",
            Self::TopicDeleted { .. } => "TL0529",
            Self::LogCut { .. } => "TL0530",
        }
    }
}

/// Whether a code says that a newer producer or member took the name.
pub(crate) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::FencedInstanceId)
}

/// Whether a code passes when the cluster recovers, without anything being changed.
pub(crate) fn is_transient(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::BrokerNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::LeaderNotAvailable
            | Code::MessageTimedOut
            | Code::NetworkException
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotLeaderForPartition
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::TimedOutQueue
            | Code::WaitingForCoordinator
    )
}

/// What to do about an error of a client that reads, in a group or without one.
pub(crate) fn recovery(error: &KafkaError) -> Recovery {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code().unwrap_or(Code::Unknown) {
        _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Recovery::Restart,
        // The next member finds the place, or says what is wrong with it.
        Code::Fatal | Code::AutoOffsetReset => Recovery::Restart,
        code if is_fenced(code) => Recovery::Restart,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::InvalidGroupId
        | Code::InconsistentGroupProtocol => Recovery::Stop,
        _ => Recovery::Retry,
    }
}

/// The reason for people, without the library's variant names around it.
pub(crate) fn reason(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) => error.string(),
        KafkaError::Subscription(text) | KafkaError::Seek(text) | KafkaError::PauseResume(text) => {
            text.clone()
        }
        other => match other.rdkafka_error_code() {
            Some(code) => code.to_string(),
            None => other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_stops_whoever_reads_and_anything_else_does_not() {
        use RDKafkaErrorCode as Code;
        let of = |code| recovery(&KafkaError::MessageConsumption(code));
        assert_eq!(of(Code::TopicAuthorizationFailed), Recovery::Stop);
        assert_eq!(of(Code::GroupAuthorizationFailed), Recovery::Stop);
        assert_eq!(of(Code::FencedInstanceId), Recovery::Restart);
        assert_eq!(of(Code::UnknownTopicOrPartition), Recovery::Retry);
        let fatal = KafkaError::MessageConsumptionFatal(Code::TopicAuthorizationFailed);
        assert_eq!(recovery(&fatal), Recovery::Restart);
    }

    #[test]
    fn a_fenced_producer_stops_and_a_lost_broker_is_tried_again() {
        let fenced = BusError::Fenced { name: "cdc-shop".to_owned() };
        assert_eq!((fenced.recovery(), fenced.code()), (Recovery::Stop, "TL0511"));
        let lost = BusError::BrokersUnreachable {
            brokers: "127.0.0.1:1".to_owned(),
            waited: Duration::from_secs(1),
            reason: "refused".to_owned(),
        };
        assert_eq!((lost.recovery(), lost.code()), (Recovery::Retry, "TL0502"));
    }

    #[test]
    fn the_message_begins_with_the_code() {
        let topic = TopicName::new("a").unwrap();
        let error = BusError::RecordTooLarge { topic, size: 3, limit: 2 };
        assert!(error.to_string().starts_with(error.code()), "{error}");
        assert_eq!(error.recovery(), Recovery::Refuse);
    }
}
