//! The newest offset of each key, in a table of fixed size.

use crate::records::KeyHash;

/// A free slot's offset.
const FREE: i64 = -1;
const SLOT_BYTES: usize = size_of::<(KeyHash, i64)>();

/// Open addressing with linear probing, filled to three quarters.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    slots: Vec<(KeyHash, i64)>,
    used: usize,
}

impl OffsetMap {
    /// Room for `keys` keys, as far as `budget` bytes allow.
    pub(crate) fn new(keys: u64, budget: usize) -> Self {
        let wanted = usize::try_from(keys).unwrap_or(usize::MAX).saturating_mul(4) / 3 + 4;
        let slots = wanted.min(budget / SLOT_BYTES).max(4);
        Self { slots: vec![((0, 0), FREE); slots], used: 0 }
    }

    /// Takes over a newer offset of a key; `false` when there is no room for a new key.
    pub(crate) fn insert(&mut self, key: KeyHash, offset: i64) -> bool {
        let at = self.find(key);
        if self.slots[at].1 == FREE {
            if self.used >= self.slots.len() / 4 * 3 {
                return false;
            }
            self.used += 1;
        }
        self.slots[at] = (key, offset);
        true
    }

    /// The newest offset of a key.
    pub(crate) fn get(&self, key: KeyHash) -> Option<i64> {
        Some(self.slots[self.find(key)].1).filter(|offset| *offset != FREE)
    }

    /// The key's slot, or the free one where it belongs. A quarter of the slots is always free.
    fn find(&self, key: KeyHash) -> usize {
        let mut at = usize::try_from(key.0 % self.slots.len() as u64).unwrap_or(0);
        while self.slots[at].1 != FREE && self.slots[at].0 != key {
            at = (at + 1) % self.slots.len();
        }
        at
    }
}
