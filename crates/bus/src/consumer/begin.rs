//! Where the partitions of a new assignment begin: never anywhere else than where the group was.

use rdkafka::TopicPartitionList;
use throughline_event::{Offset, TopicPartition};

use super::{Committed, Consumer, From, offsets_of};
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
    /// [`BusError::OutOfRange`] when the log does not hold the place any more;
    /// [`BusError::ForeignOffset`] when another program has committed it.
    pub(super) fn find_beginnings(&self, list: &mut TopicPartitionList) -> Result<(), BusError> {
        let wanted = offsets_of(list);
        let open =
            |(at, offset): &(TopicPartition, Option<Offset>)| offset.is_none().then(|| at.clone());
        let missing: Vec<_> = wanted.iter().filter_map(open).collect();
        let committed = if missing.is_empty() { Vec::new() } else { self.committed(&missing)? };
        let sought = |(at, offset): (TopicPartition, Option<Offset>)| {
            offset.map(|offset| (at, Some(Committed { offset, ours: true })))
        };
        for (partition, begin) in wanted.into_iter().filter_map(sought).chain(committed) {
            let (topic, number) = (partition.topic.clone(), partition.partition.0);
            let log = self.topics.offsets(&topic, partition.partition)?;
            let offset = match begin {
                Some(begin) => within(partition, &self.group, begin, &log)?,
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
/// record means that records were removed which nobody had read. Where another program has committed
/// there is no telling what became of the records before it; nothing is lost where there are none.
fn within(
    partition: TopicPartition,
    group: &str,
    begin: Committed,
    log: &PartitionInfo,
) -> Result<Offset, BusError> {
    let (offset, start, end, group) = (begin.offset, log.start, log.end, group.to_owned());
    if !begin.ours && offset != start {
        return Err(BusError::ForeignOffset { partition, group, offset });
    }
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
            let of =
                |ours| within(at.clone(), "g", Committed { offset: Offset(offset), ours }, &log);
            assert_eq!(of(true).is_ok(), (5..=9).contains(&offset), "{offset}: {:?}", of(true));
            assert_eq!(of(false).is_ok(), offset == 5, "{offset}: {:?}", of(false));
        }
    }
}
