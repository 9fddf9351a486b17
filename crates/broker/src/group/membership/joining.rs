//! How a member comes in: new, known, or static and back again.

use std::time::Duration;

use kafka_protocol::ResponseError;
use rand::Rng;
use tokio::{sync::oneshot, time::Instant};

use super::{Join, MAX_MEMBERS, Membership, State};
use crate::{
    group::member::{JoinRefused, JoinRequest, Member},
    wire::shorten,
};

impl Membership {
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
        let name = request.instance_id.as_deref().unwrap_or(&request.client_id);
        // The id is a string of the protocol too: a name of its greatest length must leave room.
        let id = format!("{}-{}", shorten(name), random_suffix());
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
}

fn refused(error: ResponseError, member_id: &str) -> Join {
    Join::Now(Err(JoinRefused { error, member_id: member_id.to_owned() }))
}

fn random_suffix() -> String {
    let bits: u128 = rand::rng().random();
    format!("{bits:032x}")
}
