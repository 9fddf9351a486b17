//! Which keys a full dump has shown so far.

use std::collections::HashMap;

use crate::store::GroupId;

/// Bits of a row id that number the keys of one group; the bits above name the group.
pub(crate) const SLOT_BITS: u32 = 40;

const SLOT_MASK: i64 = (1 << SLOT_BITS) - 1;

/// The first row id of a group, which no row has.
pub(crate) fn first_id(group: GroupId) -> i64 {
    i64::from(group.0) << SLOT_BITS
}

/// The last row id of a group.
pub(crate) fn last_id(group: GroupId) -> i64 {
    first_id(group) | SLOT_MASK
}

/// The group of a row.
pub(crate) fn group_of(id: i64) -> GroupId {
    GroupId((id >> SLOT_BITS) as u32)
}

/// One bit per key of a group: ten million keys take 1.25 MB.
#[derive(Debug, Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn insert(&mut self, id: i64) {
        let slot = (id & SLOT_MASK) as usize;
        let word = slot / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (slot % 64);
    }

    fn contains(&self, id: i64) -> bool {
        let slot = (id & SLOT_MASK) as usize;
        self.0.get(slot / 64).is_some_and(|word| word & 1 << (slot % 64) != 0)
    }
}

/// One dump in progress.
#[derive(Debug)]
pub(crate) struct Sweep {
    seen: Seen,
    /// The last row that was looked at for deletes, and the same at the last commit.
    pub(crate) reached: i64,
    committed: i64,
    begun_here: bool,
    ended: bool,
}

impl Sweep {
    pub(crate) fn saw(&self, id: i64) -> bool {
        self.seen.contains(id)
    }

    /// No key is left to look at; forgotten at the next commit.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }
}

/// All dumps in progress, at most one per group.
///
/// Marks of a transaction that is rolled back stay: its rows are read again, and the numbers of
/// rows that it added are not given to other keys.
#[derive(Debug, Default)]
pub(crate) struct Sweeps(HashMap<GroupId, Sweep>);

impl Sweeps {
    pub(crate) fn begin(&mut self, group: GroupId) {
        let reached = first_id(group);
        let sweep = Sweep {
            seen: Seen::default(),
            reached,
            committed: reached,
            begun_here: true,
            ended: false,
        };
        self.0.insert(group, sweep);
    }

    pub(crate) fn cancel(&mut self, group: GroupId) {
        self.0.remove(&group);
    }

    pub(crate) fn get_mut(&mut self, group: GroupId) -> Option<&mut Sweep> {
        self.0.get_mut(&group).filter(|sweep| !sweep.ended)
    }

    pub(crate) fn mark(&mut self, id: i64) {
        if self.0.is_empty() {
            return;
        }
        if let Some(sweep) = self.0.get_mut(&group_of(id)) {
            sweep.seen.insert(id);
        }
    }

    pub(crate) fn committed(&mut self) {
        self.0.retain(|_, sweep| {
            sweep.committed = sweep.reached;
            sweep.begun_here = false;
            !sweep.ended
        });
    }

    /// A sweep that was begun in the transaction is begun again when its items are read again.
    pub(crate) fn rolled_back(&mut self) {
        self.0.retain(|_, sweep| {
            sweep.reached = sweep.committed;
            sweep.ended = false;
            !sweep.begun_here
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_group_stay_in_its_range() {
        for group in [GroupId(0), GroupId(1), GroupId(GroupId::MAX)] {
            assert!(first_id(group) >= 0 && first_id(group) < last_id(group));
            assert_eq!(group_of(first_id(group) + 1), group);
            assert_eq!(group_of(last_id(group)), group);
        }
        assert_eq!(last_id(GroupId(GroupId::MAX)), i64::MAX);
    }

    #[test]
    fn only_marked_keys_were_seen() {
        let mut sweeps = Sweeps::default();
        let group = GroupId(3);
        sweeps.mark(first_id(group) + 7);
        sweeps.begin(group);
        for slot in [0, 1, 63, 64, 1_000_000] {
            sweeps.mark(first_id(group) + slot);
        }
        sweeps.mark(first_id(GroupId(4)) + 7);
        let sweep = sweeps.get_mut(group).unwrap();
        let seen = |slot| sweep.saw(first_id(group) + slot);
        assert!(seen(0) && seen(1) && seen(63) && seen(64) && seen(1_000_000));
        assert!(!seen(2) && !seen(7) && !seen(65) && !seen(1_000_001) && !seen(1 << 39));
    }

    #[test]
    fn rollback_takes_back_begin_and_end() {
        let mut sweeps = Sweeps::default();
        sweeps.begin(GroupId(1));
        sweeps.rolled_back();
        assert!(sweeps.get_mut(GroupId(1)).is_none());
        sweeps.begin(GroupId(1));
        sweeps.committed();
        let sweep = sweeps.get_mut(GroupId(1)).unwrap();
        sweep.reached += 5;
        sweep.end();
        assert!(sweeps.get_mut(GroupId(1)).is_none());
        sweeps.rolled_back();
        assert_eq!(sweeps.get_mut(GroupId(1)).unwrap().reached, first_id(GroupId(1)));
        sweeps.get_mut(GroupId(1)).unwrap().end();
        sweeps.committed();
        sweeps.rolled_back();
        assert!(sweeps.get_mut(GroupId(1)).is_none());
    }
}
