//! `walrus sim run`: a study's variants with its seeds.

use super::measures;
use super::population_view;
use super::run_view::{SimRunView, VariantView, render};
use super::studies::{self, Job};
use crate::cli::Failure;
use crate::cli::sim::RunArguments;
use crate::output::{say, say_json};

/// Runs whose whole results are held at once, of one population: some 600 kB each, of which a fourth is the
/// population's and comes again with each further one.
const RESULTS_MAX: usize = 4000;

pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    super::report::prepare(arguments.report.as_deref())?;
    let study = studies::read(&arguments.study, &arguments.sets.set)?;
    let variants = studies::variants(&study, &arguments.variant)?;
    let seeds = arguments.seeds.of(&study);
    let count = variants.len().saturating_mul(seeds.len());
    let most = RESULTS_MAX * 4 / (3 + study.populations().max(1));
    if count > most {
        return Err(Failure::WrongUse(format!(
            "{count} runs at once are more than {most}: fewer seeds or variants? (`compare` and \
             `sweep` keep measures only)"
        )));
    }
    let jobs: Vec<Job<'_>> = variants
        .iter()
        .flat_map(|variant| seeds.iter().map(|seed| (*variant, *seed)))
        .map(|(variant, seed)| Job { study: &study, variant, seed })
        .collect();
    let runs = studies::run(&jobs, arguments.seeds.threads, &|run| run)?;
    let by_variant = || variants.iter().zip(runs.chunks(seeds.len().max(1)));
    let populations = by_variant()
        .flat_map(|(variant, runs)| population_view::views(&study.variants[*variant], runs))
        .collect();
    let views = by_variant().map(|(variant, runs)| {
        let measured: Vec<_> = runs.iter().map(measures::all).collect();
        VariantView::of(study.variants[*variant].clone(), &measured)
    });
    let variants = views.collect();
    let told = study.warnings.iter().map(ToString::to_string);
    let warnings = told.chain(studies::warnings(&runs)).collect();
    let view =
        SimRunView { title: study.title.clone(), seeds, warnings, variants, populations, runs };
    let report = arguments.report.as_deref();
    let written = report.map_or(Ok(()), |directory| super::report::write_run(directory, &view));
    // What took hours is told even if the disk is full by then.
    if arguments.json {
        say_json("sim_run", &view)?;
    } else {
        say(&render(&view))?;
    }
    written.map_err(Failure::after_the_answer)
}
