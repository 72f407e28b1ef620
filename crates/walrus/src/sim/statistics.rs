//! What a few seeds tell about all: means with intervals, and whether two things differ.
//!
//! Student's t (1908): the mean of n independent runs lies within t s / sqrt(n) of the true one with a
//! probability of 95 %. Two variants that ran with the same seeds are compared run by run (a paired
//! test), so that what the seed brought about is taken out of the difference. Of many measures that
//! are tested at once some differ by chance; Holm (1979) keeps the probability of a single such error
//! among all of them at 5 %.

/// The probability that an interval misses, and that any of several verdicts is an error.
pub(super) const ERROR: f64 = 0.05;

/// A mean over runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mean {
    pub(super) mean: f64,
    /// Half the interval of 95 %; `None` of a single run.
    pub(super) reach: Option<f64>,
}

/// The mean of values; `None` of none.
pub(super) fn mean(values: &[f64]) -> Option<Mean> {
    let count = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return Some(Mean { mean, reach: None });
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    Some(Mean { mean, reach: Some(error * t_quantile(1.0 - ERROR / 2.0, count - 1.0)) })
}

/// The probability that differences, whose true mean is 0, lie as far from it as these; `None` of
/// fewer than two, and of a few that are all alike.
pub(super) fn paired(differences: &[f64]) -> Option<f64> {
    let Mean { mean, reach } = mean(differences)?;
    let freedom = differences.len() as f64 - 1.0;
    let error = reach? / t_quantile(1.0 - ERROR / 2.0, freedom);
    if error <= mean.abs() * 1e-12 {
        // The same in every run: whole numbers, mostly. Their deviation tells nothing, but their signs
        // do: n coins fall alike once in 2^(n - 1) throws (the sign test).
        let alike = 0.5_f64.powf(freedom);
        return if mean == 0.0 { Some(1.0) } else { Some(alike).filter(|it| *it < ERROR) };
    }
    Some(2.0 * (1.0 - t_below((mean / error).abs(), freedom)))
}

/// Which of several tests, by their probabilities, may be believed at once.
pub(super) fn holm(probabilities: &[Option<f64>]) -> Vec<bool> {
    let tested = probabilities.iter().flatten().count();
    let mut order: Vec<(f64, usize)> =
        probabilities.iter().zip(0..).filter_map(|(it, place)| Some(((*it)?, place))).collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let mut believed = vec![false; probabilities.len()];
    for (rank, (probability, place)) in order.into_iter().enumerate() {
        if probability > ERROR / (tested - rank) as f64 {
            break;
        }
        believed[place] = true;
    }
    believed
}

/// The probability that Student's t with this many degrees of freedom lies below a value of at least
/// 0.
fn t_below(value: f64, freedom: f64) -> f64 {
    1.0 - 0.5 * beta_below(freedom / (freedom + value * value), freedom / 2.0, 0.5)
}

/// The value that t does not exceed with a probability above one half.
fn t_quantile(probability: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while t_below(high, freedom) < probability && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if t_below(middle, freedom) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The regularised incomplete beta function, by its continued fraction (Lentz's method).
fn beta_below(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast on one side of the mean only.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_below(1.0 - x, b, a);
    }
    let front =
        (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    let away_from_zero = |number: f64| if number.abs() < 1e-300 { 1e-300 } else { number };
    let (mut c, mut d) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..300 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for part in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + part * d);
            c = away_from_zero(1.0 + part / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-14 {
            break;
        }
    }
    (front * fraction / a).clamp(0.0, 1.0)
}

/// The logarithm of the gamma function above 0: Stirling's series, after steps to where it is good.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, expected) in
            [(1.0, 12.706), (2.0, 4.303), (4.0, 2.776), (9.0, 2.262), (30.0, 2.042), (1e6, 1.960)]
        {
            let found = t_quantile(0.975, freedom);
            assert!((found - expected).abs() < 1e-3, "{freedom}: {found}");
        }
        assert!((t_below(2.132, 4.0) - 0.95).abs() < 1e-4);
    }

    #[test]
    fn means_have_students_interval() {
        // Student's own example of ten differences in sleep: mean 0.75, deviation 1.79.
        let sleep = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let Mean { mean: found, reach } = mean(&sleep).unwrap();
        assert!((found - 0.75).abs() < 1e-9 && (reach.unwrap() - 1.280).abs() < 1e-2);
        assert_eq!(mean(&[3.0]), Some(Mean { mean: 3.0, reach: None }));
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn pairs_tell_what_single_runs_hide() {
        // Student's sleep data, the two drugs: t = 4.06, p = 0.0028.
        let differences = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let probability = paired(&differences).unwrap();
        assert!((probability - 0.00283).abs() < 1e-4, "{probability}");
        assert_eq!(paired(&[0.0, 0.0, 0.0]), Some(1.0));
        assert_eq!(paired(&[2.0]), None);
    }

    #[test]
    fn differences_that_are_all_alike_are_tested_by_their_signs() {
        assert_eq!(paired(&[2.0, 2.0]), None);
        assert_eq!(paired(&[2.0; 5]), None);
        assert_eq!(paired(&[-2.0; 6]), Some(1.0 / 32.0));
        assert!(paired(&[1.0 / 3.0; 11]).unwrap() < 0.001);
    }

    #[test]
    fn of_several_tests_holm_believes_fewer() {
        let believed = holm(&[Some(0.01), Some(0.04), None, Some(0.03), Some(0.005)]);
        assert_eq!(believed, [true, false, false, false, true]);
        assert_eq!(holm(&[Some(0.04)]), [true]);
        assert_eq!(holm(&[]), [false; 0]);
    }
}
