//! TxnOffsetCommit (key 28), versions 0-3.
//!
//! - The offsets are durable when answered and count when the transaction commits.
//! - v3+: group members are checked by id, instance id and generation.

use kafka_protocol::messages::{
    ApiKey, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    txn_offset_commit_response::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic},
};

use super::{
    Api, Call,
    offset_commit::{Offset, Rows},
};
use crate::{
    batch::Producer,
    catalogue::OFFSETS_TOPIC,
    group::Commit,
    wire::shape::{I16, I32, I64, Kind, Shape, TEXT, all, since},
};

/// The handler.
pub(crate) struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    const KEY: ApiKey = ApiKey::TxnOffsetCommit;
    const VERSIONS: (i16, i16) = (0, 3);
    const SHAPE: Shape = Shape {
        flexible: 3,
        fields: &[
            all(TEXT),
            all(TEXT),
            all(I64),
            all(I16),
            since(3, I32),
            since(3, TEXT),
            since(3, TEXT),
            all(Kind::Structs(&[
                all(TEXT),
                all(Kind::Structs(&[all(I32), all(I64), since(2, I32), all(TEXT)])),
            ])),
        ],
    };
    type Request = TxnOffsetCommitRequest;

    async fn handle(call: Call, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
        let core = &call.core;
        let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
        let mut commit = Commit {
            group: request.group_id.to_string(),
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
            generation: request.generation_id,
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
            rows.take(core, &mut commit, topic.name, offsets);
        }
        let id = Some(request.transactional_id.as_str());
        let stage = || core.groups.stage(&commit, producer);
        let staged = match commit.offsets.is_empty() {
            true => Ok(None),
            false => core
                .transactions
                .while_open(id, producer, OFFSETS_TOPIC, 0, stage)
                .and_then(|staged| staged.map(Some)),
        };
        let committed = match staged {
            Ok(Some(end)) => core.groups.durable(end).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let partition = |index, error| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error)
        };
        let topics = rows.answer(committed, partition, |name, partitions| {
            TxnOffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions)
        });
        TxnOffsetCommitResponse::default().with_topics(topics)
    }
}
