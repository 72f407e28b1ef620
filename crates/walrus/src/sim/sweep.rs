//! `walrus sim sweep`: a study over a range of settings.

use serde::Serialize;
use utoipa::ToSchema;
use walrus_sim::simulation::Study;

use super::measures::{self, MEASURES, Measure};
use super::run_view::{MeasureView, VariantView, counted};
use super::studies::{self, Job};
use crate::cli::Failure;
use crate::cli::sim::SweepArguments;
use crate::output::{Table, say, say_json};

/// Points of one sweep: more is a mistake in a range.
const POINTS_MAX: usize = 1000;

/// Settings of the study as a whole.
const OF_THE_CALL: [&str; 2] = ["seeds", "title"];

/// The measure that is shown without another wish.
const USUAL: &str = "response_p95";

/// What a study comes to over a range of settings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimSweepView {
    /// The study's title.
    pub(crate) title: String,
    /// The seeds that each point ran with.
    pub(crate) seeds: Vec<u64>,
    /// The settings that are swept over.
    pub(crate) settings: Vec<String>,
    /// The measures that were asked for.
    pub(crate) shown: Vec<String>,
    /// Point by point, the last setting changing first.
    pub(crate) points: Vec<PointView>,
}

/// One point of a sweep.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PointView {
    /// The settings' values, in the order of `settings`.
    pub(crate) values: Vec<String>,
    /// Each variant's measures, all of them.
    pub(crate) variants: Vec<VariantView>,
}

pub(crate) fn run(arguments: &SweepArguments) -> Result<(), Failure> {
    super::report::prepare(arguments.report.as_deref())?;
    let shown = shown(&arguments.measure)?;
    let (fixed, swept) = settings(&arguments.set)?;
    let points = points(&swept)?;
    let mut studies: Vec<Study> = Vec::with_capacity(points.len());
    for values in &points {
        let names = swept.iter().map(|(path, _)| path.clone());
        let sets: Vec<_> = fixed.iter().cloned().chain(names.zip(values.iter().cloned())).collect();
        // What the last one has made is shared with this one: most settings leave the domains as they are.
        studies.push(studies::read_beside(studies.last(), &arguments.study, &sets)?);
    }
    let Some(first) = studies.first() else {
        return Err(Failure::WrongUse("there is no point to run".to_owned()));
    };
    let seeds = arguments.seeds.of(first);
    let title = first.title.clone();
    let variants = studies::variants(first, &arguments.variant)?;
    let names: Vec<String> = variants.iter().map(|it| first.variants[*it].clone()).collect();
    studies::check_runs(&[studies.len(), variants.len(), seeds.len()])?;
    let mut jobs = Vec::new();
    for study in &studies {
        for variant in &variants {
            jobs.extend(seeds.iter().map(|seed| Job { study, variant: *variant, seed: *seed }));
        }
    }
    let measured = studies::run(&jobs, arguments.seeds.threads, &|run| measures::all(&run))?;
    let mut runs = measured.chunks(seeds.len().max(1));
    let mut views = Vec::with_capacity(points.len());
    for values in points {
        let variant = |name: &String| VariantView::of(name.clone(), runs.next().unwrap_or(&[]));
        views.push(PointView { values, variants: names.iter().map(variant).collect() });
    }
    let settings = swept.into_iter().map(|(path, _)| path).collect();
    let shown_names = shown.iter().map(|it| it.name.to_owned()).collect();
    let view = SimSweepView { title, seeds, settings, shown: shown_names, points: views };
    let report = arguments.report.as_deref();
    let written = report.map_or(Ok(()), |directory| super::report::write_sweep(directory, &view));
    // What took hours is told even if the disk is full by then.
    if arguments.json {
        say_json("sim_sweep", &view)?;
    } else {
        say(&render(&view, &shown))?;
    }
    written.map_err(Failure::after_the_answer)
}

fn shown(names: &[String]) -> Result<Vec<&'static Measure>, Failure> {
    let names: Vec<&str> = match names {
        [] => vec![USUAL],
        names => names.iter().map(String::as_str).collect(),
    };
    let find = |name: &str| {
        measures::measure(name).ok_or_else(|| {
            let known: Vec<&str> = MEASURES.iter().map(|it| it.name).collect();
            let known = known.join(", ");
            Failure::WrongUse(format!("there is no measure `{name}`: there are {known}"))
        })
    };
    names.into_iter().map(find).collect()
}

type Fixed = Vec<(String, String)>;
type Swept = Vec<(String, Vec<String>)>;

/// Settings with one value, and those that are swept over.
fn settings(sets: &[(String, String)]) -> Result<(Fixed, Swept), Failure> {
    let (mut fixed, mut swept) = (Vec::new(), Vec::new());
    for (path, text) in sets {
        let values = values(text).map_err(|why| Failure::WrongUse(format!("{path}: {why}")))?;
        if values.len() > 1 && OF_THE_CALL.contains(&path.as_str()) {
            let text =
                format!("`{path}` is no setting to sweep over: it is the same for all points");
            let hint = if path == "seeds" { " (--seeds 1-20)" } else { "" };
            return Err(Failure::WrongUse(format!("{text}{hint}")));
        }
        match values.len() {
            1 => fixed.push((path.clone(), text.clone())),
            _ => swept.push((path.clone(), values)),
        }
    }
    if swept.is_empty() {
        let text =
            "nothing is swept over: write --set path=v1,v2,v3 or --set \"path=1..10 step 1\"";
        return Err(Failure::WrongUse(text.to_owned()));
    }
    Ok((fixed, swept))
}

/// All combinations, the last setting changing first.
fn points(swept: &Swept) -> Result<Vec<Vec<String>>, Failure> {
    let mut points = vec![Vec::new()];
    for (_, values) in swept {
        if points.len() * values.len() > POINTS_MAX {
            let text = format!("more than {POINTS_MAX} points: narrower ranges?");
            return Err(Failure::WrongUse(text));
        }
        let with = |point: &Vec<String>, value: &String| {
            point.iter().chain([value]).cloned().collect::<Vec<String>>()
        };
        points =
            points.iter().flat_map(|point| values.iter().map(move |it| with(point, it))).collect();
    }
    Ok(points)
}

/// "a,b,c", or "1..10 step 1" (both ends included), also with a unit: "10s..60s step 10s".
fn values(text: &str) -> Result<Vec<String>, String> {
    // Paths have two points in them as well: "../het20.toml".
    let Some((first, rest)) = text.split_once("..").filter(|(first, _)| is_number(first)) else {
        return Ok(split(text));
    };
    let wrong = || format!("`{text}` is no range such as 1..10 step 1");
    let (last, step) = match rest.split_once("step") {
        Some((last, step)) => (last, step.trim().to_owned()),
        None => (rest, format!("1{}", unit(first))),
    };
    let number = |text: &str| -> Option<f64> {
        let text = text.trim();
        let unit_of_first = unit(first);
        text.strip_suffix(unit_of_first).unwrap_or(text).trim().parse().ok()
    };
    let (from, to, step) = (number(first), number(last), number(&step));
    let (Some(from), Some(to), Some(step)) = (from, to, step) else { return Err(wrong()) };
    let steps = ((to - from) / step + 1e-9).floor();
    if !(0.0..POINTS_MAX as f64).contains(&steps) || step == 0.0 {
        return Err(wrong());
    }
    // Twelve digits hide what binary fractions leave over.
    let value = |place: usize| {
        let number = step.mul_add(place as f64, from);
        format!("{}{}", (number * 1e12).round() / 1e12, unit(first))
    };
    Ok((0..=steps as usize).map(value).collect())
}

/// Whether this is a number, with a unit or without.
fn is_number(text: &str) -> bool {
    let (text, unit) = (text.trim(), unit(text));
    let number = text.strip_suffix(unit).unwrap_or(text).trim();
    number.parse::<f64>().is_ok() && unit.chars().all(|it| it.is_ascii_alphabetic() || it == '%')
}

/// What stands behind a number.
fn unit(text: &str) -> &str {
    let text = text.trim();
    text.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.' || it == '-').trim()
}

/// At commas that stand in no quotes or brackets.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0_u32, false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

fn render(view: &SimSweepView, shown: &[&Measure]) -> String {
    let mut text = format!("{}: {} a point", view.title, counted(view.seeds.len(), "seed"));
    text.push_str(if view.seeds.len() > 1 {
        "; ± is half the interval of 95 % (Student's t)\n"
    } else {
        "\n"
    });
    for measure in shown {
        let variants = view.points.first().map_or(&[][..], |point| &point.variants);
        let names: Vec<String> = variants.iter().map(VariantView::shown).collect();
        let head = view.settings.iter().map(String::as_str).chain(names.iter().map(String::as_str));
        let mut table = Table::new(&head.collect::<Vec<_>>());
        for point in &view.points {
            let cells = point.variants.iter().map(|it| cell(it, measure));
            table.row(point.values.iter().cloned().chain(cells));
        }
        text.push_str(&format!("\n{}\n{}", measure.label, table.render()));
    }
    text
}

fn cell(variant: &VariantView, measure: &Measure) -> String {
    let found = variant.measures.iter().find(|it| it.name == measure.name);
    found.map(MeasureView::text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_are_values() {
        for (text, expected) in [
            ("a", &["a"][..]),
            ("a, b,c", &["a", "b", "c"]),
            ("1..3", &["1", "2", "3"]),
            ("1..10 step 4", &["1", "5", "9"]),
            ("10s..30s step 10s", &["10s", "20s", "30s"]),
            ("0.1..0.3 step 0.1", &["0.1", "0.2", "0.3"]),
            ("10..0 step -5", &["10", "5", "0"]),
            ("[1, 2],[3]", &["[1, 2]", "[3]"]),
            ("\"at least 1m, say\",none", &["\"at least 1m, say\"", "none"]),
            ("../het20.toml", &["../het20.toml"]),
            ("file:../x,even", &["file:../x", "even"]),
            ("10/../a", &["10/../a"]),
            ("a..b", &["a..b"]),
        ] {
            assert_eq!(values(text).unwrap(), expected, "{text}");
        }
        for wrong in ["1..", "3..1", "1..2 step 0", "1..1000000", "10s..b", "1..2 step"] {
            assert!(values(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn points_are_all_combinations() {
        let set = |text: &str| studies::set(text).unwrap();
        let (fixed, swept) = settings(&[set("a=1,2"), set("b=x"), set("c=3,4")]).unwrap();
        assert_eq!(fixed, [("b".to_owned(), "x".to_owned())]);
        let points: Vec<String> = points(&swept).unwrap().iter().map(|it| it.concat()).collect();
        assert_eq!(points, ["13", "14", "23", "24"]);
        assert!(settings(&[set("b=x")]).is_err());
        assert!(settings(&[set("seeds=1,2"), set("a=1,2")]).is_err(), "the same for all points");
        assert!(settings(&[set("seeds=1"), set("a=1,2")]).is_ok());
    }
}
