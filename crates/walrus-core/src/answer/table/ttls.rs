//! A service's adaptive TTLs: what its Plan and its compiled lists say, as the policy wants it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ring::RingList;
use crate::plan::{Plan, ServicePlan};
use crate::policy::ttl::{AdaptiveTtls, AlikeDomains, Bounds, ServerShare};
use crate::world::TtlPolicy;

/// The TTLs for a service's lists, in their order; `None` if its TTL is constant.
pub(super) fn compile(
    plan: &Plan,
    service: &ServicePlan,
    lists: &[Arc<RingList>],
    domains: &[AlikeDomains],
) -> Option<AdaptiveTtls> {
    let TtlPolicy::Adaptive { variant, seconds, min, max } = service.ttl else { return None };
    let bounds = Bounds { mean: seconds, min, max };
    let weights = weights(plan, service);
    let lists = lists.iter().map(|list| servers(list, plan, &weights));
    Some(AdaptiveTtls::compile(variant, bounds, domains, lists))
}

/// The weight of each server that any list of the service has.
fn weights(plan: &Plan, service: &ServicePlan) -> BTreeMap<u32, u32> {
    let indices = service.areas.iter().flat_map(|area| [area.ipv4, area.ipv6, area.hosts]);
    let mut indices: Vec<u32> = indices.flatten().collect();
    indices.sort_unstable();
    indices.dedup();
    let lists = indices.into_iter().filter_map(|index| plan.lists.get(index as usize));
    let candidates = lists.flat_map(|list| &list.groups).flat_map(|group| &group.candidates);
    candidates.map(|candidate| (candidate.server, candidate.weight)).collect()
}

/// Each server of a list with its capacity, and how often it comes first. Where not all have a
/// capacity, weights stand for them, as for choosers.
fn servers(list: &RingList, plan: &Plan, weights: &BTreeMap<u32, u32>) -> Vec<ServerShare> {
    let configured = |server: &u32| {
        let capacity = plan.servers.get(*server as usize)?.capacity;
        capacity.filter(|it| *it > 0.0 && it.is_finite())
    };
    let by_capacity = list.servers().iter().all(|server| configured(server).is_some());
    // Weight 0 is only chosen among its like: then all are alike.
    let weight = |server: &u32| f64::from(weights.get(server).copied().unwrap_or(1).max(1));
    let capacity =
        |server: &u32| configured(server).filter(|_| by_capacity).unwrap_or_else(|| weight(server));
    let mut shares: BTreeMap<u32, f64> = BTreeMap::new();
    match list.expected() {
        Some(expected) => {
            for (server, share) in expected {
                *shares.entry(server).or_default() += share;
            }
        }
        // Who follows loads gives each server as much as it can take, in the long run.
        None => shares.extend(list.servers().iter().map(|server| (*server, capacity(server)))),
    }
    let servers = list.servers().iter();
    // Who stands in several groups is counted at the first place.
    servers
        .map(|server| ServerShare {
            capacity: capacity(server),
            share: shares.remove(server).unwrap_or(0.0),
        })
        .collect()
}
