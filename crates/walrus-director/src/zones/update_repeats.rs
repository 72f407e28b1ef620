//! Updates that came already: whoever repeats one, a client that missed the reply or a stranger who has recorded it, is told
//! what the first was told, and nothing is done a second time.

use std::collections::{BTreeMap, VecDeque};

/// So many are kept; of those who hold a key nobody sends more within the time in which a message can be repeated
/// but to be rid of this.
const KEPT_MAX: usize = 8192;
/// A message is believed for five minutes before and after the time at which it was signed.
const KEPT_SECS: u64 = 600;

/// Signatures of updates, and the codes of their replies.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    codes: BTreeMap<Box<[u8]>, u16>,
    by_age: VecDeque<(u64, Box<[u8]>)>,
}

impl Repeats {
    /// What the message with this signature was told.
    pub(super) fn code(&self, mac: &[u8]) -> Option<u16> {
        self.codes.get(mac).copied()
    }

    /// Keeps what a message is told; `now` is seconds since 1970.
    pub(super) fn keep(&mut self, mac: &[u8], code: u16, now: u64) {
        while let Some((since, _)) = self.by_age.front()
            && (self.by_age.len() >= KEPT_MAX || now.saturating_sub(*since) > KEPT_SECS)
        {
            let oldest = self.by_age.pop_front();
            oldest.map(|(_, mac)| self.codes.remove(&mac));
        }
        if self.codes.insert(mac.into(), code).is_none() {
            self.by_age.push_back((now, mac.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_known_for_as_long_as_it_would_be_believed() {
        let mut repeats = Repeats::default();
        repeats.keep(b"one", 0, 1000);
        repeats.keep(b"two", 8, 1500);
        assert_eq!((repeats.code(b"one"), repeats.code(b"two")), (Some(0), Some(8)));
        assert_eq!(repeats.code(b"three"), None);
        repeats.keep(b"three", 5, 1601);
        assert_eq!((repeats.code(b"one"), repeats.code(b"two")), (None, Some(8)));
        for number in 0..2 * KEPT_MAX as u64 {
            repeats.keep(&number.to_be_bytes(), 0, 1602);
        }
        assert_eq!((repeats.codes.len(), repeats.by_age.len()), (KEPT_MAX, KEPT_MAX));
    }
}
