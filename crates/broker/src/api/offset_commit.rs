//! OffsetCommit (key 8), versions 2-9.
//!
//! - The name of a group ends at 1,000 bytes, which it does not in Kafka.
//! - Answered when the offsets are durable in `__consumer_offsets`.
//! - Members are checked by id, instance id and generation; a client without membership may commit
//!   while the group has no members (generation -1).
//! - Not implemented: the retention time of v2-4, which is ignored as in Kafka 2.1 and later.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, OffsetCommitRequest, OffsetCommitResponse, TopicName,
        offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
    },
};

use super::{Api, Call};
use crate::{
    core::Core,
    group::{Commit, MAX_METADATA, records::OffsetValue},
    store,
    wire::shape::{I32, I64, Kind, Shape, TEXT, all, between, since, until},
};

/// The handler.
pub(crate) struct OffsetCommit;

impl Api for OffsetCommit {
    const KEY: ApiKey = ApiKey::OffsetCommit;
    const VERSIONS: (i16, i16) = (2, 9);
    const SHAPE: Shape = Shape {
        flexible: 8,
        fields: &[
            all(TEXT),
            all(I32),
            all(TEXT),
            between(7, i16::MAX, TEXT),
            until(4, I64),
            all(Kind::Structs(&[
                all(TEXT),
                all(Kind::Structs(&[all(I32), all(I64), since(6, I32), all(TEXT)])),
            ])),
        ],
    };
    type Request = OffsetCommitRequest;

    async fn handle(call: Call, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let mut commit = Commit {
            group: request.group_id.to_string(),
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
            generation: request.generation_id_or_member_epoch,
            offsets: Vec::new(),
        };
        let mut rows = Rows::default();
        for topic in request.topics {
            let offsets = topic.partitions.iter().map(|wanted| Offset {
                partition: wanted.partition_index,
                offset: wanted.committed_offset,
                leader_epoch: wanted.committed_leader_epoch,
                metadata: wanted.committed_metadata.as_deref(),
            });
            rows.take(&call.core, &mut commit, topic.name, offsets);
        }
        let committed = call.core.groups.commit(&commit).await;
        let partition = |index, error| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error)
        };
        let topics = rows.answer(committed, partition, |name, partitions| {
            OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions)
        });
        OffsetCommitResponse::default().with_topics(topics)
    }
}

/// One offset to commit, in or outside of a transaction.
pub(crate) struct Offset<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Option<&'a str>,
}

/// The offsets of a request and whether each was acceptable.
#[derive(Default)]
pub(crate) struct Rows(Vec<(TopicName, Vec<Taken>)>);

/// A partition and whether its offset was acceptable.
type Taken = (i32, Result<(), ResponseError>);

impl Rows {
    /// Adds the acceptable offsets of a topic to `commit`.
    pub(crate) fn take<'a>(
        &mut self,
        core: &Core,
        commit: &mut Commit,
        topic: TopicName,
        offsets: impl Iterator<Item = Offset<'a>>,
    ) {
        let taken = offsets.map(|offset| (offset.partition, offset.take(core, commit, &topic)));
        let taken = taken.collect();
        self.0.push((topic, taken));
    }

    /// The answer's topics, built from partition numbers and error codes.
    pub(crate) fn answer<P, T>(
        self,
        committed: Result<(), ResponseError>,
        partition: impl Fn(i32, i16) -> P,
        topic: impl Fn(TopicName, Vec<P>) -> T,
    ) -> Vec<T> {
        let rows = self.0.into_iter().map(|(name, taken)| {
            let partitions = taken.into_iter().map(|(index, taken)| {
                partition(index, taken.and(committed).err().map_or(0, |error| error.code()))
            });
            topic(name, partitions.collect())
        });
        rows.collect()
    }
}

impl Offset<'_> {
    fn take(&self, core: &Core, commit: &mut Commit, topic: &str) -> Result<(), ResponseError> {
        let metadata = self.metadata.unwrap_or_default();
        if metadata.len() > MAX_METADATA {
            return Err(ResponseError::OffsetMetadataTooLarge);
        }
        if core.catalogue.partition(topic, self.partition).is_none() {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        let value = OffsetValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: metadata.to_owned(),
            committed_ms: store::now_ms(),
        };
        commit.offsets.push((topic.to_owned(), self.partition, value));
        Ok(())
    }
}
