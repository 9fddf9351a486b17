use bytes::Bytes;

use super::*;
use crate::group::member::{Joined, SyncRequest, Synced};

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

/// A group and a clock that only the test moves.
struct Rig {
    group: Membership,
    now: Instant,
}

type Answer<T> = oneshot::Receiver<T>;

fn wants(member: &str) -> JoinRequest {
    JoinRequest {
        member_id: member.to_owned(),
        client_id: "client".to_owned(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::from_static(b"topics"))],
        ..JoinRequest::default()
    }
}

fn fixed(instance: &str, member: &str) -> JoinRequest {
    JoinRequest { instance_id: Some(instance.to_owned()), ..wants(member) }
}

impl Rig {
    fn new() -> Self {
        Self { group: Membership::default(), now: Instant::now() }
    }

    fn join(&mut self, request: &JoinRequest) -> Answer<JoinResult> {
        match self.group.join(request, self.now, Duration::ZERO) {
            Join::Wait(answer) => answer,
            Join::Now(result) => panic!("answered at once: {result:?}"),
        }
    }

    fn join_now(&mut self, request: &JoinRequest) -> JoinResult {
        match self.group.join(request, self.now, Duration::ZERO) {
            Join::Now(result) => result,
            Join::Wait(_) => panic!("had to wait"),
        }
    }

    fn refused(&mut self, request: &JoinRequest) -> ResponseError {
        self.join_now(request).unwrap_err().error
    }

    fn sync(
        &mut self,
        joined: &Joined,
        assignments: &[(&str, &'static str)],
    ) -> Answer<SyncResult> {
        let assignments = assignments
            .iter()
            .map(|(id, part)| ((*id).to_owned(), Bytes::from_static(part.as_bytes())))
            .collect();
        let request = SyncRequest {
            member_id: joined.member_id.clone(),
            generation: joined.generation,
            assignments,
            ..SyncRequest::default()
        };
        match self.group.sync(&request, self.now) {
            Sync::Wait(answer) => answer,
            Sync::Store(answer) => {
                self.group.assigned(joined.generation, Ok(()), self.now);
                answer
            }
            Sync::Now(result) => {
                let (sender, answer) = oneshot::channel();
                sender.send(result).unwrap();
                answer
            }
        }
    }

    /// Moves the clock and lets what is due happen.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.group.expire(self.now);
    }

    fn heartbeat(&mut self, joined: &Joined) -> Result<(), ResponseError> {
        self.group.heartbeat(&joined.member_id, None, joined.generation, self.now)
    }

    /// A stable group of one.
    fn alone(&mut self, request: &JoinRequest) -> Joined {
        let joined = got(self.join(request)).unwrap();
        got(self.sync(&joined, &[(&joined.member_id, "all")])).unwrap();
        assert_eq!(self.group.state, State::Stable);
        joined
    }

    /// A stable group of two; the first leads.
    fn pair(&mut self) -> (Joined, Joined) {
        let first = self.alone(&wants(""));
        let second = self.join(&wants(""));
        let first = self.join(&wants(&first.member_id));
        let (first, second) = (got(first).unwrap(), got(second).unwrap());
        let follower = self.sync(&second, &[]);
        let leader = self.sync(&first, &[(&first.member_id, "one"), (&second.member_id, "two")]);
        assert_eq!(got(leader).unwrap().assignment, "one");
        assert_eq!(got(follower).unwrap().assignment, "two");
        (first, second)
    }
}

fn got<T>(mut answer: Answer<T>) -> T {
    answer.try_recv().unwrap_or_else(|error| panic!("no answer: {error}"))
}

fn due<T>(answer: &mut Answer<T>) -> bool {
    matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty))
}

#[test]
fn a_first_member_leads_and_sees_everybody() {
    let mut rig = Rig::new();
    let joined = rig.alone(&wants(""));
    assert_eq!((joined.generation, &joined.leader), (1, &joined.member_id));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.protocol, "range");
    assert_eq!(rig.heartbeat(&joined), Ok(()));
}

#[test]
fn a_second_member_starts_a_generation_when_the_first_has_come_back() {
    let mut rig = Rig::new();
    let first = rig.alone(&wants(""));
    let mut second = rig.join(&wants(""));
    assert_eq!(rig.heartbeat(&first), Err(ResponseError::RebalanceInProgress));
    assert!(due(&mut second));
    let first = got(rig.join(&wants(&first.member_id))).unwrap();
    let second = got(second).unwrap();
    assert_eq!((first.generation, second.generation), (2, 2));
    assert_eq!(second.leader, first.member_id);
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
}

#[test]
fn followers_wait_for_the_assignment_of_the_leader() {
    let mut rig = Rig::new();
    let (first, second) = rig.pair();
    assert_eq!(rig.heartbeat(&first), Ok(()));
    assert_eq!(rig.heartbeat(&second), Ok(()));
    let again = got(rig.sync(&second, &[])).unwrap();
    assert_eq!(again.assignment, "two");
}

#[test]
fn a_dynamic_member_must_come_back_with_the_id_it_was_given() {
    let mut rig = Rig::new();
    let new = JoinRequest { id_required: true, ..wants("") };
    let refused = rig.join_now(&new).unwrap_err();
    assert_eq!(refused.error, ResponseError::MemberIdRequired);
    assert!(!rig.group.unused() && rig.group.members.is_empty());
    let joined = got(rig.join(&wants(&refused.member_id))).unwrap();
    assert_eq!(joined.member_id, refused.member_id);
    assert_eq!(rig.refused(&wants("made-up")), ResponseError::UnknownMemberId);
}

#[test]
fn an_id_that_never_comes_back_holds_up_the_others_only_for_its_session() {
    let mut rig = Rig::new();
    rig.join_now(&JoinRequest { id_required: true, ..wants("") }).unwrap_err();
    let mut other = rig.join(&wants(""));
    assert!(due(&mut other));
    rig.pass(SESSION);
    assert_eq!(got(other).unwrap().generation, 1);
}

#[test]
fn a_silent_member_is_removed_after_its_session() {
    let mut rig = Rig::new();
    let (first, second) = rig.pair();
    rig.pass(SESSION / 2);
    rig.heartbeat(&first).unwrap();
    rig.pass(SESSION / 2);
    assert_eq!(rig.heartbeat(&first), Err(ResponseError::RebalanceInProgress));
    assert_eq!(rig.heartbeat(&second), Err(ResponseError::UnknownMemberId));
    let first = got(rig.join(&wants(&first.member_id))).unwrap();
    assert_eq!((first.generation, first.members.len()), (3, 1));
}

#[test]
fn a_rebalance_goes_on_without_those_who_do_not_join_in_time() {
    let mut rig = Rig::new();
    let (first, second) = rig.pair();
    let first = JoinRequest { session_timeout: 2 * REBALANCE, ..wants(&first.member_id) };
    let third = rig.join(&first);
    for _ in 0..10 {
        rig.pass(REBALANCE / 10);
        let _ = rig.heartbeat(&second);
    }
    let third = got(third).unwrap();
    assert_eq!((third.generation, third.members.len()), (3, 1));
    assert_eq!(rig.heartbeat(&second), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_leader_that_never_assigns_is_removed_and_the_group_goes_on() {
    let mut rig = Rig::new();
    let first = rig.alone(&wants(""));
    let second = rig.join(&wants(""));
    let first = got(rig.join(&wants(&first.member_id))).unwrap();
    let second = got(second).unwrap();
    let waiting = rig.sync(&second, &[]);
    for _ in 0..10 {
        rig.pass(REBALANCE / 10);
        let _ = rig.heartbeat(&first);
    }
    assert_eq!(got(waiting), Err(ResponseError::RebalanceInProgress));
    let second = got(rig.join(&wants(&second.member_id))).unwrap();
    assert_eq!((&second.leader, second.members.len()), (&second.member_id, 1));
}

#[test]
fn an_assignment_that_could_not_be_stored_starts_over() {
    let mut rig = Rig::new();
    let joined = got(rig.join(&wants(""))).unwrap();
    let request = SyncRequest {
        member_id: joined.member_id.clone(),
        generation: joined.generation,
        ..SyncRequest::default()
    };
    let Sync::Store(answer) = rig.group.sync(&request, rig.now) else { panic!("leads") };
    let failed = ResponseError::CoordinatorNotAvailable;
    rig.group.assigned(joined.generation, Err(failed), rig.now);
    assert_eq!(got(answer), Err(failed));
    assert_eq!(rig.group.state, State::PreparingRebalance);
}

#[test]
fn old_generations_and_strangers_are_fenced() {
    let mut rig = Rig::new();
    let (first, second) = rig.pair();
    let old = Joined { generation: first.generation - 1, ..first.clone() };
    assert_eq!(rig.heartbeat(&old), Err(ResponseError::IllegalGeneration));
    assert_eq!(got(rig.sync(&old, &[])), Err(ResponseError::IllegalGeneration));
    let commit = |rig: &mut Rig, id: &str, generation: i32| {
        rig.group.check_commit(id, None, generation, rig.now)
    };
    assert_eq!(commit(&mut rig, &first.member_id, 2), Ok(()));
    assert_eq!(commit(&mut rig, &first.member_id, 1), Err(ResponseError::IllegalGeneration));
    assert_eq!(commit(&mut rig, "stranger", 2), Err(ResponseError::UnknownMemberId));
    assert_eq!(commit(&mut rig, "", -1), Err(ResponseError::UnknownMemberId));
    rig.join(&wants(&first.member_id));
    assert_eq!(commit(&mut rig, &second.member_id, 2), Ok(()), "before it rejoins");
}

#[test]
fn commits_between_join_and_assignment_are_refused() {
    let mut rig = Rig::new();
    let joined = got(rig.join(&wants(""))).unwrap();
    let refused = rig.group.check_commit(&joined.member_id, None, 1, rig.now);
    assert_eq!(refused, Err(ResponseError::RebalanceInProgress));
}

#[test]
fn clients_without_membership_commit_only_while_nobody_is_a_member() {
    let mut rig = Rig::new();
    assert_eq!(rig.group.check_commit("", None, -1, rig.now), Ok(()));
    rig.alone(&wants(""));
    let refused = rig.group.check_commit("", None, -1, rig.now);
    assert_eq!(refused, Err(ResponseError::UnknownMemberId));
}

#[test]
fn members_without_a_common_protocol_are_refused() {
    let mut rig = Rig::new();
    rig.alone(&wants(""));
    let other = vec![("sticky".to_owned(), Bytes::new())];
    let error = ResponseError::InconsistentGroupProtocol;
    assert_eq!(rig.refused(&JoinRequest { protocols: other, ..wants("") }), error);
    let kind = "connect".to_owned();
    assert_eq!(rig.refused(&JoinRequest { protocol_type: kind, ..wants("") }), error);
    assert_eq!(rig.refused(&JoinRequest { protocols: Vec::new(), ..wants("") }), error);
}

#[test]
fn the_protocol_that_all_support_and_most_prefer_wins() {
    let mut rig = Rig::new();
    let protocols = |names: &[&str]| {
        names.iter().map(|name| ((*name).to_owned(), Bytes::new())).collect::<Vec<_>>()
    };
    let with = |id: &str, names| JoinRequest { protocols: protocols(names), ..wants(id) };
    let first = got(rig.join(&with("", &["range", "sticky", "only-mine"]))).unwrap();
    let second = rig.join(&with("", &["sticky", "range"]));
    let third = rig.join(&with("", &["sticky", "range"]));
    rig.join(&with(&first.member_id, &["range", "sticky", "only-mine"]));
    assert_eq!(got(second).unwrap().protocol, "sticky");
    assert_eq!(got(third).unwrap().protocol, "sticky");
}

#[test]
fn a_follower_that_rejoins_unchanged_disturbs_nobody_and_a_leader_asks_for_a_rebalance() {
    let mut rig = Rig::new();
    let (first, second) = rig.pair();
    let again = rig.join_now(&wants(&second.member_id)).unwrap();
    assert_eq!((again.generation, rig.group.state), (second.generation, State::Stable));
    rig.join(&wants(&first.member_id));
    assert_eq!(rig.group.state, State::PreparingRebalance);
}

#[test]
fn leaving_starts_a_rebalance_and_the_last_one_leaves_an_empty_group() {
    let mut rig = Rig::new();
    let (first, second) = rig.pair();
    let leave = |rig: &mut Rig, id: &str| rig.group.leave(id, None, rig.now);
    assert_eq!(leave(&mut rig, "stranger"), Err(ResponseError::UnknownMemberId));
    assert_eq!(leave(&mut rig, &first.member_id), Ok(()));
    assert_eq!(rig.heartbeat(&second), Err(ResponseError::RebalanceInProgress));
    assert_eq!(leave(&mut rig, &second.member_id), Ok(()));
    assert_eq!((rig.group.state, rig.group.generation), (State::Empty, 3));
    assert!(rig.group.take_changed() && !rig.group.take_changed());
    assert_eq!(rig.group.next_deadline(), None, "an empty group costs nothing");
}

#[test]
fn a_static_member_comes_back_to_its_assignment_without_a_rebalance() {
    let mut rig = Rig::new();
    let before = rig.alone(&fixed("i", ""));
    let back = rig.join_now(&fixed("i", "")).unwrap();
    assert_eq!(back.generation, before.generation);
    assert_ne!(back.member_id, before.member_id);
    assert_eq!(back.leader, before.member_id, "an older client must not think that it leads");
    assert!(back.members.is_empty() && !back.skip_assignment);
    assert_eq!(got(rig.sync(&back, &[])).unwrap().assignment, "all");
    let old = rig.group.heartbeat(&before.member_id, Some("i"), before.generation, rig.now);
    assert_eq!(old, Err(ResponseError::FencedInstanceId));
    assert!(rig.group.take_changed(), "the new member id is stored");
}

#[test]
fn a_static_leader_that_can_skip_the_assignment_is_told_so() {
    let mut rig = Rig::new();
    rig.alone(&fixed("i", ""));
    let request = JoinRequest { may_skip_assignment: true, ..fixed("i", "") };
    let back = rig.join_now(&request).unwrap();
    assert!(back.skip_assignment);
    assert_eq!((&back.leader, back.members.len()), (&back.member_id, 1));
}

#[test]
fn a_static_member_with_a_new_subscription_starts_a_rebalance() {
    let mut rig = Rig::new();
    rig.alone(&fixed("i", ""));
    let protocols = vec![("range".to_owned(), Bytes::from_static(b"other topics"))];
    let back = got(rig.join(&JoinRequest { protocols, ..fixed("i", "") })).unwrap();
    assert_eq!(back.generation, 2);
}

#[test]
fn a_static_member_leaves_by_its_instance_id() {
    let mut rig = Rig::new();
    rig.alone(&fixed("i", ""));
    assert_eq!(rig.group.leave("", Some("i"), rig.now), Ok(()));
    assert_eq!(rig.group.state, State::Empty);
    let unknown = rig.group.leave("", Some("j"), rig.now);
    assert_eq!(unknown, Err(ResponseError::UnknownMemberId));
}

#[test]
fn the_first_join_of_a_group_can_wait_for_others() {
    let mut rig = Rig::new();
    let delay = Duration::from_secs(3);
    let join = |rig: &mut Rig| match rig.group.join(&wants(""), rig.now, delay) {
        Join::Wait(answer) => answer,
        Join::Now(result) => panic!("answered at once: {result:?}"),
    };
    let mut first = join(&mut rig);
    let mut second = join(&mut rig);
    assert!(due(&mut first) && due(&mut second));
    assert_eq!(rig.group.next_deadline(), Some(rig.now + delay));
    rig.pass(delay);
    let (first, second) = (got(first).unwrap(), got(second).unwrap());
    assert_eq!((first.generation, second.generation), (1, 1));
}

#[test]
fn every_deadline_moves_on_once_it_has_passed() {
    let mut rig = Rig::new();
    rig.pair();
    rig.join(&wants(""));
    rig.join_now(&JoinRequest { id_required: true, ..wants("") }).unwrap_err();
    for _ in 0..100 {
        let Some(next) = rig.group.next_deadline() else { return };
        assert!(next > rig.now, "a deadline in the past would spin");
        rig.now = next;
        rig.group.expire(next);
    }
    panic!("a group without living members must come to rest");
}

#[test]
fn a_restored_generation_goes_on() {
    let mut rig = Rig::new();
    let (first, second) = rig.pair();
    let members = std::mem::take(&mut rig.group.members).into_values().collect();
    let group = &rig.group;
    let mut restored = Membership::restored(
        group.generation,
        group.protocol_type.clone(),
        group.protocol.clone(),
        group.leader.clone(),
        members,
    );
    let alive = restored.heartbeat(&second.member_id, None, second.generation, rig.now);
    assert_eq!(alive, Ok(()));
    let request = SyncRequest {
        member_id: first.member_id,
        generation: first.generation,
        ..SyncRequest::default()
    };
    let Sync::Now(Ok(Synced { assignment, .. })) = restored.sync(&request, rig.now) else {
        panic!("a stable group answers at once")
    };
    assert_eq!(assignment, "one");
}
