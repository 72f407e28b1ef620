//! The report of a sweep: a plot for each measure that was asked for.

use super::page::{Figure, HtmlTable, Page};
use super::plot::{Axis, Line, Plot};
use crate::sim::measures::{self, Measure, Unit};
use crate::sim::run_view::{MeasureView, VariantView, counted};
use crate::sim::sweep::{PointView, SimSweepView};

pub(super) fn page(view: &SimSweepView) -> Page {
    let shown = view.shown.iter().filter_map(|name| measures::measure(name));
    let about = format!(
        "{} a point. Dots are means, bars and ± the interval of 95 % (Student's t).",
        counted(view.seeds.len(), "seed")
    );
    Page {
        title: view.title.clone(),
        about: vec![about],
        tables: Vec::new(),
        figures: shown.map(|measure| figure(view, measure)).collect(),
    }
}

fn figure(view: &SimSweepView, measure: &Measure) -> Figure {
    let scale = if measure.unit == Unit::Share { 100.0 } else { 1.0 };
    let lines = lines(view, measure, scale);
    let tops = lines.iter().flat_map(|line| {
        let reach = |place: usize| line.reaches.get(place).copied().unwrap_or(0.0);
        line.points.iter().enumerate().map(move |(place, (_, y))| y + reach(place))
    });
    let y = Axis::up_to(&with_unit(measure), tops);
    let x = x_axis(view, &lines);
    let names = view.points.first().map_or(&[][..], |point| &point.variants);
    let names = names.iter().map(VariantView::shown);
    let row = |point: &PointView| {
        let of = |variant| found(variant, measure).map(MeasureView::text).unwrap_or_default();
        point.values.iter().cloned().chain(point.variants.iter().map(of)).collect()
    };
    Figure {
        caption: format!("Over {}.", view.settings.join(", ")),
        numbers: HtmlTable {
            head: view.settings.iter().cloned().chain(names).collect(),
            rows: view.points.iter().map(row).collect(),
        },
        plot: Plot {
            name: measure.name.replace('_', "-"),
            title: measure.label.to_owned(),
            x,
            y,
            lines,
        },
    }
}

fn found<'a>(variant: &'a VariantView, measure: &Measure) -> Option<&'a MeasureView> {
    variant.measures.iter().find(|it| it.name == measure.name)
}

/// The first setting runs along the axis; each variant and each combination of the others is a line.
fn lines(view: &SimSweepView, measure: &Measure, scale: f64) -> Vec<Line> {
    let positions = positions(view);
    let mut lines: Vec<Line> = Vec::new();
    for (point, x) in view.points.iter().zip(positions) {
        for variant in &point.variants {
            let others: Vec<String> = point.values[1..].to_vec();
            let own = (!variant.name.is_empty() || others.is_empty()).then(|| variant.shown());
            let name = own.into_iter().chain(others).collect::<Vec<_>>().join(", ");
            let Some((mean, high)) = found(variant, measure).and_then(|it| {
                let mean = it.mean?;
                Some((mean, it.high.unwrap_or(mean)))
            }) else {
                continue;
            };
            let place = lines.iter().position(|line| line.name == name);
            let place = place.unwrap_or_else(|| {
                lines.push(Line { name, points: Vec::new(), reaches: Vec::new() });
                lines.len() - 1
            });
            lines[place].points.push((x, mean * scale));
            lines[place].reaches.push((high - mean) * scale);
        }
    }
    lines
}

/// Where each point lies along the axis: by its number, else by its place among the values.
fn positions(view: &SimSweepView) -> Vec<f64> {
    let first = |point: &PointView| point.values.first().cloned().unwrap_or_default();
    let texts: Vec<String> = view.points.iter().map(first).collect();
    let numbers: Option<Vec<f64>> = texts.iter().map(|text| number(text)).collect();
    numbers.unwrap_or_else(|| {
        let mut seen: Vec<&String> = Vec::new();
        for text in &texts {
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
        let place = |text: &String| seen.iter().position(|it| *it == text).unwrap_or(0);
        texts.iter().map(|text| place(text) as f64 + 1.0).collect()
    })
}

/// "20", "20s" in seconds, "2m" too.
fn number(text: &str) -> Option<f64> {
    let text = text.trim().trim_matches('"');
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic() || it == '%');
    let factor = match text[digits.len()..].trim() {
        "" | "s" | "%" => 1.0,
        "ms" => 1e-3,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    digits.trim().parse::<f64>().ok().map(|number| number * factor)
}

fn x_axis(view: &SimSweepView, lines: &[Line]) -> Axis {
    let mut label = view.settings.first().cloned().unwrap_or_default();
    let first = |point: &PointView| point.values.first().cloned().unwrap_or_default();
    let texts: Vec<String> = view.points.iter().map(first).collect();
    if texts.iter().all(|text| number(text).is_some()) {
        let is_time = |text: &String| text.ends_with(['s', 'm', 'h', 'd']);
        if texts.iter().any(is_time) {
            label.push_str(" (s)");
        }
    } else {
        let mut values = texts;
        values.dedup();
        let told: Vec<String> =
            values.iter().enumerate().map(|(place, it)| format!("{}: {it}", place + 1)).collect();
        label = format!("{label} ({})", told.join("; "));
    }
    let xs: Vec<f64> = lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x)).collect();
    let least = xs.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = xs.iter().copied().fold(0.0, f64::max);
    let mut axis = Axis::wide(&label, least, greatest);
    if axis.is_logarithmic {
        // The points themselves, not whole powers of ten.
        (axis.from, axis.to) = (least / 1.2, greatest * 1.2);
    }
    axis
}

fn with_unit(measure: &Measure) -> String {
    match measure.unit {
        Unit::Share => "%".to_owned(),
        Unit::Seconds => "s".to_owned(),
        unit => unit.word().to_owned(),
    }
}
