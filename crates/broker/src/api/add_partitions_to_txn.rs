//! AddPartitionsToTxn (key 24), versions 0-3.
//!
//! - Begins the transaction with its first partitions; durable when answered.
//! - All or nothing: if one partition does not exist, the others get OPERATION_NOT_ATTEMPTED.
//! - Not implemented: version 4, which brokers send to each other.

use kafka_protocol::{
    ResponseError,
    messages::{
        AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey,
        add_partitions_to_txn_response::{
            AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
        },
    },
};

use super::{Api, Call, init_producer_id::fenced_before};
use crate::{
    batch::Producer,
    catalogue::internal,
    wire::shape::{I16, I32, I64, Kind, Shape, TEXT, all},
};

/// The handler.
pub(crate) struct AddPartitionsToTxn;

impl Api for AddPartitionsToTxn {
    const KEY: ApiKey = ApiKey::AddPartitionsToTxn;
    const VERSIONS: (i16, i16) = (0, 3);
    const SHAPE: Shape = Shape {
        flexible: 3,
        fields: &[
            all(TEXT),
            all(I64),
            all(I16),
            all(Kind::Structs(&[all(TEXT), all(Kind::List(&I32))])),
        ],
    };
    type Request = AddPartitionsToTxnRequest;

    async fn handle(call: Call, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
        let core = &call.core;
        let producer = Producer {
            id: request.v3_and_below_producer_id.0,
            epoch: request.v3_and_below_producer_epoch,
        };
        let topics = request.v3_and_below_topics;
        let mut wanted = Vec::new();
        for topic in &topics {
            wanted.extend(topic.partitions.iter().map(|index| (topic.name.to_string(), *index)));
        }
        let known = |(topic, index): &(String, i32)| {
            core.catalogue.partition(topic, *index).is_some() && !internal(topic)
        };
        let outcome = match wanted.iter().all(known) {
            true => {
                let id = &request.v3_and_below_transactional_id;
                let added = core.transactions.add_partitions(id, producer, &wanted).await;
                added.map_err(|error| fenced_before(call.version, 2, error))
            }
            false => Err(ResponseError::OperationNotAttempted),
        };
        let result = |name: &str, index: i32| {
            let error = match outcome {
                Err(ResponseError::OperationNotAttempted) if !known(&(name.to_owned(), index)) => {
                    ResponseError::UnknownTopicOrPartition.code()
                }
                outcome => outcome.err().map_or(0, |error| error.code()),
            };
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(index)
                .with_partition_error_code(error)
        };
        let results = topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|index| result(&topic.name, *index));
            let partitions = partitions.collect();
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name)
                .with_results_by_partition(partitions)
        });
        AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
    }
}
