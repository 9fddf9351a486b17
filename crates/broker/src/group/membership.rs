//! The classic group protocol as a state machine: members join, a generation begins, the leader
//! assigns, everybody heartbeats. Time is an argument, so tests need no clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use rand::Rng;
use tokio::{sync::oneshot, time::Instant};

use super::member::{
    Candidate, JoinRefused, JoinRequest, JoinResult, Joined, Member, SyncRequest, SyncResult,
    Synced,
};

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

    /// A member joins or rejoins.
    pub(crate) fn join(
        &mut self,
        request: &JoinRequest,
        now: Instant,
        initial_delay: Duration,
    ) -> Join {
        if !self.compatible(request) {
            return refused(ResponseError::InconsistentGroupProtocol, &request.member_id);
        }
        if request.member_id.is_empty() {
            self.join_new(request, now, initial_delay)
        } else {
            self.join_known(request, now, initial_delay)
        }
    }

    fn join_new(&mut self, request: &JoinRequest, now: Instant, delay: Duration) -> Join {
        if self.members.len() + self.pending.len() >= MAX_MEMBERS {
            return refused(ResponseError::GroupMaxSizeReached, "");
        }
        let prefix = request.instance_id.as_deref().unwrap_or(&request.client_id);
        let id = format!("{prefix}-{}", random_suffix());
        if let Some(instance) = &request.instance_id {
            return match self.instances.get(instance).cloned() {
                Some(old) => self.replace_static(&old, id, request, now),
                None => self.add(id, request, now, delay),
            };
        }
        if request.id_required {
            self.pending.insert(id.clone(), now + request.session_timeout);
            return refused(ResponseError::MemberIdRequired, &id);
        }
        self.add(id, request, now, delay)
    }

    fn join_known(&mut self, request: &JoinRequest, now: Instant, delay: Duration) -> Join {
        let id = &request.member_id;
        if self.pending.remove(id).is_some() {
            return self.add(id.clone(), request, now, delay);
        }
        if let Err(error) = self.check_member(id, request.instance_id.as_deref()) {
            return refused(error, id);
        }
        let same = self.members.get(id).is_some_and(|m| m.protocols == request.protocols);
        match self.state {
            State::CompletingRebalance if same => Join::Now(Ok(self.joined(id))),
            State::Stable if same && self.leader.as_ref() != Some(id) => {
                Join::Now(Ok(self.joined(id)))
            }
            // A leader that rejoins asks for a rebalance, for example because a topic has grown.
            State::CompletingRebalance | State::Stable => {
                self.prepare(now, Duration::ZERO);
                self.wait(id.clone(), request, now)
            }
            State::PreparingRebalance => self.wait(id.clone(), request, now),
            State::Empty => refused(ResponseError::UnknownMemberId, id),
        }
    }

    fn add(&mut self, id: String, request: &JoinRequest, now: Instant, delay: Duration) -> Join {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        if let Some(instance) = &request.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        let first = self.state == State::Empty;
        self.members.insert(id.clone(), Member::new(id.clone(), request, now));
        if self.state != State::PreparingRebalance {
            self.prepare(now, if first { delay } else { Duration::ZERO });
        }
        self.wait(id, request, now)
    }

    /// A static member came back under a new id: the old one is fenced. If it supports what it
    /// supported before, the generation goes on without a rebalance.
    fn replace_static(
        &mut self,
        old_id: &str,
        id: String,
        request: &JoinRequest,
        now: Instant,
    ) -> Join {
        let Some(mut member) = self.members.remove(old_id) else {
            return refused(ResponseError::UnknownMemberId, "");
        };
        let fenced = ResponseError::FencedInstanceId;
        member.answer_join(Err(JoinRefused { error: fenced, member_id: old_id.to_owned() }));
        member.answer_sync(Err(fenced));
        let protocol = self.protocol.clone().unwrap_or_default();
        let before = member.metadata(&protocol).cloned();
        member.id.clone_from(&id);
        member.update(request, now);
        let unchanged = before.is_some() && member.metadata(&protocol) == before.as_ref();
        let led = self.leader.as_deref() == Some(old_id);
        if led {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &request.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.members.insert(id.clone(), member);
        self.unsynced.remove(old_id);
        if self.state != State::Stable || !unchanged {
            if self.state != State::PreparingRebalance {
                self.prepare(now, Duration::ZERO);
            }
            return self.wait(id, request, now);
        }
        self.changed = true;
        let mut joined = self.joined(&id);
        if led && request.may_skip_assignment {
            joined.skip_assignment = true;
        } else if led {
            // An older client that saw itself as leader would assign anew.
            joined.leader = old_id.to_owned();
            joined.members.clear();
        }
        Join::Now(Ok(joined))
    }

    /// Lets a member wait for the next generation.
    fn wait(&mut self, id: String, request: &JoinRequest, now: Instant) -> Join {
        let (sender, receiver) = oneshot::channel();
        if let Some(member) = self.members.get_mut(&id) {
            member.update(request, now);
            member.joining = Some(sender);
        }
        self.maybe_begin(now);
        Join::Wait(receiver)
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

    /// Begins to prepare a rebalance.
    fn prepare(&mut self, now: Instant, delay: Duration) {
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
    fn maybe_begin(&mut self, now: Instant) {
        let complete = self.pending.is_empty()
            && self.not_before.is_none_or(|time| time <= now)
            && self.members.values().all(|member| member.joining.is_some());
        if self.state == State::PreparingRebalance && complete {
            self.begin(now);
        }
    }

    /// Begins a generation with those who have joined; dynamic members that have not are removed.
    fn begin(&mut self, now: Instant) {
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
    fn joined(&self, id: &str) -> Joined {
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

fn refused(error: ResponseError, member_id: &str) -> Join {
    Join::Now(Err(JoinRefused { error, member_id: member_id.to_owned() }))
}

fn random_suffix() -> String {
    let bits: u128 = rand::rng().random();
    format!("{bits:032x}")
}
