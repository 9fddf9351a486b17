//! OffsetForLeaderEpoch (key 23), versions 2-4.
//!
//! - There is one leader epoch, 0; its end is the end of the log.
//! - A later epoch is answered with "not known" (-1), so that the client does not truncate.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
};

use super::{Api, Call};
use crate::{
    core::LEADER_EPOCH,
    wire::shape::{I32, Kind, Shape, TEXT, all, since},
};

/// The handler.
pub(crate) struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    const KEY: ApiKey = ApiKey::OffsetForLeaderEpoch;
    const VERSIONS: (i16, i16) = (2, 4);
    const SHAPE: Shape = Shape {
        flexible: 4,
        fields: &[
            since(3, I32),
            all(Kind::Structs(&[all(TEXT), all(Kind::Structs(&[all(I32), all(I32), all(I32)]))])),
        ],
    };
    type Request = OffsetForLeaderEpochRequest;

    async fn handle(
        call: Call,
        request: OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let known = call.core.catalogue.topic(&topic.topic);
            let partitions = topic.partitions.iter().map(|wanted| {
                let answer = EpochEndOffset::default().with_partition(wanted.partition);
                match known.as_ref().and_then(|topic| topic.partition(wanted.partition)) {
                    None => answer.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
                    Some(_) if wanted.current_leader_epoch > LEADER_EPOCH => {
                        answer.with_error_code(ResponseError::UnknownLeaderEpoch.code())
                    }
                    Some(partition) if wanted.leader_epoch == LEADER_EPOCH => answer
                        .with_leader_epoch(LEADER_EPOCH)
                        .with_end_offset(partition.ends().high_watermark),
                    Some(_) => answer,
                }
            });
            topics.push(
                OffsetForLeaderTopicResult::default()
                    .with_partitions(partitions.collect())
                    .with_topic(topic.topic),
            );
        }
        OffsetForLeaderEpochResponse::default().with_topics(topics)
    }
}
