//! The heaviest of a stream of keys, counted in bounded memory.
//!
//! **Problem.** Who asks most is to be told, and whoever asks can make up as many keys as he likes.
//!
//! **Rule.** Space-saving: a table of fixed size; who is not in it takes the place of the one with
//! the lowest count and inherits that count as its possible error. Whoever has more than 1/size of
//! all counts is in the table, and the counts always add up to all that was counted.
//!
//! **Source.** Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements
//! in Data Streams (ICDT 2005).
//!
//! **When it is wrong.** Many keys of like weight push each other out: counts are then mostly
//! error, and `error` says so.
//!
//! **Example.** A full table with a lowest count of 3: a new key enters with count 4, error 3.
//!
//! This one keeps its keys in order, so that a run can be repeated, and costs some hundred
//! nanoseconds a count. Directors' answering threads count in a table of their own making, which
//! gives a part of the guarantee away for two cache lines a query (`walrus-director/src/domains.rs`).

use std::collections::{BTreeMap, BTreeSet};

/// Counts of at most so many keys, by space-saving.
#[derive(Clone, Debug)]
pub struct SpaceSaving<K> {
    counts: BTreeMap<K, Count>,
    /// The same by count, lowest first.
    order: BTreeSet<(u64, K)>,
    keys_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u64,
    error: u64,
}

/// One key with its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heavy<K> {
    /// Which.
    pub key: K,
    /// How often it was counted; at most `error` too high.
    pub count: u64,
    /// The most that `count` may be too high by.
    pub error: u64,
}

impl<K: Ord + Clone> SpaceSaving<K> {
    /// For so many keys; at least one.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self { counts: BTreeMap::new(), order: BTreeSet::new(), keys_max: keys_max.max(1) }
    }

    /// Counts a key so many times.
    pub fn add(&mut self, key: K, times: u64) {
        if times == 0 {
            return;
        }
        if let Some(held) = self.counts.get_mut(&key) {
            self.order.remove(&(held.count, key.clone()));
            held.count = held.count.saturating_add(times);
            self.order.insert((held.count, key));
            return;
        }
        let mut error = 0;
        if self.counts.len() >= self.keys_max
            && let Some((lowest, leaving)) = self.order.pop_first()
        {
            self.counts.remove(&leaving);
            error = lowest;
        }
        let count = error.saturating_add(times);
        self.counts.insert(key.clone(), Count { count, error });
        self.order.insert((count, key));
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Takes all counts out: the heaviest keys, at most so many, heaviest first and those of like
    /// count in their order; and the sum of all others' counts.
    pub fn take(&mut self, most: usize) -> (Vec<Heavy<K>>, u64) {
        self.order.clear();
        let counts = std::mem::take(&mut self.counts).into_iter();
        let mut all: Vec<Heavy<K>> =
            counts.map(|(key, Count { count, error })| Heavy { key, count, error }).collect();
        all.sort_by_key(|heavy| std::cmp::Reverse(heavy.count));
        let rest = all.iter().skip(most).fold(0, |sum: u64, it| sum.saturating_add(it.count));
        all.truncate(most);
        (all, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_takes_the_lowest_place_with_its_count_as_error() {
        let mut counts = SpaceSaving::new(2);
        for (key, times) in [("a", 5), ("b", 3), ("c", 1), ("none", 0)] {
            counts.add(key, times);
        }
        let (heavy, rest) = counts.take(1);
        assert_eq!(heavy, [Heavy { key: "a", count: 5, error: 0 }]);
        assert_eq!(rest, 4);
        assert!(counts.is_empty());
    }

    #[test]
    fn the_heavy_survive_a_flood_and_no_count_is_lost() {
        let mut counts = SpaceSaving::new(50);
        for made_up in 1..=10_000_u32 {
            counts.add(made_up, 1);
            if made_up.is_multiple_of(10) {
                counts.add(0, 1);
            }
        }
        let (heavy, rest) = counts.take(10);
        assert_eq!(heavy.len(), 10);
        assert_eq!(heavy[0].key, 0);
        assert!(heavy[0].count >= 1_000 && heavy[0].count - heavy[0].error <= 1_000);
        assert_eq!(heavy.iter().map(|it| it.count).sum::<u64>() + rest, 11_000);
    }
}
