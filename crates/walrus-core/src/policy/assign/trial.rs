//! Trial moves: what an area brings along is not always what was reckoned.
//!
//! **Problem.** An area that is all that its overloaded cluster serves would, by the reckoning of
//! [`super::brought`], bring all of that load along, and gain nothing by going to an idle cluster of the same
//! size. But if what keeps the servers busy are not its clients (a backup, other tenants), it would be
//! well off there, and nobody would understand why Walrus leaves it. No load tells the two apart before somebody moves.
//!
//! **Rule.** An area goes *on trial* where nothing is worth a move by the reckoning, its cluster has had no
//! server below the threshold for [`OVER_ROUNDS`] rounds (or `home_rounds`, if that is more) and a TTL, in which
//! nobody left it or came, and another is significantly better as measured (A8), with a server below by the hysteresis
//! for `home_rounds` rounds. Where servers count requests and have capacities, it must be worth it by these, too: where
//! they account for the load, there is nothing to be found out. Until a trial has shown what it is to show, no
//! other begins, of whatever service.
//!
//! If the cluster that it went to is below the threshold once its move has been out for a TTL and a round, the
//! trial has shown that it is better off, and it is treated as any other. If not, it goes home (with `nearest` to
//! where it came from) as soon as that has room, though it will be as busy there; one without a home stays. While it waits for that, but for [`FIRST_WAIT`] at most, nobody goes on
//! trial from these two clusters or to them. The next trial of that area has to wait: [`FIRST_WAIT`] after
//! the first, twice as long after each further one, [`WAIT_MAX`] at most. What was tried is forgotten
//! when the cluster that the area points at was below the threshold for as long as that wait without a break.
//!
//! **Source.** Our own. The doubling wait is the exponential backoff of every network protocol.
//!
//! **When it is wrong.** Each trial that fails costs clients one move there, one back, and cold caches at both. Load
//! that follows the clients at some hours only is tried again and again, at most once an hour.
//!
//! **Example.** Cluster a, one area, load 0.95 for five minutes; b idle, of the same size. The area goes to b. Was it
//! its own load, b is at 0.95 two rounds later and a idle: it goes home, and stays an hour; two; four. Was it
//! a backup, b stays at what the area really makes, and the area with it until a is well again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Reason;
use super::round::RoundContext;
use super::standing::known_load;
use crate::world::{AssignPolicy, ClusterId, Time};

/// For so many rounds a cluster must have been above the threshold: less may be chance.
const OVER_ROUNDS: u32 = 5;

/// Between the first trial and the second.
const FIRST_WAIT: Duration = Duration::from_secs(3600);

/// Between two trials at most: load that changes its nature does so by days.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// The last trial of a (service, area).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Where it went.
    pub to: ClusterId,
    /// Where it came from; `None` if that is not there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ClusterId>,
    /// When it went.
    pub began: Time,
    /// So long after that there is no other, in seconds; at most a day.
    pub wait_seconds: u32,
    /// Since when the cluster that the area points at has been below the threshold; `None` if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calm_since: Option<Time>,
}

impl Trial {
    fn wait(&self) -> Duration {
        Duration::from_secs(u64::from(self.wait_seconds)).min(WAIT_MAX)
    }
}

/// For how long a cluster has had no server below the threshold, with nobody leaving it or coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overload {
    /// In which round that began.
    pub since: Time,
    /// So many rounds.
    pub rounds: u32,
}

/// Sends at most one of these pairs on trial, which found nothing worth a move. `clusters` has where a pair
/// may go, best first.
pub(super) fn begin(
    round: &mut RoundContext<'_>,
    waiting: &[(f64, usize)],
    clusters: impl Fn(&RoundContext<'_>, usize) -> Vec<ClusterId>,
) {
    if (0..round.pointing.len()).any(|pair| round.is_to_be_seen(pair)) {
        return;
    }
    let held = round.held_by_failed_trials();
    let still = round.measured_clusters();
    for (load, pair) in waiting {
        // Above the threshold in truth, not merely not yet down by the hysteresis.
        let is_above = *load > round.service(*pair).threshold;
        let is_held = round.present(*pair).is_some_and(|present| held[present.index()]);
        if round.settled[*pair] || !is_above || is_held || !round.may_be_tried(*pair) {
            continue;
        }
        let to = clusters(round, *pair).into_iter();
        let mut to = to.filter(|to| !held[to.index()] && still[to.index()]);
        let to = to.find(|to| round.is_worth_a_trial(*pair, *load, *to));
        let Some(to) = to else { continue };
        let now = round.input.now;
        let last = round.pointing[*pair].trial.take();
        let wait = last.map_or(FIRST_WAIT, |last| last.wait().saturating_mul(2).min(WAIT_MAX));
        let from = round.present(*pair);
        round.send(*pair, to, Reason::OnTrial);
        round.taken[to.index()] = true;
        let wait_seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
        round.pointing[*pair].trial =
            Some(Trial { to, from, began: now, wait_seconds, calm_since: None });
        return;
    }
}

impl RoundContext<'_> {
    /// Forgets trials of areas that have been well off for long; in rounds only.
    pub(super) fn forget_trials(&mut self) {
        for pair in 0..self.pointing.len() {
            let Some(mut trial) = self.pointing[pair].trial.take() else { continue };
            let is_calm = self.present(pair).is_some_and(|present| self.has_room(pair, present));
            let now = self.input.now;
            trial.calm_since = is_calm.then(|| trial.calm_since.unwrap_or(now));
            let is_over = trial.calm_since.is_some_and(|since| now.since(since) >= trial.wait());
            self.pointing[pair].trial = (!is_over).then_some(trial);
        }
    }

    /// Whether the pair points where its last trial took it.
    pub(super) fn is_on_trial(&self, pair: usize) -> bool {
        let pointing = &self.pointing[pair];
        let is_its_move = |trial: &Trial| pointing.moved == Some(trial.began);
        let trial = pointing.trial.as_ref().filter(|trial| is_its_move(trial));
        trial.is_some_and(|trial| pointing.present == Some(trial.to))
    }

    /// Whether the pair's trial has shown that it is no better off.
    pub(super) fn has_failed_trial(&self, pair: usize) -> bool {
        let present = self.present(pair).filter(|_| self.is_on_trial(pair));
        self.is_measured(pair) && present.is_some_and(|present| !self.has_room(pair, present))
    }

    /// Where a pair goes whose trial failed: with `nearest` where it came from, else home. One that has no home
    /// stays where it is no worse off.
    pub(super) fn way_back(&self, pair: usize) -> Option<ClusterId> {
        match self.service(pair).assign {
            AssignPolicy::Nearest => self.pointing[pair].trial.as_ref()?.from,
            _ => self.home(pair),
        }
    }

    /// Whether the pair is on a trial of which no load tells yet.
    pub(super) fn is_to_be_seen(&self, pair: usize) -> bool {
        self.is_on_trial(pair) && !self.is_measured(pair)
    }

    /// By cluster: whether it will soon lose or get an area whose trial failed. An area whose home is busy
    /// without it may wait all day: that must not keep others from theirs.
    fn held_by_failed_trials(&self) -> Vec<bool> {
        let mut held = vec![false; self.cluster_ranks.len()];
        for pair in (0..self.pointing.len()).filter(|pair| self.has_failed_trial(*pair)) {
            let trial = self.pointing[pair].trial.as_ref();
            let is_recent = |trial: &&Trial| self.input.now.since(trial.began) < FIRST_WAIT;
            let Some(trial) = trial.filter(is_recent) else { continue };
            if let Some(back) = self.way_back(pair).filter(|back| *back != trial.to) {
                held[back.index()] = true;
                held[trial.to.index()] = true;
            }
        }
        held
    }

    /// Whether the pair's cluster has been overloaded for long enough, and its last trial is past.
    fn may_be_tried(&self, pair: usize) -> bool {
        let now = self.input.now;
        let trial = self.pointing[pair].trial.as_ref();
        let is_past = trial.is_none_or(|trial| now.since(trial.began) >= trial.wait());
        let Some(present) = self.present(pair).filter(|_| is_past) else { return false };
        let service = self.service(pair);
        let ttl = Duration::from_secs(u64::from(service.ttl.seconds_mean()));
        self.standing(pair).clusters[present.index()].overload.is_some_and(|overload| {
            overload.rounds >= service.home_rounds.max(OVER_ROUNDS)
                && now.since(overload.since) >= ttl
        })
    }

    fn is_worth_a_trial(&self, pair: usize, load: f64, to: ClusterId) -> bool {
        let standing = &self.standing(pair).clusters[to.index()];
        let Some(there) = standing.load else { return false };
        let counted = || self.counted(pair, self.present(pair)?, to);
        standing.rounds_below >= self.service(pair).home_rounds.max(1)
            && self.is_better(pair, load, there)
            && counted().is_none_or(|counted| self.is_better(pair, load, there + counted))
    }

    /// By cluster: whether its load shows all areas that point there.
    fn measured_clusters(&self) -> Vec<bool> {
        let mut measured = vec![true; self.cluster_ranks.len()];
        for pair in (0..self.pointing.len()).filter(|pair| !self.is_measured(*pair)) {
            let present = self.pointing[pair].present;
            let flag = present.and_then(|present| measured.get_mut(present.index()));
            flag.into_iter().for_each(|flag| *flag = false);
        }
        measured
    }

    /// What the requests counted at `one` would make at `two`; `None` if not all servers count them and have a
    /// capacity.
    fn counted(&self, pair: usize, one: ClusterId, two: ClusterId) -> Option<f64> {
        let servers = |cluster: ClusterId| {
            let servers = self.input.topology.clusters[cluster.index()].servers.iter();
            let best = self.cluster_ranks[cluster.index()];
            servers.map(|id| id.index()).filter(move |id| self.server_ranks[*id] == best)
        };
        let capacity =
            |id: usize| self.input.topology.servers[id].capacity.filter(|capacity| *capacity > 0.0);
        let mut requests = 0.0;
        for id in servers(one).filter(|id| !self.standing(pair).was_left_out(*id)) {
            let hits = self.input.conditions.get(id)?.hits_per_second;
            // A load without a single request: nobody counts.
            known_load(self.input.conditions, id)?;
            capacity(id).filter(|_| hits.is_finite() && hits > 0.0)?;
            requests += hits;
        }
        let capacities: Option<f64> = servers(two).map(capacity).sum();
        capacities.filter(|sum| *sum > 0.0).map(|sum| requests / sum)
    }
}
