//! DescribeGroups (key 15), versions 0-5.
//!
//! - A group that does not exist is described as "Dead" without an error, as Kafka does.
//! - Not implemented: authorized operations (reported as not known).

use kafka_protocol::{
    messages::{
        ApiKey, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    group::Description,
    wire::shape::{BOOL, Kind, Shape, TEXT, all, since},
};

/// The handler.
pub(crate) struct DescribeGroups;

impl Api for DescribeGroups {
    const KEY: ApiKey = ApiKey::DescribeGroups;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: Shape = Shape { flexible: 5, fields: &[all(Kind::List(&TEXT)), since(3, BOOL)] };
    type Request = DescribeGroupsRequest;

    async fn handle(call: Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        let groups = request.groups.into_iter().map(|id| {
            let description = call.core.groups.describe(&id);
            describe(id, description, call.version)
        });
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }
}

fn describe(id: GroupId, description: Option<Description>, version: i16) -> DescribedGroup {
    let group = DescribedGroup::default().with_group_id(id);
    let Some(description) = description else {
        return group.with_group_state(StrBytes::from_static_str("Dead"));
    };
    let text = |text: String| StrBytes::from_string(text);
    let members = description.members.into_iter().map(|member| {
        let instance = member.instance_id.filter(|_| version >= 4).map(text);
        DescribedGroupMember::default()
            .with_member_id(text(member.id))
            .with_group_instance_id(instance)
            .with_client_id(text(member.client_id))
            .with_client_host(text(member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    group
        .with_group_state(StrBytes::from_static_str(description.state))
        .with_protocol_type(text(description.protocol_type))
        .with_protocol_data(text(description.protocol))
        .with_members(members.collect())
}
