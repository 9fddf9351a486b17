//! How a generation begins and gets its assignment.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::{sync::oneshot, time::Instant};

use super::{Membership, State, Sync};
use crate::group::member::{Candidate, Joined, Member, SyncRequest, Synced};

impl Membership {
    /// Begins to prepare a rebalance.
    pub(super) fn prepare(&mut self, now: Instant, delay: Duration) {
        for member in self.members.values_mut() {
            member.answer_sync(Err(ResponseError::RebalanceInProgress));
        }
        self.unsynced.clear();
        self.state = State::PreparingRebalance;
        self.deadline = Some(now + self.longest_rebalance());
        self.not_before = (!delay.is_zero()).then(|| now + delay);
    }

    fn longest_rebalance(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// Begins the generation if nobody is missing.
    pub(super) fn maybe_begin(&mut self, now: Instant) {
        let complete = self.pending.is_empty()
            && self.not_before.is_none_or(|time| time <= now)
            && self.members.values().all(|member| member.joining.is_some());
        if self.state == State::PreparingRebalance && complete {
            self.begin(now);
        }
    }

    /// Begins a generation with those who have joined; dynamic members that have not are removed.
    pub(super) fn begin(&mut self, now: Instant) {
        self.members.retain(|_, member| member.joining.is_some() || member.instance_id.is_some());
        let joined = self.members.values().find(|member| member.joining.is_some());
        if let (None, false) = (joined, self.members.is_empty()) {
            // Only static members are left, and none has come yet.
            self.deadline = Some(now + self.longest_rebalance().max(Duration::from_secs(1)));
            return;
        }
        let leads = |id: &String| self.members.get(id).is_some_and(|m| m.joining.is_some());
        if !self.leader.as_ref().is_some_and(leads) {
            self.leader = joined.map(|member| member.id.clone());
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.not_before = None;
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol = None;
            self.deadline = None;
            self.changed = true;
            return;
        }
        self.protocol = self.vote();
        self.state = State::CompletingRebalance;
        self.deadline = Some(now + self.longest_rebalance());
        self.unsynced = self.members.keys().cloned().collect();
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.heard(now);
                member.answer_join(Ok(joined));
            }
        }
    }

    /// The protocol most members prefer among those that all support; ties go to the leader's
    /// order of preference.
    fn vote(&self) -> Option<String> {
        let leader = self.members.get(self.leader.as_ref()?)?;
        let common = |name: &str| self.members.values().all(|m| m.metadata(name).is_some());
        let candidates: Vec<&str> =
            leader.protocols.iter().map(|(name, _)| name.as_str()).filter(|n| common(n)).collect();
        let votes = |candidate: &str| {
            let prefers = |member: &&Member| {
                member.protocols.iter().map(|(name, _)| name.as_str()).find(|n| common(n))
                    == Some(candidate)
            };
            self.members.values().filter(prefers).count()
        };
        let mut best: Option<(&str, usize)> = None;
        for candidate in candidates {
            let count = votes(candidate);
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((candidate, count));
            }
        }
        best.map(|(name, _)| name.to_owned())
    }

    /// What a member is told about the current generation.
    pub(super) fn joined(&self, id: &str) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = match leader == id {
            false => Vec::new(),
            true => self
                .members
                .values()
                .map(|member| Candidate {
                    member_id: member.id.clone(),
                    instance_id: member.instance_id.clone(),
                    metadata: member.metadata(&protocol).cloned().unwrap_or_default(),
                })
                .collect(),
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol,
            leader,
            member_id: id.to_owned(),
            skip_assignment: false,
            members,
        }
    }

    /// A member asks for its assignment; the leader brings it.
    pub(crate) fn sync(&mut self, request: &SyncRequest, now: Instant) -> Sync {
        if let Err(error) = self.check_sync(request) {
            return Sync::Now(Err(error));
        }
        match self.state {
            State::Empty => Sync::Now(Err(ResponseError::UnknownMemberId)),
            State::PreparingRebalance => Sync::Now(Err(ResponseError::RebalanceInProgress)),
            State::Stable => {
                self.unsynced.remove(&request.member_id);
                if let Some(member) = self.members.get_mut(&request.member_id) {
                    member.heard(now);
                }
                Sync::Now(Ok(self.synced(&request.member_id)))
            }
            State::CompletingRebalance => self.wait_for_assignment(request, now),
        }
    }

    fn wait_for_assignment(&mut self, request: &SyncRequest, now: Instant) -> Sync {
        self.unsynced.remove(&request.member_id);
        let (sender, receiver) = oneshot::channel();
        if let Some(member) = self.members.get_mut(&request.member_id) {
            member.heard(now);
            member.syncing = Some(sender);
        }
        if self.leader.as_ref() != Some(&request.member_id) {
            return Sync::Wait(receiver);
        }
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for (id, assignment) in &request.assignments {
            if let Some(member) = self.members.get_mut(id) {
                member.assignment = assignment.clone();
            }
        }
        Sync::Store(receiver)
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), ResponseError> {
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        let differs = |given: &Option<String>, ours: &Option<String>| {
            given.is_some() && ours.is_some() && given != ours
        };
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol, &self.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// The assignment of `generation` is stored, or could not be: everybody who waits is told.
    pub(crate) fn assigned(
        &mut self,
        generation: i32,
        stored: Result<(), ResponseError>,
        now: Instant,
    ) {
        if self.state != State::CompletingRebalance || self.generation != generation {
            return;
        }
        if let Err(error) = stored {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                member.answer_sync(Err(error));
            }
            return self.prepare(now, Duration::ZERO);
        }
        self.state = State::Stable;
        self.deadline = (!self.unsynced.is_empty()).then(|| now + self.longest_rebalance());
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let synced = self.synced(&id);
            if let Some(member) = self.members.get_mut(&id)
                && member.syncing.is_some()
            {
                member.heard(now);
                member.answer_sync(Ok(synced));
            }
        }
    }

    fn synced(&self, id: &str) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone().unwrap_or_default(),
            assignment: self.members.get(id).map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }
}
