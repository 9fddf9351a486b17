//! ListTransactions (key 66), versions 0-1.
//!
//! - Filters by state, by producer id and (v1) by how long a transaction is open.
//! - Not implemented: version 2 and its pattern of transactional ids.

use kafka_protocol::{
    messages::{
        ApiKey, ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId,
        list_transactions_response::TransactionState,
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    store,
    transaction::{Description, records::Status},
    wire::shape::{I64, Kind, Shape, TEXT, all, since},
};

/// The handler.
pub(crate) struct ListTransactions;

impl Api for ListTransactions {
    const KEY: ApiKey = ApiKey::ListTransactions;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: Shape = Shape {
        flexible: 0,
        fields: &[all(Kind::List(&TEXT)), all(Kind::List(&I64)), since(1, I64)],
    };
    type Request = ListTransactionsRequest;

    async fn handle(call: Call, request: ListTransactionsRequest) -> ListTransactionsResponse {
        let (known, unknown): (Vec<_>, Vec<_>) =
            request.state_filters.into_iter().partition(|name| Status::by_name(name).is_some());
        let filtered = !known.is_empty() || !unknown.is_empty();
        let now = store::now_ms();
        let wanted = |one: &Description| {
            let ids = &request.producer_id_filters;
            let by_state = !filtered || known.iter().any(|name| **name == *one.status.name());
            let by_id = ids.is_empty() || ids.contains(&ProducerId(one.producer.id));
            let open_ms = if one.started_ms < 0 { -1 } else { now - one.started_ms };
            let by_age = request.duration_filter < 0 || open_ms > request.duration_filter;
            by_state && by_id && by_age
        };
        let state = |one: Description| {
            TransactionState::default()
                .with_transactional_id(TransactionalId(StrBytes::from_string(one.id)))
                .with_producer_id(ProducerId(one.producer.id))
                .with_transaction_state(StrBytes::from_static_str(one.status.name()))
        };
        let found = call.core.transactions.list().into_iter().filter(wanted).map(state);
        ListTransactionsResponse::default()
            .with_unknown_state_filters(unknown)
            .with_transaction_states(found.collect())
    }
}
