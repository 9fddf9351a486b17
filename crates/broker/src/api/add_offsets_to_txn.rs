//! AddOffsetsToTxn (key 25), versions 0-3.
//!
//! - Adds the partition of `__consumer_offsets` to the transaction; durable when answered.

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, ApiKey};

use super::{Api, Call, init_producer_id::fenced_before};
use crate::{
    batch::Producer,
    catalogue::OFFSETS_TOPIC,
    wire::shape::{I16, I64, Shape, TEXT, all},
};

/// The handler.
pub(crate) struct AddOffsetsToTxn;

impl Api for AddOffsetsToTxn {
    const KEY: ApiKey = ApiKey::AddOffsetsToTxn;
    const VERSIONS: (i16, i16) = (0, 3);
    const SHAPE: Shape = Shape { flexible: 3, fields: &[all(TEXT), all(I64), all(I16), all(TEXT)] };
    type Request = AddOffsetsToTxnRequest;

    async fn handle(call: Call, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
        let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
        let offsets = [(OFFSETS_TOPIC.to_owned(), 0)];
        let id = &request.transactional_id;
        let added = call.core.transactions.add_partitions(id, producer, &offsets).await;
        let error = added.err().map(|error| fenced_before(call.version, 2, error).code());
        AddOffsetsToTxnResponse::default().with_error_code(error.unwrap_or(0))
    }
}
