//! `stable`: a stable allocation of demands to clusters of known capacity.
//!
//! **Problem.** Policies that look at loads act when it is too late: what a move brings shows a TTL
//! later, and areas that leave a full cluster may fill the next. Where capacities are known, one can
//! reckon beforehand who fits where.
//!
//! **Rule.** A cluster's capacity is the sum of its living servers' `capacity` in requests a second
//! (times their ramp while they come back); a service fills it up to its `threshold` of that. Each area
//! asks for so many requests a second ([`demand`]) and likes clusters as under `nearest`: home, list,
//! times and coordinates, then the service's order. Clusters like areas whose home they are best, then
//! nearer ones, then by name. Areas propose down their order, clusters hold what they like best up to
//! their limit ([`allocation`]); what does not fit in one is split. What fits nowhere goes to all
//! functioning clusters of its service in proportion to what their servers have left above the threshold,
//! or, when nothing is left, to capacity: so one full site does not topple the next. Of many clusters
//! those with most left take part.
//!
//! - *Several services* are one problem, because capacity belongs to servers: in turns the first by name
//!   would take all that is near. What other policies send to a cluster is taken off first.
//! - *From the last solution*: demands are held while they only waver, and the same demands give the same
//!   shares; changes below a hundredth of an area are not made. What was moved stays for a TTL (A23); the
//!   others are placed as if it were where it belongs, lest they make room for it and come back. Between
//!   two rounds, and while nobody knows any demand (right after a start), only the share of a cluster that
//!   stopped functioning is placed, where there is room, and everything else stays.
//! - *Gradually*: with a `ramp` an area comes nearer by shares; it goes farther, or away from a dead
//!   cluster, at once.
//! - *Loads* play no part, except that servers above the threshold are left out of answers while the
//!   others of their cluster can bear it.
//!
//! **Source.** Maggs and Sitaraman, "Algorithmic Nuggets in Content Delivery", CCR 2015, section 2 (papers
//! 9.2). Resource trees and partial orders of preference are left out; overflow is our own.
//!
//! **When it is wrong.** It believes what it is told: capacities that are too high overload a cluster
//! without end, and weights that do not follow capacities overload a server of it. It takes every
//! area's queries for the same number of requests, which caches of large resolvers belie; the threshold is
//! the margin for that.
//!
//! **Example.** Clusters a, b, c of 100 requests/s each, threshold 0.8. Areas x (home a) with 60, y
//! (home a) with 60, z (home b) with 70, all next nearest to a's neighbour b. a is home to x and y: x goes
//! first (by name) and fits, y gets a's last 20 and is pushed on with 40; b prefers z, whose home it is,
//! and has 10 left, so y's other 30 go to c. If c did not exist, they would go to a and b alike: 20 each is
//! left above the threshold.

mod allocation;
mod demand;

use std::collections::BTreeMap;

use super::round::RoundContext;
use super::{Allocated, Reason};
use crate::world::{AssignPolicy, ClusterId};
use allocation::{Placed, Room, SPLINTER, Unit, allocate, overflow};

/// Assigns pairs of services in which somebody functions; all other services' are settled.
pub(super) fn assign(round: &mut RoundContext<'_>, pairs: &[usize]) {
    if pairs.is_empty() {
        return;
    }
    let is_known = demand::measure(round, &served(round));
    let mut rooms = capacities(round);
    take_others(round, &mut rooms);
    let frees: Vec<bool> = pairs.iter().map(|pair| is_known && round.may_balance(*pair)).collect();
    let context = &*round;
    let mut units: Vec<_> = pairs
        .iter()
        .zip(&frees)
        .map(|(pair, free)| Unit {
            demand: context.pointing[*pair].demand,
            threshold: context.service(*pair).threshold,
            kept: if *free { Vec::new() } else { kept(context, *pair) },
            order: context.preference(*pair).filter(|(it, _)| context.functions(*pair, *it)),
        })
        .collect();
    let mut placed = allocate(&mut units, &mut rooms);
    drop(units);
    let fulls: Vec<u32> = placed
        .iter()
        .map(|placed| placed.first_full.map_or(0, |it| whole(rooms[it.index()].capacity)))
        .collect();
    let rests: Vec<f64> = placed.iter().map(|placed| placed.rest).collect();
    spread_rests(context, pairs, &mut placed, &mut rooms);
    for (at, (pair, placed)) in pairs.iter().zip(placed).enumerate() {
        settle(round, *pair, frees[at], placed, (fulls[at], rests[at]));
    }
}

/// By cluster: whether a service with this policy is there.
fn served(round: &RoundContext<'_>) -> Vec<bool> {
    let topology = round.input.topology;
    let mut served = vec![false; topology.clusters.len()];
    let services = topology.services.iter().filter(|it| it.assign == AssignPolicy::Stable);
    for cluster in services.flat_map(|service| &service.clusters) {
        served[cluster.index()] = true;
    }
    served
}

/// By cluster: what its servers of the best rank can serve.
fn capacities(round: &RoundContext<'_>) -> Vec<Room> {
    let topology = round.input.topology;
    let capacity = |(index, cluster): (usize, &crate::world::Cluster)| {
        let best = round.cluster_ranks[index];
        let members = cluster.servers.iter().map(|id| id.index());
        let members = members.filter(|id| best.is_some() && round.server_ranks[*id] == best);
        let capacity = |id: usize| {
            let ramp = round.input.conditions.get(id).map_or(1.0, |condition| condition.ramp);
            let ramp = if ramp.is_finite() { ramp.clamp(0.0, 1.0) } else { 1.0 };
            topology.servers[id].capacity.unwrap_or(0.0) * ramp
        };
        Room { capacity: members.map(capacity).sum(), used: 0.0 }
    };
    topology.clusters.iter().enumerate().map(capacity).collect()
}

/// What services with other policies send to clusters.
fn take_others(round: &RoundContext<'_>, rooms: &mut [Room]) {
    let topology = round.input.topology;
    for (index, service) in topology.services.iter().enumerate() {
        let pairs = index * round.areas..(index + 1) * round.areas;
        match service.assign {
            AssignPolicy::Stable => {}
            AssignPolicy::All => {
                let demand: f64 = pairs.clone().map(|pair| round.pointing[pair].demand).sum();
                for (cluster, share) in everywhere(round, pairs.start) {
                    rooms[cluster.index()].used += demand * share;
                }
            }
            AssignPolicy::Walrus | AssignPolicy::Failover | AssignPolicy::Nearest => {
                for pointing in &round.pointing[pairs] {
                    for (cluster, share) in pointing.mixture() {
                        rooms[cluster.index()].used += share * pointing.demand;
                    }
                }
            }
        }
    }
}

/// The shares of a service's clusters where all are given to everybody (`all`): by servers' weights.
fn everywhere(round: &RoundContext<'_>, pair: usize) -> Vec<(ClusterId, f64)> {
    let topology = round.input.topology;
    let clusters = round.service(pair).clusters.iter().filter(|it| round.functions(pair, **it));
    let weight = |cluster: &ClusterId| -> f64 {
        let servers = &topology.clusters[cluster.index()].servers;
        servers.iter().map(|id| f64::from(topology.servers[id.index()].weight)).sum()
    };
    let weights: Vec<(ClusterId, f64)> = clusters.map(|it| (*it, weight(it))).collect();
    let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let shares = weights.into_iter().map(|(cluster, weight)| (cluster, weight / sum));
    shares.filter(|_| sum > 0.0).collect()
}

/// What of a pair stays where it is: all of it, unless some of its clusters do not function.
fn kept(round: &RoundContext<'_>, pair: usize) -> Vec<(ClusterId, f64)> {
    let pointing = &round.pointing[pair];
    let mut shares = if is_struck(round, pair) { pointing.mixture() } else { pointing.target() };
    shares.retain(|(cluster, _)| round.functions(pair, *cluster));
    shares
}

/// Whether some of the pair's clients are sent to a cluster that does not function.
fn is_struck(round: &RoundContext<'_>, pair: usize) -> bool {
    round.pointing[pair].target().iter().any(|(cluster, _)| !round.functions(pair, *cluster))
}

/// What fits nowhere, of all services on the same clusters together.
fn spread_rests(
    round: &RoundContext<'_>,
    pairs: &[usize],
    placed: &mut [Placed],
    rooms: &mut [Room],
) {
    let mut groups: BTreeMap<Vec<ClusterId>, Vec<(f64, &mut Placed)>> = BTreeMap::new();
    for (pair, placed) in pairs.iter().zip(placed).filter(|(_, placed)| placed.rest > 0.0) {
        let clusters = round.service(*pair).clusters.iter().copied();
        let mut clusters: Vec<ClusterId> =
            clusters.filter(|cluster| round.functions(*pair, *cluster)).collect();
        clusters.sort_unstable();
        groups.entry(clusters).or_default().push((round.pointing[*pair].demand, placed));
    }
    for (clusters, mut rests) in groups {
        overflow(&mut rests, &clusters, rooms);
    }
}

/// Moves a pair to where it was placed, if that is elsewhere.
fn settle(
    round: &mut RoundContext<'_>,
    pair: usize,
    free: bool,
    placed: Placed,
    (full_capacity, rest): (u32, f64),
) {
    let mut shares = placed.shares;
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    if shares.is_empty() || sum <= 0.0 {
        return;
    }
    if (sum - 1.0).abs() > 1e-9 {
        shares.iter_mut().for_each(|(_, share)| *share /= sum);
    }
    let first = shares[0].0;
    let distance = round.preference(pair).find(|(cluster, _)| *cluster == first);
    let Some((_, distance)) = distance else { return };
    let allocated = Allocated {
        distance,
        demand: whole(round.pointing[pair].demand),
        full: placed.full,
        full_capacity,
        overflow_percent: whole(rest * 100.0),
    };
    let before = round.pointing[pair].target();
    if before.is_empty() {
        round.send_shares(pair, shares, Reason::Allocated(allocated), false);
    } else if is_struck(round, pair) {
        round.send_shares(pair, shares, Reason::ForcedAllocated(allocated), false);
    } else if !free || !round.has_dwelt(pair) {
        let reason = round.pointing[pair].reason;
        let is_own =
            |reason: &Reason| matches!(reason, Reason::Allocated(_) | Reason::ForcedAllocated(_));
        round.stay(pair, reason.filter(is_own).unwrap_or(Reason::Stays));
    } else if let Some(nearer) = change(round, pair, &before, &shares) {
        round.send_shares(pair, shares, Reason::Allocated(allocated), nearer);
    } else {
        round.stay(pair, Reason::Allocated(allocated));
    }
}

/// Whether shares differ, and if so whether the pair comes nearer: it has more of the first cluster of
/// its order of which it has not the same.
fn change(
    round: &RoundContext<'_>,
    pair: usize,
    before: &[(ClusterId, f64)],
    after: &[(ClusterId, f64)],
) -> Option<bool> {
    let share = |shares: &[(ClusterId, f64)], cluster: ClusterId| {
        shares.iter().find(|(of, _)| *of == cluster).map_or(0.0, |(_, share)| *share)
    };
    round.preference(pair).find_map(|(cluster, _)| {
        let change = share(after, cluster) - share(before, cluster);
        (change.abs() >= SPLINTER).then_some(change > 0.0)
    })
}

/// For people; saturates.
fn whole(number: f64) -> u32 {
    number.round() as u32
}
