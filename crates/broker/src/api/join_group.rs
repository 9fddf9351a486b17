//! JoinGroup (key 11), versions 0-9.
//!
//! - Answered when the generation begins: everybody known has joined, or the rebalance timeout of
//!   the slowest member is over.
//! - v4+: a dynamic member without an id is first refused with MEMBER_ID_REQUIRED.
//! - v5+: static members (`group_instance_id`) keep their assignment over a restart.
//! - v9: a static leader that comes back is told to skip the assignment.
//! - Names of groups, instances and protocols end at 1,000 bytes, which Kafka does not do; of a
//!   client's name so much is kept.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        ApiKey, JoinGroupRequest, JoinGroupResponse, join_group_response::JoinGroupResponseMember,
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    group::member::{Candidate, JoinRequest, JoinResult},
    wire::{
        shape::{BLOB, I32, Kind, Shape, TEXT, all, since},
        shorten,
    },
};

/// The handler.
pub(crate) struct JoinGroup;

impl Api for JoinGroup {
    const KEY: ApiKey = ApiKey::JoinGroup;
    const VERSIONS: (i16, i16) = (0, 9);
    const SHAPE: Shape = Shape {
        flexible: 6,
        fields: &[
            all(TEXT),
            all(I32),
            since(1, I32),
            all(TEXT),
            since(5, TEXT),
            all(TEXT),
            all(Kind::Structs(&[all(TEXT), all(BLOB)])),
            since(8, TEXT),
        ],
    };
    type Request = JoinGroupRequest;

    async fn handle(call: Call, request: JoinGroupRequest) -> JoinGroupResponse {
        let milliseconds = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let session_timeout = milliseconds(request.session_timeout_ms);
        let rebalance_timeout = match call.version >= 1 {
            true => milliseconds(request.rebalance_timeout_ms),
            false => session_timeout,
        };
        // Copied, because a slice would keep the whole request in memory with the member.
        let protocol =
            |protocol: &kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol| {
                (protocol.name.to_string(), Bytes::copy_from_slice(&protocol.metadata))
            };
        let join = JoinRequest {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
            client_id: shorten(call.client_id.as_deref().unwrap_or_default()).to_owned(),
            client_host: format!("/{}", call.client.address.ip()),
            session_timeout,
            rebalance_timeout,
            protocol_type: request.protocol_type.to_string(),
            protocols: request.protocols.iter().map(protocol).collect(),
            id_required: call.version >= 4,
            may_skip_assignment: call.version >= 9,
        };
        let joined = call.core.groups.join(&request.group_id, join).await;
        respond(joined, call.version)
    }
}

fn respond(joined: JoinResult, version: i16) -> JoinGroupResponse {
    let response = JoinGroupResponse::default();
    let text = |text: String| StrBytes::from_string(text);
    let joined = match joined {
        Ok(joined) => joined,
        Err(refused) => {
            let response = response
                .with_error_code(refused.error.code())
                .with_generation_id(-1)
                .with_member_id(text(refused.member_id));
            // Null names are only known to version 7 and later.
            let name = if version >= 7 { None } else { Some(StrBytes::default()) };
            return response.with_protocol_name(name);
        }
    };
    let member = |member: Candidate| {
        let instance = member.instance_id.filter(|_| version >= 5).map(text);
        JoinGroupResponseMember::default()
            .with_member_id(text(member.member_id))
            .with_group_instance_id(instance)
            .with_metadata(member.metadata)
    };
    let mut response = response
        .with_generation_id(joined.generation)
        .with_protocol_name(Some(text(joined.protocol)))
        .with_leader(text(joined.leader))
        .with_member_id(text(joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect());
    if version >= 7 {
        response.protocol_type = Some(text(joined.protocol_type));
    }
    if version >= 9 {
        response.skip_assignment = joined.skip_assignment;
    }
    response
}
