//! How a quantity is spread: think times, lengths of sessions, hits of a page, service times.

use walrus_core::world::Generator;

use crate::script::parse_duration;

/// How a time (in seconds) or a count is spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Law {
    shape: Shape,
    /// Cut off here; infinite if it is not.
    most: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Constant(f64),
    Uniform(f64, f64),
    /// By its mean.
    Exponential(f64),
    /// Its exponent and its least value.
    Pareto(f64, f64),
}

/// The greatest count: an entry in the queue has 16 bits for the pages that are left.
const COUNT_MAX: f64 = 65_535.0;

/// An exponential draw of mean 1.
#[inline]
pub(crate) fn exponential(generator: &mut Generator) -> f64 {
    // 1 - share is above 0, so that the logarithm is finite.
    -(1.0 - generator.share()).ln()
}

impl Law {
    /// A time, in seconds.
    #[inline]
    pub(crate) fn draw(&self, generator: &mut Generator) -> f64 {
        let value = match self.shape {
            Shape::Constant(value) => value,
            Shape::Uniform(low, high) => low + (high - low) * generator.share(),
            Shape::Exponential(mean) => mean * exponential(generator),
            Shape::Pareto(shape, least) => least * (1.0 - generator.share()).powf(-1.0 / shape),
        };
        value.min(self.most)
    }

    /// A count: at least 1, at most 65,535.
    #[inline]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    pub(crate) fn draw_count(&self, generator: &mut Generator) -> u16 {
        let value = match self.shape {
            // Above 0, so that a half more is rounded by what cuts it off below.
            Shape::Constant(value) => value + 0.5,
            Shape::Uniform(low, high) => low + (high - low + 1.0) * generator.share(),
            // Geometric on 1, 2, ... with this mean: what an exponential is among counts.
            Shape::Exponential(mean) if mean > 1.0 => {
                (exponential(generator) / -(-1.0 / mean).ln_1p()).ceil()
            }
            Shape::Exponential(_) => 1.0,
            Shape::Pareto(shape, least) => least * (1.0 - generator.share()).powf(-1.0 / shape),
        };
        // What is behind the point is cut off here.
        value.min(self.most).clamp(1.0, COUNT_MAX) as u16
    }

    /// What is left of a time that began at some time in the past, in seconds: of min(X, most) with the
    /// distribution that a renewal process has in equilibrium.
    pub(crate) fn draw_rest(&self, generator: &mut Generator) -> f64 {
        self.rest(self.mean() * generator.share())
    }

    /// What is left of a count that began at some time in the past, at least 1: exact for `constant` and
    /// `exponential`, which has no memory; of the others as of times, rounded up.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    pub(crate) fn draw_count_rest(&self, generator: &mut Generator) -> u16 {
        if matches!(self.shape, Shape::Exponential(_)) {
            return self.draw_count(generator);
        }
        self.draw_rest(generator).ceil().clamp(1.0, COUNT_MAX) as u16
    }

    /// The time up to which the integral of P(X > t) is `area`, which is less than the mean.
    fn rest(&self, area: f64) -> f64 {
        let rest = match self.shape {
            Shape::Constant(_) => area,
            Shape::Uniform(low, _) if area <= low => area,
            Shape::Uniform(low, high) => {
                let width = high - low;
                high - (width * (width - 2.0 * (area - low))).max(0.0).sqrt()
            }
            Shape::Exponential(mean) => -mean * (-area / mean.max(f64::MIN_POSITIVE)).ln_1p(),
            Shape::Pareto(_, least) if area <= least => area,
            Shape::Pareto(shape, least) => {
                let beyond = area / least - 1.0;
                let power = shape - 1.0;
                if power.abs() < 1e-9 {
                    least * beyond.exp()
                } else {
                    least * (1.0 - beyond * power).max(f64::MIN_POSITIVE).powf(-1.0 / power)
                }
            }
        };
        // Rounding may lead to where nothing is.
        if rest.is_nan() { 0.0 } else { rest.clamp(0.0, self.most) }
    }

    /// The mean, of counts as of times (their bounds aside).
    pub(crate) fn mean(&self) -> f64 {
        match self.shape {
            Shape::Constant(value) => value.min(self.most),
            // What lies above the bound counts as the bound.
            Shape::Uniform(low, high) if high <= self.most => low.midpoint(high),
            Shape::Uniform(low, _) if low >= self.most => self.most,
            Shape::Uniform(low, high) => {
                let (width, above) = (high - low, high - self.most);
                low + (width * width - above * above) / (2.0 * width)
            }
            Shape::Exponential(mean) if mean > 0.0 => mean * -(-self.most / mean).exp_m1(),
            Shape::Exponential(_) => 0.0,
            Shape::Pareto(shape, least) => pareto_mean(shape, least, self.most),
        }
    }
}

/// Of min(X, most): the least and the integral of the tail above it.
fn pareto_mean(shape: f64, least: f64, most: f64) -> f64 {
    let ratio = least / most;
    if (shape - 1.0).abs() < 1e-9 {
        return if ratio > 0.0 { least - least * ratio.ln() } else { f64::INFINITY };
    }
    if shape < 1.0 && ratio == 0.0 {
        return f64::INFINITY;
    }
    least + least * (1.0 - ratio.powf(shape - 1.0)) / (shape - 1.0)
}

/// What a law's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// With a unit: "15s".
    Time,
    /// From 1.
    Count,
}

/// Reads a law. The error is the rest of a sentence that begins with the setting's name.
pub(super) fn parse(text: &str, unit: Unit) -> Result<Law, String> {
    let example = match unit {
        Unit::Time => {
            "`constant 15s`, `uniform 1s 30s`, `exponential 7s at most 70s` or `pareto 1.5 2s`"
        }
        Unit::Count => {
            "`constant 10`, `uniform 5 15`, `exponential 20` or `pareto 1.5 2 at most 100`"
        }
    };
    let wrong = || format!("must be {example}, not \"{text}\"");
    let value = |word: &str| match unit {
        Unit::Time => parse_duration(word).map(|time| time.as_secs_f64()),
        Unit::Count => word.parse().ok().filter(|number: &f64| (1.0..=1e9).contains(number)),
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let (law, most) = match words.as_slice() {
        [law @ .., "at", "most", most] => (law, value(most).ok_or_else(wrong)?),
        law => (law, f64::INFINITY),
    };
    let shape = match law {
        ["constant", of] => Shape::Constant(value(of).ok_or_else(wrong)?),
        ["uniform", low, high] => {
            Shape::Uniform(value(low).ok_or_else(wrong)?, value(high).ok_or_else(wrong)?)
        }
        ["exponential", mean] => Shape::Exponential(value(mean).ok_or_else(wrong)?),
        ["pareto", shape, least] => {
            let shape = shape.parse().ok().filter(|shape| (0.01..=1000.0).contains(shape));
            Shape::Pareto(shape.ok_or_else(wrong)?, value(least).ok_or_else(wrong)?)
        }
        _ => return Err(wrong()),
    };
    match shape {
        Shape::Uniform(low, high) if low > high => {
            Err(format!("ends before it begins: \"{text}\""))
        }
        Shape::Pareto(shape, _) if shape <= 1.0 && most.is_infinite() => {
            Err(format!("has no mean with a shape of {shape}: write `at most ...` behind it"))
        }
        // Whoever writes more means without end.
        _ if unit == Unit::Count => Ok(Law { shape, most: most.min(COUNT_MAX) }),
        _ => Ok(Law { shape, most }),
    }
}

/// How the time of a hit is spread around its mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ServiceLaw {
    Constant,
    Exponential,
    /// Two phases of balanced means: the first one's probability.
    Hyperexponential(f64),
}

impl ServiceLaw {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["constant"] => Ok(Self::Constant),
            ["exponential"] => Ok(Self::Exponential),
            ["hyperexponential", scv] => {
                let scv: Option<f64> = scv.parse().ok().filter(|it| (1.0..=1000.0).contains(it));
                let scv =
                    scv.ok_or("`hyperexponential` wants a squared coefficient from 1 to 1000")?;
                // Balanced means: p / m1 = (1 - p) / m2.
                Ok(Self::Hyperexponential(0.5 * (1.0 + ((scv - 1.0) / (scv + 1.0)).sqrt())))
            }
            _ => Err(format!(
                "must be `constant`, `exponential` or `hyperexponential 4`, not \"{text}\""
            )),
        }
    }

    /// The time of so many hits, one after another, in units of the mean time of one.
    #[inline]
    pub(crate) fn draw(self, hits: u16, generator: &mut Generator) -> f64 {
        match self {
            Self::Constant => f64::from(hits),
            Self::Exponential => erlang(hits, generator),
            Self::Hyperexponential(first) => {
                let mut sum = 0.0;
                for _ in 0..hits {
                    let part = if generator.share() < first { first } else { 1.0 - first };
                    sum += exponential(generator) / (2.0 * part);
                }
                sum
            }
        }
    }
}

/// The sum of so many exponential draws of mean 1: one logarithm for many of them.
#[inline]
fn erlang(count: u16, generator: &mut Generator) -> f64 {
    /// 2^-53 to this power is still above the least double.
    const AT_ONCE: u16 = 16;
    let (mut sum, mut left) = (0.0, count);
    while left > 0 {
        let now = left.min(AT_ONCE);
        let mut product = 1.0;
        for _ in 0..now {
            product *= 1.0 - generator.share();
        }
        sum -= product.ln();
        left -= now;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(draws: impl Iterator<Item = f64>) -> (f64, f64) {
        let draws: Vec<f64> = draws.collect();
        let count = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / count;
        let variance = draws.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count;
        (mean, (variance / count).sqrt())
    }

    #[test]
    fn draws_have_the_mean_that_the_law_says() {
        let laws = [
            ("constant 15s", Unit::Time, 15.0),
            ("uniform 10s 30s", Unit::Time, 20.0),
            ("exponential 15s", Unit::Time, 15.0),
            ("exponential 7s at most 70s", Unit::Time, 7.0 * (1.0 - (-10.0_f64).exp())),
            ("uniform 0s 10s at most 5s", Unit::Time, 3.75),
            ("uniform 6s 10s at most 5s", Unit::Time, 5.0),
            ("pareto 2.5 3s", Unit::Time, 5.0),
            ("pareto 1 1s at most 100s", Unit::Time, 1.0 + 100.0_f64.ln()),
            ("constant 7", Unit::Count, 7.0),
            ("uniform 5 15", Unit::Count, 10.0),
            ("exponential 20", Unit::Count, 20.0),
            ("exponential 1", Unit::Count, 1.0),
        ];
        for (text, unit, expected) in laws {
            let law = parse(text, unit).unwrap();
            assert!((law.mean() - expected).abs() < 1e-9 * expected, "{text}: {}", law.mean());
            let mut generator = Generator::new(7);
            let draw = |_| match unit {
                Unit::Time => law.draw(&mut generator),
                Unit::Count => f64::from(law.draw_count(&mut generator)),
            };
            let (mean, deviation) = mean_of((0..200_000).map(draw));
            assert!((mean - expected).abs() <= 5.0 * deviation, "{text}: {mean} +- {deviation}");
        }
    }

    #[test]
    fn what_is_left_of_a_time_has_the_mean_of_the_equilibrium() {
        let laws = [
            "constant 15s",
            "uniform 10s 30s",
            "uniform 0s 10s at most 5s",
            "exponential 15s",
            "exponential 7s at most 20s",
            "pareto 6 3s",
            "pareto 0.5 1s at most 100s",
            "pareto 1 1s at most 100s",
        ];
        for text in laws {
            let law = parse(text, Unit::Time).unwrap();
            let mut generator = Generator::new(11);
            let (squares, spread) = mean_of((0..400_000).map(|_| law.draw(&mut generator).powi(2)));
            let expected = squares / (2.0 * law.mean());
            let deviation = spread / (2.0 * law.mean());
            let (mean, own) = mean_of((0..400_000).map(|_| law.draw_rest(&mut generator)));
            let bound = 5.0 * deviation.hypot(own);
            assert!((mean - expected).abs() <= bound, "{text}: {mean}, not {expected} +- {bound}");
        }
        let nothing = parse("constant 0s", Unit::Time).unwrap();
        assert_eq!(nothing.draw_rest(&mut Generator::new(1)), 0.0);
        let nothing = parse("exponential 0s", Unit::Time).unwrap();
        assert_eq!(nothing.draw_rest(&mut Generator::new(1)), 0.0);
    }

    #[test]
    fn what_is_left_of_a_count_is_any_part_of_it() {
        for (text, expected) in [("constant 20", 10.5), ("exponential 20", 20.0)] {
            let law = parse(text, Unit::Count).unwrap();
            let mut generator = Generator::new(5);
            let draws = (0..200_000).map(|_| f64::from(law.draw_count_rest(&mut generator)));
            let (mean, deviation) = mean_of(draws);
            assert!((mean - expected).abs() <= 5.0 * deviation, "{text}: {mean}");
        }
    }

    #[test]
    fn service_times_have_mean_one_and_their_variance() {
        let laws = [("constant", 0.0), ("exponential", 1.0), ("hyperexponential 4", 4.0)];
        for (text, scv) in laws {
            let law = ServiceLaw::parse(text).unwrap();
            let mut generator = Generator::new(3);
            let draws: Vec<f64> = (0..200_000).map(|_| law.draw(1, &mut generator)).collect();
            let (mean, deviation) = mean_of(draws.iter().copied());
            assert!((mean - 1.0).abs() <= 5.0 * deviation, "{text}: {mean}");
            let variance = draws.iter().map(|it| (it - 1.0).powi(2)).sum::<f64>() / 200_000.0;
            assert!((variance - scv).abs() < 0.2, "{text}: {variance}");
            let (mean, deviation) = mean_of((0..20_000).map(|_| law.draw(40, &mut generator)));
            assert!((mean - 40.0).abs() <= 5.0 * deviation, "{text}: {mean}");
        }
    }

    #[test]
    fn what_is_no_law_says_what_to_write() {
        for text in ["", "exponential", "exponential 15", "uniform 9s 3s", "zipf 3s", "pareto 1 2s"]
        {
            assert!(parse(text, Unit::Time).is_err(), "{text}");
        }
        for text in ["exponential 0", "uniform 0 3", "constant 5s", "pareto 1.5 1 at most", "exp 2"]
        {
            assert!(parse(text, Unit::Count).is_err(), "{text}");
        }
        assert!(parse("exponential 15", Unit::Time).unwrap_err().contains("15s"));
        assert!(ServiceLaw::parse("hyperexponential 0.5").is_err());
    }
}
