//! The discrete-event simulator: a [`Study`] and a seed in, a [`RunResult`] out.
//!
//! Deterministic, single-threaded and pure: the same study and seed give the same bytes. Everything that
//! decides is the shipped code; clients, resolvers, web servers and the ways between them are modelled.
//! The guide's page on the simulator says what is modelled and what is not.

mod agenda;
mod answers;
mod chance;
mod clients;
mod controller;
mod crowd;
mod deeds;
mod director;
mod distribution;
mod family;
mod gathered;
mod heaviest;
mod lookup;
mod measures;
mod queue;
mod reload;
mod requests;
mod resolver;
mod result;
mod roles;
mod run;
mod server;
mod study;

pub use distribution::Distribution;
pub use result::{
    ClientCounts, Convergence, PopulationResult, Progress, RunCounts, RunResult, ServerSeries,
    SimulationError,
};
pub use run::simulate;
pub use study::{SeedsError, Study, StudyProblems, VariantName, parse_seeds};
