//! OffsetDelete (key 47), version 0.
//!
//! - Deletes committed offsets of partitions whose topic no member subscribes to. Durable when
//!   answered.

use kafka_protocol::messages::{
    ApiKey, OffsetDeleteRequest, OffsetDeleteResponse,
    offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
};

use super::{Api, Call};
use crate::wire::shape::{I32, Kind, Shape, TEXT, all};

/// The handler.
pub(crate) struct OffsetDelete;

impl Api for OffsetDelete {
    const KEY: ApiKey = ApiKey::OffsetDelete;
    const VERSIONS: (i16, i16) = (0, 0);
    const SHAPE: Shape = Shape {
        flexible: 1,
        fields: &[all(TEXT), all(Kind::Structs(&[all(TEXT), all(Kind::Structs(&[all(I32)]))]))],
    };
    type Request = OffsetDeleteRequest;

    async fn handle(call: Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
        let mut wanted = Vec::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                wanted.push((topic.name.to_string(), partition.partition_index));
            }
        }
        let response = OffsetDeleteResponse::default();
        let results = match call.core.groups.delete_offsets(&request.group_id, &wanted).await {
            Ok(results) => results,
            Err(error) => return response.with_error_code(error.code()),
        };
        let mut results = results.into_iter();
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().zip(results.by_ref());
            let partitions = partitions.map(|(partition, result)| {
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(result.err().map_or(0, |error| error.code()))
            });
            let partitions = partitions.collect();
            OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions)
        });
        response.with_topics(topics.collect())
    }
}
