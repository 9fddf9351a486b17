//! FindCoordinator (key 10), versions 0-4.
//!
//! - The only broker coordinates every group (type 0) and every transactional id (type 1).
//! - v4+ asks for several keys at once.
//! - Not implemented: share groups (type 2), refused with INVALID_REQUEST.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, BrokerId, FindCoordinatorRequest, FindCoordinatorResponse,
        find_coordinator_response::Coordinator,
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    core::NODE_ID,
    wire::shape::{I8, Kind, Shape, TEXT, between, since, until},
};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// The handler.
pub(crate) struct FindCoordinator;

impl Api for FindCoordinator {
    const KEY: ApiKey = ApiKey::FindCoordinator;
    const VERSIONS: (i16, i16) = (0, 4);
    const SHAPE: Shape = Shape {
        flexible: 3,
        fields: &[until(3, TEXT), between(1, i16::MAX, I8), since(4, Kind::List(&TEXT))],
    };
    type Request = FindCoordinatorRequest;

    async fn handle(call: Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        let known = matches!(request.key_type, GROUP | TRANSACTION);
        let error = if known { 0 } else { ResponseError::InvalidRequest.code() };
        let (node, host, port) = match known {
            true => (NODE_ID, StrBytes::from_string(call.core.host.clone()), call.core.port()),
            false => (BrokerId(-1), StrBytes::default(), -1),
        };
        if call.version < 4 {
            return FindCoordinatorResponse::default()
                .with_error_code(error)
                .with_node_id(node)
                .with_host(host)
                .with_port(port);
        }
        let coordinator = |key| {
            Coordinator::default()
                .with_key(key)
                .with_error_code(error)
                .with_node_id(node)
                .with_host(host.clone())
                .with_port(port)
        };
        FindCoordinatorResponse::default()
            .with_coordinators(request.coordinator_keys.into_iter().map(coordinator).collect())
    }
}
