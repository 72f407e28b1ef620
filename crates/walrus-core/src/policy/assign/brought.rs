//! What an area brings along: the load that its clients make, where it points and where it would go.
//!
//! **Problem.** Measured loads say how busy a cluster is *without* the area that is to come. Whoever compares
//! them as they are sends an area that is as heavy as a cluster to the idle one, finds the one that it left
//! idle in the next round, and so on for ever.
//!
//! **Rule.** Of the load of a cluster an area makes the part that its queries have among the queries of all
//! areas that point there, over all services; where nobody counts queries, all areas count alike. Those whose
//! move there is too new to show in the load do not count. Servers that were
//! left out of answers for their load do not count: what keeps them busy is not these clients. At another
//! cluster that is a load in proportion to both clusters' sizes: the capacities of their servers if
//! all have one, else the weights.
//!
//! What was sent somewhere counts there as it was reckoned until it shows in the load, so that several that
//! would fit alone do not go together.
//!
//! **When it is wrong.** A query stands for the same load everywhere, and a load that is full may stand for
//! more than a full one; what a server does for others than these clients counts as theirs. Each makes an area look
//! lighter or heavier than it is by some factor; the next round measures it.
//!
//! **Example.** Cluster a (two servers of weight 1) has a load of 0.9, of 30 queries a second 10 are area
//! x's: x makes 0.3 of it. At b (one server) it would be 0.6 more.

use super::Pointing;
use super::round::RoundContext;
use super::standing::{EPSILON, known_load};
use crate::world::{AssignPolicy, ClusterId, Topology};

/// Whose clients load which cluster, as the loads of this round were measured.
#[derive(Debug)]
pub(super) struct Brought {
    /// Somebody counts queries.
    is_known: bool,
    /// By cluster: queries a second, or the number of areas if nobody counts; of those whose move there
    /// shows in the loads of this round.
    asked: Vec<f64>,
}

impl Brought {
    /// `hits` as in [`super::AssignInput`]; where all pairs point, and whether the loads show it.
    pub(super) fn new(
        topology: &Topology,
        hits: &[f64],
        (pointing, measured): (&[Pointing], &[bool]),
    ) -> Self {
        let hits = |pair: usize| hits.get(pair).copied().filter(|it| it.is_finite());
        let is_known = (0..pointing.len()).any(|pair| hits(pair).unwrap_or(0.0) > 0.0);
        let mut asked = vec![0.0; topology.clusters.len()];
        for (pair, pointing) in pointing.iter().enumerate() {
            let service = &topology.services[pair / topology.areas.len()];
            let asks = if is_known { hits(pair).unwrap_or(0.0) } else { 1.0 };
            if service.assign == AssignPolicy::All {
                let weights = service.clusters.iter().map(|it| (*it, weight(topology, *it)));
                let sum: f64 = weights.clone().map(|(_, weight)| weight).sum();
                for (cluster, weight) in weights.filter(|_| sum > 0.0) {
                    asked[cluster.index()] += asks * weight / sum;
                }
            } else if measured[pair] {
                for (cluster, share) in pointing.mixture() {
                    asked[cluster.index()] += asks * share;
                }
            }
        }
        Self { is_known, asked }
    }
}

fn weight(topology: &Topology, cluster: ClusterId) -> f64 {
    let servers = topology.clusters[cluster.index()].servers.iter();
    servers.map(|id| f64::from(topology.servers[id.index()].weight)).sum()
}

impl RoundContext<'_> {
    /// Whether nobody asks for the pair, which moves no load wherever it points.
    pub(super) fn is_idle(&self, pair: usize) -> bool {
        self.brought.is_known && self.hits(pair) <= 0.0
    }

    /// The load of a cluster once the pair's clients are there too, and those that are on their way there;
    /// `None` if nothing is measured.
    pub(super) fn load_with(&self, pair: usize, cluster: ClusterId) -> Option<f64> {
        let load = self.standing(pair).clusters[cluster.index()].load?;
        Some(load + self.arriving[cluster.index()] + self.brought(pair, cluster)?)
    }

    /// Whether a nearer cluster would be too busy with the pair's clients, and busier than where they are. To
    /// leave for load more is asked for: between what drives an area away and what lets it return is a gap.
    pub(super) fn is_better_off(&self, pair: usize, nearer: ClusterId) -> bool {
        let service = self.service(pair);
        let present = self.present(pair);
        let present = present.and_then(|it| self.standing(pair).clusters[it.index()].load);
        let limit = service.threshold - service.hysteresis + EPSILON;
        match (self.load_with(pair, nearer), present) {
            (Some(with), Some(present)) => with > limit && with > present,
            // Nobody reports where it is: if load drove it there, what it was reckoned to bring is all that is known.
            (None, None) => self.load_when_back(pair, nearer).is_some_and(|with| with > limit),
            _ => false,
        }
    }

    /// The load of a cluster with what the pair was reckoned to bring to where it is.
    fn load_when_back(&self, pair: usize, cluster: ClusterId) -> Option<f64> {
        let load = self.standing(pair).clusters[cluster.index()].load?;
        Some(load + self.arriving[cluster.index()] + self.brings_from(pair, cluster)?)
    }

    /// What the pair was reckoned to bring to where it is, at another cluster; `None` if it was not load that
    /// drove it there.
    pub(super) fn brings_from(&self, pair: usize, cluster: ClusterId) -> Option<f64> {
        let pointing = &self.pointing[pair];
        let brings = Some(pointing.brings).filter(|it| it.is_finite() && *it > 0.0);
        let (there, here) = self.sizes(self.present(pair)?, cluster);
        let brings = brings.filter(|_| !pointing.forced)? * there / here;
        brings.is_finite().then_some(brings)
    }

    /// Whether the loads show what the pair's clients make where they are. What was moved for load made room by
    /// that where it came from.
    pub(super) fn is_seen(&self, pair: usize) -> bool {
        self.pointing[pair].forced || self.is_measured(pair)
    }

    /// The load that the pair would bring to a cluster; `None` if nothing is measured.
    pub(super) fn brought(&self, pair: usize, cluster: ClusterId) -> Option<f64> {
        let present = self.present(pair)?;
        self.standing(pair).clusters[present.index()].load?;
        let asks = if self.brought.is_known { self.hits(pair) } else { 1.0 };
        let asked = self.brought.asked[present.index()];
        let asked = if self.is_measured(pair) { asked.max(asks) } else { asked + asks };
        let part = if asked > 0.0 { asks / asked } else { 0.0 };
        let brought = part * self.work_in_terms_of(pair, present, cluster);
        Some(if brought.is_finite() { brought } else { 0.0 })
    }

    /// The load that clients make at `one`, as it would be at `two`.
    fn work_in_terms_of(&self, pair: usize, one: ClusterId, two: ClusterId) -> f64 {
        let by_capacity = self.have_capacities(one, two);
        let was_out = |id: usize| self.standing(pair).was_left_out(id);
        // Those that were given out may have died since.
        let all_out = self.members(one).all(was_out);
        let handed_out = self.members(one).filter(|id| all_out || !was_out(*id));
        let work = handed_out.filter_map(|id| {
            Some(known_load(self.input.conditions, id)? * self.size(id, by_capacity))
        });
        work.sum::<f64>() / self.members(two).map(|id| self.size(id, by_capacity)).sum::<f64>()
    }

    /// How large two clusters are, in one unit.
    fn sizes(&self, one: ClusterId, two: ClusterId) -> (f64, f64) {
        let by_capacity = self.have_capacities(one, two);
        let size = |cluster| self.members(cluster).map(|id| self.size(id, by_capacity)).sum();
        (size(one), size(two))
    }

    /// The servers of a cluster that have its best rank.
    fn members(&self, cluster: ClusterId) -> impl Iterator<Item = usize> {
        let best = self.cluster_ranks[cluster.index()];
        let servers = self.input.topology.clusters[cluster.index()].servers.iter();
        servers.map(|id| id.index()).filter(move |id| self.server_ranks[*id] == best)
    }

    fn have_capacities(&self, one: ClusterId, two: ClusterId) -> bool {
        self.members(one).chain(self.members(two)).all(|id| self.capacity(id).is_some())
    }

    fn capacity(&self, server: usize) -> Option<f64> {
        self.input.topology.servers[server].capacity.filter(|capacity| *capacity > 0.0)
    }

    fn size(&self, server: usize, by_capacity: bool) -> f64 {
        let weight = f64::from(self.input.topology.servers[server].weight);
        self.capacity(server).filter(|_| by_capacity).unwrap_or(weight)
    }
}
