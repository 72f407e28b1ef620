//! What areas are taken to ask for: requests a second that hold still while they only waver.
//!
//! **From queries to requests.** Directors count queries, servers can serve so many requests. The
//! requests that Reporters count at the clusters of `stable` services, divided by the queries for the
//! services there, say what a query stands for; it is taken to be the same for all areas. It may rise at
//! once, but fall by a tenth a round only: when a cluster dies, its requests are missed before its clients
//! show elsewhere. Where no Reporter counts requests, a query is one; but right after a start nobody knows
//! before all Reporters were heard.
//!
//! **Held still.** A demand is used until the measured one is off by more than a tenth, or by more than
//! chance can explain: of n queries in the minute over which they are averaged, three deviations are
//! 3 / sqrt(n). So with the same clusters and as good as the same demands the same allocation comes out,
//! to the bit, and nothing moves.

use super::super::round::RoundContext;
use crate::world::{ClusterId, Life};

/// A demand that differs by less than this part of itself is the same.
const SAME_DEMAND: f64 = 0.1;
/// Likewise for what a query stands for.
const SAME_RATIO: f64 = 0.05;
/// What a query stands for falls by at most this part in a round.
const RATIO_FALL_MAX: f64 = 0.1;
/// Deviations of a count that chance explains.
const DEVIATIONS: f64 = 3.0;
/// What chance explains is at most this, or a demand that ends would be kept for ever.
const CHANCE_MAX: f64 = 0.5;
/// The time over which queries are averaged, in seconds (`control::demand`).
const AVERAGED_OVER_S: f64 = 60.0;

/// Brings all demands up to date, and tells whether anything is asked for at all. `served` tells by
/// cluster whether a `stable` service is there.
pub(super) fn measure(round: &mut RoundContext<'_>, served: &[bool]) -> bool {
    let topology = round.input.topology;
    let is_served = |cluster: &ClusterId| served[cluster.index()];
    let counts: Vec<bool> =
        topology.services.iter().map(|it| it.clusters.iter().any(is_served)).collect();
    if round.is_round() {
        let pairs = 0..round.pointing.len();
        let queries: f64 =
            pairs.filter(|pair| counts[pair / round.areas]).map(|pair| round.hits(pair)).sum();
        let servers = topology.servers.iter().zip(round.input.conditions);
        let requests: f64 = servers
            .filter(|(server, _)| served[server.cluster.index()])
            .map(|(_, condition)| condition.hits_per_second)
            .filter(|hits| hits.is_finite() && *hits > 0.0)
            .sum();
        round.requests_a_query = requests_a_query(round.requests_a_query, requests, queries);
    }
    let ratio = round.requests_a_query.unwrap_or(1.0);
    let mut sum = 0.0;
    for pair in 0..round.pointing.len() {
        if !counts[pair / round.areas] {
            continue;
        }
        let queries = round.hits(pair);
        let held = round.pointing[pair].demand;
        if round.is_round() || held == 0.0 {
            round.pointing[pair].demand = hold(held, queries, ratio);
        }
        sum += round.pointing[pair].demand;
    }
    sum > 0.0 && (round.requests_a_query.is_some() || !is_to_be_heard(round, served))
}

/// What a query stands for; as before while it is about the same, or cannot be measured.
fn requests_a_query(before: Option<f64>, requests: f64, queries: f64) -> Option<f64> {
    let now = requests / queries;
    if !(now.is_finite() && now > 0.0) {
        return before;
    }
    let Some(before) = before.filter(|before| before.is_finite()) else { return Some(now) };
    let is_same = (now - before).abs() <= SAME_RATIO * before;
    Some(if is_same { before } else { now.max(before * (1.0 - RATIO_FALL_MAX)) })
}

/// Whether Reporters are still to be heard that will tell how many requests there are.
fn is_to_be_heard(round: &RoundContext<'_>, served: &[bool]) -> bool {
    let servers = round.input.topology.servers.iter().zip(round.input.conditions);
    let mut servers =
        servers.filter(|(server, _)| server.reporter && served[server.cluster.index()]);
    servers.any(|(_, condition)| condition.life == Life::Living && condition.load.is_none())
}

/// The demand to reckon with.
fn hold(held: f64, queries: f64, ratio: f64) -> f64 {
    let now = queries * ratio;
    let chance = (DEVIATIONS / (queries * AVERAGED_OVER_S).sqrt()).min(CHANCE_MAX);
    if held.is_finite() && (now - held).abs() <= (SAME_DEMAND + chance) * held { held } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_that_wavers_is_the_same() {
        for (held, queries, expected) in [
            (0.0, 7.0, 7.0),
            (100.0, 112.0, 100.0),
            (100.0, 90.0, 100.0),
            (100.0, 120.0, 120.0),
            (100.0, 0.0, 0.0),
            // Six queries in a minute may as well be four.
            (0.1, 0.066, 0.1),
            (0.1, 0.2, 0.2),
            (0.1, 0.0, 0.0),
            (f64::NAN, 3.0, 3.0),
        ] {
            assert_eq!(hold(held, queries, 1.0), expected, "{held} {queries}");
        }
        assert_eq!(hold(0.0, 2.0, 50.0), 100.0);
    }

    #[test]
    fn what_a_query_stands_for_is_kept_while_nobody_can_tell() {
        assert_eq!(requests_a_query(None, 0.0, 10.0), None);
        assert_eq!(requests_a_query(None, 500.0, 10.0), Some(50.0));
        assert_eq!(requests_a_query(Some(50.0), 510.0, 10.0), Some(50.0));
        assert_eq!(requests_a_query(Some(50.0), 600.0, 10.0), Some(60.0));
        assert_eq!(requests_a_query(Some(50.0), 600.0, 0.0), Some(50.0));
        assert_eq!(requests_a_query(Some(50.0), 200.0, 10.0), Some(45.0));
        assert_eq!(requests_a_query(Some(50.0), 0.0, 0.0), Some(50.0));
    }
}
