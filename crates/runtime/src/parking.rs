//! Parked keys: a record that cannot be processed holds back its own key and no other.
//!
//! What is parked lives in `dead.<worker>`, in the partition with the number of the input's, so the
//! worker that is assigned an input partition finds what is parked there. An entry is resolved by
//! its tombstone. Documents are whole, so the newest event of a parked key stands for all of them
//! once its `before` is that of the oldest: then deletes are computed from what was really published
//! last. A key resumes when such an event succeeds: at the next change of the key, or at the start
//! of a worker whose mapping was mended.

use std::collections::BTreeMap;

use throughline_event::{PartitionId, TopicName, TopicPartition};

use crate::dead_letter::DeadLetter;

/// More parked keys than this and it is plainly not a matter of single records: the worker stops
/// before it has moved the whole stream into its dead letters.
pub(crate) const MOST_PARKED: usize = 10_000;

/// The events of one key that wait.
#[derive(Debug, Clone)]
pub(crate) struct Parked {
    /// The `before` document of the oldest event; nothing at all when that cannot be read any more.
    pub(crate) before: Option<Option<Vec<u8>>>,
    /// The ids of all its dead letters, oldest first.
    pub(crate) ids: Vec<String>,
    /// The newest event.
    pub(crate) newest: DeadLetter,
}

/// All parked keys of the partitions a worker is assigned.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    keys: BTreeMap<(TopicPartition, Vec<u8>), Parked>,
}

impl Parking {
    /// How many keys are parked.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// What is parked under a key.
    pub(crate) fn get(&self, at: &(TopicPartition, Vec<u8>)) -> Option<&Parked> {
        self.keys.get(at)
    }

    /// Adds an event to its key; `before` counts for the first one only.
    pub(crate) fn park(&mut self, letter: DeadLetter, before: Option<Option<&[u8]>>) {
        let (Some(input), Some(key)) = (&letter.input, &letter.key) else { return };
        let at = (input.partition.clone(), key.bytes.clone());
        match self.keys.get_mut(&at) {
            Some(parked) => {
                if !parked.ids.contains(&letter.id) {
                    parked.ids.push(letter.id.clone());
                }
                parked.newest = letter;
            }
            None => {
                let ids = vec![letter.id.clone()];
                let before = before.map(|before| before.map(<[u8]>::to_vec));
                self.keys.insert(at, Parked { before, ids, newest: letter });
            }
        }
    }

    /// The key resumed.
    pub(crate) fn resume(&mut self, at: &(TopicPartition, Vec<u8>)) -> Option<Parked> {
        self.keys.remove(at)
    }

    /// The partition went to another worker.
    pub(crate) fn forget(&mut self, partitions: &[TopicPartition]) {
        self.keys.retain(|(partition, _), _| !partitions.contains(partition));
    }

    /// Every parked key of a partition number, oldest input first.
    pub(crate) fn of_partition(
        &self,
        topic: &TopicName,
        partition: PartitionId,
    ) -> Vec<(TopicPartition, Vec<u8>)> {
        let here =
            |(at, _): &&(TopicPartition, Vec<u8>)| at.topic == *topic && at.partition == partition;
        self.keys.keys().filter(here).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use throughline_event::{Micros, Offset, WorkerName};

    use super::*;
    use crate::dead_letter::{DeadLetterStage, Input, Part};

    fn letter(offset: i64, key: &[u8]) -> DeadLetter {
        let topic = TopicName::new("cdc.shop.order").unwrap();
        let partition = TopicPartition { topic, partition: PartitionId(0) };
        DeadLetter {
            id: format!("{partition}@{offset}"),
            worker: WorkerName::new("shop").unwrap(),
            stage: DeadLetterStage::Process,
            code: String::new(),
            kind: String::new(),
            reason: String::new(),
            place: String::new(),
            program: None,
            line: None,
            parked: true,
            failed_at: Micros(0),
            input: Some(Input { partition, offset: Offset(offset), timestamp: Micros(0) }),
            key: Some(Part { schema: None, bytes: key.to_vec() }),
            value: None,
        }
    }

    fn at(letter: &DeadLetter) -> (TopicPartition, Vec<u8>) {
        (letter.input.clone().unwrap().partition, letter.key.clone().unwrap().bytes)
    }

    #[test]
    fn a_key_keeps_the_oldest_before_and_the_newest_event() {
        let mut parking = Parking::default();
        parking.park(letter(1, b"a"), Some(Some(b"old")));
        parking.park(letter(2, b"b"), None);
        parking.park(letter(3, b"a"), Some(Some(b"newer")));
        parking.park(letter(3, b"a"), Some(Some(b"delivered again")));
        let parked = parking.get(&at(&letter(1, b"a"))).unwrap();
        assert_eq!(parked.before, Some(Some(b"old".to_vec())));
        assert_eq!(parked.ids, ["cdc.shop.order-0@1", "cdc.shop.order-0@3"]);
        assert_eq!(parked.newest.id, "cdc.shop.order-0@3");
        assert_eq!(parking.len(), 2);
    }

    #[test]
    fn a_resumed_key_is_free_and_the_others_stay() {
        let mut parking = Parking::default();
        parking.park(letter(1, b"a"), None);
        parking.park(letter(2, b"b"), None);
        assert_eq!(parking.resume(&at(&letter(1, b"a"))).unwrap().ids.len(), 1);
        assert!(parking.get(&at(&letter(1, b"a"))).is_none());
        assert_eq!(parking.len(), 1);
        parking.forget(&[at(&letter(2, b"b")).0]);
        assert_eq!(parking.len(), 0);
    }
}
