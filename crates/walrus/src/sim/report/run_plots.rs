//! The report of a run: the papers' six plots, and failures.

use walrus_sim::simulation::{Distribution, RunResult};

use super::page::{Figure, HtmlTable, Page};
use super::plot::{Axis, LINES_MAX, Line, Plot};
use crate::sim::measures::{self, MEASURES};
use crate::sim::run_view::{MeasureView, SimRunView, VariantView, counted};

/// Shares whose values stand beside a cumulative plot.
const QUANTILES: [f64; 5] = [0.5, 0.75, 0.9, 0.95, 0.99];

/// Plots of servers' shares: one a variant, of some 100 kB.
const SHARES_MAX: usize = 24;

/// A variant's runs, added up over its seeds.
struct Variant<'a> {
    name: String,
    view: &'a VariantView,
    runs: &'a [RunResult],
}

pub(super) fn page(view: &SimRunView) -> Page {
    let runs = view.runs.chunks(view.seeds.len().max(1));
    let variants: Vec<Variant<'_>> = view
        .variants
        .iter()
        .zip(runs)
        .map(|(view, runs)| Variant { name: view.shown(), view, runs })
        .collect();
    let mut figures = vec![
        cumulative(&variants, &UTILISATION),
        cumulative(&variants, &LENGTH),
        cumulative(&variants, &RESPONSE),
    ];
    figures.extend([&FAILED, &QUERIES, &NEAR].map(|what| over_time(&variants, what)));
    let shown = variants.iter().take(SHARES_MAX).enumerate();
    figures.extend(shown.map(|(place, variant)| shares(place, variant)));
    let mut about = about(view);
    if variants.len() > SHARES_MAX {
        about.push(format!(
            "Of {} variants the first {SHARES_MAX} have a plot of their servers' shares; `--variant` shows \
             those of others.",
            variants.len()
        ));
    }
    Page { title: view.title.clone(), about, tables: vec![table(&variants)], figures }
}

fn about(view: &SimRunView) -> Vec<String> {
    let mut text = format!("{} a variant: ", counted(view.seeds.len(), "seed"));
    let seeds: Vec<String> = view.seeds.iter().take(20).map(ToString::to_string).collect();
    text.push_str(&seeds.join(", "));
    if view.seeds.len() > 20 {
        text.push_str(", ...");
    }
    text.push('.');
    if let Some(run) = view.runs.first() {
        text.push_str(&format!(
            " {} s were simulated each, of which the first {} s are left out.",
            run.simulated.as_secs_f64(),
            run.discarded.as_secs_f64()
        ));
    }
    let about = "Means over the seeds; behind ± stands half the interval of 95 % (Student's t). In the \
                 plots the seeds of a variant are one line: distributions are added up, series over time \
                 are means.";
    let warnings = view.warnings.iter().map(|warning| format!("Warning: {warning}"));
    [text, about.to_owned()].into_iter().chain(warnings).collect()
}

fn table(variants: &[Variant<'_>]) -> HtmlTable {
    let names = variants.iter().map(|variant| variant.name.clone());
    let row = |(place, measure): (usize, &measures::Measure)| {
        let cells = variants.iter().map(|variant| variant.view.measures[place].text());
        std::iter::once(measure.label.to_owned()).chain(cells).collect()
    };
    HtmlTable {
        head: std::iter::once("measure".to_owned()).chain(names).collect(),
        rows: MEASURES.iter().enumerate().map(row).collect(),
    }
}

/// A cumulative plot.
struct Cumulative {
    name: &'static str,
    title: &'static str,
    label: &'static str,
    caption: &'static str,
    of: fn(&RunResult) -> &Distribution,
    /// For the numbers beside it.
    measure: &'static str,
    is_share: bool,
}

static UTILISATION: Cumulative = Cumulative {
    name: "utilisation",
    title: "Cumulative frequency of maximum utilisation",
    label: "utilisation of the busiest server in a window",
    caption: "The share of the time in which no server was busier than this. A line further to the left \
              is better.",
    of: |run| &run.max_utilisation,
    measure: "utilisation_p95",
    is_share: true,
};

static LENGTH: Cumulative = Cumulative {
    name: "length",
    title: "Cumulative frequency of maximum system length",
    label: "hits waiting or being served at the fullest server",
    caption: "The share of the time in which no server had more hits than this. A line further to the \
              left is better.",
    of: |run| &run.max_system_length,
    measure: "length_p95",
    is_share: false,
};

static RESPONSE: Cumulative = Cumulative {
    name: "response",
    title: "Cumulative frequency of response time",
    label: "response time of a page (s)",
    caption: "The share of the pages that were there by then, lookups and all hits included. A line \
              further to the left is better.",
    of: |run| &run.response_seconds,
    measure: "response_p95",
    is_share: false,
};

fn cumulative(variants: &[Variant<'_>], what: &Cumulative) -> Figure {
    let sums: Vec<(String, Distribution)> = variants
        .iter()
        .map(|variant| {
            let mut sum = Distribution::new();
            variant.runs.iter().for_each(|run| sum.merge((what.of)(run)));
            (variant.name.clone(), sum)
        })
        .collect();
    let greatest = sums.iter().map(|(_, sum)| sum.quantile(0.999)).fold(0.0, f64::max);
    let least = sums.iter().map(|(_, sum)| sum.quantile(0.01)).filter(|value| *value > 0.0);
    let least = least.fold(f64::INFINITY, f64::min);
    let x = if what.is_share {
        Axis::share(what.label)
    } else {
        Axis::wide(what.label, least, greatest)
    };
    let line = |(name, sum): &(String, Distribution)| {
        // So that a line begins and ends at the plot's edges.
        let begin = (x.from, sum.below(x.from));
        let within = |(value, _): &(f64, f64)| *value > x.from && *value < x.to;
        let end = (x.to, sum.below(x.to));
        let points = sum.points().into_iter().filter(within);
        let points = std::iter::once(begin).chain(points).chain([end]).collect();
        Line { name: name.clone(), points, reaches: Vec::new() }
    };
    let lines = sums.iter().filter(|(_, sum)| sum.count() > 0).map(line).collect();
    let number = |value: f64| measures::measure(what.measure).map(|it| it.text(value));
    let row = |(name, sum): &(String, Distribution)| {
        let values = QUANTILES.iter().map(|q| number(sum.quantile(*q)).unwrap_or_default());
        let mean = number(sum.mean()).unwrap_or_default();
        std::iter::once(name.clone()).chain(values).chain([mean]).collect()
    };
    let head = QUANTILES.iter().map(|q| format!("{:.0} %", q * 100.0));
    let head = std::iter::once("at most, for".to_owned()).chain(head).chain(["mean".to_owned()]);
    Figure {
        caption: what.caption.to_owned(),
        numbers: HtmlTable { head: head.collect(), rows: sums.iter().map(row).collect() },
        plot: Plot {
            name: what.name.to_owned(),
            title: what.title.to_owned(),
            x,
            y: Axis::share("cumulative frequency"),
            lines,
        },
    }
}

/// A plot over time with a line a variant.
struct OverTime {
    name: &'static str,
    title: &'static str,
    label: &'static str,
    caption: &'static str,
    of: fn(&RunResult) -> &[f32],
    measure: &'static str,
    height: Height,
}

/// How far the y axis reaches.
#[derive(Clone, Copy)]
enum Height {
    /// From 0 to 1.
    Whole,
    /// To the greatest value.
    Greatest,
}

static FAILED: OverTime = OverTime {
    name: "failed",
    title: "Pages that failed",
    label: "share of pages",
    caption: "The share of the pages that got no answer: no address, or every one dead, cut off or full.",
    of: |run| &run.failed_share,
    measure: "failed",
    height: Height::Greatest,
};

static QUERIES: OverTime = OverTime {
    name: "queries",
    title: "Queries at the name servers",
    label: "queries a second",
    caption: "What resolvers ask all name servers together.",
    of: |run| &run.queries_per_second,
    measure: "queries",
    height: Height::Greatest,
};

static NEAR: OverTime = OverTime {
    name: "near",
    title: "Clients served by their nearest area",
    label: "share of pages",
    caption: "The share of the pages that came from the cluster nearest to their client.",
    of: |run| &run.near_share,
    measure: "near",
    height: Height::Whole,
};

fn over_time(variants: &[Variant<'_>], what: &OverTime) -> Figure {
    let row = |variant: &Variant<'_>| {
        let found = variant.view.measures.iter().find(|it| it.name == what.measure);
        vec![variant.name.clone(), found.map(MeasureView::text).unwrap_or_default()]
    };
    Figure {
        caption: what.caption.to_owned(),
        numbers: HtmlTable {
            head: vec!["variant".to_owned(), "mean".to_owned()],
            rows: variants.iter().map(row).collect(),
        },
        plot: plot_over_time(
            (what.name.to_owned(), what.title.to_owned()),
            (what.label, what.height),
            variants.iter().map(|variant| mean_of(variant, what.of)).collect(),
        ),
    }
}

fn mean_of<'a>(variant: &Variant<'a>, of: fn(&RunResult) -> &[f32]) -> Series<'a> {
    let of_runs: Vec<&[f32]> = variant.runs.iter().map(of).collect();
    Series { name: variant.name.clone(), runs: variant.runs, values: means(&of_runs) }
}

/// Each server's share of the hits over time, for one variant.
fn shares(place: usize, variant: &Variant<'_>) -> Figure {
    let servers = variant.runs.first().map_or(&[][..], |run| &run.servers);
    let of_server = |at: usize| {
        let of_run = |run: &'_ RunResult| Some(run.servers.get(at)?.share.clone());
        let of_runs: Vec<Vec<f32>> = variant.runs.iter().filter_map(of_run).collect();
        let share = means(&of_runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let known: Vec<f64> = share.iter().copied().filter(|it| it.is_finite()).collect();
        (known.iter().sum::<f64>() / known.len().max(1) as f64, share)
    };
    let mut lines = Vec::new();
    let mut rows = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let (mean, share) = of_server(at);
        let text = format!("{:.1} %", mean * 100.0);
        rows.push(vec![server.name.clone(), server.cluster.clone(), text]);
        lines.push((mean, Series { name: server.name.clone(), runs: variant.runs, values: share }));
    }
    if lines.len() > LINES_MAX {
        // Those that bear most; the table has all.
        lines.sort_by(|one, other| other.0.total_cmp(&one.0));
    }
    let name = if variant.view.name.is_empty() { "" } else { &variant.name };
    let of = if name.is_empty() { String::new() } else { format!(": {name}") };
    Figure {
        caption: "Which part of all hits each server accepted, over time.".to_owned(),
        numbers: HtmlTable {
            head: ["server", "cluster", "mean share"].map(str::to_owned).into(),
            rows,
        },
        plot: plot_over_time(
            (format!("shares-{}", place + 1), format!("Share per server over time{of}")),
            ("share of all hits", Height::Greatest),
            lines.into_iter().map(|(_, series)| series).collect(),
        ),
    }
}

/// A line over time, and the runs that it is the mean of.
struct Series<'a> {
    name: String,
    runs: &'a [RunResult],
    values: Vec<f64>,
}

/// A plot of a name and a title, with a label of its y axis: a line for each series.
fn plot_over_time(
    (name, title): (String, String),
    (label, height): (&str, Height),
    series: Vec<Series<'_>>,
) -> Plot {
    let unit = time_unit(&series);
    let line = |series: Series<'_>| Line {
        points: timed(series.runs, unit.1, &series.values),
        name: series.name,
        reaches: Vec::new(),
    };
    let lines: Vec<Line> = series.into_iter().map(line).collect();
    let times = lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x));
    let x = Axis::up_to(&format!("simulated time ({})", unit.0), times);
    let values = lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
    let y = match height {
        Height::Whole => Axis::share(label),
        Height::Greatest => Axis::up_to(label, values),
    };
    Plot { name, title, x, y, lines }
}

/// The mean of several series at each point; NaN where none has a number.
fn means(series: &[&[f32]]) -> Vec<f64> {
    let points = series.iter().map(|it| it.len()).max().unwrap_or(0);
    let mean = |point: usize| {
        let values = series.iter().filter_map(|it| it.get(point)).filter(|it| it.is_finite());
        let values: Vec<f64> = values.map(|value| f64::from(*value)).collect();
        if values.is_empty() { f64::NAN } else { values.iter().sum::<f64>() / values.len() as f64 }
    };
    (0..points).map(mean).collect()
}

/// Points in the middle of their intervals, the time from the run's beginning.
fn timed(runs: &[RunResult], unit: f64, series: &[f64]) -> Vec<(f64, f64)> {
    let Some(run) = runs.first() else { return Vec::new() };
    let (begin, step) = (run.discarded.as_secs_f64(), run.interval.as_secs_f64());
    let at = |place: usize| (begin + step * (place as f64 + 0.5)) / unit;
    series.iter().enumerate().map(|(place, value)| (at(place), *value)).collect()
}

/// In what time is told: its name and its seconds.
fn time_unit(series: &[Series<'_>]) -> (&'static str, f64) {
    let runs = series.iter().flat_map(|series| series.runs);
    match runs.map(|run| run.simulated.as_secs()).max().unwrap_or(0) {
        0..600 => ("s", 1.0),
        600..14_400 => ("min", 60.0),
        14_400..345_600 => ("h", 3600.0),
        _ => ("d", 86_400.0),
    }
}
