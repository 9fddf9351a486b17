//! Committing, staging and reading offsets.

use kafka_protocol::ResponseError;
use tokio::time::Instant;

use crate::{
    batch::{KeyValue, Producer},
    store::{self, StoreError},
    wire::MAX_NAME,
};

use super::{
    Group, Groups,
    offsets::Committed,
    records::{Key, OffsetValue, subscribed_topics},
};

/// Longest metadata of an offset, as in Kafka (`offset.metadata.max.bytes`).
pub(crate) const MAX_METADATA: usize = 4096;

/// Offsets that a member, or a client without group membership, wants to commit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commit {
    pub(crate) group: String,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    /// -1 for a client that is not a member.
    pub(crate) generation: i32,
    pub(crate) offsets: Vec<(String, i32, OffsetValue)>,
}

/// The committed offset of a partition, or why it cannot be told now.
pub(crate) type Found = Result<Option<OffsetValue>, ResponseError>;

impl Commit {
    fn records(&self) -> Vec<KeyValue> {
        let record = |(topic, partition, value): &(String, i32, OffsetValue)| {
            let (group, topic) = (self.group.clone(), topic.clone());
            let key = Key::Offset { group, topic, partition: *partition };
            (Some(key.encode()), Some(value.encode()))
        };
        self.offsets.iter().map(record).collect()
    }

    /// Before a group is made for it.
    fn check_name(&self) -> Result<(), ResponseError> {
        if self.group.len() > MAX_NAME { Err(ResponseError::InvalidGroupId) } else { Ok(()) }
    }

    fn check(&self, group: &mut Group) -> Result<(), ResponseError> {
        let instance = self.instance_id.as_deref();
        group.membership.check_commit(&self.member_id, instance, self.generation, Instant::now())
    }
}

impl Groups {
    /// Commits offsets; durable when this returns.
    pub(crate) async fn commit(&self, commit: &Commit) -> Result<(), ResponseError> {
        commit.check_name()?;
        if commit.generation >= 0 && self.find(&commit.group).is_none() {
            return Err(ResponseError::IllegalGeneration);
        }
        let appended = self.with_new(&commit.group, |group| {
            commit.check(group)?;
            match commit.offsets.is_empty() {
                true => Ok(None),
                false => self.append_offsets(commit, None).map(Some),
            }
        });
        let Some(end) = appended? else { return Ok(()) };
        self.log.durable(end).await.map_err(|error| report(error.into()))?;
        self.with(&commit.group, |group| {
            for (topic, partition, value) in &commit.offsets {
                let committed = Committed { value: value.clone(), position: end };
                group.offsets.commit(topic, *partition, committed);
            }
        });
        Ok(())
    }

    /// Appends offsets that count when the producer's transaction commits, and returns the offset
    /// to wait for with [`Groups::durable`]. The caller keeps the transaction open meanwhile.
    pub(crate) fn stage(&self, commit: &Commit, producer: Producer) -> Result<i64, ResponseError> {
        commit.check_name()?;
        self.with_new(&commit.group, |group| {
            // A producer that is not a member says so with an empty id and generation -1.
            if commit.generation >= 0 || !commit.member_id.is_empty() {
                commit.check(group)?;
            }
            let end = self.append_offsets(commit, Some(producer))?;
            for (topic, partition, value) in &commit.offsets {
                let committed = Committed { value: value.clone(), position: end };
                group.offsets.stage(producer.id, topic, *partition, committed);
            }
            let mut staged = self.staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            staged.entry(producer.id).or_default().insert(group.id.clone());
            Ok(end)
        })
    }

    /// Waits until what was staged below `end` is durable.
    pub(crate) async fn durable(&self, end: i64) -> Result<(), ResponseError> {
        self.log.durable(end).await.map_err(|error| report(error.into()))
    }

    fn append_offsets(
        &self,
        commit: &Commit,
        producer: Option<Producer>,
    ) -> Result<i64, ResponseError> {
        store::append(&self.log, &commit.records(), producer).map_err(report)
    }

    /// The producer's transaction ended, and its marker is in the log.
    pub(crate) fn end_transaction(&self, producer_id: i64, committed: bool) {
        let mut staged = self.staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let groups = staged.remove(&producer_id);
        drop(staged);
        for group in groups.into_iter().flatten() {
            self.with(&group, |group| group.offsets.end(producer_id, committed));
        }
    }

    /// The committed offset of one partition. With `stable`, an offset that an open transaction
    /// may still change is not told.
    pub(crate) fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        stable: bool,
    ) -> Found {
        let found =
            self.with(group, |group| match stable && group.offsets.unstable(topic, partition) {
                true => Err(ResponseError::UnstableOffsetCommit),
                false => Ok(group.offsets.get(topic, partition).cloned()),
            });
        found.unwrap_or(Ok(None))
    }

    /// Every partition with a committed offset, as topic and partition number.
    pub(crate) fn committed_partitions(&self, group: &str) -> Vec<(String, i32)> {
        let all = |group: &mut Group| {
            group.offsets.all().map(|(topic, index, _)| (topic.to_owned(), index)).collect()
        };
        self.with(group, all).unwrap_or_default()
    }

    /// Deletes the committed offsets of partitions that no member consumes; the result is per
    /// partition.
    pub(crate) async fn delete_offsets(
        &self,
        group: &str,
        partitions: &[(String, i32)],
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        let begun = self.with(group, |group| {
            let subscribed = match group.idle() {
                true => Vec::new(),
                false if group.membership.protocol_type.as_deref() == Some("consumer") => {
                    group.subscriptions()
                }
                false => return Err(ResponseError::NonEmptyGroup),
            };
            let free = |topic: &String| !subscribed.contains(topic);
            let results = partitions.iter().map(|(topic, _)| match free(topic) {
                true => Ok(()),
                false => Err(ResponseError::GroupSubscribedToTopic),
            });
            let results = results.collect();
            let chosen = |topic: &str, index: i32, _: &OffsetValue| {
                partitions.iter().any(|(t, i)| t == topic && *i == index && free(t))
            };
            Ok((results, group.tombstones(chosen, false)))
        });
        let (results, records) = begun.ok_or(ResponseError::GroupIdNotFound)??;
        self.write(records).await?;
        Ok(results)
    }

    /// A topic was deleted: its offsets are forgotten in every group.
    pub(crate) async fn forget_topic(&self, topic: &str) {
        let groups: Vec<_> = self.lock().values().cloned().collect();
        for group in groups {
            let records = super::lock(&group).tombstones(|name, _, _| name == topic, false);
            if self.write(records).await.is_err() {
                return;
            }
        }
    }
}

impl Group {
    fn subscriptions(&self) -> Vec<String> {
        let members = self.membership.members.values();
        let metadata = members.flat_map(|member| member.protocols.iter().map(|(_, bytes)| bytes));
        metadata.flat_map(|bytes| subscribed_topics(bytes)).collect()
    }
}

/// What a client is told of a failed write, which the operator reads in the log.
pub(super) fn report(error: StoreError) -> ResponseError {
    let code = error.coordinator_error();
    if code != ResponseError::InvalidProducerEpoch {
        tracing::error!(%error, "could not write to the offsets topic");
    }
    code
}
