//! Committed offsets of a group, seen and set by a client that does not join it.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use throughline_event::{Offset, TopicName, TopicPartition};

use crate::BusError;
use crate::consumer::{Committed, Isolation, Pump, committed_of, config, list_to_commit};
use crate::error::{reason, recovery};
use crate::options::BusOptions;
use crate::topics::Topics;

/// What a group has committed.
pub(crate) fn committed(
    options: &BusOptions,
    topics: &Topics,
    group: &str,
    names: &[TopicName],
) -> Result<Vec<(TopicPartition, Option<Committed>)>, BusError> {
    let pump = open(options, group)?;
    let mut list = TopicPartitionList::new();
    for topic in names {
        let partitions = topics.info(topic)?.partitions;
        if partitions > 0 {
            list.add_partition_range(topic.as_str(), 0, partitions - 1);
        }
    }
    let found = pump.consumer().committed_offsets(list, options.timeout);
    Ok(committed_of(&found.map_err(|error| failed("read committed offsets", group, &error))?))
}

/// Sets where a group goes on. Brokers refuse it while the group has members.
pub(crate) fn set(
    options: &BusOptions,
    group: &str,
    offsets: &[(TopicPartition, Offset)],
) -> Result<(), BusError> {
    let pump = open(options, group)?;
    let set = pump.consumer().commit(&list_to_commit(offsets), CommitMode::Sync);
    set.map_err(|error| match error.rdkafka_error_code() {
        Some(
            Code::UnknownMemberId
            | Code::IllegalGeneration
            | Code::RebalanceInProgress
            | Code::FencedInstanceId,
        ) => BusError::GroupInUse { group: group.to_owned() },
        _ => failed("set offsets", group, &error),
    })
}

/// How many members a group has.
pub(crate) fn members(options: &BusOptions, group: &str) -> Result<usize, BusError> {
    let pump = open(options, group)?;
    let found = pump.consumer().fetch_group_list(Some(group), options.timeout);
    let found = found.map_err(|error| failed("look at the members", group, &error))?;
    let of = |known: &&rdkafka::groups::GroupInfo| known.name() == group;
    Ok(found.groups().iter().find(of).map_or(0, |known| known.members().len()))
}

fn open(options: &BusOptions, group: &str) -> Result<Pump, BusError> {
    Pump::new(&config(options, group, Isolation::ReadCommitted), group)
}

fn failed(action: &'static str, group: &str, error: &KafkaError) -> BusError {
    let (group, reason, recovery) = (group.to_owned(), reason(error), recovery(error));
    BusError::Consumer { action, group, reason, recovery }
}
