//! What `walrus sim run` tells: all results as JSON, a table for people.

use serde::Serialize;
use utoipa::ToSchema;
use walrus_sim::simulation::RunResult;

use super::measures::{self, MEASURES};
use super::population_view::{self, PopulationView};
use super::statistics::mean;
use crate::output::Table;

/// Columns of a table for people; more variants follow in tables below.
const COLUMNS_MAX: usize = 4;

/// What the runs of a study came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimRunView {
    /// The study's title.
    pub(crate) title: String,
    /// The seeds that each variant ran with.
    pub(crate) seeds: Vec<u64>,
    /// What works but was hardly meant, and what could not take place.
    pub(crate) warnings: Vec<String>,
    /// Each variant's measures.
    pub(crate) variants: Vec<VariantView>,
    /// Each population's measures, variant by variant; empty in a study of one population.
    pub(crate) populations: Vec<PopulationView>,
    /// The results themselves, variant by variant and seed by seed.
    #[schema(value_type = Vec<super::result_schema::RunResultView>)]
    pub(crate) runs: Vec<RunResult>,
}

/// A variant's measures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VariantView {
    /// Its name; empty in a study without variants.
    pub(crate) name: String,
    /// All measures.
    pub(crate) measures: Vec<MeasureView>,
}

/// One measure over all seeds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeasureView {
    /// Its name, as `--measure` has it.
    pub(crate) name: String,
    /// The same in words.
    pub(crate) label: String,
    /// "share", "seconds", "hits", "per second" or "per hour".
    pub(crate) unit: String,
    /// "lower" or "higher".
    pub(crate) better: String,
    /// The mean over the seeds; null if no run has it.
    pub(crate) mean: Option<f64>,
    /// The true mean lies above this and below `high` with a probability of 95 %; null of one run.
    pub(crate) low: Option<f64>,
    /// See `low`.
    pub(crate) high: Option<f64>,
    /// By seed; null where a run has nothing to take it from.
    pub(crate) values: Vec<Option<f64>>,
}

impl VariantView {
    /// Of the measures of each run, in the order of [`MEASURES`].
    pub(super) fn of(name: String, runs: &[Vec<Option<f64>>]) -> Self {
        let measure = |(place, measure): (usize, &measures::Measure)| {
            MeasureView::of(measure, runs.iter().map(|run| run[place]).collect())
        };
        Self { name, measures: MEASURES.iter().enumerate().map(measure).collect() }
    }

    /// For a heading.
    pub(super) fn shown(&self) -> String {
        if self.name.is_empty() { "as it is".to_owned() } else { self.name.clone() }
    }
}

impl MeasureView {
    /// Of its values, one a seed.
    pub(super) fn of(measure: &measures::Measure, values: Vec<Option<f64>>) -> Self {
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        let mean = mean(&known);
        let end = |sign: f64| mean.and_then(|it| Some(sign.mul_add(it.reach?, it.mean)));
        Self {
            name: measure.name.to_owned(),
            label: measure.label.to_owned(),
            unit: measure.unit.word().to_owned(),
            better: measure.better.word().to_owned(),
            mean: mean.map(|it| it.mean),
            low: end(-1.0),
            high: end(1.0),
            values,
        }
    }

    /// The mean with its interval, for a table.
    pub(super) fn text(&self) -> String {
        let Some(measure) = measures::measure(&self.name) else { return String::new() };
        let reach = self.high.zip(self.mean).map(|(high, mean)| high - mean);
        self.mean.map_or_else(|| "-".to_owned(), |mean| measure.mean_text(mean, reach))
    }
}

/// For people.
pub(super) fn render(view: &SimRunView) -> String {
    let mut text = format!("{}: {}", view.title, counted(view.seeds.len(), "seed"));
    if let Some(run) = view.runs.first() {
        let (all, cut) = (span(run.simulated.as_secs_f64()), span(run.discarded.as_secs_f64()));
        text.push_str(&format!(", {all} simulated each, the first {cut} discarded"));
    }
    let events: u64 = view.runs.iter().map(|run| run.events).sum();
    text.push_str(&format!(", {events} events\n"));
    if view.seeds.len() > 1 {
        text.push_str("means over the seeds; ± is half the interval of 95 % (Student's t)\n");
    }
    for variants in view.variants.chunks(COLUMNS_MAX) {
        let names: Vec<String> = variants.iter().map(VariantView::shown).collect();
        let mut head = vec!["measure"];
        head.extend(names.iter().map(String::as_str));
        let mut table = Table::new(&head);
        for (place, measure) in MEASURES.iter().enumerate() {
            let cells = variants.iter().map(|variant| variant.measures[place].text());
            table.row(std::iter::once(measure.label.to_owned()).chain(cells));
        }
        text.push_str(&format!("\n{}", table.render()));
    }
    let populations = population_view::render(&view.populations);
    if !populations.is_empty() {
        text.push_str(&format!("\nby population\n{populations}"));
    }
    text
}

pub(super) fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A time in the greatest unit that it is a whole number of.
fn span(seconds: f64) -> String {
    for (unit, length) in [("d", 86_400.0), ("h", 3600.0), ("m", 60.0)] {
        if seconds >= length && seconds % length == 0.0 {
            return format!("{:.0} {unit}", seconds / length);
        }
    }
    format!("{seconds} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_measure_a_row_and_a_variant_a_column() {
        let run = |value: f64| {
            let mut run = vec![None; MEASURES.len()];
            (run[0], run[9], run[13]) = (Some(value / 10.0), Some(value), Some(100.0 * value));
            run
        };
        let view = SimRunView {
            title: "A study".to_owned(),
            seeds: vec![1, 2, 3],
            warnings: Vec::new(),
            variants: vec![
                VariantView::of("RR".to_owned(), &[run(1.0), run(2.0), run(3.0)]),
                VariantView::of("DAL".to_owned(), &[run(2.0), run(2.0), run(2.0)]),
            ],
            populations: Vec::new(),
            runs: Vec::new(),
        };
        let expected = "\
A study: 3 seeds, 0 events
means over the seeds; ± is half the interval of 95 % (Student's t)

MEASURE                              RR               DAL
time with max. utilisation < 90 %    20.00 ± 24.84 %  20.00 ± 0.00 %
max. utilisation, 95 % of time       -                -
imbalance of utilisation             -                -
max. system length, half of time     -                -
max. system length, 95 % of time     -                -
time with max. system length < 250   -                -
time with max. system length < 1500  -                -
response time, mean                  -                -
response time, half of pages         -                -
response time, 95 % of pages         2.000 ± 2.484 s  2.000 ± 0.000 s
pages within 3 s                     -                -
pages that failed                    -                -
pages from the nearest cluster       -                -
queries at the name servers          200.0 ± 248.4/s  200.0 ± 0.000/s
moves of areas                       -                -
Plans                                -                -
";
        assert_eq!(render(&view), expected);
    }

    #[test]
    fn times_are_told_in_whole_units() {
        for (seconds, text) in [(90.0, "90 s"), (120.0, "2 m"), (7200.0, "2 h"), (0.0, "0 s")] {
            assert_eq!(span(seconds), text);
        }
    }
}
