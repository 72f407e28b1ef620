//! Chance that repeats itself: a generator whose draws follow from its seed, so that a run can be
//! played again. Eight bytes of state, about a nanosecond a draw.

use std::time::Duration;

/// wyrand: a Weyl sequence through one 64 by 64 bit multiplication; no seed is a bad one. Never for
/// secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator(u64);

impl Generator {
    /// A generator that gives the same draws for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product are folded")]
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        let product = u128::from(self.0) * u128::from(self.0 ^ 0xe703_7ed1_a0b4_28db);
        (product >> 64) as u64 ^ product as u64
    }

    /// The next draw as an index below `len` and 32 more bits that do not depend on it. The bias
    /// is at most `len` / 2^32.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a draw are taken apart")]
    pub fn index(&mut self, len: u32) -> (u32, u32) {
        let draw = self.draw();
        ((((draw >> 32) * u64::from(len)) >> 32) as u32, draw as u32)
    }

    /// Below which half of a draw lies with this probability, 0 to 1; what is none saturates.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    pub fn threshold(probability: f64) -> u32 {
        (probability * 4_294_967_296.0) as u32
    }

    /// Evenly spread from 0 (inclusive) to 1 (exclusive).
    #[inline]
    pub fn share(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// `interval`, longer or shorter by up to the share `jitter` of it (at most half), so that what
    /// begins together does not stay together.
    pub fn jittered(&mut self, interval: Duration, jitter: f64) -> Duration {
        let share = if jitter.is_finite() { jitter.clamp(0.0, 0.5) } else { 0.0 };
        interval.mul_f64(1.0 + share * (2.0 * self.share() - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_draws() {
        let (mut one, mut other) = (Generator::new(7), Generator::new(7));
        let draws: Vec<u64> = (0..4).map(|_| one.draw()).collect();
        assert_eq!(draws, (0..4).map(|_| other.draw()).collect::<Vec<_>>());
        assert_ne!(draws[0], Generator::new(8).draw());
    }

    #[test]
    fn an_index_stays_below_its_length() {
        let mut generator = Generator::new(1);
        for len in [1, 2, 3, 1000, u32::MAX] {
            for _ in 0..100 {
                assert!(generator.index(len).0 < len);
            }
        }
    }

    #[test]
    fn shares_are_even_and_stay_below_one() {
        let mut generator = Generator::new(1);
        let shares: Vec<f64> = (0..1000).map(|_| generator.share()).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        let mean = shares.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    #[test]
    fn a_jittered_interval_keeps_its_bounds_and_its_mean() {
        let (mut generator, second) = (Generator::new(7), Duration::from_secs(1));
        let mut sum = 0.0;
        for _ in 0..1000 {
            let wait = generator.jittered(second, 0.2).as_secs_f64();
            assert!((0.8..=1.2).contains(&wait));
            sum += wait;
        }
        assert!((950.0..1050.0).contains(&sum), "{sum}");
        assert_eq!(generator.jittered(second, f64::NAN), second);
    }
}
