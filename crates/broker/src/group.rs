//! The group coordinator: membership of every group, and committed offsets.
//!
//! What must survive is in `__consumer_offsets`: generations with their members, and offsets.
//! A change is appended under its group's lock, so the log has the order in which it happened, and
//! is answered when it is durable.

mod commit;
mod describe;
mod load;
pub(crate) mod member;
mod membership;
pub(crate) mod offsets;
pub(crate) mod records;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use throughline_log::Partition;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use crate::{
    batch::KeyValue,
    metrics::Metrics,
    store::{self, StoreError},
    wire::MAX_NAME,
};

pub(crate) use commit::{Commit, MAX_METADATA};
pub(crate) use describe::{Description, Listing};
use member::{JoinRefused, JoinRequest, JoinResult, SyncRequest, SyncResult};
use membership::{Join, Membership, State, Sync};
use offsets::Offsets;
use records::{GroupValue, Key, MemberValue};

/// Session timeouts a member may ask for, as in Kafka.
const MIN_SESSION_TIMEOUT: Duration = Duration::from_secs(6);
const MAX_SESSION_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How long a group without members and offsets is kept, in milliseconds.
const UNUSED_MS: i64 = 10 * 60 * 1000;

/// All groups.
#[derive(Debug)]
pub(crate) struct Groups {
    groups: Mutex<BTreeMap<String, Arc<Mutex<Group>>>>,
    /// Groups with offsets that wait for the transaction of a producer, by producer id.
    staged: Mutex<BTreeMap<i64, HashSet<String>>>,
    log: Arc<Partition>,
    initial_delay: Duration,
    retention: Duration,
    metrics: Arc<Metrics>,
    /// A deadline may have come nearer.
    wake: Notify,
}

/// One group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    id: String,
    membership: Membership,
    offsets: Offsets,
    /// When the state last changed, in milliseconds since 1970.
    changed_ms: i64,
    /// A generation is in the log.
    stored: bool,
    /// Removed from the map; whoever still holds it must look again.
    dead: bool,
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Mutex<Group>>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Option<Arc<Mutex<Group>>> {
        self.lock().get(id).cloned()
    }

    /// Runs `act` on the group, created if need be, and appends its generation if it changed.
    fn with_new<T>(&self, id: &str, act: impl FnOnce(&mut Group) -> T) -> T {
        let mut act = Some(act);
        loop {
            let group = {
                let mut groups = self.lock();
                let group = groups.entry(id.to_owned()).or_insert_with(|| {
                    self.metrics.groups.inc();
                    let changed_ms = store::now_ms();
                    Arc::new(Mutex::new(Group {
                        id: id.to_owned(),
                        changed_ms,
                        ..Group::default()
                    }))
                });
                Arc::clone(group)
            };
            let mut group = lock(&group);
            if !group.dead
                && let Some(act) = act.take()
            {
                return self.act(&mut group, act);
            }
        }
    }

    /// Runs `act` on the group if it exists.
    fn with<T>(&self, id: &str, act: impl FnOnce(&mut Group) -> T) -> Option<T> {
        let group = self.find(id)?;
        let mut group = lock(&group);
        if group.dead { None } else { Some(self.act(&mut group, act)) }
    }

    fn act<T>(&self, group: &mut Group, act: impl FnOnce(&mut Group) -> T) -> T {
        let generation = group.membership.generation;
        let result = act(group);
        if group.membership.generation != generation {
            self.metrics.rebalances.inc();
        }
        if group.membership.take_changed() {
            group.changed_ms = store::now_ms();
            if let Err(error) = self.append_generation(group) {
                tracing::error!(group = %group.id, %error, "could not store a generation");
            }
        }
        result
    }

    fn append_generation(&self, group: &mut Group) -> Result<i64, StoreError> {
        let key = Key::Group { group: group.id.clone() }.encode();
        let value = group.generation_value().encode();
        let end = store::append(&self.log, &[(Some(key), Some(value))], None)?;
        group.stored = true;
        Ok(end)
    }

    /// A member joins; answered when the generation begins.
    pub(crate) async fn join(&self, group: &str, request: JoinRequest) -> JoinResult {
        let refused = |error| JoinRefused { error, member_id: request.member_id.clone() };
        if group.is_empty() || group.len() > MAX_NAME {
            return Err(refused(ResponseError::InvalidGroupId));
        }
        let names = [request.instance_id.as_deref(), Some(&request.protocol_type)];
        let protocols = request.protocols.iter().map(|(name, _)| name.as_str());
        if names.into_iter().flatten().chain(protocols).any(|name| name.len() > MAX_NAME) {
            return Err(refused(ResponseError::InvalidRequest));
        }
        if !(MIN_SESSION_TIMEOUT..=MAX_SESSION_TIMEOUT).contains(&request.session_timeout) {
            return Err(refused(ResponseError::InvalidSessionTimeout));
        }
        let (now, delay) = (Instant::now(), self.initial_delay);
        let join = |group: &mut Group| group.membership.join(&request, now, delay);
        let joined = match request.member_id.is_empty() {
            true => self.with_new(group, join),
            false => match self.with(group, join) {
                Some(joined) => joined,
                None => return Err(refused(ResponseError::UnknownMemberId)),
            },
        };
        self.wake.notify_one();
        match joined {
            Join::Now(result) => result,
            Join::Wait(answer) => {
                answer.await.unwrap_or_else(|_| Err(refused(ResponseError::RebalanceInProgress)))
            }
        }
    }

    /// A member asks for its assignment; answered when the leader's is durable.
    pub(crate) async fn sync(&self, group: &str, request: SyncRequest) -> SyncResult {
        let generation = request.generation;
        let begun = self.with(group, |group| {
            let sync = group.membership.sync(&request, Instant::now());
            let end = match sync {
                Sync::Store(_) => Some(self.append_generation(group)),
                _ => None,
            };
            (sync, end)
        });
        let (sync, end) = begun.ok_or(ResponseError::UnknownMemberId)?;
        if let Some(end) = end {
            let stored = match end {
                Ok(end) => self.log.durable(end).await.map_err(StoreError::from),
                Err(error) => Err(error),
            };
            let stored = stored.map_err(|error| {
                tracing::error!(group, %error, "could not store an assignment");
                error.coordinator_error()
            });
            self.with(group, |group| {
                group.membership.assigned(generation, stored, Instant::now());
                group.changed_ms = store::now_ms();
            });
        }
        self.wake.notify_one();
        match sync {
            Sync::Now(result) => result,
            Sync::Wait(answer) | Sync::Store(answer) => {
                answer.await.unwrap_or(Err(ResponseError::RebalanceInProgress))
            }
        }
    }

    /// A member says that it is alive.
    pub(crate) fn heartbeat(
        &self,
        group: &str,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        let now = Instant::now();
        self.with(group, |group| group.membership.heartbeat(member, instance, generation, now))
            .unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    /// A member leaves.
    pub(crate) fn leave(
        &self,
        group: &str,
        member: &str,
        instance: Option<&str>,
    ) -> Result<(), ResponseError> {
        let left = self
            .with(group, |group| group.membership.leave(member, instance, Instant::now()))
            .unwrap_or(Err(ResponseError::UnknownMemberId));
        self.wake.notify_one();
        left
    }

    /// Ends sessions and rebalances when they are due, until `shutdown`. Sleeps in between.
    pub(crate) async fn run_timers(&self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let next = self.tick(Instant::now());
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.wake.notified() => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Ends what is due and returns when the next thing is.
    fn tick(&self, now: Instant) -> Option<Instant> {
        let groups: Vec<_> = self.lock().values().cloned().collect();
        let mut next: Option<Instant> = None;
        for group in groups {
            let mut group = lock(&group);
            if group.membership.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.act(&mut group, |group| group.membership.expire(now));
            }
            next = [next, group.membership.next_deadline()].into_iter().flatten().min();
        }
        next
    }

    /// Removes a group that must be empty, with its offsets.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), ResponseError> {
        let deleted = self.with(id, |group| {
            if !group.membership.unused() {
                return Err(ResponseError::NonEmptyGroup);
            }
            let records = group.tombstones(|_, _, _| true, true);
            self.remove(group);
            Ok(records)
        });
        let records = deleted.ok_or(ResponseError::GroupIdNotFound)??;
        self.write(records).await
    }

    /// Takes a group out of the map. Its lock is held by the caller, and the map's is taken inside
    /// it; nobody takes them the other way round.
    fn remove(&self, group: &mut Group) {
        group.dead = true;
        if self.lock().remove(&group.id).is_some() {
            self.metrics.groups.dec();
        }
    }

    async fn write(&self, records: Vec<KeyValue>) -> Result<(), ResponseError> {
        if records.is_empty() {
            return Ok(());
        }
        let written = async {
            let end = store::append(&self.log, &records, None)?;
            self.log.durable(end).await.map_err(StoreError::from)
        };
        written.await.map_err(commit::report)
    }

    /// Forgets offsets that nobody has used for longer than the retention, and groups without
    /// members and offsets.
    pub(crate) async fn expire_offsets(&self, now_ms: i64) {
        let retention = i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX);
        let groups: Vec<_> = self.lock().values().cloned().collect();
        for group in groups {
            let records = {
                let mut group = lock(&group);
                if group.dead || !group.membership.unused() {
                    continue;
                }
                // Kafka counts from the moment the last member left.
                let left = if group.stored { group.changed_ms } else { i64::MIN };
                let limit = now_ms.saturating_sub(retention);
                let expired = |_: &str, _: i32, value: &records::OffsetValue| {
                    value.committed_ms.max(left) <= limit
                };
                let mut records = group.tombstones(expired, false);
                if group.offsets.is_empty() && group.changed_ms <= now_ms - UNUSED_MS {
                    records.extend(group.tombstones(|_, _, _| false, true));
                    self.remove(&mut group);
                }
                records
            };
            if self.write(records).await.is_err() {
                return;
            }
        }
    }
}

impl Group {
    /// Tombstones for the offsets that `chosen` picks, which are forgotten, and for the group.
    fn tombstones(
        &mut self,
        chosen: impl Fn(&str, i32, &records::OffsetValue) -> bool,
        whole: bool,
    ) -> Vec<KeyValue> {
        let picked: Vec<(String, i32)> = self
            .offsets
            .all()
            .filter(|(topic, partition, value)| chosen(topic, *partition, value))
            .map(|(topic, partition, _)| (topic.to_owned(), partition))
            .collect();
        let mut records = Vec::new();
        for (topic, partition) in picked {
            self.offsets.remove(&topic, partition);
            let key = Key::Offset { group: self.id.clone(), topic, partition };
            records.push((Some(key.encode()), None));
        }
        if whole && self.stored {
            records.push((Some(Key::Group { group: self.id.clone() }.encode()), None));
        }
        records
    }

    fn generation_value(&self) -> GroupValue {
        let membership = &self.membership;
        let protocol = membership.protocol.clone().unwrap_or_default();
        let milliseconds = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let member = |member: &member::Member| MemberValue {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: milliseconds(member.rebalance_timeout),
            session_timeout: milliseconds(member.session_timeout),
            subscription: member.metadata(&protocol).cloned().unwrap_or_else(Bytes::new),
            assignment: member.assignment.clone(),
        };
        GroupValue {
            protocol_type: membership.protocol_type.clone().unwrap_or_default(),
            generation: membership.generation,
            protocol: membership.protocol.clone(),
            leader: membership.leader.clone(),
            changed_ms: store::now_ms(),
            members: membership.members.values().map(member).collect(),
        }
    }

    /// Whether the group is without members, so that offsets can be changed from outside.
    fn idle(&self) -> bool {
        self.membership.state == State::Empty
    }
}

fn lock(group: &Mutex<Group>) -> MutexGuard<'_, Group> {
    group.lock().unwrap_or_else(PoisonError::into_inner)
}
