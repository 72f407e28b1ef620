//! Problem: reported loads are old when an answer's clients arrive: whoever sends all to the least
//! loaded server overloads it until the next report (the herd).
//!
//! Rule: draw two candidates by capacity, take the one whose load in the Plan is lower; the first of
//! them if they are alike or one is not known.
//!
//! Source: Mitzenmacher 2001, the power of two choices; that it does well on stale reports where the
//! least loaded one does not: Barbette et al. 2020 (Cheetah), papers.md 7.6.
//!
//! When it is wrong: with two servers, for it is never least-loaded: the busier of two alike still gets the
//! quarter of the answers for which it is drawn twice, however full it is. Where no server reports it is
//! `weighted`.
//!
//! Example: three servers of equal capacity with loads 0.9, 0.5, 0.1: a is taken only if it is drawn
//! twice (1/9), b in 3/9 (b, b; a, b; b, a), c in the remaining 5/9.

use super::AliasTable;
use crate::world::Generator;

/// What is drawn from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TwoChoices {
    draws: AliasTable,
    /// By candidate, its place among the service's servers.
    places: Box<[u32]>,
}

impl TwoChoices {
    /// From capacities (finite, not negative) and places among the service's servers.
    pub(super) fn compile(capacities: &[f64], places: impl Iterator<Item = u32>) -> Self {
        Self { draws: AliasTable::compile(capacities), places: places.collect() }
    }

    /// The better of two, by loads at the servers' places; NaN is unknown.
    #[inline]
    pub(super) fn choose(&self, generator: &mut Generator, loads: &[f32]) -> u32 {
        let [one, other] = self.draw(generator);
        // With NaN on either side this is false.
        if self.load(other, loads) < self.load(one, loads) { other } else { one }
    }

    /// The two that are compared.
    #[inline]
    pub(super) fn draw(&self, generator: &mut Generator) -> [u32; 2] {
        [self.draws.choose(generator), self.draws.choose(generator)]
    }

    /// A candidate's load; NaN is unknown.
    pub(super) fn load(&self, candidate: u32, loads: &[f32]) -> f32 {
        let place = self.places.get(candidate as usize);
        place.and_then(|place| loads.get(*place as usize)).copied().unwrap_or(f32::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(capacities: &[f64], loads: &[f32]) -> Vec<i32> {
        let choices = TwoChoices::compile(capacities, 0..capacities.len() as u32);
        let mut generator = Generator::new(42);
        let mut counts = vec![0; capacities.len()];
        for _ in 0..90_000 {
            counts[choices.choose(&mut generator, loads) as usize] += 1;
        }
        counts
    }

    #[test]
    fn the_worked_example() {
        let counts = counts(&[1.0; 3], &[0.9, 0.5, 0.1]);
        // Five binomial deviations: 471, 707, 745.
        assert!((counts[0] - 10_000).abs() < 471, "{counts:?}");
        assert!((counts[1] - 30_000).abs() < 707, "{counts:?}");
        assert!((counts[2] - 50_000).abs() < 745, "{counts:?}");
    }

    #[test]
    fn without_reports_it_is_weighted() {
        let unknown = f32::NAN;
        for loads in [&[unknown; 3][..], &[0.4; 3], &[0.1, unknown, unknown], &[0.1], &[]] {
            let counts = counts(&[2.0, 1.0, 0.0], loads);
            assert!((counts[0] - 60_000).abs() < 707 && counts[2] == 0, "{counts:?}");
        }
    }
}
