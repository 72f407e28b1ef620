//! Reports: one HTML page with plots and the numbers beside them, and each plot as a file of its own.
//!
//! The same results give the same bytes: there is no date in a report.

#[cfg(feature = "report")]
mod folder;
#[cfg(feature = "report")]
mod page;
#[cfg(feature = "report")]
mod plot;
#[cfg(feature = "report")]
mod run_plots;
#[cfg(feature = "report")]
mod sweep_plots;

use std::path::Path;

use super::run_view::SimRunView;
use super::sweep::SimSweepView;
use crate::cli::Failure;

/// Whether a report could be written there, so that what cannot be is told before anything long begins.
/// Nothing is left there before there is a report.
pub(super) fn prepare(directory: Option<&Path>) -> Result<(), Failure> {
    let Some(directory) = directory else { return Ok(()) };
    #[cfg(feature = "report")]
    return folder::check(directory);
    #[cfg(not(feature = "report"))]
    return without(directory, &());
}

/// Writes the report of a run.
pub(super) fn write_run(directory: &Path, view: &SimRunView) -> Result<(), Failure> {
    #[cfg(feature = "report")]
    return write(directory, &run_plots::page(view));
    #[cfg(not(feature = "report"))]
    return without(directory, view);
}

/// Writes the report of a sweep.
pub(super) fn write_sweep(directory: &Path, view: &SimSweepView) -> Result<(), Failure> {
    #[cfg(feature = "report")]
    return write(directory, &sweep_plots::page(view));
    #[cfg(not(feature = "report"))]
    return without(directory, view);
}

#[cfg(feature = "report")]
fn write(directory: &Path, page: &page::Page) -> Result<(), Failure> {
    let drawn: Result<Vec<String>, String> =
        page.figures.iter().map(|figure| figure.plot.svg()).collect();
    let drawn = drawn.map_err(Failure::CouldNot)?;
    let html = page.html(&drawn);
    let names = page.figures.iter().map(|figure| format!("{}.svg", figure.plot.name));
    // The page comes last: who sees it has all.
    let files: Vec<(String, String)> =
        names.zip(drawn).chain([(folder::PAGE.to_owned(), html)]).collect();
    folder::place(directory, &files)
}

#[cfg(not(feature = "report"))]
fn without<T>(directory: &Path, _: &T) -> Result<(), Failure> {
    Err(Failure::WrongUse(format!(
        "no report in {}: this program was built without the feature `report`; build it with \
         `--features report`, or take the numbers from --json",
        directory.display()
    )))
}
