//! What came of a run, and the page that a person reads when a rule was broken.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use walrus_core::world::Time;

use super::run::Run;
use super::watch::Breach;

/// Lines of the time line that are kept.
const LINES_MAX: usize = 200_000;

/// Lines of the time line before the breach that the page has.
const LINES_SHOWN: usize = 25;

/// What came of one seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultsRun {
    /// The seed.
    pub seed: u64,
    /// How long it was, in simulated milliseconds.
    pub simulated_ms: u64,
    /// What stood where.
    pub world: String,
    /// What went wrong when, a line each.
    pub schedule: Vec<String>,
    /// What was broken; empty if all held.
    pub breaches: Vec<Breach>,
    /// What happened how often.
    pub counts: FaultCounts,
    /// The time line, if it was kept.
    #[serde(skip)]
    pub trace: Vec<String>,
}

/// What happened how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultCounts {
    /// Messages that were said.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Copies of messages that were lost on the way.
    pub lost: u64,
    /// Messages that came and were refused: replayed, late, of another configuration.
    pub refused: u64,
    /// Starts of Controllers and Directors.
    pub starts: u64,
    /// Controllers that ended in good order.
    pub goodbyes: u64,
    /// Updates that name servers of before were asked for.
    pub updates: u64,
    /// Plans that were published.
    pub plans: u64,
    /// Answers that were looked at.
    pub answers: u64,
    /// Looks at what has settled.
    pub settled_looks: u64,
    /// ... of them with several sides.
    pub settled_cuts: u64,
    /// Directors in these looks that had one side to follow.
    pub settled_directors: u64,
    /// Name servers of before in these looks that were updated.
    pub settled_zones: u64,
}

impl FaultCounts {
    /// Adds another run's.
    pub const fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.refused += other.refused;
        self.starts += other.starts;
        self.goodbyes += other.goodbyes;
        self.updates += other.updates;
        self.plans += other.plans;
        self.answers += other.answers;
        self.settled_looks += other.settled_looks;
        self.settled_cuts += other.settled_cuts;
        self.settled_directors += other.settled_directors;
        self.settled_zones += other.settled_zones;
    }
}

impl FaultsRun {
    pub(super) fn of(run: Run<'_>) -> Self {
        let world = run.world;
        Self {
            seed: world.seed,
            simulated_ms: run.now.as_nanos() / 1_000_000,
            world: world.describe(),
            schedule: run.schedule.iter().map(|it| it.describe(world)).collect(),
            breaches: run.breaches.into_inner(),
            counts: run.counts,
            trace: run.trace.lines,
        }
    }

    /// Whether all rules held.
    #[must_use]
    pub const fn held(&self) -> bool {
        self.breaches.is_empty()
    }

    /// The page: seed, world, schedule, what broke when and what led to it.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = format!("seed {}\n{}what goes wrong\n", self.seed, self.world);
        for line in &self.schedule {
            let _ = writeln!(page, "{line}");
        }
        if !self.trace.is_empty() && !self.held() {
            page.push_str("what happened last\n");
            let first = self.trace.len().saturating_sub(LINES_SHOWN);
            for line in &self.trace[first..] {
                let _ = writeln!(page, "{line}");
            }
        }
        for breach in &self.breaches {
            let _ = writeln!(page, "BROKEN {breach}");
        }
        page
    }
}

/// The time line.
#[derive(Debug)]
pub(super) struct Trace {
    is_kept: bool,
    lines: Vec<String>,
}

impl Trace {
    pub(super) const fn new(is_kept: bool) -> Self {
        Self { is_kept, lines: Vec::new() }
    }

    pub(super) fn note(&mut self, now: Time, line: impl FnOnce() -> String) {
        if self.is_kept && self.lines.len() < LINES_MAX {
            let at = Duration::from_nanos(now.as_nanos()).as_secs_f64();
            self.lines.push(format!("{at:>10.3}  {}", line()));
        }
    }
}
