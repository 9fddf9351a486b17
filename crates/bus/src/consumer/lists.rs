//! Between our partitions and the client's lists of them.

use rdkafka::TopicPartitionList;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use throughline_event::{Offset, PartitionId, TopicPartition};

use crate::decode::topic_name;

/// Stands beside every offset that is committed here. One without it was committed by a program
/// that knows nothing of workers, and that may have done anything or nothing with the records.
const MARK: &str = "throughline";

/// Stands beside an offset that the log did not hold when a worker wanted to go on there. The log
/// may have grown beyond it since, with other records.
const LOST: &str = "throughline: lost";

/// An offset that a group has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The offset.
    pub offset: Offset,
    /// What stands behind it.
    pub by: CommittedBy,
}

/// What stands behind an offset that a group has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommittedBy {
    /// A worker: what is before it is done.
    Worker,
    /// Another program in the worker's group: nothing is known of what is before it.
    OtherProgram,
    /// A worker that found no such place in the log.
    Lost,
}

pub(crate) fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(partition.topic.as_str(), partition.partition.0);
    }
    list
}

pub(crate) fn list_with_offsets(offsets: &[(TopicPartition, Offset)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        list.add_partition_offset(
            partition.topic.as_str(),
            partition.partition.0,
            rdkafka::Offset::Offset(offset.0),
        )
        .expect("a number is an offset that the client can represent");
    }
    list
}

/// Offsets with the mark of a worker.
pub(crate) fn list_to_commit(offsets: &[(TopicPartition, Offset)]) -> TopicPartitionList {
    marked(offsets, MARK)
}

/// An offset with the mark that the log did not hold it.
pub(crate) fn list_of_lost(partition: &TopicPartition, offset: Offset) -> TopicPartitionList {
    marked(&[(partition.clone(), offset)], LOST)
}

fn marked(offsets: &[(TopicPartition, Offset)], mark: &str) -> TopicPartitionList {
    let list = list_with_offsets(offsets);
    for mut element in list.elements() {
        element.set_metadata(mark);
    }
    list
}

fn partition_of(element: &TopicPartitionListElem<'_>) -> TopicPartition {
    TopicPartition {
        topic: topic_name(element.topic()),
        partition: PartitionId(element.partition()),
    }
}

pub(crate) fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(partition_of).collect()
}

/// Committed offsets from the client's list.
pub(crate) fn committed_of(list: &TopicPartitionList) -> Vec<(TopicPartition, Option<Committed>)> {
    let committed = |element: &TopicPartitionListElem<'_>| match element.offset() {
        rdkafka::Offset::Offset(offset) => {
            let by = match element.metadata() {
                MARK => CommittedBy::Worker,
                LOST => CommittedBy::Lost,
                _ => CommittedBy::OtherProgram,
            };
            Some(Committed { offset: Offset(offset), by })
        }
        _ => None,
    };
    list.elements().iter().map(|element| (partition_of(element), committed(element))).collect()
}

/// Offsets from the client's list.
pub(crate) fn offsets_of(list: &TopicPartitionList) -> Vec<(TopicPartition, Option<Offset>)> {
    let offset = |element: &TopicPartitionListElem<'_>| match element.offset() {
        rdkafka::Offset::Offset(offset) => Some(Offset(offset)),
        _ => None,
    };
    list.elements().iter().map(|element| (partition_of(element), offset(element))).collect()
}
