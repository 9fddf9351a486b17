//! Heartbeat (key 12), versions 0-4.
//!
//! - REBALANCE_IN_PROGRESS tells the member to join again.

use kafka_protocol::messages::{ApiKey, HeartbeatRequest, HeartbeatResponse};

use super::{Api, Call};
use crate::wire::shape::{I32, Shape, TEXT, all, since};

/// The handler.
pub(crate) struct Heartbeat;

impl Api for Heartbeat {
    const KEY: ApiKey = ApiKey::Heartbeat;
    const VERSIONS: (i16, i16) = (0, 4);
    const SHAPE: Shape =
        Shape { flexible: 4, fields: &[all(TEXT), all(I32), all(TEXT), since(3, TEXT)] };
    type Request = HeartbeatRequest;

    async fn handle(call: Call, request: HeartbeatRequest) -> HeartbeatResponse {
        let instance = request.group_instance_id.as_deref();
        let (group, member) = (&request.group_id, &request.member_id);
        let groups = &call.core.groups;
        let alive = groups.heartbeat(group, member, instance, request.generation_id);
        HeartbeatResponse::default().with_error_code(alive.err().map_or(0, |error| error.code()))
    }
}
