//! Reports: one HTML page with plots and the numbers beside them, and each plot as a file of its own.
//!
//! The same results give the same bytes: there is no date in a report.

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

/// Makes the directory, so that what cannot be written is told before anything long begins.
pub(super) fn prepare(directory: Option<&Path>) -> Result<(), Failure> {
    let Some(directory) = directory else { return Ok(()) };
    #[cfg(feature = "report")]
    return std::fs::create_dir_all(directory).map_err(cannot(directory));
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
    let mut figures = Vec::new();
    for figure in &page.figures {
        let svg = figure.plot.svg().map_err(Failure::CouldNot)?;
        let path = directory.join(format!("{}.svg", figure.plot.name));
        std::fs::write(&path, &svg).map_err(cannot(&path))?;
        figures.push(svg);
    }
    let path = directory.join("index.html");
    std::fs::write(&path, page.html(&figures)).map_err(cannot(&path))
}

#[cfg(feature = "report")]
fn cannot(what: &Path) -> impl FnOnce(std::io::Error) -> Failure + use<> {
    let what = what.display().to_string();
    move |error| Failure::CouldNot(format!("cannot write {what}: {error}"))
}

#[cfg(not(feature = "report"))]
fn without<T>(directory: &Path, _: &T) -> Result<(), Failure> {
    Err(Failure::WrongUse(format!(
        "no report in {}: this program was built without the feature `report`; build it with \
         `--features report`, or take the numbers from --json",
        directory.display()
    )))
}
