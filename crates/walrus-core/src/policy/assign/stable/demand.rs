//! What areas are taken to ask for: requests a second that hold still while they only waver.
//!
//! **From queries to requests.** Directors count queries, servers can serve so many requests. The
//! requests that Reporters count at the clusters of `stable` services, divided by the queries that are
//! sent there, say what a query stands for; it is taken to be the same for all areas. Of a cluster where
//! only some servers have a Reporter, these stand for the others by capacity; one where none has counts
//! on neither side. It may rise at
//! once, but fall by a tenth a round only: when a cluster dies, its requests are missed before its clients
//! show elsewhere. Where no Reporter counts requests, a query is one; but right after a start nobody knows
//! before all Reporters were heard.
//!
//! **Held still.** A demand is used until the measured one is off by more than a tenth, or by more than
//! chance can explain: of n queries in the minute over which they are averaged, three deviations are
//! 3 / sqrt(n). So with the same clusters and as good as the same demands the same allocation comes out,
//! to the bit, and nothing moves.

use super::super::round::RoundContext;
use crate::world::{AVERAGED_OVER, AssignPolicy, Cluster, ClusterId, Life};

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

/// Brings all demands up to date, and tells whether anything is asked for at all. `served` tells by
/// cluster whether a `stable` service is there.
pub(super) fn measure(round: &mut RoundContext<'_>, served: &[bool]) -> bool {
    let topology = round.input.topology;
    let is_served = |cluster: &ClusterId| served[cluster.index()];
    let counts: Vec<bool> =
        topology.services.iter().map(|it| it.clusters.iter().any(is_served)).collect();
    if round.is_round() {
        let requests = requests(round, served);
        let sent = |pair| round.hits(pair) * share_at(round, pair, &requests);
        let pairs = (0..round.pointing.len()).filter(|pair| counts[pair / round.areas]);
        let queries: f64 = pairs.map(sent).sum();
        let requests = requests.iter().flatten().sum();
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

/// By cluster of `stable` services: the requests a second that it serves; `None` where nobody counts.
fn requests(round: &RoundContext<'_>, served: &[bool]) -> Vec<Option<f64>> {
    let (topology, conditions) = (round.input.topology, round.input.conditions);
    let requests = |(cluster, is_served): (&Cluster, &bool)| {
        let (mut counted, mut of_counted, mut of_all) = (None, 0.0, 0.0);
        for id in cluster.servers.iter().filter(|_| *is_served) {
            let Some(condition) = conditions.get(id.index()) else { continue };
            let ramp = if condition.ramp.is_finite() { condition.ramp } else { 1.0 };
            let capacity = topology.servers[id.index()].capacity.unwrap_or(0.0) * ramp;
            let hits = condition.hits_per_second;
            if topology.servers[id.index()].reporter {
                *counted.get_or_insert(0.0) += if hits.is_finite() { hits.max(0.0) } else { 0.0 };
                of_counted += capacity;
                of_all += capacity;
            } else if condition.life == Life::Living {
                of_all += capacity;
            }
        }
        let scale = of_all / of_counted;
        counted.map(|counted| if scale.is_finite() { counted * scale } else { counted })
    };
    topology.clusters.iter().zip(served).map(requests).collect()
}

/// The share of a pair's clients that are sent to clusters whose requests are counted.
fn share_at(round: &RoundContext<'_>, pair: usize, requests: &[Option<f64>]) -> f64 {
    let is_counted = |cluster: &ClusterId| requests[cluster.index()].is_some();
    let service = round.service(pair);
    if service.clusters.iter().all(is_counted) {
        return 1.0;
    }
    let shares = match service.assign {
        AssignPolicy::All => super::everywhere(round, pair),
        _ => round.pointing[pair].mixture(),
    };
    shares.iter().filter(|(cluster, _)| is_counted(cluster)).map(|(_, share)| share).sum()
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
    let chance = (DEVIATIONS / (queries * AVERAGED_OVER.as_secs_f64()).sqrt()).min(CHANCE_MAX);
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
