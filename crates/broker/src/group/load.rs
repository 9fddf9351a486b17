//! Reading `__consumer_offsets` at start.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use throughline_log::Partition;
use tokio::{sync::Notify, time::Instant};

use crate::{
    batch::{Batch, BatchError, Marker, Record},
    metrics::Metrics,
    options::BrokerOptions,
    store::{self, StoreError},
};

use super::{
    Group, Groups,
    member::{JoinRequest, Member},
    membership::Membership,
    offsets::{Committed, Offsets},
    records::{GroupValue, Key, MemberValue, OffsetValue},
};

#[derive(Default)]
struct Loaded {
    offsets: Offsets,
    generation: Option<GroupValue>,
}

impl Groups {
    /// Restores every group from the log. Blocks.
    pub(crate) fn load(
        log: Arc<Partition>,
        options: &BrokerOptions,
        metrics: Arc<Metrics>,
    ) -> Result<Groups, StoreError> {
        let mut loaded = BTreeMap::new();
        store::scan(&log, |batch| replay(&mut loaded, batch))?;
        let mut staged: BTreeMap<i64, HashSet<String>> = BTreeMap::new();
        let mut groups = BTreeMap::new();
        let now = Instant::now();
        for (id, Loaded { offsets, generation }) in loaded {
            if offsets.is_empty() && generation.is_none() {
                continue;
            }
            for producer_id in offsets.staged_by() {
                staged.entry(producer_id).or_default().insert(id.clone());
            }
            let group = restore(id.clone(), offsets, generation, now);
            groups.insert(id, Arc::new(Mutex::new(group)));
        }
        metrics.groups.set(i64::try_from(groups.len()).unwrap_or(i64::MAX));
        Ok(Groups {
            groups: Mutex::new(groups),
            staged: Mutex::new(staged),
            log,
            initial_delay: options.initial_rebalance_delay,
            retention: options.offsets_retention,
            metrics,
            wake: Notify::new(),
        })
    }
}

fn replay(groups: &mut BTreeMap<String, Loaded>, batch: &Batch) -> Result<(), StoreError> {
    if batch.control() {
        if let (Some(producer), Some(marker)) = (batch.producer, batch.marker()) {
            for group in groups.values_mut() {
                group.offsets.end(producer.id, marker == Marker::Commit);
            }
        }
        return Ok(());
    }
    let transaction = batch.producer.filter(|_| batch.transactional());
    for record in batch.records()? {
        let base_offset = record.offset;
        apply(groups, record, transaction.map(|producer| producer.id))
            .map_err(|source| BatchError::Malformed { base_offset, source })?;
    }
    Ok(())
}

fn apply(
    groups: &mut BTreeMap<String, Loaded>,
    record: Record,
    transaction: Option<i64>,
) -> Result<(), crate::wire::Malformed> {
    match Key::decode(&record.key.unwrap_or_default())? {
        None => {}
        Some(Key::Group { group }) => {
            let generation = record.value.map(|value| GroupValue::decode(&value)).transpose()?;
            groups.entry(group).or_default().generation = generation;
        }
        Some(Key::Offset { group, topic, partition }) => {
            let offsets = &mut groups.entry(group).or_default().offsets;
            let Some(value) = record.value else {
                offsets.remove(&topic, partition);
                return Ok(());
            };
            let value = OffsetValue::decode(&value)?;
            let committed = Committed { value, position: record.offset };
            match transaction {
                None => offsets.commit(&topic, partition, committed),
                Some(producer_id) => offsets.stage(producer_id, &topic, partition, committed),
            }
        }
    }
    Ok(())
}

fn restore(id: String, offsets: Offsets, generation: Option<GroupValue>, now: Instant) -> Group {
    let Some(value) = generation else {
        return Group { id, offsets, changed_ms: store::now_ms(), ..Group::default() };
    };
    let protocol = value.protocol.clone().unwrap_or_default();
    let members = value.members.into_iter().map(|member| restore_member(member, &protocol, now));
    let protocol_type = Some(value.protocol_type).filter(|name| !name.is_empty());
    let membership = Membership::restored(
        value.generation,
        protocol_type,
        value.protocol,
        value.leader,
        members.collect(),
    );
    Group { id, membership, offsets, changed_ms: value.changed_ms, stored: true, dead: false }
}

fn restore_member(value: MemberValue, protocol: &str, now: Instant) -> Member {
    let duration =
        |milliseconds: i32| Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    let request = JoinRequest {
        instance_id: value.instance_id,
        client_id: value.client_id,
        client_host: value.client_host,
        session_timeout: duration(value.session_timeout),
        rebalance_timeout: duration(value.rebalance_timeout),
        protocols: vec![(protocol.to_owned(), value.subscription)],
        ..JoinRequest::default()
    };
    let mut member = Member::new(value.id, &request, now);
    member.assignment = value.assignment;
    member
}
