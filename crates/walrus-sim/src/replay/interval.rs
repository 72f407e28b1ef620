//! A share of the queries, and how far it can be relied upon.
//!
//! Two things make a share uncertain. A log may be a sample: a line of weight w was logged with
//! probability 1/w and stands for w queries, so that a sum over lines has the variance
//! sum w (w - 1) y^2 (Horvitz and Thompson, 1952), y being what the line brings: here its distance
//! from the share, as for every quotient of two such sums. And a server is drawn for each query: a
//! share p in w queries has the variance w p (1 - p). Together they say how many queries n, each
//! drawn by itself, would be as uncertain; the interval is Wilson's (1927) for 95 % and this n.
//! Where nothing was sampled or drawn the share is exact. It says nothing of how alike tomorrow's
//! traffic will be.

use serde::{Deserialize, Serialize};

/// The deviations that hold 95 % of a normal distribution.
const DEVIATIONS: f64 = 1.959_964;

/// A share of 0 to 1 with its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// What is expected.
    pub share: f64,
    /// With a probability of 95 % it is at least this ...
    pub low: f64,
    /// ... and at most this.
    pub high: f64,
}

/// A sum over lines of some weight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mass {
    /// Queries: the sum of the weights w.
    pub(super) queries: f64,
    /// The sum of w (w - 1); 0 if the log is no sample.
    pub(super) sampled: f64,
}

impl Mass {
    /// The sum of w^2.
    pub(super) const fn squares(&self) -> f64 {
        self.sampled + self.queries
    }

    /// A line's.
    pub(super) fn of(weight: u32) -> Self {
        let weight = f64::from(weight);
        Self { queries: weight, sampled: weight * (weight - 1.0) }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.queries += other.queries;
        self.sampled += other.sampled;
    }
}

/// Adds up a share of all queries, part by part: a part of some mass brings a share y of it.
#[derive(Clone, Debug, Default)]
pub(super) struct ShareSum {
    /// The sum of the queries times y.
    queries: f64,
    /// ... times y (1 - y): what is drawn.
    drawn: f64,
    /// The sums of w (w - 1), of that times y, and times y^2.
    sampled: [f64; 3],
}

impl ShareSum {
    /// Of these lines a share; those that are not told of bring nothing.
    pub(super) fn add(&mut self, mass: Mass, share: f64) {
        if share > 0.0 {
            self.queries += mass.queries * share;
            self.drawn += mass.queries * share * (1.0 - share);
            self.sampled[0] += mass.sampled;
            self.sampled[1] += mass.sampled * share;
            self.sampled[2] += mass.sampled * share * share;
        }
    }

    /// Queries.
    pub(super) const fn queries(&self) -> f64 {
        self.queries
    }

    /// The share among all these.
    pub(super) fn of(&self, all: Mass) -> Share {
        if all.queries <= 0.0 {
            return Share::default();
        }
        let share = (self.queries() / all.queries).clamp(0.0, 1.0);
        // The sum of w (w - 1) (y - share)^2, of which rounding must leave nothing where all are alike.
        let [whole, once, twice] = self.sampled;
        let apart = twice - 2.0 * share * once + share * share * whole;
        let apart = if apart <= 1e-12 * whole { 0.0 } else { apart };
        let rest = (all.sampled - whole).max(0.0) * share.powi(2);
        let variance = (apart + self.drawn.max(0.0) + rest) / all.queries.powi(2);
        let spread = share * (1.0 - share);
        let size = match (variance > 0.0, all.sampled > 0.0) {
            (true, _) if spread > 0.0 => spread / variance,
            // Nobody, or everybody, out of a sample: as many lines as it has.
            (_, true) => all.queries.powi(2) / (all.sampled + all.queries),
            _ => return Share { share, low: share, high: share },
        };
        let (low, high) = wilson(share, size);
        Share { share, low, high }
    }
}

/// Wilson's interval for a share out of `size` draws, at least one.
fn wilson(share: f64, size: f64) -> (f64, f64) {
    let size = size.max(1.0);
    let square = DEVIATIONS * DEVIATIONS / size;
    let middle = (share + square / 2.0) / (1.0 + square);
    let reach =
        DEVIATIONS / (1.0 + square) * (share * (1.0 - share) / size + square / (4.0 * size)).sqrt();
    ((middle - reach).clamp(0.0, share), (middle + reach).clamp(share, 1.0))
}

#[cfg(test)]
mod tests {
    use walrus_core::world::Generator;

    use super::*;

    /// Lines of a weight, with what each brings.
    fn share(weight: u32, lines: &[(u32, f64)]) -> Share {
        let (mut sum, mut all) = (ShareSum::default(), Mass::default());
        for (count, share) in lines {
            for _ in 0..*count {
                sum.add(Mass::of(weight), *share);
                all.add(Mass::of(weight));
            }
        }
        sum.of(all)
    }

    #[test]
    fn what_is_neither_sampled_nor_drawn_is_exact() {
        let exact = share(1, &[(30, 1.0), (70, 0.0)]);
        assert_eq!(exact, Share { share: 0.3, low: 0.3, high: 0.3 });
        assert_eq!(ShareSum::default().of(Mass::default()), Share::default());
    }

    #[test]
    fn what_is_drawn_has_the_binomial_s_interval() {
        // Wilson for 500 of 1,000.
        let drawn = share(1, &[(1000, 0.5)]);
        assert!((drawn.low - 0.4691).abs() < 1e-4 && (drawn.high - 0.5309).abs() < 1e-4);
        // Of a sample of one in a thousand the same, not a thousandth of it.
        let sampled = share(1000, &[(500, 1.0), (500, 0.0)]);
        assert!((sampled.low - 0.4691).abs() < 1e-3 && (sampled.high - 0.5309).abs() < 1e-3);
        // Nobody out of 1,000: the rule of three says 0.3 %, Wilson 0.38 %.
        let nobody = share(1000, &[(1000, 0.0)]);
        assert!(nobody.low == 0.0 && (nobody.high - 0.0038).abs() < 1e-4, "{nobody:?}");
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let mut generator = Generator::new(42);
        let mut missed = 0;
        for _ in 0..1000 {
            // 20,000 queries, 30 % of them of one kind, logged one in a hundred.
            let (mut sum, mut all) = (ShareSum::default(), Mass::default());
            for query in 0..20_000 {
                if generator.index(100).0 == 0 {
                    all.add(Mass::of(100));
                    sum.add(Mass::of(100), if query % 10 < 3 { 1.0 } else { 0.0 });
                }
            }
            let Share { low, high, .. } = sum.of(all);
            missed += u32::from(!(low..=high).contains(&0.3));
        }
        // Fifty are expected; the deviation is 7.
        assert!((15..=85).contains(&missed), "{missed}");
    }
}
