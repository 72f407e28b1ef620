//! `walrus sim faults`: seeds of small worlds in which everything goes wrong, and whether the rules hold.

use serde::Serialize;
use utoipa::ToSchema;
use walrus_sim::faults::{FaultCounts, FaultOptions, FaultsRun, run as run_seed};

use super::runner::{self, Tell, run_all};
use crate::cli::Failure;
use crate::cli::sim::FaultsArguments;
use crate::output::{say, say_json};

/// As many failing seeds are shown as pages; the others by number.
const PAGES_MAX: usize = 3;

/// Seeds whose whole time lines are printed: each has some thousand lines.
const TRACED_MAX: usize = 20;

/// What came of all seeds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimFaultsView {
    /// The seeds.
    pub(crate) seeds: Vec<u64>,
    /// How long things went wrong in each, in simulated seconds; a calm follows.
    pub(crate) seconds: u64,
    /// Seeds in which every rule held.
    pub(crate) held: usize,
    /// The others.
    pub(crate) failed: Vec<FaultsRunView>,
    /// What happened how often, all seeds together.
    pub(crate) counts: FaultCountsView,
}

/// A seed that broke a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FaultsRunView {
    /// The seed.
    pub(crate) seed: u64,
    /// How long it ran until then, in simulated milliseconds.
    pub(crate) simulated_ms: u64,
    /// What stood where, in lines.
    pub(crate) world: Vec<String>,
    /// What went wrong when, a line each.
    pub(crate) schedule: Vec<String>,
    /// What was broken.
    pub(crate) breaches: Vec<BreachView>,
}

/// A rule that did not hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BreachView {
    /// When, in simulated milliseconds.
    pub(crate) at_ms: u64,
    /// Which rule.
    pub(crate) rule: String,
    /// Who broke it how.
    pub(crate) what: String,
}

/// What happened how often.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FaultCountsView {
    /// Messages that were said.
    pub(crate) messages: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Copies of messages that were lost on the way.
    pub(crate) lost: u64,
    /// Messages that came and were refused.
    pub(crate) refused: u64,
    /// Starts of Controllers and Directors.
    pub(crate) starts: u64,
    /// Controllers that ended in good order.
    pub(crate) goodbyes: u64,
    /// Updates that name servers which were there before were asked for.
    pub(crate) updates: u64,
    /// Plans that were published.
    pub(crate) plans: u64,
    /// Answers that were looked at.
    pub(crate) answers: u64,
    /// Looks at what had settled.
    pub(crate) settled_looks: u64,
    /// ... of them with several sides.
    pub(crate) settled_cuts: u64,
    /// Directors in these looks that had one side to follow.
    pub(crate) settled_directors: u64,
    /// Name servers in these looks that are updated for one side or more.
    pub(crate) settled_zones: u64,
}

pub(crate) fn run(arguments: &FaultsArguments) -> Result<(), Failure> {
    let options = FaultOptions { seconds: arguments.seconds, trace: arguments.trace };
    let seeds = arguments.seeds.list();
    if arguments.trace && seeds.len() > TRACED_MAX {
        let text = format!("--trace prints some thousand lines a seed: at most {TRACED_MAX} seeds");
        return Err(Failure::WrongUse(text));
    }
    let one = |seed: &u64, tell: &mut Tell<'_>| {
        let done = run_seed(*seed, &options).map_err(|why| format!("seed {seed}: {why}"));
        if tell(1.0).is_break() { Err("stopped".to_owned()) } else { done }
    };
    let runs = run_all(seeds, runner::threads(arguments.threads), &one)?;
    let view = view(seeds, arguments.seconds, &runs);
    if arguments.json {
        say_json("sim_faults", &view)?;
    } else {
        if arguments.trace {
            for run in &runs {
                say(&format!("{}{}\n", run.page(), run.trace.join("\n")))?;
            }
        } else {
            for run in runs.iter().filter(|run| !run.held()).take(PAGES_MAX) {
                // Again, for what happened last: all runs together would take too much memory.
                let traced = run_seed(run.seed, &FaultOptions { trace: true, ..options });
                say(&format!("{}\n", traced.map_err(Failure::CouldNot)?.page()))?;
            }
        }
        say(&render(&view))?;
    }
    if view.failed.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

fn view(seeds: &[u64], seconds: u64, runs: &[FaultsRun]) -> SimFaultsView {
    let mut counts = FaultCounts::default();
    runs.iter().for_each(|run| counts.add(&run.counts));
    let failed: Vec<FaultsRunView> =
        runs.iter().filter(|run| !run.held()).map(FaultsRunView::of).collect();
    SimFaultsView {
        seeds: seeds.to_vec(),
        seconds,
        held: runs.len() - failed.len(),
        failed,
        counts: FaultCountsView {
            messages: counts.messages,
            bytes: counts.bytes,
            lost: counts.lost,
            refused: counts.refused,
            starts: counts.starts,
            goodbyes: counts.goodbyes,
            updates: counts.updates,
            plans: counts.plans,
            answers: counts.answers,
            settled_looks: counts.settled_looks,
            settled_cuts: counts.settled_cuts,
            settled_directors: counts.settled_directors,
            settled_zones: counts.settled_zones,
        },
    }
}

impl FaultsRunView {
    fn of(run: &FaultsRun) -> Self {
        let breach = |it: &walrus_sim::faults::Breach| BreachView {
            at_ms: it.at_ms,
            rule: it.rule.as_str().to_owned(),
            what: it.what.clone(),
        };
        Self {
            seed: run.seed,
            simulated_ms: run.simulated_ms,
            world: run.world.lines().map(|line| line.trim().to_owned()).collect(),
            schedule: run.schedule.iter().map(|line| line.trim().to_owned()).collect(),
            breaches: run.breaches.iter().map(breach).collect(),
        }
    }
}

fn render(view: &SimFaultsView) -> String {
    let counts = &view.counts;
    let mut text = format!(
        "{} seeds of {} s and a calm each: {} hold, {} do not\n{} messages ({} lost on the way, {} \
         refused), {} starts, {} ends in good order, {} Plans, {} answers, {} updates of name servers\n\
         {} looks at what had settled, {} of them at several sides, with {} Directors and {} name servers that are \
         updated\n",
        view.seeds.len(),
        view.seconds,
        view.held,
        view.failed.len(),
        counts.messages,
        counts.lost,
        counts.refused,
        counts.starts,
        counts.goodbyes,
        counts.plans,
        counts.answers,
        counts.updates,
        counts.settled_looks,
        counts.settled_cuts,
        counts.settled_directors,
        counts.settled_zones,
    );
    if !view.failed.is_empty() {
        let seeds: Vec<String> =
            view.failed.iter().take(20).map(|it| it.seed.to_string()).collect();
        let more = if view.failed.len() > 20 { ", ..." } else { "" };
        text.push_str(&format!(
            "seeds that fail: {}{more}\n`walrus sim faults --seeds N..N --trace` prints the time line of one\n",
            seeds.join(", ")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_says_what_held_and_which_seeds_did_not() {
        let runs = [run_seed(1, &FaultOptions { seconds: 3, trace: false }).unwrap()];
        let mut view = view(&[1], 3, &runs);
        view.held = 1;
        view.failed.clear();
        let text = render(&view);
        assert!(text.starts_with("1 seeds of 3 s and a calm each: 1 hold, 0 do not\n"), "{text}");
        view.failed.push(FaultsRunView::of(&runs[0]));
        assert!(render(&view).contains("seeds that fail: 1\n"));
    }
}
