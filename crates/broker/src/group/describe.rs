//! Groups as tools see them.

use bytes::Bytes;

use super::{Group, Groups, lock, membership::State};

/// One line of ListGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) group: String,
    pub(crate) protocol_type: String,
    pub(crate) state: &'static str,
}

/// One group of DescribeGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) state: &'static str,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) members: Vec<MemberDescription>,
}

/// One member of a described group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberDescription {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

impl Groups {
    /// Every group.
    pub(crate) fn list(&self) -> Vec<Listing> {
        let groups: Vec<_> = self.lock().values().cloned().collect();
        let listing = |group: &Group| Listing {
            group: group.id.clone(),
            protocol_type: group.membership.protocol_type.clone().unwrap_or_default(),
            state: group.membership.state.name(),
        };
        groups.iter().map(|group| listing(&lock(group))).collect()
    }

    /// One group, if it exists.
    pub(crate) fn describe(&self, id: &str) -> Option<Description> {
        self.with(id, |group| {
            let membership = &group.membership;
            // Metadata and assignments belong to a settled generation.
            let settled = membership.state == State::Stable;
            let protocol = membership.protocol.clone().filter(|_| settled).unwrap_or_default();
            let member = |member: &super::member::Member| MemberDescription {
                id: member.id.clone(),
                instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                metadata: member.metadata(&protocol).cloned().unwrap_or_default(),
                assignment: match settled {
                    true => member.assignment.clone(),
                    false => Bytes::new(),
                },
            };
            Description {
                state: membership.state.name(),
                protocol_type: membership.protocol_type.clone().unwrap_or_default(),
                members: membership.members.values().map(member).collect(),
                protocol,
            }
        })
    }
}
