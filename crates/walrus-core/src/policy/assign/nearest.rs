//! `nearest`: the nearest functioning cluster that is not overloaded.
//!
//! **Problem.** Distance is most of what clients feel, and a home for each area says nothing of
//! where its clients belong when home cannot take them: the second best is somewhere too.
//!
//! **Rule.** Each area has an order of clusters: its home; its list `nearest`; the others by round-trip
//! time, as given in `milliseconds` or else reckoned from coordinates (1 ms for 100 km of the great
//! circle: light in glass, there and back, which no network beats), equal ones by name; last those of which nothing is known, in the
//! service's order. An area points at the first cluster of its order that functions and has a server
//! below the threshold. From a cluster that stops functioning it moves at once, to the first with
//! room, else to the first that functions. Load moves it in rounds only, when its last move has been
//! out for a TTL (A23):
//!
//! - *Outward*, when its cluster has no server below the threshold: to the next of its order that has,
//!   that would not be above the threshold with what the area brings along ([`super::brought`]), and that received
//!   no area in this round (what that brings is not measured yet), worst area first as in the thesis' phase four. If
//!   there is none, to the next that is significantly better with it (A8). If there is none either, it stays: moving
//!   would gain nothing; but see [`trial`]. So does an area that nobody asks for: it has no load to move.
//! - *Back*, when a nearer one has been below the threshold by the hysteresis for `home_rounds`
//!   rounds (A7) and would be so with it, or else no busier than where it is; by shares if the service has a ramp.
//!   An area that load sent away comes back only to a cluster that received none in this round, so that the others
//!   wait until its return shows.
//!
//! **Source.** The proximity policies of DNS load balancers in general use (Apache Traffic Control's
//! coverage zones and coordinates, papers 9.4), with the thesis' threshold, hysteresis and dwell.
//!
//! **When it is wrong.** It knows load only after the fact, and what an area brings by queries alone; and when a
//! cluster dies all its areas land on the next ones at once. `stable` knows capacities and demands beforehand.
//!
//! **Example.** Area x: a 5 ms, b 20 ms, c 80 ms. It points at a. a goes above the threshold: at the
//! next round b; if b is above it too, c. a is below by the hysteresis: at a round, a. a dies: at once
//! b. All are above: it stays.

use super::Reason;
use super::round::RoundContext;
use super::standing::EPSILON;
use super::trial;
use crate::world::{ClusterId, Distance};

/// Assigns pairs of services in which somebody functions.
pub(super) fn assign(round: &mut RoundContext<'_>, pairs: &[usize]) {
    let mut overloaded: Vec<(f64, usize)> = Vec::new();
    for &pair in pairs {
        let Some(present) = round.present(pair) else {
            move_away(round, pair);
            continue;
        };
        if go_back(round, pair, present) {
            continue;
        }
        // Who is on its way waits while there is no room: most of it is elsewhere anyway.
        let may_leave = round.pointing[pair].transition.is_none()
            && round.may_balance(pair)
            && round.has_dwelt(pair)
            && !round.is_idle(pair);
        if may_leave && !round.has_room(pair, present) {
            let load = round.standing(pair).clusters[present.index()].load;
            overloaded.push((load.unwrap_or(0.0), pair));
        } else {
            let reason = why_there(round, pair, present);
            round.stay(pair, reason);
        }
    }
    overloaded.sort_by(|(load_a, a), (load_b, b)| {
        let by_hits = || round.hits(*b).total_cmp(&round.hits(*a));
        load_b.total_cmp(load_a).then_with(by_hits).then(a.cmp(b))
    });
    for (load, pair) in overloaded.iter().copied() {
        pass_over(round, pair, load);
    }
    trial::begin(round, &overloaded, |round, pair| outward(round, pair).map(|it| it.0).collect());
    for (_, pair) in overloaded {
        if !round.settled[pair] {
            let to_be_seen = round.is_to_be_seen(pair);
            round.stay(pair, if to_be_seen { Reason::OnTrial } else { Reason::Stays });
        }
    }
}

/// Its cluster does not function, or it points nowhere yet.
fn move_away(round: &mut RoundContext<'_>, pair: usize) {
    let mut order = round.preference(pair).filter(|(cluster, _)| round.functions(pair, *cluster));
    let first = order.clone().next();
    let with_room = order.find(|(cluster, _)| round.has_room(pair, *cluster));
    let Some((cluster, distance)) = with_room.or(first) else { return };
    let reason = match round.pointing[pair].present {
        Some(_) => Reason::ForcedNearest(distance),
        None if Some(cluster) == first.map(|(first, _)| first) => Reason::Nearest(distance),
        None => Reason::PassedOver(distance),
    };
    round.send(pair, cluster, reason);
}

/// To a nearer cluster that has room again (A7, A23).
fn go_back(round: &mut RoundContext<'_>, pair: usize, present: ClusterId) -> bool {
    if !round.may_balance(pair) || !round.has_dwelt(pair) || !round.is_seen(pair) {
        return false;
    }
    let rounds_min = round.service(pair).home_rounds.max(1);
    let forced = round.pointing[pair].forced;
    let way_back = round.way_back(pair).filter(|_| round.has_failed_trial(pair));
    let nearer = round.preference(pair).take_while(|(cluster, _)| *cluster != present).find(
        |(cluster, _)| {
            let rounds_below = round.standing(pair).clusters[cluster.index()].rounds_below;
            round.has_room(pair, *cluster)
                && rounds_below >= rounds_min
                && (forced || !round.received[cluster.index()])
                && (way_back == Some(*cluster) || !round.is_better_off(pair, *cluster))
        },
    );
    let Some((cluster, distance)) = nearer else { return false };
    round.send_gradually(pair, cluster, Reason::GoesNearer(distance));
    true
}

/// Its cluster has no room: outward to the next that has, also for what it brings along; if there is none, to the
/// next that is significantly better with it. To a nearer one it goes by the rules of coming back alone.
fn pass_over(round: &mut RoundContext<'_>, pair: usize, load: f64) {
    let threshold = round.service(pair).threshold;
    let with = |cluster: ClusterId| round.load_with(pair, cluster);
    let fits = |(cluster, _): &(ClusterId, Distance)| {
        with(*cluster).is_none_or(|with| with <= threshold + EPSILON)
    };
    let is_better = |(cluster, _): &(ClusterId, Distance)| {
        with(*cluster).is_some_and(|with| round.is_better(pair, load, with))
    };
    let next = outward(round, pair).find(fits).or_else(|| outward(round, pair).find(is_better));
    if let Some((cluster, distance)) = next {
        round.send(pair, cluster, Reason::PassedOver(distance));
    }
}

/// What comes behind the pair's cluster in its order, has room, and received no area in this round.
fn outward<'r>(
    round: &'r RoundContext<'_>,
    pair: usize,
) -> impl Iterator<Item = (ClusterId, Distance)> + 'r {
    let present = round.present(pair);
    let order = round.preference(pair).skip_while(move |(cluster, _)| Some(*cluster) != present);
    order.filter(move |(cluster, _)| {
        round.has_room(pair, *cluster) && !round.received[cluster.index()]
    })
}

/// Why it may stay where it is.
fn why_there(round: &RoundContext<'_>, pair: usize, present: ClusterId) -> Reason {
    if round.is_to_be_seen(pair) {
        return Reason::OnTrial;
    }
    let functioning = round.preference(pair).filter(|(cluster, _)| round.functions(pair, *cluster));
    let mut nearer_have_room = false;
    for (place, (cluster, distance)) in functioning.enumerate() {
        if cluster == present {
            return match place {
                _ if !round.has_room(pair, present) || nearer_have_room => Reason::Stays,
                0 if round.pointing[pair].transition.is_some() => Reason::GoesNearer(distance),
                0 => Reason::Nearest(distance),
                _ => Reason::PassedOver(distance),
            };
        }
        nearer_have_room |= round.has_room(pair, cluster);
    }
    // A present cluster functions, and all that do are in the order.
    Reason::Nearest(Distance::Unknown(0))
}
