//! Problem: servers differ in size; each should come first as often as its weight says.
//!
//! Rule: at random with probability weight x ramp / sum, by an alias table: one draw, one
//! comparison, whatever the number of servers.
//!
//! Source: A. J. Walker 1977; M. D. Vose 1991 for building the table in linear time.
//!
//! When it is wrong: where short runs must be exact (the spread is binomial), and where a resolver's
//! answer stands for a very different number of clients than another's.
//!
//! Example: weights 2, 1, 1. Three columns of 4/3 each: column a holds a alone; b holds b to 3/4 and
//! a above; c likewise. A draw picks a column and a height: a comes with 1/3 + 2/3 x 1/4 = 1/2.

use crate::world::Generator;

/// One column for each candidate: below the height itself, above it its alias.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AliasTable(Box<[Column]>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Column {
    /// In 1/2^32; `u32::MAX` together with its own index as alias is a full column.
    height: u32,
    alias: u32,
}

impl AliasTable {
    /// From weights that are finite and not negative; all alike if their sum is 0.
    pub(super) fn compile(weights: &[f64]) -> Self {
        let sum: f64 = weights.iter().sum();
        let count = weights.len() as f64;
        // Heights with mean 1.
        let mut heights: Vec<f64> = if sum > 0.0 && sum.is_finite() {
            weights.iter().map(|weight| weight / sum * count).collect()
        } else {
            vec![1.0; weights.len()]
        };
        let full = |index: usize| Column { height: u32::MAX, alias: column_index(index) };
        let mut columns: Box<[Column]> = (0..heights.len()).map(full).collect();
        let (mut low, mut high): (Vec<usize>, Vec<usize>) =
            (0..heights.len()).partition(|&index| heights[index] < 1.0);
        while let (Some(&under), Some(&over)) = (low.last(), high.last()) {
            low.pop();
            columns[under] =
                Column { height: Generator::threshold(heights[under]), alias: column_index(over) };
            heights[over] -= 1.0 - heights[under];
            if heights[over] < 1.0 {
                high.pop();
                low.push(over);
            }
        }
        // What is left over on either side is full but for rounding.
        Self(columns)
    }

    #[inline]
    pub(super) fn choose(&self, generator: &mut Generator) -> u32 {
        let (index, height) = generator.index(column_index(self.0.len()));
        let column = self.0[index as usize];
        if height < column.height { index } else { column.alias }
    }

    /// How often each index comes, by the table itself.
    pub(super) fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.0.len()];
        let each = 1.0 / self.0.len() as f64;
        for (index, column) in self.0.iter().enumerate() {
            // A full column's alias is its own index.
            let own = f64::from(column.height) / 4_294_967_296.0;
            shares[index] += each * own;
            shares[column.alias as usize] += each * (1.0 - own);
        }
        shares
    }
}

fn column_index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_are_the_weights() {
        for weights in [
            &[1.0][..],
            &[2.0, 1.0, 1.0],
            &[1.0, 1.0],
            &[0.0, 0.0, 0.0],
            &[0.0, 5.0],
            &[1e-3, 1e6, 17.0, 0.25],
            &[0.1; 1000],
        ] {
            let sum: f64 = weights.iter().sum();
            for (index, share) in AliasTable::compile(weights).shares().into_iter().enumerate() {
                let expected =
                    if sum > 0.0 { weights[index] / sum } else { 1.0 / weights.len() as f64 };
                assert!((share - expected).abs() < 1e-6, "{weights:?}: {index} has {share}");
            }
        }
    }

    #[test]
    fn a_weight_of_zero_never_comes() {
        let table = AliasTable::compile(&[0.0, 1.0, 0.0, 2.0]);
        let mut generator = Generator::new(3);
        for _ in 0..10_000 {
            assert!([1, 3].contains(&table.choose(&mut generator)));
        }
    }

    proptest! {
        /// Whatever the weights and the seed, each server's draws are binomial. Six deviations, and four for small numbers:
        /// beyond that chance comes once in a hundred million times.
        #[test]
        fn weights_hold_within_binomial_bounds(
            weights in prop::collection::vec(0..40_u32, 1..12),
            seed: u64,
        ) {
            const DRAWS: u32 = 4000;
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let table = AliasTable::compile(&weights);
            let mut generator = Generator::new(seed);
            let mut counts = vec![0_u32; weights.len()];
            for _ in 0..DRAWS {
                counts[table.choose(&mut generator) as usize] += 1;
            }
            let sum: f64 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(&weights) {
                let (share, draws) = (weight / sum, f64::from(DRAWS));
                let deviation = (draws * share * (1.0 - share)).sqrt();
                let off = (f64::from(*count) - draws * share).abs();
                prop_assert!(off <= 6.0 * deviation + 4.0, "{weights:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn drawn_shares_within_five_deviations() {
        let table = AliasTable::compile(&[2.0, 1.0, 1.0]);
        let mut generator = Generator::new(42);
        let mut counts = [0_i32; 3];
        for _ in 0..40_000 {
            counts[table.choose(&mut generator) as usize] += 1;
        }
        // Binomial deviations: 100 for a half, 87 for a quarter.
        assert!((counts[0] - 20_000).abs() < 500, "{counts:?}");
        assert!((counts[1] - 10_000).abs() < 435, "{counts:?}");
    }
}
