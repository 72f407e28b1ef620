//! How servers and clusters stand in one round under one threshold (A2, A3, A12, A13, A24).
//!
//! Services with the same threshold and hysteresis share a standing, because loads belong to
//! servers: the cost of a round follows servers times *different* thresholds, not services.

use super::OverThreshold;
use super::walrus::notify_problems::Rank;
use crate::world::{ClusterId, Condition, ServerId, Topology};

/// What two sums of loads may differ by and still be equal: rounding must not decide.
pub(super) const EPSILON: f64 = 1e-9;

/// Servers and clusters under one threshold.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The load above which a server takes no new clients.
    threshold: f64,
    /// How far below it a server must fall to be used again.
    hysteresis: f64,
    /// By server: above the threshold, or was and has not fallen far enough (A13).
    pub(crate) over: Vec<bool>,
    /// By server: the same at the last decision, under which the loads of this one were measured.
    pub(super) was_over: Vec<bool>,
    /// By cluster.
    pub(crate) clusters: Vec<ClusterStanding>,
    /// All clusters, best first (A2).
    pub(crate) ranking: Vec<ClusterId>,
}

/// One cluster under one threshold, over its servers of its best rank.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterStanding {
    /// A2: the sum of (threshold - load) x weight over servers below the threshold. An unknown
    /// load has nothing to spare.
    pub(crate) spare: f64,
    /// A3: the mean of the known loads; loads are relative to capacity (A24), so a plain mean.
    pub(crate) load: Option<f64>,
    /// At least one server is below the threshold (equal is below: "above which").
    pub(crate) below: bool,
    /// For so many rounds one has been below by the hysteresis (A7).
    pub(super) rounds_below: u32,
}

impl Standing {
    /// How all stand now, given what is remembered of the last round.
    pub(super) fn new(
        topology: &Topology,
        conditions: &[Condition],
        ranks: &[Option<Rank>],
        (threshold, hysteresis): (f64, f64),
        past: Option<&OverThreshold>,
        is_round: bool,
    ) -> Self {
        let mut over = vec![false; topology.servers.len()];
        for server in past.map_or(&[][..], |past| &past.servers) {
            if let Some(flag) = over.get_mut(server.index()) {
                *flag = true;
            }
        }
        let was_over = over.clone();
        for (server, flag) in over.iter_mut().enumerate() {
            let limit = if *flag { threshold - hysteresis } else { threshold };
            *flag = known_load(conditions, server).is_some_and(|load| load > limit + EPSILON);
        }
        let mut standing = Self {
            threshold,
            hysteresis,
            over,
            was_over,
            clusters: Vec::new(),
            ranking: Vec::new(),
        };
        for cluster in 0..topology.clusters.len() {
            let rounds = past.and_then(|past| past.rounds_below.get(cluster)).copied().unwrap_or(0);
            let members = members(topology, ranks, cluster);
            let cluster = standing.cluster(topology, conditions, members, rounds, is_round);
            standing.clusters.push(cluster);
        }
        standing.rank_clusters();
        standing
    }

    fn cluster(
        &self,
        topology: &Topology,
        conditions: &[Condition],
        members: impl Iterator<Item = usize>,
        rounds_before: u32,
        is_round: bool,
    ) -> ClusterStanding {
        let mut standing = ClusterStanding::default();
        let (mut sum, mut known, mut well_below) = (0.0, 0.0, false);
        for server in members {
            let load = known_load(conditions, server);
            if let Some(load) = load {
                sum += load;
                known += 1.0;
            }
            if self.over[server] {
                continue;
            }
            standing.below = true;
            let spare = load.map_or(0.0, |load| (self.threshold - load).max(0.0));
            standing.spare += spare * f64::from(topology.servers[server].weight);
            well_below |=
                load.is_none_or(|load| load <= self.threshold - self.hysteresis + EPSILON);
        }
        standing.load = (known > 0.0).then(|| sum / known);
        standing.rounds_below = match (well_below, is_round) {
            (true, true) => rounds_before.saturating_add(1),
            (true, false) => rounds_before,
            (false, _) => 0,
        };
        standing
    }

    /// A2: most to spare first, then the lower mean load (an unknown one counts as at the
    /// threshold), then the name. Round-trip times to areas are not known yet.
    fn rank_clusters(&mut self) {
        let count = u32::try_from(self.clusters.len()).unwrap_or(u32::MAX);
        let mut ranking: Vec<ClusterId> = (0..count).map(ClusterId).collect();
        let load = |id: &ClusterId| self.clusters[id.index()].load.unwrap_or(self.threshold);
        ranking.sort_by(|a, b| {
            let (spare_a, spare_b) =
                (self.clusters[a.index()].spare, self.clusters[b.index()].spare);
            spare_b.total_cmp(&spare_a).then(load(a).total_cmp(&load(b))).then(a.cmp(b))
        });
        self.ranking = ranking;
    }

    /// What the next round must know.
    pub(super) fn remember(&self) -> OverThreshold {
        let servers = (0u32..).zip(&self.over).filter(|(_, over)| **over);
        OverThreshold {
            threshold: self.threshold,
            hysteresis: self.hysteresis,
            servers: servers.map(|(id, _)| ServerId(id)).collect(),
            rounds_below: self.clusters.iter().map(|cluster| cluster.rounds_below).collect(),
        }
    }
}

/// A server's load if it is known; a number that is none is not.
pub(super) fn known_load(conditions: &[Condition], server: usize) -> Option<f64> {
    conditions.get(server)?.load.filter(|load| load.is_finite())
}

/// The servers of a cluster that have the best rank in it, in the order of the configuration.
fn members<'a>(
    topology: &'a Topology,
    ranks: &'a [Option<Rank>],
    cluster: usize,
) -> impl Iterator<Item = usize> + 'a {
    let servers = &topology.clusters[cluster].servers;
    let best = servers.iter().filter_map(|server| ranks[server.index()]).min();
    servers
        .iter()
        .map(|server| server.index())
        .filter(move |server| best.is_some() && ranks[*server] == best)
}
