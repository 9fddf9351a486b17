//! Consumers: members of a group that fill batches on the caller's thread.

mod begin;
mod context;
mod filled;
mod lag;
mod lists;
mod options;
mod pump;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use throughline_event::{Offset, RecordBatch, TopicName, TopicPartition};

use crate::BusError;
use crate::decode::{Decoder, Undecodable};
use crate::error::{Recovery, is_fenced, is_transient, reason, recovery};
use crate::options::BusOptions;
use crate::schemas::Schemas;
use crate::signal::{Waited, Waker};
use crate::topics::Topics;
use context::{Change, carry_out};
use filled::{Filled, is_of};
pub use lag::PartitionLag;
pub use lists::{Committed, CommittedBy};
pub(crate) use lists::{committed_of, list_to_commit, list_with_offsets, offsets_of};
use lists::{list, partitions_of};
pub use options::{ConsumerOptions, From, Isolation, Rebalance};
pub(crate) use pump::{Next, Pump, config, with_ends};

/// A member that says nothing for so long is taken to be dead, and its partitions go to others.
/// The client's own thread says it is alive, so a slow worker is not a dead one.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// A member that does not poll for so long gives its partitions up. A worker whose target is away
/// for longer pauses its partitions and polls on.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);

/// After so long with its coordinator a member has heard everything that the coordinator knows of
/// it: three times the session timeout.
const RECONNECTED: Duration = Duration::from_secs(30);

/// How long after a topic was first heard of it may be unknown again. Topics are created before they
/// are read, so this is for brokers that hear of it late.
const UNKNOWN_TOPIC: Duration = Duration::from_secs(5);

/// How long calls to the coordinator may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What a poll found.
#[derive(Debug)]
pub enum Polled {
    /// Nothing before the timeout, or a [`Waker`] was used.
    Nothing,
    /// The batch was filled.
    Records {
        /// Those that could not be read; they belong between the batch's records by their offsets.
        undecodable: Vec<Undecodable>,
        /// The offset to commit per partition when all of them are done.
        next: Vec<(TopicPartition, Offset)>,
    },
    /// These partitions are now this member's. Reading begins with the next poll: at the offsets
    /// given by [`Consumer::seek`] until then, else at the committed ones.
    Assigned(Vec<TopicPartition>),
    /// These partitions go to other members with the next poll; until then their offsets can still
    /// be committed, unless they were lost.
    Revoked {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Whether others may have them already: commits are refused.
        lost: bool,
    },
}

/// The group's state as a transaction needs it to commit offsets; see [`Consumer::group`].
pub struct ConsumerGroup(pub(crate) ConsumerGroupMetadata);

impl std::fmt::Debug for ConsumerGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConsumerGroup")
    }
}

/// A member of a consumer group, for one thread.
///
/// Records of one partition come in offset order. A rebalance is told between two polls: first what
/// was read before it, then the change, and only then records of the new assignment.
pub struct Consumer {
    pump: Pump,
    decoder: Decoder,
    topics: Arc<Topics>,
    subscribed: Vec<TopicName>,
    from: From,
    group: String,
    instance: Option<String>,
    /// Told to the worker, carried out by the next poll.
    told: Option<Change>,
    /// A message whose schema could not be fetched yet.
    held: Option<OwnedMessage>,
    paused: Vec<TopicPartition>,
    assignment: Vec<TopicPartition>,
}

impl Consumer {
    pub(crate) fn new(
        options: &BusOptions,
        schemas: Arc<Schemas>,
        topic_client: Arc<Topics>,
        wanted: ConsumerOptions,
    ) -> Result<Self, BusError> {
        let ConsumerOptions { group, topics, from, isolation, rebalance, instance } = wanted;
        if group.is_empty() || topics.is_empty() {
            let problem = format!("group {group:?} with {} topics", topics.len());
            let fix = "name a group and at least one topic";
            return Err(BusError::Options { option: "consumer", problem, fix });
        }
        let mut config = config(options, &group, isolation);
        pump::with_statistics(&mut config);
        config
            .set("session.timeout.ms", SESSION_TIMEOUT.as_millis().to_string())
            .set("heartbeat.interval.ms", "2000")
            .set("max.poll.interval.ms", MAX_POLL_INTERVAL.as_millis().to_string())
            .set("topic.metadata.refresh.interval.ms", "60000")
            .set("topic.metadata.propagation.max.ms", UNKNOWN_TOPIC.as_millis().to_string());
        config.set("auto.offset.reset", "error");
        config.set(
            "partition.assignment.strategy",
            match rebalance {
                Rebalance::Cooperative => "cooperative-sticky",
                Rebalance::Eager => "range",
            },
        );
        if let Some(instance) = &instance {
            config.set("group.instance.id", instance);
        }
        let pump = Pump::new(&config, &group)?;
        let consumer = Self {
            pump,
            decoder: Decoder::new(schemas),
            topics: topic_client,
            subscribed: topics,
            from,
            group,
            instance,
            told: None,
            held: None,
            paused: Vec::new(),
            assignment: Vec::new(),
        };
        let names: Vec<&str> = consumer.subscribed.iter().map(TopicName::as_str).collect();
        let subscribed = consumer.pump.consumer.subscribe(&names);
        subscribed.map_err(|error| consumer.failed("subscribe", &error))?;
        Ok(consumer)
    }

    /// Fills the batch, which is cleared first, with what the client has: returns at once with at
    /// least one record, waits at most `timeout` for it, and stops a little behind `max_bytes`.
    ///
    /// A wait costs no processor time and ends with the first record, a rebalance or
    /// [`Waker::wake`], so a timeout of minutes is fine; only every second is the client looked at.
    ///
    /// # Errors
    /// When the registry does not answer: nothing is lost, the next poll tries again. When the
    /// group refuses this member; see [`BusError::recovery`].
    pub fn poll(
        &mut self,
        batch: &mut RecordBatch,
        max_records: usize,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Polled, BusError> {
        batch.clear();
        self.carry_out_told()?;
        let deadline = Instant::now() + timeout;
        let mut filled = Filled::default();
        self.take_held(batch, &mut filled)?;
        loop {
            self.pump.signal.look();
            while !filled.is_full(batch, max_records, max_bytes) {
                if let Some(polled) = self.tell_change(&filled) {
                    return Ok(polled);
                }
                match self.pump.next() {
                    Next::Message(message) => {
                        if let Err(error) = filled.take(&mut self.decoder, &message, batch) {
                            self.held = Some(message.detach());
                            return if filled.is_empty() { Err(error) } else { Ok(filled.into()) };
                        }
                    }
                    Next::Failed(error) => self.check(&error)?,
                    Next::End(_) => {}
                    Next::Empty if self.pump.consumer.context().has_change() => {
                        if !filled.is_empty() {
                            break;
                        }
                    }
                    Next::Empty => break,
                }
            }
            if !filled.is_empty() {
                return Ok(filled.into());
            }
            if self.pump.signal.wait(deadline) != Waited::Look {
                return Ok(Polled::Nothing);
            }
        }
    }

    /// Wakes this consumer from other threads.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.pump.signal))
    }

    /// Goes on with a partition at this offset: at once, or when it is assigned, if
    /// [`Polled::Assigned`] was just returned.
    ///
    /// # Errors
    /// When the partition is not this member's any more.
    pub fn seek(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), BusError> {
        let (topic, number) = (partition.topic.as_str(), partition.partition.0);
        let to = rdkafka::Offset::Offset(offset.0);
        if let Some(Change::Assign(list)) = &mut self.told
            && list.find_partition(topic, number).is_some()
        {
            let set = list.set_partition_offset(topic, number, to);
            return set.map_err(|error| self.failed("seek", &error));
        }
        if self.held.as_ref().is_some_and(|held| is_of(held, partition)) {
            self.held = None;
        }
        // A partition that was assigned a moment ago refuses until its first fetch is prepared.
        let deadline = Instant::now() + CALL_TIMEOUT;
        loop {
            match self.pump.consumer.seek(topic, number, to, CALL_TIMEOUT) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(self.failed("seek", &error)),
                Err(_) if !self.assignment.contains(partition) => {
                    return Err(self.refused("seek", format!("{partition} is not assigned")));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Reads no more of these partitions until [`Consumer::resume`]; polling goes on, which keeps
    /// the member alive.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), BusError> {
        let paused = self.pump.consumer.pause(&list(partitions));
        paused.map_err(|error| self.failed("pause", &error))?;
        self.paused.extend_from_slice(partitions);
        Ok(())
    }

    /// Reads these partitions again.
    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), BusError> {
        let resumed = self.pump.consumer.resume(&list(partitions));
        resumed.map_err(|error| self.failed("resume", &error))?;
        self.paused.retain(|paused| !partitions.contains(paused));
        Ok(())
    }

    /// Commits the next offsets and returns when the broker has them.
    ///
    /// # Errors
    /// With [`Recovery::Retry`] when the group is being rebalanced or the
    /// coordinator is away: poll on, and commit again if the partition is still held.
    pub fn commit(&self, offsets: &[(TopicPartition, Offset)]) -> Result<(), BusError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let committed = self.pump.consumer.commit(&list_to_commit(offsets), CommitMode::Sync);
        committed.map_err(|error| self.failed("commit offsets", &error))
    }

    /// The committed offset of each partition, where there is one.
    pub fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Option<Committed>)>, BusError> {
        let found = self
            .pump
            .consumer
            .committed_offsets(list(partitions), CALL_TIMEOUT)
            .map_err(|error| self.failed("read committed offsets", &error))?;
        Ok(committed_of(&found))
    }

    /// The partitions that this member holds.
    pub fn assignment(&self) -> &[TopicPartition] {
        &self.assignment
    }

    /// The group's state for [`crate::TransactionalProducer::send_offsets`]; to be taken after the
    /// poll whose offsets are sent.
    pub fn group(&self) -> Result<ConsumerGroup, BusError> {
        let metadata = self.pump.consumer.group_metadata();
        let none = || self.refused("describe", "the member is in no group".to_owned());
        metadata.map(ConsumerGroup).ok_or_else(none)
    }

    /// How far behind it is, measured every five seconds.
    pub fn lag(&self) -> Vec<PartitionLag> {
        self.pump.consumer.context().lag()
    }

    /// Gives the partitions back and leaves the group, so that others take over at once. A member
    /// with an instance name keeps its partitions reserved instead.
    pub fn close(self) {
        drop(self);
    }

    fn carry_out_told(&mut self) -> Result<(), BusError> {
        let Some(mut change) = self.told.take() else { return Ok(()) };
        if let Change::Assign(list) = &mut change
            && let Err(error) = self.find_beginnings(list)
        {
            self.told = Some(change);
            return Err(error);
        }
        let done = carry_out(&self.pump.consumer, &change);
        let (partitions, assigned) = match &change {
            Change::Assign(list) => (partitions_of(list), true),
            Change::Revoke { partitions, .. } => (partitions_of(partitions), false),
        };
        self.assignment.retain(|held| !partitions.contains(held));
        self.paused.retain(|paused| !partitions.contains(paused));
        if assigned {
            self.assignment.extend(partitions);
        } else if let Some(held) = &self.held
            && partitions.iter().any(|partition| is_of(held, partition))
        {
            self.held = None;
        }
        done.map_err(|error| self.failed("change the assignment", &error))
    }

    /// The change that comes next, when everything before it was handed over.
    fn tell_change(&mut self, filled: &Filled) -> Option<Polled> {
        if !filled.is_empty() {
            return None;
        }
        let change = self.pump.consumer.context().next_change()?;
        let polled = match &change {
            Change::Assign(list) => Polled::Assigned(partitions_of(list)),
            Change::Revoke { partitions, lost } => {
                Polled::Revoked { partitions: partitions_of(partitions), lost: *lost }
            }
        };
        self.told = Some(change);
        Some(polled)
    }

    fn take_held(&mut self, batch: &mut RecordBatch, filled: &mut Filled) -> Result<(), BusError> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let paused = self.paused.iter().any(|partition| is_of(&held, partition));
        let taken = if paused { None } else { Some(filled.take(&mut self.decoder, &held, batch)) };
        match taken {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                self.held = Some(held);
                Err(error)
            }
            None => {
                self.held = Some(held);
                Ok(())
            }
        }
    }

    /// Whether an error of the client is one that the worker must know of.
    fn check(&self, error: &KafkaError) -> Result<(), BusError> {
        let code = error.rdkafka_error_code();
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        match code {
            // The client connects again by itself, and joins again after a long silence.
            Some(code)
                if !fatal && (is_transient(code) || code == RDKafkaErrorCode::PollExceeded) =>
            {
                Ok(())
            }
            Some(
                RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition,
            ) => Err(self.deleted().unwrap_or_else(|| self.failed("read", error))),
            _ => Err(self.failed("read", error)),
        }
    }

    /// A topic that was there when this member was made and is not any more, if one is. A broker that
    /// merely has not heard of a partition yet says the same to the client.
    fn deleted(&self) -> Option<BusError> {
        // Brokers that do not answer are asked once: each question takes the whole timeout.
        match self.subscribed.iter().find_map(|topic| self.topics.info(topic).err())? {
            BusError::UnknownTopic { topic, .. } => {
                Some(BusError::TopicDeleted { topic, group: self.group.clone() })
            }
            _ => None,
        }
    }

    /// What this member cannot do in the state that it is in.
    fn refused(&self, action: &'static str, reason: String) -> BusError {
        let (group, recovery) = (self.group.clone(), Recovery::Retry);
        BusError::Consumer { action, group, reason, recovery }
    }

    fn failed(&self, action: &'static str, error: &KafkaError) -> BusError {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        // A coordinator that died after it gave the member a new id, and before the member heard of
        // it, knows the member by that id only: fenced, by nobody else. A second worker that is there
        // all the same is met again when the connection has lasted.
        let context = self.pump.consumer.context();
        let lost = context.log().lost_within(RECONNECTED);
        if is_fenced(code) && !lost {
            let name = self.instance.clone().unwrap_or_else(|| self.group.clone());
            return BusError::Fenced { name };
        }
        let told = context.log().last_error();
        let reason = match (error, told) {
            (KafkaError::MessageConsumption(_), Some(told)) => told,
            _ => reason(error),
        };
        let group = self.group.clone();
        BusError::Consumer { action, group, reason, recovery: recovery(error) }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.pump.consumer.context().close();
        // The client waits for the answer to what it asked last.
        let asked = self.told.take().into_iter();
        let context = Arc::clone(self.pump.consumer.context());
        for change in asked.chain(std::iter::from_fn(|| context.next_change())) {
            if let Err(error) = carry_out(&self.pump.consumer, &change) {
                tracing::warn!(group = self.group, error = %error, "could not finish a rebalance");
            }
        }
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("group", &self.group).finish_non_exhaustive()
    }
}
