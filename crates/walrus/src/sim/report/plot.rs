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
/// Of lines alone: by this their strokes are known in the SVG.
const STROKE_WIDTH: u32 = 2;
const STROKE: &str = "stroke-width=\"2\"";
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
        let svg = self.dashed(&svg);
        Ok(svg.replacen('>', &format!(" role=\"img\"><title>{title}</title>"), 1))
    }

    /// Dashes by an attribute of the strokes that lines are drawn with. The library would draw each dash as
    /// an element of its own: half a megabyte a plot.
    fn dashed(&self, svg: &str) -> String {
        let lines = || self.lines.iter().take(LINES_MAX).enumerate();
        let of_line = lines().flat_map(|(place, line)| {
            std::iter::repeat_n(dash(place), self.visible(&line.points).len())
        });
        let of_legend = lines().map(|(place, _)| dash(place));
        let mut parts = svg.split(STROKE);
        let mut dashed = parts.next().unwrap_or_default().to_owned();
        for (part, dash) in parts.zip(of_line.chain(of_legend).chain(std::iter::repeat(None))) {
            dashed.push_str(STROKE);
            if let Some((size, gap)) = dash {
                dashed.push_str(&format!(" stroke-dasharray=\"{size} {gap}\""));
            }
            dashed.push_str(part);
        }
        dashed
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
            let style = colour(place).stroke_width(STROKE_WIDTH);
            for run in self.visible(&line.points) {
                chart.draw_series(LineSeries::new(run, style)).map_err(said)?;
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

    /// The parts of a line that lie between the ends of the x axis and are numbers, as many points of them
    /// as can be seen.
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
        // One point alone is no line.
        runs.retain(|run| run.len() > 1);
        if runs.len() > POINTS_MAX / 2 {
            // So many gaps cannot be seen.
            runs = vec![runs.concat()];
        }
        let all: usize = runs.iter().map(Vec::len).sum();
        let every = all.div_ceil(POINTS_MAX).max(1);
        runs.iter().map(|run| thinned(run, every)).collect()
    }

    fn draw_legend(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), String> {
        let font = ("sans-serif", 16).into_font().color(&BLACK);
        let font = font.pos(Pos::new(HPos::Left, VPos::Center));
        for (place, line) in self.lines.iter().take(LINES_MAX).enumerate() {
            let y = 52 + 21 * place as i32;
            let style = colour(place).stroke_width(STROKE_WIDTH);
            area.draw(&PathElement::new(vec![(0, y), (32, y)], style)).map_err(said)?;
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

/// Of each so many points times two the lowest and the highest, in their order, and the first and the last
/// of all: a peak of one point is still seen.
fn thinned(points: &[(f64, f64)], every: usize) -> Vec<(f64, f64)> {
    if every < 2 {
        return points.to_vec();
    }
    let mut kept = vec![0];
    for (begin, part) in (0..).step_by(2 * every).zip(points.chunks(2 * every)) {
        let by_height = |one: &(usize, &(f64, f64)), other: &(usize, &(f64, f64))| {
            one.1.1.total_cmp(&other.1.1).then(other.0.cmp(&one.0))
        };
        let least = part.iter().enumerate().min_by(by_height).map_or(0, |(at, _)| at);
        let most = part.iter().enumerate().max_by(by_height).map_or(0, |(at, _)| at);
        kept.extend([begin + least.min(most), begin + least.max(most)]);
    }
    kept.push(points.len().saturating_sub(1));
    kept.dedup();
    kept.iter().filter_map(|at| points.get(*at).copied()).collect()
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
    }

    #[test]
    fn a_plot_is_small_however_much_it_shows() {
        // Sixteen lines that go up and down at each of 100,000 points, some with gaps.
        let line = |place: u32| {
            let y = move |x: u32| {
                if x.is_multiple_of(9000 + place) { f64::NAN } else { f64::from(x % 2) }
            };
            let points = (0..100_000).map(|x| (0.001 + f64::from(x) / 10_000.0, y(x))).collect();
            Line { name: format!("line {place}"), points, reaches: Vec::new() }
        };
        let svg = plot((0..16).map(line).collect()).svg().unwrap();
        assert!(svg.len() < 200_000, "{}", svg.len());
        // Each line's dashes stand at all of its strokes and at its legend's.
        for (place, dash) in DASHES.iter().enumerate() {
            let Some((size, gap)) = dash else { continue };
            let dashed = svg.matches(&format!("stroke-dasharray=\"{size} {gap}\"")).count();
            let lines = (0..16).filter(|it| it % DASHES.len() == place).count();
            assert!(dashed >= 10 * lines, "{place}: {dashed}");
        }
    }

    #[test]
    fn thinning_keeps_peaks_and_ends() {
        let mut points: Vec<(f64, f64)> = (0..10_001).map(|x| (f64::from(x), 0.5)).collect();
        (points[4321].1, points[77].1) = (1.0, 0.0);
        let kept = thinned(&points, 25);
        assert!(kept.len() <= 405, "{}", kept.len());
        for at in [0, 77, 4321, 10_000] {
            assert!(kept.contains(&points[at]), "{at}");
        }
        assert!(kept.is_sorted_by(|one, other| one.0 < other.0), "{kept:?}");
        assert_eq!(thinned(&points[..7], 1), points[..7]);
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
