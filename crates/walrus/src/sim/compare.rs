//! `walrus sim compare`: two variants with the same seeds, measure by measure.

use serde::Serialize;
use utoipa::ToSchema;

use super::measures::{self, Better, MEASURES, Measure};
use super::run_view::{MeasureView, VariantView, counted};
use super::statistics::{holm, mean, paired};
use super::studies::{self, Job};
use crate::cli::Failure;
use crate::cli::sim::CompareArguments;
use crate::output::{Table, say, say_json};

/// How two variants differ.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimCompareView {
    /// What A is: "study.toml:variant".
    pub(crate) a: String,
    /// What B is.
    pub(crate) b: String,
    /// The seeds that both ran with.
    pub(crate) seeds: Vec<u64>,
    /// Measure by measure.
    pub(crate) measures: Vec<ComparedView>,
}

/// One measure of both.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComparedView {
    /// Of A.
    pub(crate) a: MeasureView,
    /// Of B.
    pub(crate) b: MeasureView,
    /// The mean of B - A over the seeds; null if no seed has both.
    pub(crate) difference: Option<f64>,
    /// The true difference lies above this and below `high` with a probability of 95 %.
    pub(crate) low: Option<f64>,
    /// See `low`.
    pub(crate) high: Option<f64>,
    /// Student's paired t test: how likely so great a difference is if there is none; null with fewer
    /// than two seeds, or fewer than six in which it is the same to the last digit.
    pub(crate) probability: Option<f64>,
    /// Of B beside A: "better", "worse", "no difference seen", or "not tested" without a `probability`.
    /// By Holm's method over all measures, with an error of 5 % for all of them together.
    pub(crate) verdict: String,
}

pub(crate) fn run(arguments: &CompareArguments) -> Result<(), Failure> {
    let sets = &arguments.sets.set;
    let (path, a) = studies::chosen(&arguments.a, None, sets)?;
    let (_, b) = studies::chosen(&arguments.b, Some(&path), sets)?;
    let seeds = arguments.seeds.of(&a.study);
    studies::check_runs(&[2, seeds.len()])?;
    let jobs: Vec<Job<'_>> = [&a, &b]
        .into_iter()
        .flat_map(|chosen| seeds.iter().map(move |seed| (chosen, *seed)))
        .map(|(chosen, seed)| Job { study: &chosen.study, variant: chosen.variant, seed })
        .collect();
    let measured = studies::run(&jobs, arguments.seeds.threads, &|run| measures::all(&run))?;
    let (of_a, of_b) = measured.split_at(seeds.len());
    let measures = compare(of_a, of_b);
    let name = |text: &str| {
        if text.starts_with(':') { format!("{}{text}", path.display()) } else { text.to_owned() }
    };
    let view = SimCompareView { a: name(&arguments.a), b: name(&arguments.b), seeds, measures };
    if arguments.json { say_json("sim_compare", &view) } else { say(&render(&view)) }
}

/// Of the measures of each seed on both sides, in the order of [`MEASURES`].
fn compare(a: &[Vec<Option<f64>>], b: &[Vec<Option<f64>>]) -> Vec<ComparedView> {
    let differences = |place: usize| -> Vec<f64> {
        let pairs = a.iter().zip(b);
        pairs.filter_map(|(one, other)| Some(other[place]? - one[place]?)).collect()
    };
    let all: Vec<Vec<f64>> = (0..MEASURES.len()).map(differences).collect();
    let probabilities: Vec<Option<f64>> = all.iter().map(|it| paired(it)).collect();
    let believed = holm(&probabilities);
    let sides = [a, b].map(|runs| VariantView::of(String::new(), runs).measures.into_iter());
    let [mut a, mut b] = sides;
    let mut compared = Vec::with_capacity(MEASURES.len());
    for (place, measure) in MEASURES.iter().enumerate() {
        let (Some(a), Some(b)) = (a.next(), b.next()) else { break };
        let mean = mean(&all[place]);
        let end = |sign: f64| mean.and_then(|it| Some(sign.mul_add(it.reach?, it.mean)));
        let is_less = mean.is_some_and(|it| it.mean < 0.0);
        let verdict = match (probabilities[place], believed[place]) {
            (None, _) => "not tested",
            (Some(_), false) => "no difference seen",
            (Some(_), true) if is_less == (measure.better == Better::Lower) => "better",
            (Some(_), true) => "worse",
        };
        compared.push(ComparedView {
            a,
            b,
            difference: mean.map(|it| it.mean),
            low: end(-1.0),
            high: end(1.0),
            probability: probabilities[place],
            verdict: verdict.to_owned(),
        });
    }
    compared
}

fn render(view: &SimCompareView) -> String {
    let mut text = format!("A: {}\nB: {}\n{}", view.a, view.b, counted(view.seeds.len(), "seed"));
    text.push_str(if view.seeds.len() < 2 {
        ": nothing can be tested; --seeds 1-10 runs more\n\n"
    } else {
        ", paired; ± is half the interval of 95 %. Verdicts on B by Student's paired t test, with Holm's\n\
         method over all measures (an error of 5 % for all of them together)\n\n"
    });
    let mut table = Table::new(&["measure", "A", "B", "B - A", "p", "B is"]);
    for (measure, compared) in MEASURES.iter().zip(&view.measures) {
        table.row([
            measure.label.to_owned(),
            compared.a.text(),
            compared.b.text(),
            difference(measure, compared),
            compared.probability.map_or_else(|| "-".to_owned(), probability),
            compared.verdict.clone(),
        ]);
    }
    text.push_str(&table.render());
    text
}

fn difference(measure: &Measure, compared: &ComparedView) -> String {
    let Some(mean) = compared.difference else { return "-".to_owned() };
    let reach = compared.high.map(|high| high - mean);
    let sign = if mean > 0.0 { "+" } else { "" };
    format!("{sign}{}", measure.mean_text(mean, reach))
}

fn probability(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three seeds in which only the second measure, of which less is better, is known.
    fn runs(values: [f64; 3]) -> Vec<Vec<Option<f64>>> {
        let run = |value| {
            let mut run = vec![None; MEASURES.len()];
            run[1] = Some(value);
            run
        };
        values.map(run).into()
    }

    #[test]
    fn verdicts_are_on_b() {
        let base = runs([0.5, 0.6, 0.7]);
        for (other, verdict) in [
            ([0.40, 0.51, 0.60], "better"),
            ([0.60, 0.71, 0.80], "worse"),
            ([0.60, 0.51, 0.75], "no difference seen"),
            ([0.50, 0.60, 0.70], "no difference seen"),
        ] {
            let compared = compare(&base, &runs(other));
            assert_eq!(compared[1].verdict, verdict, "{other:?}: {:?}", compared[1]);
            assert_eq!((&*compared[0].verdict, compared[0].difference), ("not tested", None));
        }
    }
}
