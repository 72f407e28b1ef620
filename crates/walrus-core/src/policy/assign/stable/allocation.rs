//! Stable allocation: demands that may be split, to clusters that hold so much and no more.
//!
//! Deferred acceptance (Gale and Shapley; Maggs and Sitaraman 2015, section 2) lets each unit
//! propose to the clusters of its order; a cluster holds what it likes best up to its limit and
//! gives up the rest, which proposes further on. With demands that may be split that can take as
//! many steps as demands have digits, for two units may push each other out by a hair again and
//! again. Here it cannot, since both sides like each other by the same measure: the distance, then
//! the unit's place. The outcome of deferred acceptance does not depend on who proposes when, so
//! units propose in that very order, the nearest pair first. Whoever comes later is liked less by
//! the cluster than all that it holds: nothing that is held is ever given up.
//!
//! **Bound.** Each step takes one cluster off one unit's order, so there are at most units times
//! clusters of them; a step costs the logarithm of the units that are left. With room enough for all
//! it is one step a unit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::memory::add_share;
use crate::world::{ClusterId, Distance};

/// The smallest part of a unit's demand that is worth a share of its own. A cluster may be filled by
/// so much of one unit beyond its limit, or stay empty by as much.
pub(super) const SPLINTER: f64 = 0.01;

/// What fits nowhere is spread over at least so many clusters.
const OVERFLOW_CLUSTERS_MIN: usize = 4;

/// What is to be placed: one area's demand for one service.
#[derive(Debug)]
pub(super) struct Unit<I> {
    /// Requests a second, all of them.
    pub(super) demand: f64,
    /// A cluster takes it while it is filled to less than this share of its capacity.
    pub(super) threshold: f64,
    /// What stays where it is, with its shares.
    pub(super) kept: Vec<(ClusterId, f64)>,
    /// Where it likes to be, nearest first: of clusters that function. Equally near ones by name.
    pub(super) order: I,
}

/// A cluster's requests a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Room {
    /// What its living servers can serve.
    pub(super) capacity: f64,
    /// What is taken of that.
    pub(super) used: f64,
}

/// Where one unit was placed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Placed {
    /// Shares of its demand, in its order of liking; they add up to 1 less `rest`.
    pub(super) shares: Vec<(ClusterId, f64)>,
    /// What fits nowhere.
    pub(super) rest: f64,
    /// Clusters that it would have liked better, and that were full for some of it.
    pub(super) full: u32,
    /// The first of them.
    pub(super) first_full: Option<ClusterId>,
}

/// Places units up to clusters' limits. `rooms` (by cluster) hold what is taken before and after.
pub(super) fn allocate<I: Iterator<Item = (ClusterId, Distance)>>(
    units: &mut [Unit<I>],
    rooms: &mut [Room],
) -> Vec<Placed> {
    let mut placed: Vec<Placed> = Vec::with_capacity(units.len());
    let mut next: BinaryHeap<Reverse<(Distance, usize, ClusterId)>> = BinaryHeap::new();
    for (index, unit) in units.iter_mut().enumerate() {
        let mut rest = 1.0;
        for (cluster, share) in &unit.kept {
            rooms[cluster.index()].used += share * unit.demand;
            rest -= share;
        }
        let rest = if rest < SPLINTER / 2.0 { 0.0 } else { rest };
        placed.push(Placed { shares: unit.kept.clone(), rest, ..Placed::default() });
        if rest > 0.0
            && let Some((cluster, distance)) = unit.order.next()
        {
            next.push(Reverse((distance, index, cluster)));
        }
    }
    while let Some(Reverse((_, index, cluster))) = next.pop() {
        let (unit, place) = (&mut units[index], &mut placed[index]);
        propose(unit, place, cluster, rooms);
        if place.rest <= 0.0 {
            continue;
        }
        // Who is full stays full, so there is no need to wait for one's turn to be told.
        while let Some((cluster, distance)) = unit.order.next() {
            if room(unit, rooms[cluster.index()]) >= SPLINTER {
                next.push(Reverse((distance, index, cluster)));
                break;
            }
            place.full += 1;
            place.first_full.get_or_insert(cluster);
        }
    }
    placed
}

/// Places what is left where there is room, else tells that there is none.
fn propose<I>(unit: &Unit<I>, place: &mut Placed, cluster: ClusterId, rooms: &mut [Room]) {
    let room = room(unit, rooms[cluster.index()]);
    if room < place.rest - SPLINTER {
        place.full += 1;
        place.first_full.get_or_insert(cluster);
    }
    if room < SPLINTER {
        return;
    }
    let share = if room < place.rest - SPLINTER { room } else { place.rest };
    add_share(&mut place.shares, cluster, share);
    rooms[cluster.index()].used += share * unit.demand;
    place.rest = if share < place.rest { place.rest - share } else { 0.0 };
}

/// How much of a unit a cluster has room for, as a share; what asks for nothing always fits.
fn room<I>(unit: &Unit<I>, room: Room) -> f64 {
    if unit.demand <= 0.0 {
        return f64::INFINITY;
    }
    (unit.threshold * room.capacity - room.used) / unit.demand
}

/// Spreads what fits nowhere over these clusters: in proportion to what their servers could still
/// serve above the threshold; when that is used up, to their capacities. All units get the same
/// shares of their rests, so that no cluster fills up before the others, and areas share candidate lists.
///
/// Each cluster more makes the answers of all that overflow longer to compile. So it goes to those with
/// most left: to as many as have twice of what is to be spread, four at least, if there are so many.
pub(super) fn overflow(
    rests: &mut [(f64, &mut Placed)],
    clusters: &[ClusterId],
    rooms: &mut [Room],
) {
    let all: f64 = rests.iter().map(|(demand, placed)| demand * placed.rest).sum();
    let of = |cluster: &ClusterId| rooms[cluster.index()];
    let headroom = |cluster: &ClusterId| (of(cluster).capacity - of(cluster).used).max(0.0);
    let mut clusters = clusters.to_vec();
    clusters.sort_by(|a, b| headroom(b).total_cmp(&headroom(a)).then(a.cmp(b)));
    let mut sum = 0.0;
    let enough = clusters.iter().position(|cluster| {
        sum += headroom(cluster);
        sum >= 2.0 * all
    });
    clusters.truncate(enough.map_or(usize::MAX, |last| last + 1).max(OVERFLOW_CLUSTERS_MIN));
    clusters.sort_unstable();
    let headrooms: f64 = clusters.iter().map(headroom).sum();
    let capacities: f64 = clusters.iter().map(|cluster| of(cluster).capacity).sum();
    let beyond = (all - headrooms).max(0.0);
    let part = |cluster: &ClusterId| match capacities {
        capacities if capacities > 0.0 => {
            headroom(cluster) + beyond * of(cluster).capacity / capacities
        }
        // Nobody can serve anything: all alike.
        _ => 1.0,
    };
    let parts: Vec<f64> = clusters.iter().map(part).collect();
    let sum: f64 = parts.iter().sum();
    for (cluster, part) in clusters.iter().zip(parts) {
        if part <= 0.0 {
            continue;
        }
        for (_, placed) in rests.iter_mut() {
            let share = placed.rest * part / sum;
            add_share(&mut placed.shares, *cluster, share);
        }
        rooms[cluster.index()].used += all * part / sum;
    }
}

#[cfg(test)]
#[path = "allocation_tests.rs"]
mod tests;
