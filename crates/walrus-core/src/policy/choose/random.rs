//! Problem: share answers evenly without any memory, so that workers and Directors need not agree.
//!
//! Rule: every candidate with the same probability.
//!
//! Source: no paper needed; its spread is binomial. Colajanni, Yu and Dias (1998) compare with it.
//!
//! When it is wrong: with servers of different size (weights are ignored), and where short runs
//! must be even (n answers over k servers spread by about sqrt(n/k); round-robin does not).
//!
//! Example: servers a, b: of 1,000 answers a gets 500, give or take 32 (two deviations).

use crate::world::Generator;

/// Any index below `len`.
#[inline]
pub(super) fn choose(len: u32, generator: &mut Generator) -> u32 {
    generator.index(len).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_within_five_deviations() {
        let mut generator = Generator::new(42);
        let mut counts = [0_i32; 4];
        for _ in 0..40_000 {
            counts[choose(4, &mut generator) as usize] += 1;
        }
        // Binomial: mean 10,000, deviation sqrt(40,000 x 1/4 x 3/4) = 87.
        assert!(counts.iter().all(|count| (count - 10_000).abs() < 435), "{counts:?}");
    }

    #[test]
    fn the_sequence_of_a_seed() {
        let mut generator = Generator::new(1);
        let chosen: Vec<u32> = (0..8).map(|_| choose(3, &mut generator)).collect();
        let mut again = Generator::new(1);
        assert_eq!(chosen, (0..8).map(|_| choose(3, &mut again)).collect::<Vec<_>>());
    }
}
