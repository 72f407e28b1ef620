//! An open-addressing index from a name's hash to a 32-bit place, built once and then only read.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_nano_inline};

/// Fixed, so that every run builds the same table. The keys come from the operator's zones; what
/// clients ask only reads.
const SECRETS: RapidSecrets = RapidSecrets::seed(0x7761_6c72_7573_0001);

/// The hash of a name in lower-case wire format.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "half of the bits are enough")]
pub(super) fn hash(name: &[u8]) -> u32 {
    rapidhash_v3_nano_inline::<true, false>(name, &SECRETS) as u32
}

/// Linear probing over a power of two of slots, at most half of them taken. A slot holds the hash
/// beside the place, so that a probe rarely looks at a name in vain: eight bytes a slot, one cache
/// line for most lookups.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    /// Hash, and the place plus one; 0 is an empty slot.
    slots: Vec<(u32, u32)>,
    taken: usize,
}

impl Slots {
    pub(super) fn with_capacity(names: usize) -> Self {
        Self { slots: vec![(0, 0); (names.max(4) * 2).next_power_of_two()], taken: 0 }
    }

    /// The first place under this hash that `is_it` takes.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (slot_hash, place_plus_one) = self.slots[at & mask];
            // Some slots are always empty, so this ends.
            let place = place_plus_one.checked_sub(1)?;
            if slot_hash == hash && is_it(place) {
                return Some(place);
            }
            at += 1;
        }
    }

    /// Bytes of memory taken.
    pub(super) const fn memory(&self) -> usize {
        self.slots.len() * size_of::<(u32, u32)>()
    }

    /// Adds a place, below `u32::MAX`, that is not there yet.
    pub(super) fn insert(&mut self, hash: u32, place: u32) {
        if (self.taken + 1) * 2 > self.slots.len() {
            let doubled = vec![(0, 0); self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, doubled) {
                if slot.1 != 0 {
                    self.put(slot);
                }
            }
        }
        self.put((hash, place + 1));
        self.taken += 1;
    }

    fn put(&mut self, slot: (u32, u32)) {
        let mask = self.slots.len() - 1;
        let mut at = slot.0 as usize & mask;
        while self.slots[at].1 != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_inserted_and_nothing_else() {
        let names: Vec<Vec<u8>> = (0..5000_u32).map(|i| format!("{i}").into_bytes()).collect();
        let mut slots = Slots::with_capacity(0);
        for (place, name) in (0..).zip(&names) {
            slots.insert(hash(name), place);
        }
        for (place, name) in (0..).zip(&names) {
            let found = slots.find(hash(name), |place| names[place as usize] == *name);
            assert_eq!(found, Some(place));
        }
        assert_eq!(slots.find(hash(b"no"), |place| names[place as usize] == b"no"), None);
    }
}
