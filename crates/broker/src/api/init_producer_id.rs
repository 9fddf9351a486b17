//! InitProducerId (key 22), versions 0-4.
//!
//! - Without a transactional id: a new producer id.
//! - With one: the same producer id with the next epoch. A transaction that an earlier instance
//!   left open is aborted first, so the answer already excludes it.
//! - A transactional id ends at 1,000 bytes, which it does not in Kafka.
//! - v3+: a producer that names its id and epoch continues only if they are current.

use kafka_protocol::{
    ResponseError,
    messages::{ApiKey, InitProducerIdRequest, InitProducerIdResponse, ProducerId},
};

use super::{Api, Call};
use crate::{
    batch::Producer,
    wire::shape::{I16, I32, I64, Shape, TEXT, all, since},
};

/// The handler.
pub(crate) struct InitProducerId;

impl Api for InitProducerId {
    const KEY: ApiKey = ApiKey::InitProducerId;
    const VERSIONS: (i16, i16) = (0, 4);
    const SHAPE: Shape =
        Shape { flexible: 2, fields: &[all(TEXT), all(I32), since(3, I64), since(3, I16)] };
    type Request = InitProducerIdRequest;

    async fn handle(call: Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let core = &call.core;
        let known = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
        let known = Some(known).filter(|known| known.id >= 0);
        let producer = match &request.transactional_id {
            None => {
                let id = core.catalogue.next_producer_id().await;
                id.map(|id| Producer { id, epoch: 0 })
            }
            Some(id) => core.transactions.init(id, request.transaction_timeout_ms, known).await,
        };
        let response = InitProducerIdResponse::default();
        match producer {
            Ok(producer) => response
                .with_producer_id(ProducerId(producer.id))
                .with_producer_epoch(producer.epoch),
            Err(error) => response
                .with_error_code(fenced_before(call.version, 4, error).code())
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1),
        }
    }
}

/// PRODUCER_FENCED is only known from version `since` on; before, it was INVALID_PRODUCER_EPOCH.
pub(crate) fn fenced_before(version: i16, since: i16, error: ResponseError) -> ResponseError {
    match error {
        ResponseError::ProducerFenced if version < since => ResponseError::InvalidProducerEpoch,
        other => other,
    }
}
