//! A small seeded random generator, one a worker: eight bytes of state, about a nanosecond a draw.

/// wyrand: a Weyl sequence through one 64 by 64 bit multiplication. Not for secrets.
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
}
