//! DescribeProducers (key 61), version 0.
//!
//! - The idempotent and transactional producers that a partition remembers, with the start of
//!   their open transaction (-1 for none).

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, DescribeProducersRequest, DescribeProducersResponse, ProducerId,
        describe_producers_response::{PartitionResponse, ProducerState, TopicResponse},
    },
};
use throughline_log::ProducerInfo;

use super::{Api, Call};
use crate::wire::shape::{I32, Kind, Shape, TEXT, all};

/// The handler.
pub(crate) struct DescribeProducers;

impl Api for DescribeProducers {
    const KEY: ApiKey = ApiKey::DescribeProducers;
    const VERSIONS: (i16, i16) = (0, 0);
    const SHAPE: Shape =
        Shape { flexible: 0, fields: &[all(Kind::Structs(&[all(TEXT), all(Kind::List(&I32))]))] };
    type Request = DescribeProducersRequest;

    async fn handle(call: Call, request: DescribeProducersRequest) -> DescribeProducersResponse {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let known = call.core.catalogue.topic(&topic.name);
            let partitions = topic.partition_indexes.iter().map(|index| {
                let response = PartitionResponse::default().with_partition_index(*index);
                match known.as_ref().and_then(|topic| topic.partition(*index)) {
                    None => response.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
                    Some(partition) => response
                        .with_active_producers(partition.producers().iter().map(state).collect()),
                }
            });
            let partitions = partitions.collect();
            topics.push(TopicResponse::default().with_name(topic.name).with_partitions(partitions));
        }
        DescribeProducersResponse::default().with_topics(topics)
    }
}

fn state(producer: &ProducerInfo) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(producer.producer_id))
        .with_producer_epoch(producer.epoch.into())
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.last_timestamp)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.open_transaction.unwrap_or(-1))
}
