//! OffsetCommit (key 8), versions 2-9.
//!
//! - Answered when the offsets are durable in `__consumer_offsets`.
//! - Members are checked by id, instance id and generation; a client without membership may commit
//!   while the group has no members (generation -1).
//! - Not implemented: the retention time of v2-4, which is ignored as in Kafka 2.1 and later.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, OffsetCommitRequest, OffsetCommitResponse,
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
        let mut answers = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in &topic.partitions {
                let offset = Offset {
                    topic: &topic.name,
                    partition: wanted.partition_index,
                    offset: wanted.committed_offset,
                    leader_epoch: wanted.committed_leader_epoch,
                    metadata: wanted.committed_metadata.as_deref(),
                };
                partitions.push((wanted.partition_index, offset.take(&call.core, &mut commit)));
            }
            answers.push((topic.name, partitions));
        }
        let committed = call.core.groups.commit(&commit).await;
        let topics = answers.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(index, taken)| {
                let error = taken.and(committed).err().map_or(0, |error| error.code());
                OffsetCommitResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(error)
            });
            OffsetCommitResponseTopic::default()
                .with_name(name)
                .with_partitions(partitions.collect())
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }
}

/// One offset to commit, in or outside of a transaction.
pub(crate) struct Offset<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Option<&'a str>,
}

impl Offset<'_> {
    /// Adds the offset to `commit` unless it is not acceptable.
    pub(crate) fn take(&self, core: &Core, commit: &mut Commit) -> Result<(), ResponseError> {
        let metadata = self.metadata.unwrap_or_default();
        if metadata.len() > MAX_METADATA {
            return Err(ResponseError::OffsetMetadataTooLarge);
        }
        if core.catalogue.partition(self.topic, self.partition).is_none() {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        let value = OffsetValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: metadata.to_owned(),
            committed_ms: store::now_ms(),
        };
        commit.offsets.push((self.topic.to_owned(), self.partition, value));
        Ok(())
    }
}
