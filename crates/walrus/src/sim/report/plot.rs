//! One plot as SVG: lines over two axes, with a legend beside them.
//!
//! Lines differ in colour (the palette of Okabe and Ito, which colour-blind people can tell apart) and
//! in how they are dashed, so that print without colour tells them apart too.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Width of the plot with its legend, and its height: half a page in print.
const SIZE: (u32, u32) = (860, 420);
/// Width without the legend.
const PLOT_WIDTH: u32 = 640;
/// Points of a line: more cannot be seen.
const POINTS_MAX: usize = 400;
/// Letters of a name in the legend.
const NAME_MAX: usize = 24;
/// Lines that the legend has room for.
pub(super) const LINES_MAX: usize = 16;

/// Okabe and Ito's colours, the yellow left out: it is hard to see on white.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];
/// Length of a dash and of the gap behind it; none for a whole line. One more than there are colours,
/// so that line eight is not line one again.
const DASHES: [Option<(u32, u32)>; 5] =
    [None, Some((8, 4)), Some((2, 3)), Some((14, 4)), Some((5, 8))];

/// A plot.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// Of its file, without `.svg`.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
}

/// An axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// With its unit.
    pub(super) label: String,
    pub(super) from: f64,
    pub(super) to: f64,
    /// By powers of ten; then both ends are above 0.
    pub(super) is_logarithmic: bool,
}

/// A line with its name.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Half the interval at each point; empty for none.
    pub(super) reaches: Vec<f64>,
}

impl Axis {
    /// From 0 to a round number that holds all of these.
    pub(super) fn up_to(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let greatest = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        Self { label: label.to_owned(), from: 0.0, to: round_up(greatest), is_logarithmic: false }
    }

    /// From 0 to 1.
    pub(super) fn share(label: &str) -> Self {
        Self { label: label.to_owned(), from: 0.0, to: 1.0, is_logarithmic: false }
    }

    /// By powers of ten if the values reach over more than two of them, else from 0.
    pub(super) fn wide(label: &str, least: f64, greatest: f64) -> Self {
        if least > 0.0 && greatest > 100.0 * least {
            let (from, to) =
                (10_f64.powf(least.log10().floor()), 10_f64.powf(greatest.log10().ceil()));
            return Self { label: label.to_owned(), from, to, is_logarithmic: true };
        }
        Self::up_to(label, std::iter::once(greatest))
    }
}

/// 1, 2 or 5 times a power of ten, or what stands between; never 0.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|it| *it >= value).unwrap_or(10.0 * power)
}

impl Plot {
    /// The plot as an SVG document.
    ///
    /// # Errors
    /// If the drawing library refuses, in its words.
    pub(super) fn svg(&self) -> Result<String, String> {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            root.fill(&WHITE).map_err(said)?;
            let (plot, legend) = root.split_horizontally(PLOT_WIDTH);
            let (from, to) = (self.x.from, self.x.to);
            if self.x.is_logarithmic {
                self.draw(&plot, (from..to).log_scale())?;
            } else {
                self.draw(&plot, from..to)?;
            }
            self.draw_legend(&legend)?;
            root.present().map_err(said)?;
        }
        // A title for those who hear the page instead of seeing it.
        let title = super::page::escape(&self.title);
        Ok(svg.replacen('>', &format!(" role=\"img\"><title>{title}</title>"), 1))
    }

    fn draw<X>(&self, area: &DrawingArea<SVGBackend<'_>, Shift>, x: X) -> Result<(), String>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(68)
            .build_cartesian_2d(x, self.y.from..self.y.to)
            .map_err(said)?;
        chart
            .configure_mesh()
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .x_labels(8)
            .y_labels(8)
            .x_label_formatter(&|value| tick(*value))
            .y_label_formatter(&|value| tick(*value))
            .axis_desc_style(("sans-serif", 17))
            .label_style(("sans-serif", 15))
            .bold_line_style(BLACK.mix(0.15))
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(said)?;
        for (place, line) in self.lines.iter().take(LINES_MAX).enumerate() {
            let style = colour(place).stroke_width(2);
            for run in self.visible(&line.points) {
                let run = thinned(&run);
                if let Some((size, gap)) = dash(place) {
                    let series = DashedLineSeries::new(run, size, gap, style);
                    chart.draw_series(series).map_err(said)?;
                } else {
                    chart.draw_series(LineSeries::new(run, style)).map_err(said)?;
                }
            }
            let bars = line.points.iter().zip(&line.reaches).map(|((x, y), reach)| {
                let within = |y: f64| y.clamp(self.y.from, self.y.to);
                let ends = vec![(*x, within(y - reach)), (*x, within(y + reach))];
                PathElement::new(ends, colour(place).stroke_width(1))
            });
            chart.draw_series(bars).map_err(said)?;
            if !line.reaches.is_empty() {
                let dots = line.points.iter().map(|at| Circle::new(*at, 3, colour(place).filled()));
                chart.draw_series(dots).map_err(said)?;
            }
        }
        Ok(())
    }

    /// The parts of a line that lie between the ends of the x axis and are numbers.
    fn visible(&self, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        let mut runs = vec![Vec::new()];
        for (x, y) in points {
            if !y.is_finite() || !x.is_finite() {
                runs.push(Vec::new());
            } else if (self.x.from..=self.x.to).contains(x)
                && let Some(run) = runs.last_mut()
            {
                run.push((*x, y.clamp(self.y.from, self.y.to)));
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }

    fn draw_legend(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), String> {
        let font = ("sans-serif", 16).into_font().color(&BLACK);
        let font = font.pos(Pos::new(HPos::Left, VPos::Center));
        for (place, line) in self.lines.iter().take(LINES_MAX).enumerate() {
            let y = 52 + 21 * place as i32;
            let style = colour(place).stroke_width(2);
            // By hand: the library's dashes want a chart.
            let (size, gap) = dash(place).map_or((32, 1), |(size, gap)| (size as i32, gap as i32));
            let mut from = 0;
            while from < 32 {
                let to = (from + size).min(32);
                let stroke = PathElement::new(vec![(from, y), (to, y)], style);
                area.draw(&stroke).map_err(said)?;
                from = to + gap;
            }
            area.draw(&Text::new(short(&line.name), (40, y), font.clone())).map_err(said)?;
        }
        if self.lines.len() > LINES_MAX {
            let y = 52 + 21 * LINES_MAX as i32;
            let more = format!("and {} more", self.lines.len() - LINES_MAX);
            area.draw(&Text::new(more, (40, y), font)).map_err(said)?;
        }
        Ok(())
    }
}

const fn colour(place: usize) -> RGBColor {
    COLOURS[place % COLOURS.len()]
}

const fn dash(place: usize) -> Option<(u32, u32)> {
    DASHES[place % DASHES.len()]
}

fn said(error: impl std::fmt::Display) -> String {
    format!("a plot cannot be drawn: {error}")
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    let begin: String = name.chars().take(NAME_MAX - 1).collect();
    format!("{begin}…")
}

/// As many points as can be seen, the first and the last among them.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.iter().enumerate().filter(|(at, _)| at % every == 0 || *at == last);
    kept.map(|(_, point)| *point).collect()
}

/// A number at an axis: as few digits as tell it from its neighbours.
fn tick(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 || (size > 0.0 && size < 1e-3) {
        return format!("{value:e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(lines: Vec<Line>) -> Plot {
        Plot {
            name: "plot".to_owned(),
            title: "Shares < of \"all\" & more".to_owned(),
            x: Axis::wide("time (s)", 0.001, 10.0),
            y: Axis::share("share"),
            lines,
        }
    }

    #[test]
    fn a_plot_has_its_lines_labels_and_legend_and_is_the_same_again() {
        let points =
            |factor: f64| (1..1000).map(move |x| (f64::from(x) / 100.0, factor / f64::from(x)));
        let line = |name: &str, factor| Line {
            name: name.to_owned(),
            points: points(factor).collect(),
            reaches: Vec::new(),
        };
        let lines: Vec<Line> =
            (0..20).map(|it| line(&format!("line {it}"), f64::from(it))).collect();
        let svg = plot(lines.clone()).svg().unwrap();
        assert_eq!(svg, plot(lines).svg().unwrap());
        for text in ["time (s)", "share", "line 15", "and 4 more", "Shares &lt; of"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.len() < 2_000_000, "{}", svg.len());
    }

    #[test]
    fn odd_numbers_are_left_out() {
        let points =
            vec![(1.0, f64::NAN), (2.0, 0.5), (f64::INFINITY, 1.0), (-5.0, 0.1), (3.0, 7.0)];
        let line = Line { name: "odd".to_owned(), points, reaches: vec![0.1; 5] };
        let svg = plot(vec![line]).svg().unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(plot(Vec::new()).svg().is_ok());
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, end) in [(0.0, 1.0), (0.83, 1.0), (1.0, 1.0), (7.1, 8.0), (1234.0, 1500.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}: {}", round_up(value));
        }
        assert_eq!((tick(0.1), tick(20.0), tick(0.0), tick(2e6)).1, "20");
        let wide = Axis::wide("x", 0.02, 30.0);
        assert!(wide.is_logarithmic && (wide.from - 0.01).abs() < 1e-9 && wide.to >= 100.0 - 1e-9);
    }
}
