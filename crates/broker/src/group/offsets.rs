//! The committed offsets of one group, and those that wait for a transaction to end.

use std::collections::{BTreeMap, HashMap};

use super::records::OffsetValue;

/// Offsets by topic and partition.
pub(crate) type ByPartition<T> = BTreeMap<String, BTreeMap<i32, T>>;

/// A committed offset and where its record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) value: OffsetValue,
    /// The record's position in `__consumer_offsets`; a later one wins.
    pub(crate) position: i64,
}

/// The offsets of one group.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: ByPartition<Committed>,
    /// By producer id.
    pending: HashMap<i64, ByPartition<Committed>>,
}

impl Offsets {
    /// Whether nothing is committed or pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }

    /// Records a commit, unless a later one is known.
    pub(crate) fn commit(&mut self, topic: &str, partition: i32, committed: Committed) {
        put(&mut self.committed, topic, partition, committed);
    }

    /// Records a commit that counts when the producer's transaction commits.
    pub(crate) fn stage(
        &mut self,
        producer_id: i64,
        topic: &str,
        partition: i32,
        committed: Committed,
    ) {
        put(self.pending.entry(producer_id).or_default(), topic, partition, committed);
    }

    /// A transaction ended.
    pub(crate) fn end(&mut self, producer_id: i64, commit: bool) {
        let Some(staged) = self.pending.remove(&producer_id) else { return };
        for (topic, partitions) in staged.into_iter().filter(|_| commit) {
            for (partition, committed) in partitions {
                put(&mut self.committed, &topic, partition, committed);
            }
        }
    }

    /// The producers with offsets that wait for their transaction.
    pub(crate) fn staged_by(&self) -> impl Iterator<Item = i64> {
        self.pending.keys().copied()
    }

    /// The committed offset of a partition.
    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&OffsetValue> {
        Some(&self.committed.get(topic)?.get(&partition)?.value)
    }

    /// Whether a transaction that is not decided may still change the offset of a partition.
    pub(crate) fn unstable(&self, topic: &str, partition: i32) -> bool {
        let holds = |staged: &ByPartition<Committed>| {
            staged.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
        };
        self.pending.values().any(holds)
    }

    /// Every partition with a committed offset.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, i32, &OffsetValue)> {
        self.committed.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(|(index, found)| (topic.as_str(), *index, &found.value))
        })
    }

    /// Forgets the offset of a partition.
    pub(crate) fn remove(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.committed.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.committed.remove(topic);
            }
        }
    }
}

fn put(offsets: &mut ByPartition<Committed>, topic: &str, partition: i32, committed: Committed) {
    if !offsets.contains_key(topic) {
        offsets.insert(topic.to_owned(), BTreeMap::new());
    }
    if let Some(partitions) = offsets.get_mut(topic) {
        let known = partitions.get(&partition);
        if known.is_none_or(|known| known.position < committed.position) {
            partitions.insert(partition, committed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(offset: i64, position: i64) -> Committed {
        let metadata = String::new();
        let value = OffsetValue { offset, leader_epoch: -1, metadata, committed_ms: 0 };
        Committed { value, position }
    }

    fn offset(offsets: &Offsets) -> Option<i64> {
        offsets.get("t", 0).map(|value| value.offset)
    }

    #[test]
    fn the_commit_that_was_stored_last_counts_even_if_it_became_durable_first() {
        let mut offsets = Offsets::default();
        offsets.commit("t", 0, committed(20, 6));
        offsets.commit("t", 0, committed(10, 5));
        assert_eq!(offset(&offsets), Some(20));
    }

    #[test]
    fn staged_offsets_count_only_when_their_transaction_commits() {
        let mut offsets = Offsets::default();
        offsets.stage(7, "t", 0, committed(30, 1));
        assert!(offsets.unstable("t", 0) && !offsets.unstable("t", 1));
        assert_eq!(offset(&offsets), None);
        offsets.end(7, false);
        assert_eq!((offset(&offsets), offsets.unstable("t", 0)), (None, false));
        offsets.stage(7, "t", 0, committed(40, 2));
        offsets.end(7, true);
        assert_eq!(offset(&offsets), Some(40));
        offsets.remove("t", 0);
        assert!(offsets.is_empty());
    }
}
