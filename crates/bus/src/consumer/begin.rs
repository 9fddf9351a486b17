//! Where the partitions of a new assignment begin: never anywhere else than where the group was.

use rdkafka::TopicPartitionList;
use throughline_event::{Offset, TopicPartition};

use super::{Consumer, From, offsets_of};
use crate::BusError;
use crate::error::{Recovery, reason};
use crate::topics::PartitionInfo;

impl Consumer {
    /// Gives every partition the offset it begins at: where the worker seeked, else what was
    /// committed, else an end of the log. The client itself never chooses one
    /// (`auto.offset.reset=error`): behind a position that was reached it would pass over records,
    /// or give them out again, without a word.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`] when the log does not hold the place any more.
    pub(super) fn find_beginnings(&self, list: &mut TopicPartitionList) -> Result<(), BusError> {
        let wanted = offsets_of(list);
        let open =
            |(at, offset): &(TopicPartition, Option<Offset>)| offset.is_none().then(|| at.clone());
        let missing: Vec<_> = wanted.iter().filter_map(open).collect();
        let committed = if missing.is_empty() { Vec::new() } else { self.committed(&missing)? };
        let set = wanted.into_iter().filter(|(_, offset)| offset.is_some());
        for (partition, offset) in set.chain(committed) {
            let (topic, number) = (partition.topic.clone(), partition.partition.0);
            let log = self.topics.offsets(&topic, partition.partition)?;
            let offset = match offset {
                Some(offset) => within(partition, &self.group, offset, &log)?,
                None if self.from == From::Latest => log.end,
                None => log.start,
            };
            let begin = rdkafka::Offset::Offset(offset.0);
            list.set_partition_offset(topic.as_str(), number, begin).map_err(|error| {
                BusError::Consumer {
                    action: "set an offset",
                    group: self.group.clone(),
                    reason: reason(&error),
                    recovery: Recovery::Restart,
                }
            })?;
        }
        Ok(())
    }
}

/// A position that was reached, when the log still holds what follows it. One before the first
/// record means that records were removed which nobody had read.
fn within(
    partition: TopicPartition,
    group: &str,
    offset: Offset,
    log: &PartitionInfo,
) -> Result<Offset, BusError> {
    let (start, end, group) = (log.start, log.end, group.to_owned());
    if (start..=end).contains(&offset) {
        return Ok(offset);
    }
    Err(BusError::OutOfRange { partition, group, offset, start, end })
}

#[cfg(test)]
mod tests {
    use throughline_event::{PartitionId, TopicName};

    use super::*;

    #[test]
    fn a_log_that_lost_its_begin_or_its_end_does_not_hold_the_place() {
        let partition = PartitionId(0);
        let at = TopicPartition { topic: TopicName::new("a").unwrap(), partition };
        let log = PartitionInfo { partition, start: Offset(5), end: Offset(9) };
        for offset in 0..12 {
            let found = within(at.clone(), "g", Offset(offset), &log);
            assert_eq!(found.is_ok(), (5..=9).contains(&offset), "{offset}: {found:?}");
        }
    }
}
