//! DescribeTransactions (key 65), version 0.
//!
//! - State, producer, timeout and partitions of each transactional id.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId, TopicName,
        describe_transactions_response::{TopicData, TransactionState},
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    transaction::Description,
    wire::shape::{Kind, Shape, TEXT, all},
};

/// The handler.
pub(crate) struct DescribeTransactions;

impl Api for DescribeTransactions {
    const KEY: ApiKey = ApiKey::DescribeTransactions;
    const VERSIONS: (i16, i16) = (0, 0);
    const SHAPE: Shape = Shape { flexible: 0, fields: &[all(Kind::List(&TEXT))] };
    type Request = DescribeTransactionsRequest;

    async fn handle(
        call: Call,
        request: DescribeTransactionsRequest,
    ) -> DescribeTransactionsResponse {
        let states = request.transactional_ids.into_iter().map(|id| {
            let state = match call.core.transactions.describe(&id) {
                Some(description) => state(description),
                None => TransactionState::default()
                    .with_error_code(ResponseError::TransactionalIdNotFound.code()),
            };
            state.with_transactional_id(id)
        });
        DescribeTransactionsResponse::default().with_transaction_states(states.collect())
    }
}

fn state(description: Description) -> TransactionState {
    let mut topics: Vec<TopicData> = Vec::new();
    for (topic, index) in description.partitions {
        match topics.last_mut() {
            Some(last) if last.topic.0.as_str() == topic => last.partitions.push(index),
            _ => topics.push(
                TopicData::default()
                    .with_topic(TopicName(StrBytes::from_string(topic)))
                    .with_partitions(vec![index]),
            ),
        }
    }
    TransactionState::default()
        .with_transaction_state(StrBytes::from_static_str(description.status.name()))
        .with_transaction_timeout_ms(description.timeout_ms)
        .with_transaction_start_time_ms(description.started_ms)
        .with_producer_id(ProducerId(description.producer.id))
        .with_producer_epoch(description.producer.epoch)
        .with_topics(topics)
}
