//! LeaveGroup (key 13), versions 0-5.
//!
//! - v3+: several members at once, each with its own result; static ones by instance id.

use kafka_protocol::messages::{
    ApiKey, LeaveGroupRequest, LeaveGroupResponse, leave_group_response::MemberResponse,
};

use super::{Api, Call};
use crate::wire::shape::{Kind, Shape, TEXT, all, since, until};

/// The handler.
pub(crate) struct LeaveGroup;

impl Api for LeaveGroup {
    const KEY: ApiKey = ApiKey::LeaveGroup;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: Shape = Shape {
        flexible: 4,
        fields: &[
            all(TEXT),
            until(2, TEXT),
            since(3, Kind::Structs(&[all(TEXT), all(TEXT), since(5, TEXT)])),
        ],
    };
    type Request = LeaveGroupRequest;

    async fn handle(call: Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
        let groups = &call.core.groups;
        let leave = |member: &str, instance: Option<&str>| {
            let left = groups.leave(&request.group_id, member, instance);
            left.err().map_or(0, |error| error.code())
        };
        let response = LeaveGroupResponse::default();
        if call.version < 3 {
            return response.with_error_code(leave(&request.member_id, None));
        }
        let members = request.members.iter().map(|member| {
            MemberResponse::default()
                .with_error_code(leave(&member.member_id, member.group_instance_id.as_deref()))
                .with_member_id(member.member_id.clone())
                .with_group_instance_id(member.group_instance_id.clone())
        });
        response.with_members(members.collect())
    }
}
