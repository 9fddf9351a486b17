//! Where the partitions of a new assignment begin: never anywhere else than where the group was.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _};
use throughline_event::{Offset, TopicPartition};

use super::lists::list_of_lost;
use super::{Committed, CommittedBy, Consumer, From, offsets_of};
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
    /// [`BusError::ForeignOffset`] when another program has committed it; [`BusError::LogCut`] when
    /// the log did not hold it once.
    pub(super) fn find_beginnings(&self, list: &mut TopicPartitionList) -> Result<(), BusError> {
        let wanted = offsets_of(list);
        if wanted.is_empty() {
            return Ok(());
        }
        // Asked for those too that a target gives the place of: it was found missing in the log.
        let partitions: Vec<_> = wanted.iter().map(|(at, _)| at.clone()).collect();
        let committed = self.committed(&partitions)?.into_iter().map(|(_, committed)| committed);
        for ((partition, sought), committed) in wanted.into_iter().zip(committed) {
            let (topic, number) = (partition.topic.clone(), partition.partition);
            let begin = match (sought, committed) {
                (_, Some(Committed { offset, by: CommittedBy::Lost })) => {
                    return Err(BusError::LogCut { partition, group: self.group.clone(), offset });
                }
                (Some(offset), _) => Some(Committed { offset, by: CommittedBy::Worker }),
                (None, committed) => committed,
            };
            let log = self.topics.offsets(&topic, number)?;
            let offset = match begin {
                Some(begin) => {
                    let place = within(partition, &self.group, begin, &log);
                    if let Err(BusError::OutOfRange { partition, offset, .. }) = &place {
                        self.lost(partition, *offset);
                    }
                    place?
                }
                None if self.from == From::Latest => log.end,
                None => log.start,
            };
            let begin = rdkafka::Offset::Offset(offset.0);
            list.set_partition_offset(topic.as_str(), number.0, begin).map_err(|error| {
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

    /// Notes that the log does not hold a place: at the next start it may have grown beyond it, with
    /// records that stand where others stood.
    fn lost(&self, partition: &TopicPartition, offset: Offset) {
        let mark = list_of_lost(partition, offset);
        if let Err(error) = self.pump.consumer.commit(&mark, CommitMode::Sync) {
            let reason = reason(&error);
            tracing::warn!(group = self.group, %partition, reason, "the lost place was not noted");
        }
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
    if begin.by == CommittedBy::OtherProgram && offset != start {
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
            let of = |by| within(at.clone(), "g", Committed { offset: Offset(offset), by }, &log);
            let (ours, other) = (of(CommittedBy::Worker), of(CommittedBy::OtherProgram));
            assert_eq!(ours.is_ok(), (5..=9).contains(&offset), "{offset}: {ours:?}");
            assert_eq!(other.is_ok(), offset == 5, "{offset}: {other:?}");
        }
    }
}
