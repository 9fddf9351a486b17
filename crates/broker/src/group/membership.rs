//! The classic group protocol as a state machine: members join, a generation begins, the leader
//! assigns, everybody heartbeats. Time is an argument, so tests need no clock.

mod generation;
mod joining;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use kafka_protocol::ResponseError;
use tokio::{sync::oneshot, time::Instant};

use super::member::{JoinRefused, JoinRequest, JoinResult, Member, SyncResult};

/// Members a group may have; a bound on memory, far beyond what a group can use.
const MAX_MEMBERS: usize = 10_000;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum State {
    /// No members; perhaps committed offsets.
    #[default]
    Empty,
    /// Waiting for members to join the next generation.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
}

impl State {
    /// The name that tools show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// The answer to a join: now, or when the generation begins.
#[derive(Debug)]
pub(crate) enum Join {
    Now(JoinResult),
    Wait(oneshot::Receiver<JoinResult>),
}

/// The answer to a sync.
#[derive(Debug)]
pub(crate) enum Sync {
    Now(SyncResult),
    /// The leader has not assigned yet.
    Wait(oneshot::Receiver<SyncResult>),
    /// The leader has assigned: store the generation, then call [`Membership::assigned`].
    Store(oneshot::Receiver<SyncResult>),
}

/// Members and generation of one group.
#[derive(Debug, Default)]
pub(crate) struct Membership {
    pub(crate) state: State,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    pub(crate) members: BTreeMap<String, Member>,
    /// Instance id to member id.
    instances: HashMap<String, String>,
    /// Ids given out with MEMBER_ID_REQUIRED that have not come back, and until when they may.
    pending: HashMap<String, Instant>,
    /// When the rebalance goes on without those who are missing.
    deadline: Option<Instant>,
    /// The first rebalance waits for this, even when everybody known has joined.
    not_before: Option<Instant>,
    /// Members of this generation whose sync is missing.
    unsynced: BTreeSet<String>,
    /// The generation changed in a way that has to be stored.
    changed: bool,
}

impl Membership {
    /// Members restored from the log; they go on as if nothing had happened.
    pub(crate) fn restored(
        generation: i32,
        protocol_type: Option<String>,
        protocol: Option<String>,
        leader: Option<String>,
        members: Vec<Member>,
    ) -> Self {
        let state = if members.is_empty() { State::Empty } else { State::Stable };
        let instances = members
            .iter()
            .filter_map(|member| Some((member.instance_id.clone()?, member.id.clone())))
            .collect();
        let members = members.into_iter().map(|member| (member.id.clone(), member)).collect();
        let (deadline, not_before) = (None, None);
        Self {
            state,
            generation,
            protocol_type,
            protocol,
            leader,
            members,
            instances,
            pending: HashMap::new(),
            deadline,
            not_before,
            unsynced: BTreeSet::new(),
            changed: false,
        }
    }

    /// Whether the generation has to be stored; asking resets it.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether nobody is a member or about to become one.
    pub(crate) fn unused(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    /// Whether a member with these protocols can be in this group.
    fn compatible(&self, request: &JoinRequest) -> bool {
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return false;
        }
        let others = self.members.values().filter(|member| member.id != request.member_id);
        let others: Vec<&Member> = others.collect();
        if self.members.is_empty() {
            return true;
        }
        self.protocol_type.as_ref() == Some(&request.protocol_type)
            && request
                .protocols
                .iter()
                .any(|(name, _)| others.iter().all(|member| member.metadata(name).is_some()))
    }

    /// Refuses members that are unknown, or static ones that were replaced.
    pub(crate) fn check_member(
        &self,
        id: &str,
        instance: Option<&str>,
    ) -> Result<(), ResponseError> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(current) if current != id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        match self.members.contains_key(id) {
            true => Ok(()),
            false => Err(ResponseError::UnknownMemberId),
        }
    }

    /// A member says that it is alive.
    pub(crate) fn heartbeat(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        self.check_member(id, instance)?;
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        if let Some(member) = self.members.get_mut(id) {
            member.heard(now);
        }
        match self.state {
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// Whether an offset commit of this member and generation is accepted.
    pub(crate) fn check_commit(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        if generation >= 0 || !id.is_empty() || instance.is_some() {
            self.check_member(id, instance)?;
            if generation != self.generation {
                return Err(ResponseError::IllegalGeneration);
            }
        } else {
            return Err(ResponseError::UnknownMemberId);
        }
        if self.state == State::CompletingRebalance {
            return Err(ResponseError::RebalanceInProgress);
        }
        if let Some(member) = self.members.get_mut(id) {
            member.heard(now);
        }
        Ok(())
    }

    /// A member leaves, by member id or by instance id.
    pub(crate) fn leave(
        &mut self,
        id: &str,
        instance: Option<&str>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let id = match (instance, id) {
            (Some(instance), "") => self.instances.get(instance).cloned().unwrap_or_default(),
            _ => id.to_owned(),
        };
        if self.pending.remove(&id).is_some() {
            self.maybe_begin(now);
            return Ok(());
        }
        self.check_member(&id, instance)?;
        self.remove(&id, now);
        Ok(())
    }

    fn remove(&mut self, id: &str, now: Instant) {
        let Some(mut member) = self.members.remove(id) else { return };
        let error = ResponseError::UnknownMemberId;
        member.answer_join(Err(JoinRefused { error, member_id: id.to_owned() }));
        member.answer_sync(Err(error));
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        self.unsynced.remove(id);
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        if matches!(self.state, State::Stable | State::CompletingRebalance) {
            self.prepare(now, Duration::ZERO);
        }
        self.maybe_begin(now);
    }

    /// Removes who is overdue and moves on rebalances that have waited long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        let pending = self.pending.len();
        self.pending.retain(|_, until| *until > now);
        if self.pending.len() < pending {
            self.maybe_begin(now);
        }
        let silent = |member: &&Member| member.expires <= now && !member.waiting();
        let gone: Vec<String> =
            self.members.values().filter(silent).map(|member| member.id.clone()).collect();
        for id in gone {
            self.remove(&id, now);
        }
        self.not_before = self.not_before.filter(|time| *time > now);
        self.maybe_begin(now);
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.deadline = None;
        match self.state {
            State::PreparingRebalance => {
                // Whoever was given an id and never came back does not hold up the others again.
                self.pending.clear();
                self.begin(now);
            }
            State::CompletingRebalance | State::Stable => {
                for id in std::mem::take(&mut self.unsynced) {
                    self.remove(&id, now);
                }
                if self.state == State::CompletingRebalance {
                    self.prepare(now, Duration::ZERO);
                }
            }
            State::Empty => {}
        }
    }

    /// When [`Membership::expire`] has something to do next, unless something happens before.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.values().filter(|member| !member.waiting());
        let deadlines = members.map(|member| member.expires);
        let deadlines = deadlines.chain(self.pending.values().copied());
        deadlines.chain(self.deadline).chain(self.not_before).min()
    }
}

#[cfg(test)]
mod tests;
