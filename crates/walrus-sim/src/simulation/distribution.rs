//! How often which value came, in bounded memory: what every measure of a run ends in.
//!
//! A histogram whose bins are 1/256 of an octave wide, so that a value is known to 0.4 % whatever its
//! size, from a nanosecond to thirty years. Two of them add up, so that seeds can be run apart and
//! told together.

use serde::{Deserialize, Serialize};

/// Bits of the mantissa that tell bins apart: 256 bins an octave.
const BITS: u32 = 8;
/// Below this, in any unit, a value counts as zero: 2^-30.
const LEAST_EXPONENT: i32 = -30;
/// From here on, values fall into the last bin: 2^40.
const END_EXPONENT: i32 = 40;
/// All bins.
const BINS: usize = ((END_EXPONENT - LEAST_EXPONENT) as usize) << BITS;

/// How often which value came. Values are at least 0; what is below 2^-30 counts as 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Distribution {
    zeros: u64,
    /// Empty before the first value above 0.
    bins: Vec<u64>,
    count: u64,
    sum: f64,
    max: f64,
}

impl Distribution {
    /// As much memory one takes at most.
    pub(super) const BYTES_MAX: usize = BINS * size_of::<u64>() + size_of::<Self>();

    /// Without a value.
    #[must_use]
    pub const fn new() -> Self {
        Self { zeros: 0, bins: Vec::new(), count: 0, sum: 0.0, max: 0.0 }
    }

    /// Counts a value once.
    pub fn add(&mut self, value: f64) {
        self.add_times(value, 1);
    }

    /// Counts a value so many times. What is no number, or below 0, counts as 0.
    pub fn add_times(&mut self, value: f64, times: u64) {
        let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, f64::MAX) };
        self.count += times;
        self.sum += value * times as f64;
        self.max = self.max.max(value);
        let Some(bin) = bin_of(value) else {
            self.zeros += times;
            return;
        };
        if self.bins.is_empty() {
            self.bins = vec![0; BINS];
        }
        self.bins[bin] += times;
    }

    /// Counts a value that was counted before as another one. If it was the greatest, the greatest is
    /// known to its bin only.
    pub(super) fn replace(&mut self, old: f64, new: f64) {
        self.add(new);
        self.count -= 1;
        self.sum -= old;
        match bin_of(old) {
            None => self.zeros = self.zeros.saturating_sub(1),
            Some(bin) => {
                let count = self.bins.get_mut(bin);
                count.into_iter().for_each(|count| *count = count.saturating_sub(1));
            }
        }
        if bin_of(old) >= bin_of(self.max) {
            let last = self.bins.iter().rposition(|count| *count > 0);
            self.max = self.max.min(last.map_or(0.0, |bin| bounds(bin).1.next_down())).max(new);
        }
    }

    /// Counts all values of another one as well.
    pub fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
        if self.bins.is_empty() {
            self.bins.clone_from(&other.bins);
        } else {
            self.bins.iter_mut().zip(&other.bins).for_each(|(sum, more)| *sum += more);
        }
    }

    /// How many values were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 without any. Exact but for rounding.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The greatest; 0 without any. Exact, but for response times where a server's speed changed: to 0.4 %.
    #[must_use]
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// The share of values below this, 0 to 1: exact but for the bin that it lies in, within which
    /// values count as evenly spread. 1 without any value.
    #[must_use]
    pub fn below(&self, value: f64) -> f64 {
        if self.count == 0 || value > self.max {
            return 1.0;
        }
        if value <= 0.0 || value.is_nan() {
            return 0.0;
        }
        let Some(bin) = bin_of(value) else { return self.zeros as f64 / self.count as f64 };
        let whole: u64 = self.zeros + self.bins.iter().take(bin).sum::<u64>();
        let (low, high) = bounds(bin);
        let part = ((value - low) / (high - low)).clamp(0.0, 1.0);
        let in_bin = self.bins.get(bin).copied().unwrap_or_default();
        (whole as f64 + part * in_bin as f64) / self.count as f64
    }

    /// The value that a share `q` (0 to 1) of the values does not exceed; 0 without any.
    #[must_use]
    pub fn quantile(&self, q: f64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let wanted = (q.clamp(0.0, 1.0) * self.count as f64).max(f64::MIN_POSITIVE);
        let mut passed = self.zeros as f64;
        if wanted <= passed {
            return 0.0;
        }
        for (bin, count) in self.bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if passed + count >= wanted {
                let (low, high) = bounds(bin);
                return (low + (high - low) * (wanted - passed) / count).min(self.max);
            }
            passed += count;
        }
        self.max
    }

    /// For a cumulative plot: values in rising order with the share of all values that are at most so
    /// great; the last share is 1. Empty without values.
    #[must_use]
    pub fn points(&self) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        let mut passed = self.zeros;
        let all = self.count as f64;
        if self.zeros > 0 {
            points.push((0.0, passed as f64 / all));
        }
        for (bin, count) in self.bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            passed += count;
            points.push((bounds(bin).1.min(self.max), passed as f64 / all));
        }
        points
    }
}

/// The bin of a value; `None` if it counts as 0.
#[expect(clippy::cast_possible_truncation, reason = "clamped to the number of bins")]
fn bin_of(value: f64) -> Option<usize> {
    let least = f64::from(LEAST_EXPONENT).exp2();
    if value < least {
        return None;
    }
    // Exponent and the first bits of the mantissa lie side by side in a double.
    let position = |value: f64| value.to_bits() >> (f64::MANTISSA_DIGITS - 1 - BITS);
    Some(((position(value) - position(least)) as usize).min(BINS - 1))
}

/// Where a bin begins and ends.
fn bounds(bin: usize) -> (f64, f64) {
    let least = f64::from(LEAST_EXPONENT).exp2().to_bits() >> (f64::MANTISSA_DIGITS - 1 - BITS);
    let edge =
        |bin: usize| f64::from_bits((least + bin as u64) << (f64::MANTISSA_DIGITS - 1 - BITS));
    (edge(bin), edge(bin + 1))
}

/// As it is serialised: only bins that hold something.
#[derive(Serialize, Deserialize)]
struct Written {
    count: u64,
    sum: f64,
    max: f64,
    zeros: u64,
    /// Number of the bin and its count; bin 0 begins at 2^-30 and 256 make an octave.
    bins: Vec<(u32, u64)>,
}

impl From<Distribution> for Written {
    fn from(from: Distribution) -> Self {
        let held = (0_u32..).zip(&from.bins).filter(|(_, count)| **count > 0);
        let bins = held.map(|(bin, count)| (bin, *count)).collect();
        Self { count: from.count, sum: from.sum, max: from.max, zeros: from.zeros, bins }
    }
}

impl TryFrom<Written> for Distribution {
    type Error = String;

    fn try_from(from: Written) -> Result<Self, String> {
        let mut bins = if from.bins.is_empty() { Vec::new() } else { vec![0; BINS] };
        for (bin, count) in &from.bins {
            let place = bins.get_mut(*bin as usize);
            *place.ok_or_else(|| format!("there is no bin {bin}"))? += count;
        }
        Ok(Self { zeros: from.zeros, bins, count: from.count, sum: from.sum, max: from.max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Distribution {
        let mut distribution = Distribution::new();
        values.into_iter().for_each(|value| distribution.add(value));
        distribution
    }

    #[test]
    fn shares_and_quantiles_are_those_of_the_values() {
        let even = of((1..=1000).map(f64::from));
        for (value, share) in [(0.0, 0.0), (250.0, 0.25), (900.0, 0.9), (2000.0, 1.0)] {
            assert!((even.below(value) - share).abs() < 0.005, "{value}: {}", even.below(value));
            let quantile = even.quantile(share);
            assert!((quantile - value.min(1000.0)).abs() < 6.0, "{share}: {quantile}");
        }
        assert!((even.mean() - 500.5).abs() < 1e-9);
        assert_eq!((even.count(), even.max()), (1000, 1000.0));
    }

    #[test]
    fn a_value_that_is_often_there_is_found_within_half_a_percent() {
        for value in [1e-9, 0.003, 0.9, 0.98, 1.0, 250.0, 1500.0, 1e9] {
            let mut one = of([value; 3]);
            one.add(2.0 * value);
            let found = one.quantile(0.5);
            assert!((found / value - 1.0).abs() < 0.005, "{value}: {found}");
            assert!(one.below(value * 0.999_999) < 0.8 && one.below(value * 1.01) == 0.75);
        }
    }

    #[test]
    fn a_value_can_be_replaced() {
        let mut replaced = of([1.0, 400.0, 500.0]);
        replaced.replace(500.0, 3.0);
        replaced.replace(400.0, 2.0);
        assert_eq!((replaced.count(), replaced.mean()), (3, 2.0));
        assert!((3.0..3.02).contains(&replaced.max()), "{}", replaced.max());
        assert_eq!(replaced.below(10.0), 1.0);
    }

    #[test]
    fn zeros_and_odd_values_have_a_place() {
        let odd = of([0.0, -3.0, f64::NAN, 1e-12, f64::INFINITY, 4.0]);
        assert_eq!(odd.count(), 6);
        assert_eq!(odd.quantile(0.5), 0.0);
        assert!((odd.below(1.0) - 4.0 / 6.0).abs() < 1e-9);
        assert_eq!(odd.points().last().map(|(_, share)| *share), Some(1.0));
        assert_eq!(Distribution::new().below(1.0), 1.0);
        assert_eq!(Distribution::new().quantile(0.5), 0.0);
        assert!(Distribution::new().points().is_empty());
    }

    #[test]
    fn two_add_up_and_are_written_and_read() {
        let (mut one, other) = (of([1.0, 2.0]), of([2.0, 0.0]));
        one.merge(&other);
        assert_eq!(one, of([1.0, 2.0, 2.0, 0.0]));
        let mut none = Distribution::new();
        none.merge(&one);
        assert_eq!(none, one);
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Distribution>(&text).unwrap(), one);
        let wrong = text.replace("\"bins\":[[", "\"bins\":[[99999999,1],[");
        assert!(serde_json::from_str::<Distribution>(&wrong).is_err());
    }
}
