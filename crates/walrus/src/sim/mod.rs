//! What stands behind `walrus sim`: files, threads, tables and reports around the simulator and the
//! replay.

pub(crate) mod compare;
mod compressed;
pub(crate) mod faults;
pub(crate) mod interruption;
mod measures;
mod population_view;
mod progress;
pub(crate) mod replay;
mod replay_view;
mod replay_world;
mod report;
mod result_schema;
pub(crate) mod run;
mod run_view;
mod runner;
mod statistics;
mod studies;
pub(crate) mod sweep;

pub(crate) use compare::SimCompareView;
pub(crate) use faults::SimFaultsView;
pub(crate) use replay_view::ReplayView;
pub(crate) use run_view::SimRunView;
pub(crate) use studies::{seeds, set};
pub(crate) use sweep::SimSweepView;
