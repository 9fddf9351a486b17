//! Between our partitions and the client's lists of them.

use rdkafka::TopicPartitionList;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use throughline_event::{Offset, PartitionId, TopicPartition};

use crate::decode::topic_name;

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
pub(crate) fn offsets_of(list: &TopicPartitionList) -> Vec<(TopicPartition, Option<Offset>)> {
    let offset = |element: &TopicPartitionListElem<'_>| match element.offset() {
        rdkafka::Offset::Offset(offset) => Some(Offset(offset)),
        _ => None,
    };
    list.elements().iter().map(|element| (partition_of(element), offset(element))).collect()
}
