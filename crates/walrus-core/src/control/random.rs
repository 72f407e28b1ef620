//! Numbers that only look random, for spreading probes in time: the same seed gives the same run.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA
/// 2014): one word of state, no bad seeds. Never for secrets.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Evenly spread over 0 (inclusive) to 1 (exclusive).
    pub(super) fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^= word >> 31;
        // 53 bits are what a double holds exactly.
        (word >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// `interval`, longer or shorter by up to the share `jitter` of it.
    pub(super) fn jittered(&mut self, interval: Duration, jitter: f64) -> Duration {
        let share = if jitter.is_finite() { jitter.clamp(0.0, 0.5) } else { 0.0 };
        interval.mul_f64(1.0 + share * (2.0 * self.share() - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bounds_and_repeats_itself() {
        let (mut one, mut two) = (Random::new(7), Random::new(7));
        let second = Duration::from_secs(1);
        let mut sum = 0.0;
        for _ in 0..1000 {
            let wait = one.jittered(second, 0.2);
            assert_eq!(wait, two.jittered(second, 0.2));
            assert!((0.8..=1.2).contains(&wait.as_secs_f64()));
            sum += wait.as_secs_f64();
        }
        assert!((950.0..1050.0).contains(&sum), "{sum}");
        assert_eq!(one.jittered(second, f64::NAN), second);
    }
}
