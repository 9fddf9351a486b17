//! OffsetFetch (key 9), versions 1-9.
//!
//! - Null topics mean every partition with a committed offset (v2+). v8+ asks for several groups.
//! - `require_stable` (v7+): an offset that an open transaction may still change is answered with
//!   UNSTABLE_OFFSET_COMMIT.
//! - Not implemented: member epochs (v9), which belong to the newer group protocol.

use kafka_protocol::{
    messages::{
        ApiKey, OffsetFetchRequest, OffsetFetchResponse, TopicName,
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    core::Core,
    group::records::OffsetValue,
    wire::shape::{BOOL, I32, Kind, Shape, TEXT, all, since, until},
};

/// The handler.
pub(crate) struct OffsetFetch;

const TOPIC: Kind = Kind::Structs(&[all(TEXT), all(Kind::List(&I32))]);

impl Api for OffsetFetch {
    const KEY: ApiKey = ApiKey::OffsetFetch;
    const VERSIONS: (i16, i16) = (1, 9);
    const SHAPE: Shape = Shape {
        flexible: 6,
        fields: &[
            until(7, TEXT),
            until(7, TOPIC),
            since(8, Kind::Structs(&[all(TEXT), since(9, TEXT), since(9, I32), all(TOPIC)])),
            since(7, BOOL),
        ],
    };
    type Request = OffsetFetchRequest;

    async fn handle(call: Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
        let (core, stable) = (&call.core, request.require_stable);
        if call.version < 8 {
            let wanted = request.topics.map(|topics| {
                topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
            });
            let topics = find(core, &request.group_id, wanted, stable);
            let topics = topics.into_iter().map(|topic| old_topic(topic, call.version));
            return OffsetFetchResponse::default().with_topics(topics.collect());
        }
        let groups = request.groups.into_iter().map(|group| {
            let wanted = group.topics.map(|topics| {
                topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
            });
            let topics = find(core, &group.group_id, wanted, stable);
            OffsetFetchResponseGroup::default()
                .with_group_id(group.group_id)
                .with_topics(topics.into_iter().map(new_topic).collect())
        });
        OffsetFetchResponse::default().with_groups(groups.collect())
    }
}

/// A topic's partitions, each with its offset and error code.
type Answer = (TopicName, Vec<(i32, OffsetValue, i16)>);

fn find(
    core: &Core,
    group: &str,
    wanted: Option<Vec<(TopicName, Vec<i32>)>>,
    stable: bool,
) -> Vec<Answer> {
    let wanted = wanted.unwrap_or_else(|| {
        let mut all: Vec<(TopicName, Vec<i32>)> = Vec::new();
        for (topic, index) in core.groups.committed_partitions(group) {
            match all.last_mut() {
                Some((name, indexes)) if name.0.as_str() == topic => indexes.push(index),
                _ => all.push((TopicName(StrBytes::from_string(topic)), vec![index])),
            }
        }
        all
    });
    let answer = |(topic, indexes): (TopicName, Vec<i32>)| {
        let partition = |index: i32| {
            let none = OffsetValue {
                offset: -1,
                leader_epoch: -1,
                metadata: String::new(),
                committed_ms: -1,
            };
            match core.groups.committed(group, &topic, index, stable) {
                Ok(found) => (index, found.unwrap_or(none), 0),
                Err(error) => (index, none, error.code()),
            }
        };
        let partitions = indexes.into_iter().map(partition).collect();
        (topic, partitions)
    };
    wanted.into_iter().map(answer).collect()
}

fn old_topic((name, partitions): Answer, version: i16) -> OffsetFetchResponseTopic {
    let partition = |(index, found, error): (i32, OffsetValue, i16)| {
        let partition = OffsetFetchResponsePartition::default()
            .with_partition_index(index)
            .with_committed_offset(found.offset)
            .with_metadata(Some(StrBytes::from_string(found.metadata)))
            .with_error_code(error);
        match version >= 5 {
            true => partition.with_committed_leader_epoch(found.leader_epoch),
            false => partition,
        }
    };
    let partitions = partitions.into_iter().map(partition).collect();
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions)
}

fn new_topic((name, partitions): Answer) -> OffsetFetchResponseTopics {
    let partition = |(index, found, error): (i32, OffsetValue, i16)| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(found.offset)
            .with_committed_leader_epoch(found.leader_epoch)
            .with_metadata(Some(StrBytes::from_string(found.metadata)))
            .with_error_code(error)
    };
    let partitions = partitions.into_iter().map(partition).collect();
    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions)
}
