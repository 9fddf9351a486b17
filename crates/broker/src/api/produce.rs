//! Produce (key 0), versions 3-11.
//!
//! - A partition's records are exactly one batch of message format 2, stored as it came.
//! - `acks` 1 and all are the same on one node: answered when the batches are durable under the
//!   flush policy. `acks` 0 is appended and not answered; a failed one closes the connection, as
//!   Kafka does, because nothing else can tell the client.
//! - Transactional batches are only taken while their transaction is open and holds the partition.
//! - A record without a key is refused by a compacted topic, and named from v8 on. Only for these
//!   topics are the records decoded.
//! - Internal topics are refused, except for the client id `__admin_client`, as in Kafka.
//! - Not implemented: version 12 and its implicit AddPartitionsToTxn; compression on the broker.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, ProduceRequest, ProduceResponse,
        produce_response::{
            BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
        },
    },
    protocol::StrBytes,
};
use throughline_log::{AppendError, Appended, Origin, Partition};

use super::{Call, Fatal, Handling, Outgoing, Route, decode, encode};
use crate::{
    batch,
    catalogue::internal,
    store,
    wire::shape::{BLOB, I16, I32, Kind, Shape, TEXT, all},
};

/// The client id that may write to internal topics.
const ADMIN_CLIENT: &str = "__admin_client";

/// The route; it can answer nothing at all, which the other APIs cannot.
pub(crate) const ROUTE: Route =
    Route { key: ApiKey::Produce, first: 3, last: 11, shape: SHAPE, abort_on_close: false, run };

const SHAPE: Shape = Shape {
    flexible: 9,
    fields: &[
        all(TEXT),
        all(I16),
        all(I32),
        all(Kind::Structs(&[all(TEXT), all(Kind::Structs(&[all(I32), all(BLOB)]))])),
    ],
};

fn run(call: Call, body: Bytes) -> Handling {
    Box::pin(async move {
        let request: ProduceRequest = decode(body, call.version)?;
        let acks = request.acks;
        let (version, correlation_id) = (call.version, call.correlation_id);
        let response = produce(call, request).await;
        if acks != 0 {
            return encode(correlation_id, version, &response).map(Outgoing::One);
        }
        let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        match partitions.map(|partition| partition.error_code).find(|code| *code != 0) {
            None => Ok(Outgoing::Nothing),
            Some(code) => Err(Fatal::Unacknowledged { code }),
        }
    })
}

/// One partition's batches and what became of them.
struct Taken {
    index: i32,
    outcome: Result<(Arc<Partition>, Appended), ResponseError>,
    message: Option<String>,
    /// Positions of the records that were refused, where it is not the whole batch.
    refused: Vec<i32>,
}

impl Taken {
    fn failed(index: i32, error: ResponseError) -> Self {
        Self { index, outcome: Err(error), message: None, refused: Vec::new() }
    }
}

async fn produce(call: Call, request: ProduceRequest) -> ProduceResponse {
    let transactional_id = request.transactional_id.as_ref().map(|id| id.0.as_str());
    let refused = match request.acks {
        -1..=1 => None,
        _ => Some(ResponseError::InvalidRequiredAcks),
    };
    // Everything is appended before the first wait: batches of one connection stay in order.
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let mut taken = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            taken.push(match refused {
                Some(error) => Taken::failed(data.index, error),
                None => {
                    let records = data.records.unwrap_or_default();
                    append(&call, transactional_id, &topic.name, data.index, records)
                }
            });
        }
        topics.push((topic.name, taken));
    }
    let mut responses = Vec::with_capacity(topics.len());
    for (name, taken) in topics {
        let mut partitions = Vec::with_capacity(taken.len());
        for taken in taken {
            partitions.push(acknowledge(taken, request.acks != 0, call.version).await);
        }
        responses.push(
            TopicProduceResponse::default().with_name(name).with_partition_responses(partitions),
        );
    }
    ProduceResponse::default().with_responses(responses)
}

fn append(
    call: &Call,
    transactional_id: Option<&str>,
    topic: &str,
    index: i32,
    records: Bytes,
) -> Taken {
    let core = &call.core;
    let fail = |error| Taken::failed(index, error);
    if internal(topic) && call.client_id.as_deref() != Some(ADMIN_CLIENT) {
        return fail(ResponseError::InvalidTopicException);
    }
    let Some(partition) = core.catalogue.partition(topic, index) else {
        return fail(ResponseError::UnknownTopicOrPartition);
    };
    let Some(summary) = batch::summarize(&records) else {
        return fail(ResponseError::InvalidRecord);
    };
    let bytes = records.len();
    let write = || partition.append(records, Origin::Client, store::now_ms());
    let appended = match summary.transaction {
        None => write(),
        Some(producer) => {
            let open =
                core.transactions.while_open(transactional_id, producer, topic, index, write);
            match open {
                Ok(appended) => appended,
                Err(error) => return fail(error),
            }
        }
    };
    match appended {
        Ok(appended) => {
            core.metrics.records_in.inc_by(summary.records);
            core.metrics.record_bytes_in.inc_by(bytes as u64);
            let outcome = Ok((partition, appended));
            Taken { index, outcome, message: None, refused: Vec::new() }
        }
        Err(error) => {
            let code = store::append_error(&error);
            if code == ResponseError::KafkaStorageError {
                tracing::error!(partition = %partition.id(), %error, "an append failed");
            }
            let message = Some(error.to_string());
            let refused = match error {
                AppendError::MissingKey { records } => records,
                _ => Vec::new(),
            };
            Taken { index, outcome: Err(code), message, refused }
        }
    }
}

async fn acknowledge(taken: Taken, wait: bool, version: i16) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(taken.index);
    let (error, message) = match taken.outcome {
        Ok((partition, appended)) => {
            let durable = match wait {
                true => partition.durable(appended.last_offset + 1).await,
                false => Ok(()),
            };
            match durable {
                Ok(()) => {
                    let response = response
                        .with_base_offset(appended.base_offset)
                        .with_log_append_time_ms(appended.log_append_time);
                    return match version >= 5 {
                        true => response.with_log_start_offset(appended.log_start),
                        false => response,
                    };
                }
                Err(error) => (store::append_error(&error), Some(error.to_string())),
            }
        }
        Err(error) => (error, taken.message),
    };
    let response = response.with_error_code(error.code()).with_base_offset(-1);
    match message {
        Some(message) if version >= 8 => {
            let message = Some(StrBytes::from_string(message));
            let refused = taken.refused.into_iter().map(|at| {
                BatchIndexAndErrorMessage::default()
                    .with_batch_index(at)
                    .with_batch_index_error_message(message.clone())
            });
            response.with_record_errors(refused.collect()).with_error_message(message)
        }
        _ => response,
    }
}
