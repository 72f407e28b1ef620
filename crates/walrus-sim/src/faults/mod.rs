//! Seeded faults: a small world in virtual time in which everything goes wrong that may, and what must hold.
//!
//! A seed makes a world of Controllers, Directors and servers at some sites, and a schedule of what goes wrong:
//! cuts, also one-way ones, losses, duplicates, late messages, crashes with and without state, clocks set by hours,
//! disks that refuse. The nodes are the shipped state machines, and what they say to each other travels as the
//! bytes of the wire. Then everything heals, and all must come to agree within a bound. What is looked at is in
//! `watch`; a run that breaks a rule tells its seed, its world, its schedule and what broke when.

mod agenda;
mod asking;
mod beside;
mod chance;
mod clock;
mod deeds;
mod disk;
mod network;
mod node;
mod report;
mod run;
mod schedule;
mod settled;
#[cfg(test)]
mod tests;
mod updating;
mod watch;
mod world;
mod zones;

use std::time::Duration;

pub use report::{FaultCounts, FaultsRun};
pub use watch::{Breach, Rule};

use run::Run;
use world::World;

/// Seeds from this on make wider worlds: with goodbyes, a carrier in two, name servers that were there before, and
/// processes that are Controller and Director. Lower ones mean what they always meant.
pub const WIDER_FROM: u64 = 1_000_000;

/// How long things go wrong, unless a call says otherwise.
pub const FAULT_SECONDS: u64 = 40;

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct FaultOptions {
    /// How long things go wrong, before everything heals; simulated time.
    pub seconds: u64,
    /// Keep the time line.
    pub trace: bool,
}

impl Default for FaultOptions {
    fn default() -> Self {
        Self { seconds: FAULT_SECONDS, trace: false }
    }
}

/// A node or network that is broken on purpose, so that the rules are seen to fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests break things"))]
enum Sabotage {
    #[default]
    None,
    /// Directors take any Plan, whatever they held before.
    AnyPlan,
    /// Controllers do not store their epochs.
    EpochForgotten,
    /// The network loses everything.
    AllLost,
    /// A Director's answers are empty.
    EmptyAnswers,
    /// Directors name servers that are out, if there are any.
    OutAnswers,
    /// Controllers do not hear that others are there.
    NoPresence,
    /// Controllers do not hear what operators want elsewhere.
    NoOverrides,
    /// Directors say that they hold a later epoch each time.
    Boasting,
    /// Directors want to be called again at once.
    Restless,
    /// Servers that are down go on reporting.
    Undead,
    /// Controllers hear no reports.
    Unheard,
    /// Name servers that are updated say that they did what they were told, and do nothing.
    Stubborn,
}

/// Runs one seed.
///
/// # Errors
/// If the world of the seed has no valid configuration, which is a mistake in here.
pub fn run(seed: u64, options: &FaultOptions) -> Result<FaultsRun, String> {
    run_broken(seed, options, Sabotage::None)
}

fn run_broken(seed: u64, options: &FaultOptions, sabotage: Sabotage) -> Result<FaultsRun, String> {
    let world = World::new(seed)?;
    let run = Run::new(&world, options, sabotage)?;
    Ok(run.finish())
}

/// The simulated time of all seeds' runs is this and some seconds of calm.
const fn length(options: &FaultOptions) -> Duration {
    Duration::from_secs(options.seconds)
}
