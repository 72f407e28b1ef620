//! How servers and clusters stand in one round under one threshold (A2, A3, A12, A13, A24).
//!
//! Services with the same threshold and hysteresis share a standing, because loads belong to
//! servers: the cost of a round follows servers times *different* thresholds, not services. Those with
//! `assign = "all"` have one for each set of clusters: there all servers together share their clients.

use super::following::Measured;
use super::leaving_out::{Member, left_out};
use super::walrus::notify_problems::Rank;
use super::{OverThreshold, Overload};
use std::time::Duration;

use crate::world::{ClusterId, Condition, ServerId, Time, Topology};

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
    /// By server: left out of answers for its load (A12).
    pub(crate) left_out: Vec<bool>,
    /// By server: the same at the last decision.
    is_out: Vec<bool>,
    /// Whose clients the loads of this decision are of.
    measured: Measured,
    /// By server: it is of the best rank among those that share its clients.
    is_member: Vec<bool>,
    /// By server: it can be given out at all.
    is_of_class: Vec<bool>,
    /// The clusters whose servers share their clients (`assign = "all"`); empty if each has its own.
    everywhere: Vec<ClusterId>,
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
    /// Nobody is below the threshold, and since when.
    pub(super) overload: Option<Overload>,
}

impl Standing {
    /// How all stand now, given what is remembered of the last round.
    pub(super) fn new(
        topology: &Topology,
        conditions: &[Condition],
        ranks: &[Option<Rank>],
        (threshold, hysteresis, everywhere): Class<'_>,
        past: Option<&OverThreshold>,
        (is_round, now, ttl): (bool, Time, Duration),
    ) -> Self {
        let servers = topology.servers.len();
        let mut over = flags(past.map_or(&[], |past| &past.servers), servers);
        let is_out = flags(past.map_or(&[], |past| &past.left_out), servers);
        let mut given = flags(past.map_or(&[], |past| &past.absent), servers);
        let is_of_class = scope(topology, everywhere);
        let of_class = is_of_class.iter().zip(&is_out);
        given.iter_mut().zip(of_class).for_each(|(it, (class, out))| *it = !*it && *class && !out);
        let following = past.map_or(&[][..], |past| &past.following);
        let measured = Measured::new(given, following, (now, ttl));
        for (server, flag) in over.iter_mut().enumerate() {
            let limit = if *flag { threshold - hysteresis } else { threshold };
            *flag = known_load(conditions, server).is_some_and(|load| load > limit + EPSILON);
        }
        let mut standing = Self {
            threshold,
            hysteresis,
            over,
            left_out: vec![false; servers],
            is_out,
            measured,
            is_member: vec![false; servers],
            is_of_class,
            everywhere: everywhere.to_vec(),
            clusters: Vec::new(),
            ranking: Vec::new(),
        };
        for cluster in 0..topology.clusters.len() {
            let rounds = past.and_then(|past| past.rounds_below.get(cluster)).copied().unwrap_or(0);
            let of_cluster = members(topology, ranks, &[ClusterId(cluster as u32)]);
            of_cluster.iter().for_each(|server| standing.is_member[*server] = true);
            if everywhere.is_empty() {
                let all = &topology.clusters[cluster].servers;
                standing.leave_out(topology, conditions, (&of_cluster, all));
            }
            let of_cluster = of_cluster.into_iter();
            let mut of_cluster =
                standing.cluster(topology, conditions, of_cluster, rounds, is_round);
            let overloads = past.map_or(&[][..], |past| &past.overloads);
            let id = ClusterId(cluster as u32);
            let before = overloads.binary_search_by_key(&id, |(id, _)| *id);
            of_cluster.overload = match before.ok().map(|index| overloads[index].1) {
                _ if of_cluster.below || of_cluster.load.is_none() => None,
                Some(before) if !is_round => Some(before),
                Some(before) => {
                    Some(Overload { rounds: before.rounds.saturating_add(1), ..before })
                }
                None => is_round.then_some(Overload { since: now, rounds: 1 }),
            };
            standing.clusters.push(of_cluster);
        }
        if !everywhere.is_empty() {
            let all = everywhere.iter().flat_map(|id| &topology.clusters[id.index()].servers);
            let all: Vec<ServerId> = all.copied().collect();
            let pool = members(topology, ranks, everywhere);
            // Of clusters whose best rank is not the best of all nobody is given out.
            standing.is_member.fill(false);
            pool.iter().for_each(|server| standing.is_member[*server] = true);
            standing.leave_out(topology, conditions, (&pool, &all));
        }
        standing.rank_clusters();
        standing
    }

    /// Whether a server was left out a TTL ago: what it does is not for these clients.
    pub(super) fn was_left_out(&self, server: usize) -> bool {
        !self.measured.was_given(server)
    }

    /// Decides who of those that share their clients is left out: members of all servers.
    fn leave_out(
        &mut self,
        topology: &Topology,
        conditions: &[Condition],
        (pool, all): (&[usize], &[ServerId]),
    ) {
        let weightless = pool.iter().all(|server| topology.servers[*server].weight == 0);
        let weight = |server: usize| {
            let ramp = conditions.get(server).map_or(1.0, |condition| condition.ramp);
            let ramp = if ramp.is_finite() { ramp.clamp(0.01, 1.0) } else { 1.0 };
            let configured = topology.servers[server].weight;
            if weightless { 1.0 } else { f64::from(configured) * ramp }
        };
        let member = |server: &usize| Member {
            load: known_load(conditions, *server),
            weight: weight(*server),
            over: self.over[*server],
            is_out: self.is_out[*server],
            was_given: self.measured.was_always_given(*server),
        };
        let pool_members: Vec<Member> = pool.iter().map(member).collect();
        let spread = self.measured.spread_over(all.iter().map(|id| id.index()), weight);
        let out = left_out(&pool_members, spread, (self.threshold, self.hysteresis));
        for (server, out) in pool.iter().zip(out) {
            self.left_out[*server] = out;
        }
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

    /// What the next round must know. `touched` are clusters that somebody left or came to.
    pub(super) fn remember(&self, touched: &[bool]) -> OverThreshold {
        let given: Vec<bool> = self
            .is_member
            .iter()
            .zip(&self.left_out)
            .map(|(member, out)| *member && !out)
            .collect();
        let members = self.is_member.iter().zip(&self.is_of_class);
        let absent: Vec<bool> = members.map(|(member, of_class)| *of_class && !member).collect();
        let overloads = (0..).map(ClusterId).zip(&self.clusters);
        let overloads = overloads.filter(|(id, _)| !touched[id.index()]);
        let listed = |flags: &[bool]| -> Vec<ServerId> {
            (0..).map(ServerId).zip(flags).filter(|(_, flag)| **flag).map(|(id, _)| id).collect()
        };
        OverThreshold {
            threshold: self.threshold,
            hysteresis: self.hysteresis,
            everywhere: self.everywhere.clone(),
            servers: listed(&self.over),
            left_out: listed(&self.left_out),
            absent: listed(&absent),
            following: self.measured.remember(&given),
            rounds_below: self.clusters.iter().map(|cluster| cluster.rounds_below).collect(),
            overloads: overloads.filter_map(|(id, it)| Some((id, it.overload?))).collect(),
        }
    }
}

/// A server's load if it is known; a number that is none is not.
pub(super) fn known_load(conditions: &[Condition], server: usize) -> Option<f64> {
    conditions.get(server)?.load.filter(|load| load.is_finite())
}

/// What services must have in common to share a standing: threshold, hysteresis, and with
/// `assign = "all"` their clusters.
pub(super) type Class<'a> = (f64, f64, &'a [ClusterId]);

/// As flags by server, what is listed; what is not there does not count.
fn flags(listed: &[ServerId], servers: usize) -> Vec<bool> {
    let mut flags = vec![false; servers];
    for server in listed {
        if let Some(flag) = flags.get_mut(server.index()) {
            *flag = true;
        }
    }
    flags
}

/// By server: it stands in one of these clusters, or anywhere if there are none.
fn scope(topology: &Topology, clusters: &[ClusterId]) -> Vec<bool> {
    let mut scope = vec![clusters.is_empty(); topology.servers.len()];
    let servers = clusters.iter().flat_map(|id| &topology.clusters[id.index()].servers);
    servers.for_each(|server| scope[server.index()] = true);
    scope
}

/// The servers of these clusters that have the best rank in them, in the order of the configuration.
fn members(topology: &Topology, ranks: &[Option<Rank>], clusters: &[ClusterId]) -> Vec<usize> {
    let servers = || clusters.iter().flat_map(|id| &topology.clusters[id.index()].servers);
    let best = servers().filter_map(|server| ranks[server.index()]).min();
    let is_best = |server: &usize| best.is_some() && ranks[*server] == best;
    servers().map(|server| server.index()).filter(is_best).collect()
}
