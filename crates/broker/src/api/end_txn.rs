//! EndTxn (key 26), versions 0-3.
//!
//! - Answered when the decision and then every marker are durable, so that a reader who starts
//!   after the answer sees the outcome.
//! - A repeated request with the same outcome is answered without an error.

use kafka_protocol::messages::{ApiKey, EndTxnRequest, EndTxnResponse};

use super::{Api, Call, init_producer_id::fenced_before};
use crate::{
    batch::Producer,
    wire::shape::{BOOL, I16, I64, Shape, TEXT, all},
};

/// The handler.
pub(crate) struct EndTxn;

impl Api for EndTxn {
    const KEY: ApiKey = ApiKey::EndTxn;
    const VERSIONS: (i16, i16) = (0, 3);
    const SHAPE: Shape = Shape { flexible: 3, fields: &[all(TEXT), all(I64), all(I16), all(BOOL)] };
    type Request = EndTxnRequest;

    async fn handle(call: Call, request: EndTxnRequest) -> EndTxnResponse {
        let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
        let id = &request.transactional_id;
        let ended = call.core.transactions.end(id, producer, request.committed).await;
        let error = ended.err().map(|error| fenced_before(call.version, 2, error).code());
        EndTxnResponse::default().with_error_code(error.unwrap_or(0))
    }
}
