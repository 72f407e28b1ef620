//! The numbers that a run is told by.

use std::fmt::Write as _;

use walrus_sim::simulation::{Distribution, PopulationResult, RunResult};

/// One number of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// For `--measure` and JSON.
    pub(super) name: &'static str,
    /// For tables.
    pub(super) label: &'static str,
    pub(super) unit: Unit,
    pub(super) better: Better,
    of: fn(&RunResult) -> Option<f64>,
}

/// What a measure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// 0 to 1.
    Share,
    Seconds,
    /// Hits.
    Count,
    PerSecond,
    PerHour,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    Lower,
    Higher,
}

/// All measures, in the order of tables.
pub(super) static MEASURES: [Measure; 16] = [
    Measure {
        name: "utilisation_below_90",
        label: "time with max. utilisation < 90 %",
        unit: Unit::Share,
        better: Better::Higher,
        of: |run| filled(run.max_utilisation.count(), run.max_utilisation.below(0.9)),
    },
    Measure {
        name: "utilisation_p95",
        label: "max. utilisation, 95 % of time",
        unit: Unit::Share,
        better: Better::Lower,
        of: |run| filled(run.max_utilisation.count(), run.max_utilisation.quantile(0.95)),
    },
    Measure {
        name: "imbalance",
        label: "imbalance of utilisation",
        unit: Unit::Share,
        better: Better::Lower,
        of: imbalance,
    },
    Measure {
        name: "length_median",
        label: "max. system length, half of time",
        unit: Unit::Count,
        better: Better::Lower,
        of: |run| length(run, 0.5),
    },
    Measure {
        name: "length_p95",
        label: "max. system length, 95 % of time",
        unit: Unit::Count,
        better: Better::Lower,
        of: |run| length(run, 0.95),
    },
    Measure {
        name: "length_below_250",
        label: "time with max. system length < 250",
        unit: Unit::Share,
        better: Better::Higher,
        of: |run| filled(run.max_system_length.count(), run.max_system_length.below(250.0)),
    },
    Measure {
        name: "length_below_1500",
        label: "time with max. system length < 1500",
        unit: Unit::Share,
        better: Better::Higher,
        of: |run| filled(run.max_system_length.count(), run.max_system_length.below(1500.0)),
    },
    Measure {
        name: "response_mean",
        label: "response time, mean",
        unit: Unit::Seconds,
        better: Better::Lower,
        of: |run| filled(run.response_seconds.count(), run.response_seconds.mean()),
    },
    Measure {
        name: "response_median",
        label: "response time, half of pages",
        unit: Unit::Seconds,
        better: Better::Lower,
        of: |run| filled(run.response_seconds.count(), run.response_seconds.quantile(0.5)),
    },
    Measure {
        name: "response_p95",
        label: "response time, 95 % of pages",
        unit: Unit::Seconds,
        better: Better::Lower,
        of: |run| filled(run.response_seconds.count(), run.response_seconds.quantile(0.95)),
    },
    Measure {
        name: "response_below_3s",
        label: "pages within 3 s",
        unit: Unit::Share,
        better: Better::Higher,
        of: |run| filled(run.response_seconds.count(), run.response_seconds.below(3.0)),
    },
    Measure {
        name: "failed",
        label: "pages that failed",
        unit: Unit::Share,
        better: Better::Lower,
        of: |run| quotient(run.counts.clients.failed_pages, run.counts.clients.pages),
    },
    Measure {
        name: "near",
        label: "pages from the nearest cluster",
        unit: Unit::Share,
        better: Better::Higher,
        of: |run| quotient(run.counts.clients.near_pages, run.counts.clients.placed_pages),
    },
    Measure {
        name: "queries",
        label: "queries at the name servers",
        unit: Unit::PerSecond,
        better: Better::Lower,
        of: |run| a_second(run, run.counts.clients.upstream_queries),
    },
    Measure {
        name: "moves",
        label: "moves of areas",
        unit: Unit::PerHour,
        better: Better::Lower,
        of: |run| Some(a_second(run, run.counts.moves)? * 3600.0),
    },
    Measure {
        name: "plans",
        label: "Plans",
        unit: Unit::PerHour,
        better: Better::Lower,
        of: |run| Some(a_second(run, run.counts.plans)? * 3600.0),
    },
];

/// What is told of each population, under the names of [`MEASURES`] and in the order of tables.
pub(super) static OF_POPULATIONS: [OfPopulation; 7] = [
    OfPopulation { name: "response_mean", of: |_, it| response(it, Distribution::mean) },
    OfPopulation { name: "response_median", of: |_, it| response(it, |all| all.quantile(0.5)) },
    OfPopulation { name: "response_p95", of: |_, it| response(it, |all| all.quantile(0.95)) },
    OfPopulation { name: "response_below_3s", of: |_, it| response(it, |all| all.below(3.0)) },
    OfPopulation { name: "failed", of: |_, it| quotient(it.counts.failed_pages, it.counts.pages) },
    OfPopulation {
        name: "near",
        of: |_, it| quotient(it.counts.near_pages, it.counts.placed_pages),
    },
    OfPopulation { name: "queries", of: |run, it| a_second(run, it.counts.upstream_queries) },
];

/// One number of a population in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfPopulation {
    pub(super) name: &'static str,
    of: fn(&RunResult, &PopulationResult) -> Option<f64>,
}

impl OfPopulation {
    /// The number; `None` where the run has nothing to take it from.
    pub(super) fn of(&self, run: &RunResult, population: &PopulationResult) -> Option<f64> {
        (self.of)(run, population).filter(|value| value.is_finite())
    }
}

/// The measure of a name.
pub(super) fn measure(name: &str) -> Option<&'static Measure> {
    MEASURES.iter().find(|measure| measure.name == name)
}

/// All measures of a run, in the order of [`MEASURES`].
pub(super) fn all(run: &RunResult) -> Vec<Option<f64>> {
    MEASURES.iter().map(|measure| measure.of(run)).collect()
}

impl Measure {
    /// The number; `None` where the run has nothing to take it from.
    pub(super) fn of(&self, run: &RunResult) -> Option<f64> {
        (self.of)(run).filter(|value| value.is_finite())
    }

    /// With its unit.
    pub(super) fn text(&self, value: f64) -> String {
        let mut text = self.number(value);
        let _ = write!(text, "{}", self.unit.suffix());
        text
    }

    /// A mean with its interval.
    pub(super) fn mean_text(&self, mean: f64, reach: Option<f64>) -> String {
        match reach {
            Some(reach) => {
                format!("{} ± {}{}", self.number(mean), self.number(reach), self.unit.suffix())
            }
            None => self.text(mean),
        }
    }

    /// Four figures, as many behind the point as that leaves.
    fn number(&self, value: f64) -> String {
        let value = if self.unit == Unit::Share { value * 100.0 } else { value };
        let behind = match value.abs() {
            size if size >= 1000.0 => 0,
            size if size >= 100.0 => 1,
            size if size >= 10.0 => 2,
            _ => 3,
        };
        let behind = if self.unit == Unit::Share { behind.min(2) } else { behind };
        // Rounding leaves no -0.
        let text = format!("{value:.behind$}");
        let is_zero = text.trim_start_matches('-').chars().all(|it| it == '0' || it == '.');
        if is_zero { text.trim_start_matches('-').to_owned() } else { text }
    }
}

impl Unit {
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Share => " %",
            Self::Seconds => " s",
            Self::Count => "",
            Self::PerSecond => "/s",
            Self::PerHour => "/h",
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Seconds => "seconds",
            Self::Count => "hits",
            Self::PerSecond => "per second",
            Self::PerHour => "per hour",
        }
    }
}

impl Better {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Higher => "higher",
        }
    }
}

fn filled(count: u64, value: f64) -> Option<f64> {
    (count > 0).then_some(value)
}

/// The hits that the fullest server does not exceed for such a share of the time. There are whole ones
/// only: what is behind the point is where in its bin a distribution takes the value to lie.
fn length(run: &RunResult, share: f64) -> Option<f64> {
    let lengths = &run.max_system_length;
    filled(lengths.count(), lengths.quantile(share).floor())
}

fn response(population: &PopulationResult, of: impl Fn(&Distribution) -> f64) -> Option<f64> {
    let all = &population.response_seconds;
    filled(all.count(), of(all))
}

fn quotient(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Of something that was counted after the beginning that is discarded.
fn a_second(run: &RunResult, count: u64) -> Option<f64> {
    let seconds = run.simulated.saturating_sub(run.discarded).as_secs_f64();
    (seconds > 0.0).then(|| count as f64 / seconds)
}

/// How unevenly servers are busy: the deviation of their utilisations in per cent of their mean,
/// averaged over time.
fn imbalance(run: &RunResult) -> Option<f64> {
    let points = run.servers.iter().map(|server| server.utilisation.len()).min()?;
    let count = run.servers.len() as f64;
    let (mut sum, mut busy) = (0.0, 0.0);
    for point in 0..points {
        let of = run.servers.iter().map(|server| f64::from(server.utilisation[point]));
        let mean = of.clone().sum::<f64>() / count;
        if mean > 0.0 {
            let spread = of.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            sum += spread.sqrt() / mean;
            busy += 1.0;
        }
    }
    (busy > 0.0).then(|| sum / busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_four_figures_and_their_unit() {
        let seconds = measure("response_p95").unwrap();
        assert_eq!(seconds.text(0.012_345), "0.012 s");
        assert_eq!(seconds.mean_text(12.345, Some(0.5)), "12.35 ± 0.500 s");
        assert_eq!(measure("failed").unwrap().text(0.123_456), "12.35 %");
        assert_eq!(measure("failed").unwrap().text(-1e-9), "0.00 %");
        assert_eq!(measure("length_p95").unwrap().text(1503.7), "1504");
        assert_eq!(measure("queries").unwrap().mean_text(3.0, None), "3.000/s");
        assert!(measure("luck").is_none());
        assert!(OF_POPULATIONS.iter().all(|it| measure(it.name).is_some()));
    }
}
