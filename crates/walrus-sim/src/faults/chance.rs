//! What the seed decides, drawn in ways that read well.

use std::time::Duration;

use walrus_core::world::Generator;

/// A seeded source of choices.
#[derive(Clone, Debug)]
pub(super) struct Chance(Generator);

impl Chance {
    /// `purpose` keeps apart what follows from the same seed.
    pub(super) const fn new(seed: u64, purpose: u64) -> Self {
        Self(Generator::new(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Below `bound`, which is above 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u32::try_from(bound).unwrap_or(u32::MAX);
        self.0.index(bound.max(1)).0 as usize
    }

    /// One of `first..=last`.
    pub(super) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// True in one of so many cases.
    pub(super) fn one_in(&mut self, cases: usize) -> bool {
        self.below(cases) == 0
    }

    /// True with this probability.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.0.share() < probability
    }

    pub(super) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Evenly from nothing to this long.
    pub(super) fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.0.share())
    }

    /// Some of them, at least one, in their order.
    pub(super) fn some_of<T: Copy>(&mut self, choices: &[T]) -> Vec<T> {
        let sure = self.below(choices.len());
        let all = choices.iter().enumerate();
        all.filter(|(place, _)| *place == sure || self.one_in(3)).map(|(_, it)| *it).collect()
    }

    /// Puts them into another order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.below(last + 1);
            list.swap(last, other);
        }
    }
}
