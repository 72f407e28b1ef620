//! A run: the loop over events.

use std::ops::ControlFlow;

use super::result::{Progress, RunResult, SimulationError};
use super::study::Study;

/// Runs one variant of a study with one seed. `tell` is called now and then, and may stop it. Inputs are
/// only read, so that several runs can go on side by side.
///
/// # Errors
/// If `tell` stops it, there is no such variant, or something grows beyond its bound.
pub fn simulate(
    study: &Study,
    variant: usize,
    seed: u64,
    tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<RunResult, SimulationError> {
    let setup = study.setup(variant).ok_or(SimulationError::NoVariant(variant))?;
    let _ = (setup, seed, tell);
    Err(SimulationError::System("not yet".to_owned()))
}
