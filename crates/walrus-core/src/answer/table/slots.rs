//! An open-addressing index from a name's hash to where its entry lies, built once and then only
//! read.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_nano_inline};

/// Fixed, so that every run builds the same table. The keys come from the operator's zones; what
/// clients ask only reads.
const SECRETS: RapidSecrets = RapidSecrets::seed(0x7761_6c72_7573_0001);

/// The hash of a name in lower-case wire format.
#[inline]
pub(super) fn hash(name: &[u8]) -> u64 {
    rapidhash_v3_nano_inline::<true, false>(name, &SECRETS)
}

/// Where an entry lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// In which run of bytes.
    pub(super) run: u16,
    /// Where in it; below `u32::MAX`.
    pub(super) at: u32,
}

/// Linear probing over a power of two of slots, at most two thirds of them taken. A slot holds 16
/// bits of the hash beside the place, so that a probe rarely looks at a name in vain: eight bytes a
/// slot, one cache line for most lookups.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    /// 16 bits of the hash, the place's run (16) and its `at` plus one (32); 0 is an empty slot.
    slots: Vec<u64>,
    taken: usize,
}

impl Slots {
    pub(super) fn with_capacity(names: usize) -> Self {
        Self { slots: vec![0; (names.max(4) * 3 / 2 + 1).next_power_of_two()], taken: 0 }
    }

    /// What `look` gives for the first place under this hash for which it gives anything.
    #[inline]
    pub(super) fn find<T>(&self, hash: u64, mut look: impl FnMut(Place) -> Option<T>) -> Option<T> {
        let mask = self.slots.len() - 1;
        let mut at = position(hash, mask);
        loop {
            let slot = self.slots[at & mask];
            if slot == 0 {
                // Some slots are always empty, so this ends.
                return None;
            }
            if slot >> 48 == hash >> 48
                && let Some(found) = look(place_of(slot))
            {
                return Some(found);
            }
            at += 1;
        }
    }

    /// Where a search for this hash begins, for a prefetch.
    #[inline]
    pub(super) fn begin(&self, hash: u64) -> *const u8 {
        (&raw const self.slots[position(hash, self.slots.len() - 1)]).cast()
    }

    /// Bytes of memory taken.
    pub(super) const fn memory(&self) -> usize {
        self.slots.len() * size_of::<u64>()
    }

    /// Adds a place that is not there yet; `hash_of` gives the hash of those that are there, should
    /// there be no more room.
    pub(super) fn insert(&mut self, hash: u64, place: Place, hash_of: impl Fn(Place) -> u64) {
        if (self.taken + 1) * 3 / 2 >= self.slots.len() {
            let doubled = vec![0; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, doubled) {
                if slot != 0 {
                    self.put(hash_of(place_of(slot)), slot);
                }
            }
        }
        self.put(hash, slot_of(hash, place));
        self.taken += 1;
    }

    /// Puts another place where one is.
    pub(super) fn replace(&mut self, hash: u64, old: Place, new: Place) {
        let mask = self.slots.len() - 1;
        let mut at = position(hash, mask);
        let old = slot_of(hash, old);
        while self.slots[at & mask] != 0 {
            if self.slots[at & mask] == old {
                self.slots[at & mask] = slot_of(hash, new);
                return;
            }
            at += 1;
        }
    }

    fn put(&mut self, hash: u64, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = position(hash, mask);
        while self.slots[at & mask] != 0 {
            at += 1;
        }
        self.slots[at & mask] = slot;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
const fn position(hash: u64, mask: usize) -> usize {
    hash as usize & mask
}

fn slot_of(hash: u64, place: Place) -> u64 {
    hash >> 48 << 48 | u64::from(place.run) << 32 | (u64::from(place.at) + 1)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
const fn place_of(slot: u64) -> Place {
    Place { run: (slot >> 32) as u16, at: (slot as u32).wrapping_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_inserted_and_nothing_else() {
        let names: Vec<Vec<u8>> = (0..5000_u32).map(|i| format!("{i}").into_bytes()).collect();
        let place = |index: u32| Place { run: (index % 7) as u16 * 9000, at: index };
        let mut slots = Slots::with_capacity(0);
        for (index, name) in (0..).zip(&names) {
            slots.insert(hash(name), place(index), |place| hash(&names[place.at as usize]));
        }
        let moved = Place { run: u16::MAX, at: u32::MAX - 1 };
        slots.replace(hash(b"17"), place(17), moved);
        for (index, name) in (0..).zip(&names) {
            let expected = if index == 17 { moved } else { place(index) };
            let found = slots.find(hash(name), |place| (place == expected).then_some(place));
            assert_eq!(found, Some(expected));
        }
        let is_no = |place: Place| (names.get(place.at as usize)? == b"no").then_some(());
        assert_eq!(slots.find(hash(b"no"), is_no), None);
    }
}
