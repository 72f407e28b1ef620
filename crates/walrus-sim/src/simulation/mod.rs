//! The discrete-event simulator: a [`Study`] and a seed in, a [`RunResult`] out.
//!
//! Deterministic, single-threaded and pure: the same study and seed give the same bytes. Everything that
//! decides is the shipped code; clients, resolvers, web servers and the ways between them are modelled.
//! The guide's page on the simulator says what is modelled and what is not.

mod distribution;
mod result;
mod run;
#[allow(dead_code, unused_imports, reason = "the run reads it piece by piece")]
mod study;

pub use distribution::Distribution;
pub use result::{Convergence, Progress, RunCounts, RunResult, ServerSeries, SimulationError};
pub use run::simulate;
pub use study::{Study, StudyProblems, VariantName};
