//! How many different domains were there? Counted exactly while they are few, estimated beyond.
//!
//! Of numbers spread evenly the k least are kept (Bar-Yossef and others, 2002; "KMV"): if the k-th
//! least of them lies at the share s of their range, there are about (k - 1) / s. The estimate's
//! deviation is 1/sqrt(k - 2): 4.4 % here.

use std::collections::BTreeSet;

/// Numbers kept: up to so many are counted exactly. 8 KiB or so.
const KEPT: usize = 512;

/// A set of which only the size is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Distinct {
    least: BTreeSet<u64>,
    /// Some were left out.
    is_estimate: bool,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Count {
    /// How many, or about.
    pub count: u64,
    /// With a probability of 95 % at least so many ...
    pub low: u64,
    /// ... and at most so many. All three are the same if they were counted.
    pub high: u64,
}

impl Distinct {
    /// Takes a number in: one that is spread evenly, such as a hash.
    pub(super) fn insert(&mut self, number: u64) {
        if self.least.len() >= KEPT {
            let is_beyond = self.least.last().is_some_and(|greatest| number >= *greatest);
            if is_beyond {
                // The greatest itself is no news.
                self.is_estimate |= self.least.last() != Some(&number);
                return;
            }
        }
        if self.least.insert(number) && self.least.len() > KEPT {
            self.least.pop_last();
            self.is_estimate = true;
        }
    }

    /// Takes all of another set in.
    pub(super) fn add(&mut self, other: &Self) {
        for number in &other.least {
            self.insert(*number);
        }
        self.is_estimate |= other.is_estimate;
    }

    pub(super) fn count(&self) -> Count {
        let kept = self.least.len();
        let exact = Count { count: kept as u64, low: kept as u64, high: kept as u64 };
        let Some(greatest) = self.least.last().filter(|_| self.is_estimate && kept >= KEPT) else {
            return exact;
        };
        let share = (*greatest as f64 + 1.0) / (u64::MAX as f64 + 1.0);
        let estimate = (kept as f64 - 1.0) / share;
        let reach = 1.96 * estimate / (kept as f64 - 2.0).sqrt();
        let round = |number: f64| number.round() as u64;
        // At least those that are kept, and one that is not.
        let seen = |number: f64| round(number).max(kept as u64 + 1);
        Count { count: seen(estimate), low: seen(estimate - reach), high: seen(estimate + reach) }
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::world::Generator;

    use super::*;

    fn set(from: u64, to: u64) -> Distinct {
        let mut set = Distinct::default();
        for _ in 0..2 {
            for number in from..to {
                set.insert(Generator::new(number).draw());
            }
        }
        set
    }

    #[test]
    fn few_are_counted_and_many_estimated() {
        for count in [0, 1, 100, KEPT as u64] {
            assert_eq!(set(0, count).count(), Count { count, low: count, high: count });
        }
        for count in [513_u64, 5_000, 100_000] {
            let Count { count: found, low, high } = set(0, count).count();
            // Five deviations; the set is always the same one.
            assert!(found.abs_diff(count) as f64 <= 5.0 / 22.0 * count as f64, "{count}: {found}");
            assert!(low <= found && found < high, "{count}: {low} {found} {high}");
        }
    }

    #[test]
    fn sets_are_added_up_without_counting_anything_twice() {
        let mut sum = set(0, 300);
        sum.add(&set(200, 500));
        assert_eq!(sum.count().count, 500);
        let mut sum = set(0, 30_000);
        sum.add(&set(20_000, 40_000));
        assert_eq!(sum.count(), set(0, 40_000).count());
    }
}
