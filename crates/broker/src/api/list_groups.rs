//! ListGroups (key 16), versions 0-4.
//!
//! - v4+: states, also as a filter that does not care about case.

use kafka_protocol::{
    messages::{
        ApiKey, GroupId, ListGroupsRequest, ListGroupsResponse, list_groups_response::ListedGroup,
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    group::Listing,
    wire::shape::{Kind, Shape, TEXT, since},
};

/// The handler.
pub(crate) struct ListGroups;

impl Api for ListGroups {
    const KEY: ApiKey = ApiKey::ListGroups;
    const VERSIONS: (i16, i16) = (0, 4);
    const SHAPE: Shape = Shape { flexible: 3, fields: &[since(4, Kind::List(&TEXT))] };
    type Request = ListGroupsRequest;

    async fn handle(call: Call, request: ListGroupsRequest) -> ListGroupsResponse {
        let wanted = |listing: &Listing| {
            let states = &request.states_filter;
            states.is_empty() || states.iter().any(|s| s.eq_ignore_ascii_case(listing.state))
        };
        let listed = |listing: Listing| {
            let group = ListedGroup::default()
                .with_group_id(GroupId(StrBytes::from_string(listing.group)))
                .with_protocol_type(StrBytes::from_string(listing.protocol_type));
            match call.version >= 4 {
                true => group.with_group_state(StrBytes::from_static_str(listing.state)),
                false => group,
            }
        };
        let groups = call.core.groups.list().into_iter().filter(wanted).map(listed);
        ListGroupsResponse::default().with_groups(groups.collect())
    }
}
