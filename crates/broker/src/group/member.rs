//! One member of a group, and what it asks for when it joins.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::{sync::oneshot, time::Instant};

/// A JoinGroup request.
#[derive(Debug, Clone, Default)]
pub(crate) struct JoinRequest {
    /// Empty for a member that has no id yet.
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    /// Names with the member's metadata, in order of preference.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// v4+: a dynamic member must come back with the id it was given.
    pub(crate) id_required: bool,
    /// v9+: the leader can be told that nothing needs to be assigned.
    pub(crate) may_skip_assignment: bool,
}

/// What a member is told when a generation begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member_id: String,
    pub(crate) skip_assignment: bool,
    /// Only for the leader.
    pub(crate) members: Vec<Candidate>,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) metadata: Bytes,
}

/// Why a join was refused, and the member id to report with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinRefused {
    pub(crate) error: ResponseError,
    pub(crate) member_id: String,
}

/// A SyncGroup request.
#[derive(Debug, Clone, Default)]
pub(crate) struct SyncRequest {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    /// From the leader: member ids with their assignments.
    pub(crate) assignments: Vec<(String, Bytes)>,
}

/// A member's part of the assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) assignment: Bytes,
}

pub(crate) type JoinResult = Result<Joined, JoinRefused>;
pub(crate) type SyncResult = Result<Synced, ResponseError>;

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    /// When it counts as gone unless it is heard of, except while it waits for an answer of ours.
    pub(crate) expires: Instant,
    /// Waits for the generation to begin.
    pub(crate) joining: Option<oneshot::Sender<JoinResult>>,
    /// Waits for the leader's assignment.
    pub(crate) syncing: Option<oneshot::Sender<SyncResult>>,
}

impl Member {
    /// A member with the given id, heard of now.
    pub(crate) fn new(id: String, request: &JoinRequest, now: Instant) -> Self {
        let mut member = Self {
            id,
            instance_id: request.instance_id.clone(),
            client_id: String::new(),
            client_host: String::new(),
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            expires: now,
            joining: None,
            syncing: None,
        };
        member.update(request, now);
        member
    }

    /// Takes over what a later join says.
    pub(crate) fn update(&mut self, request: &JoinRequest, now: Instant) {
        self.client_id.clone_from(&request.client_id);
        self.client_host.clone_from(&request.client_host);
        self.session_timeout = request.session_timeout;
        self.rebalance_timeout = request.rebalance_timeout;
        self.protocols.clone_from(&request.protocols);
        self.heard(now);
    }

    /// The member is alive.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.expires = now + self.session_timeout;
    }

    /// The metadata for one protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|(name, _)| name == protocol).map(|(_, metadata)| metadata)
    }

    /// Whether an answer of ours is due, so that silence says nothing.
    pub(crate) fn waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }

    /// Answers a waiting join.
    pub(crate) fn answer_join(&mut self, result: JoinResult) {
        if let Some(joining) = self.joining.take() {
            // A receiver that is gone has a dead connection; the session timeout finds that out.
            let _ = joining.send(result);
        }
    }

    /// Answers a waiting sync.
    pub(crate) fn answer_sync(&mut self, result: SyncResult) {
        if let Some(syncing) = self.syncing.take() {
            let _ = syncing.send(result);
        }
    }
}
