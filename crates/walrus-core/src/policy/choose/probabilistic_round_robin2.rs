//! Problem: as `rr2`, with servers of different size.
//!
//! Rule: PRR2: go on round the domain's tier; the candidate at the pointer is taken with the
//! probability of its capacity over the largest one's, else the next one is looked at.
//!
//! Source: Colajanni, Cardellini, Yu 1998 (ICDCS), papers.md 2.2.
//!
//! When it is wrong: where short runs must be exact. Its shares are those of the capacities only in
//! the long run, as with `weighted`; it keeps the order of the round, which `weighted` does not.
//!
//! Example: capacities 2 and 1: a is always taken when it is looked at, b every second time. Of
//! three answers two begin with a.

use super::AskingDomain;
use crate::world::Generator;

/// Looks at a candidate are bounded by this times their number: with one candidate of capacity 1
/// among others of nearly none, more would be needed in e^-8 of all cases.
const ROUNDS_MAX: u32 = 8;

/// The chances of candidates, by capacity.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chances(Box<[u32]>);

impl Chances {
    /// From capacities; all alike if none is above 0.
    pub(super) fn compile(capacities: &[f64]) -> Self {
        let most = capacities.iter().copied().fold(0.0, f64::max).min(f64::MAX);
        let chance = |capacity: &f64| {
            if most > 0.0 { Generator::threshold(capacity.min(most) / most) } else { u32::MAX }
        };
        Self(capacities.iter().map(chance).collect())
    }

    /// How often each is taken in the long run.
    pub(super) fn shares(&self) -> Vec<f64> {
        let sum: f64 = self.0.iter().map(|chance| f64::from(*chance)).sum();
        self.0.iter().map(|chance| f64::from(*chance) / sum.max(1.0)).collect()
    }

    /// The next server of the domain's tier that is taken.
    #[inline]
    pub(super) fn choose(
        &self,
        domain: &AskingDomain,
        positions: &mut [u32; 2],
        generator: &mut Generator,
    ) -> u32 {
        let len = self.0.len() as u32;
        let position = &mut positions[usize::from(domain.hot.is_some())];
        let mut index = if *position < len { *position } else { *position % len };
        for _ in 0..len * ROUNDS_MAX {
            let (_, draw) = generator.index(1);
            if draw <= self.0[index as usize] {
                break;
            }
            index = if index + 1 == len { 0 } else { index + 1 };
        }
        *position = if index + 1 == len { 0 } else { index + 1 };
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(capacities: &[f64], draws: u32) -> Vec<f64> {
        let chances = Chances::compile(capacities);
        let (mut generator, mut positions) = (Generator::new(42), [0, 0]);
        let mut counts = vec![0_u32; capacities.len()];
        for _ in 0..draws {
            let domain = AskingDomain::unknown(0);
            counts[chances.choose(&domain, &mut positions, &mut generator) as usize] += 1;
        }
        counts.iter().map(|count| f64::from(*count) / f64::from(draws)).collect()
    }

    #[test]
    fn the_worked_example() {
        let shares = shares(&[2.0, 1.0], 30_000);
        // Five deviations of a binomial.
        assert!((shares[0] - 2.0 / 3.0).abs() < 0.0136, "{shares:?}");
    }

    #[test]
    fn in_the_long_run_shares_are_the_capacities() {
        let shares = shares(&[2.0, 1.0, 1.0, 0.0], 40_000);
        // No wider than a binomial's five deviations: 0.0125 for a half.
        assert!((shares[0] - 0.5).abs() < 0.0125, "{shares:?}");
        assert!((shares[1] - 0.25).abs() < 0.011 && (shares[2] - 0.25).abs() < 0.011);
        assert!(shares[3] < 1e-4, "{shares:?}");
    }

    #[test]
    fn odd_capacities_are_survived() {
        for odd in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let shares = shares(&[odd, 1.0], 100);
            assert!((shares[0] + shares[1] - 1.0).abs() < 1e-9, "{odd}: {shares:?}");
        }
    }

    #[test]
    fn each_tier_goes_on_where_it_was() {
        let chances = Chances::compile(&[1.0; 3]);
        let (mut generator, mut positions) = (Generator::new(1), [0, 0]);
        let chosen = [Some(0), None, Some(1), None].map(|hot| {
            let domain = AskingDomain { hot, ..AskingDomain::unknown(0) };
            chances.choose(&domain, &mut positions, &mut generator)
        });
        assert_eq!(chosen, [0, 0, 1, 1]);
    }

    #[test]
    fn equal_capacities_are_round_robin() {
        for capacities in [[3.0; 3], [0.0; 3]] {
            let chances = Chances::compile(&capacities);
            let (mut generator, mut positions) = (Generator::new(1), [1, 0]);
            let domain = AskingDomain::unknown(0);
            let chosen: Vec<u32> =
                (0..4).map(|_| chances.choose(&domain, &mut positions, &mut generator)).collect();
            assert_eq!(chosen, [1, 2, 0, 1]);
        }
    }
}
