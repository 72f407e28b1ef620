//! `walrus sim run`: a study's variants with its seeds.

use super::measures;
use super::population_view;
use super::run_view::{SimRunView, VariantView, render};
use super::studies::{self, Job};
use crate::cli::Failure;
use crate::cli::sim::RunArguments;
use crate::output::{say, say_json};

/// As much memory the whole results of all runs may take, which are held at once: those of some 3700 runs with
/// one population and few servers.
const RESULTS_MIB_MAX: u64 = 3072;

pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    super::report::prepare(arguments.report.as_deref())?;
    let study = studies::read(&arguments.study, &arguments.sets.set)?;
    let variants = studies::variants(&study, &arguments.variant)?;
    let seeds = arguments.seeds.of(&study);
    studies::check_runs(&[variants.len(), seeds.len()])?;
    let each = variants.iter().map(|variant| study.result_bytes(*variant));
    let bytes = each.fold(0, u64::saturating_add).saturating_mul(seeds.len() as u64);
    if bytes >> 20 > RESULTS_MIB_MAX {
        return Err(Failure::WrongUse(format!(
            "the results of {} runs take {} MiB, more than {RESULTS_MIB_MAX}: fewer seeds or variants? \
             (`compare` and `sweep` keep measures only)",
            variants.len() * seeds.len(),
            bytes >> 20,
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
