//! The report of a run: the papers' six plots.

use walrus_sim::simulation::{Distribution, RunResult};

use super::page::{Figure, HtmlTable, Page};
use super::plot::{Axis, LINES_MAX, Line, Plot};
use crate::sim::measures::{self, MEASURES};
use crate::sim::run_view::{SimRunView, VariantView, counted};

/// Shares whose values stand beside a cumulative plot.
const QUANTILES: [f64; 5] = [0.5, 0.75, 0.9, 0.95, 0.99];

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
    figures.extend(variants.iter().enumerate().map(|(place, it)| shares(place, it)));
    figures.push(over_time(&variants, &QUERIES));
    figures.push(over_time(&variants, &NEAR));
    Page { title: view.title.clone(), about: about(view), tables: vec![table(&variants)], figures }
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
    vec![text, about.to_owned()]
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

/// A plot over time.
struct OverTime {
    name: &'static str,
    title: &'static str,
    label: &'static str,
    caption: &'static str,
    of: fn(&RunResult) -> &[f32],
    measure: &'static str,
    is_share: bool,
}

static QUERIES: OverTime = OverTime {
    name: "queries",
    title: "Queries at the name servers",
    label: "queries a second",
    caption: "What resolvers ask all name servers together.",
    of: |run| &run.queries_per_second,
    measure: "queries",
    is_share: false,
};

static NEAR: OverTime = OverTime {
    name: "near",
    title: "Clients served by their nearest area",
    label: "share of pages",
    caption: "The share of the pages that came from the cluster nearest to their client.",
    of: |run| &run.near_share,
    measure: "near",
    is_share: true,
};

fn over_time(variants: &[Variant<'_>], what: &OverTime) -> Figure {
    let unit = time_unit(variants);
    let line = |variant: &Variant<'_>| {
        let series: Vec<&[f32]> = variant.runs.iter().map(what.of).collect();
        let points = timed(variant.runs, unit.1, &means(&series));
        Line { name: variant.name.clone(), points, reaches: Vec::new() }
    };
    let lines: Vec<Line> = variants.iter().map(line).collect();
    let place = MEASURES.iter().position(|measure| measure.name == what.measure);
    let row = |variant: &Variant<'_>| {
        let text = place.map(|place| variant.view.measures[place].text());
        vec![variant.name.clone(), text.unwrap_or_default()]
    };
    Figure {
        caption: what.caption.to_owned(),
        numbers: HtmlTable {
            head: vec!["variant".to_owned(), "mean".to_owned()],
            rows: variants.iter().map(row).collect(),
        },
        plot: Plot {
            name: what.name.to_owned(),
            title: what.title.to_owned(),
            x: time_axis(&lines, unit.0),
            y: if what.is_share {
                Axis::share(what.label)
            } else {
                let all = lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
                Axis::up_to(what.label, all)
            },
            lines,
        },
    }
}

/// Each server's share of the hits over time, for one variant.
fn shares(place: usize, variant: &Variant<'_>) -> Figure {
    let unit = time_unit(std::slice::from_ref(variant));
    let servers = variant.runs.first().map_or(&[][..], |run| &run.servers);
    let mut lines = Vec::new();
    let mut rows = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let of = |run: &'_ RunResult| run.servers.get(at).map_or(Vec::new(), |it| it.share.clone());
        let series: Vec<Vec<f32>> = variant.runs.iter().map(of).collect();
        let series: Vec<&[f32]> = series.iter().map(Vec::as_slice).collect();
        let share = means(&series);
        let known: Vec<f64> = share.iter().copied().filter(|it| it.is_finite()).collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        rows.push((
            mean,
            vec![server.name.clone(), server.cluster.clone(), format!("{:.1} %", mean * 100.0)],
        ));
        let points = timed(variant.runs, unit.1, &share);
        lines.push((mean, Line { name: server.name.clone(), points, reaches: Vec::new() }));
    }
    if lines.len() > LINES_MAX {
        // Those that bear most; the table has all.
        lines.sort_by(|one, other| other.0.total_cmp(&one.0));
    }
    let lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
    let all = lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
    let y = Axis::up_to("share of all hits", all);
    let name = if variant.view.name.is_empty() { "" } else { &variant.name };
    let of = if name.is_empty() { String::new() } else { format!(": {name}") };
    Figure {
        caption: "Which part of all hits each server accepted, over time.".to_owned(),
        numbers: HtmlTable {
            head: ["server", "cluster", "mean share"].map(str::to_owned).into(),
            rows: rows.into_iter().map(|(_, row)| row).collect(),
        },
        plot: Plot {
            name: format!("shares-{}", place + 1),
            title: format!("Share per server over time{of}"),
            x: time_axis(&lines, unit.0),
            y: Axis { to: y.to.min(1.0), ..y },
            lines,
        },
    }
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
fn time_unit(variants: &[Variant<'_>]) -> (&'static str, f64) {
    let runs = variants.iter().flat_map(|variant| variant.runs);
    match runs.map(|run| run.simulated.as_secs()).max().unwrap_or(0) {
        0..600 => ("s", 1.0),
        600..14_400 => ("min", 60.0),
        14_400..345_600 => ("h", 3600.0),
        _ => ("d", 86_400.0),
    }
}

fn time_axis(lines: &[Line], unit: &str) -> Axis {
    let times = lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x));
    Axis::up_to(&format!("simulated time ({unit})"), times)
}
