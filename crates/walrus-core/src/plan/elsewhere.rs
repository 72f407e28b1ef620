//! Another cluster for a family of addresses that an area's own cannot answer.
//!
//! **Problem.** A cluster may have no IPv6 address, or none on a server that lives, while the
//! service has some elsewhere. Its areas' clients still belong as near as can be had.
//!
//! **Rule.** The next cluster in the order in which the service's policy ranks them for the area,
//! among those whose servers of the family have the best rank that any of the service's has:
//!
//! - `failover`: home, then the service's clusters as configured, whatever their load.
//! - `walrus`: where the area points, home, where the family was answered from last, then the
//!   ranking of phase three. The first whose servers of the family are below the threshold; if
//!   there is none, the first.
//! - `nearest`, `stable`: where the area points, then the area's order, nearest first. The first whose servers
//!   of the family are below the threshold; if there is none, the first.
//! - `all`: every cluster at once, as always.
//!
//! **When it is wrong.** Under `walrus` all areas that lack a family go to the same cluster, until it
//! is above the threshold. They stay where they went, so that a ranking that changes in each
//! round moves nobody.
//!
//! **Example.** Home `near` has IPv4 only, `far` and `farther` both; `far` has more to spare. AAAA
//! is answered from `far`, also when `farther` has more to spare a round later.

use super::candidates::{Family, GroupIndex, Lists};
use super::decide::Pair;
use super::{AreaPlan, ListIndex, Memory, Plan};
use crate::policy::assign::{Assignments, Preference};
use crate::world::{AreaId, AssignPolicy, ClusterId, Topology};

/// The best servers of a family that are not where the pair points, or not good enough there.
/// `pointed` is where it points.
pub(super) fn elsewhere(
    (topology, assigned, memory): (&Topology, &Assignments, &Memory),
    lists: &mut Lists<'_>,
    pair: Pair,
    pointed: &[(ClusterId, f64)],
    family: Family,
) -> Option<ListIndex> {
    let service = &topology.services[pair.service];
    let configured = service.clusters.iter().copied();
    let group = match service.assign {
        AssignPolicy::All => return lists.family_everywhere(pair.service, family),
        AssignPolicy::Failover => {
            let order = pair.home.into_iter().chain(configured);
            best(lists, (pair, &service.clusters), order, family).next().map(|(group, _)| group)
        }
        AssignPolicy::Nearest | AssignPolicy::Stable => {
            let serves = |cluster: &ClusterId| service.clusters.contains(cluster);
            let area = AreaId((pair.index % topology.areas.len()) as u32);
            let order = Preference::of(topology, service, area).map(|(cluster, _)| cluster);
            let pointed = pointed.iter().map(|(cluster, _)| *cluster);
            let order = pointed.chain(order.filter(serves));
            with_room(best(lists, (pair, &service.clusters), order, family))
        }
        AssignPolicy::Walrus => {
            let ranking = &assigned.standings[assigned.class_of[pair.service]].ranking;
            let serves = |cluster: &ClusterId| service.clusters.contains(cluster);
            let pointed = pointed.iter().map(|(cluster, _)| *cluster);
            let last = last(topology, memory, pair, family);
            let order = pointed.chain(pair.home).chain(last).filter(serves);
            let order = order.chain(ranking.iter().copied().filter(serves));
            with_room(best(lists, (pair, &service.clusters), order, family))
        }
    };
    group.map(|group| lists.of_group(group))
}

/// The first group that is below the threshold; if there is none, the first.
fn with_room(mut groups: impl Iterator<Item = (GroupIndex, bool)>) -> Option<GroupIndex> {
    let mut first = None;
    let found = groups.find(|(group, has_room)| {
        first.get_or_insert(*group);
        *has_room
    });
    found.map(|(group, _)| group).or(first)
}

/// Of these clusters those with servers of the family of the best rank that the service has: their
/// candidates, and whether these are below the threshold.
fn best<'l>(
    lists: &'l mut Lists<'_>,
    (pair, clusters): (Pair, &[ClusterId]),
    order: impl Iterator<Item = ClusterId> + 'l,
    family: Family,
) -> impl Iterator<Item = (GroupIndex, bool)> + 'l {
    let rank = lists.best_rank(clusters, family);
    order.filter_map(move |cluster| {
        let is_best = rank.is_some() && lists.best_rank(&[cluster], family) == rank;
        is_best.then(|| lists.family_in(pair.service, cluster, family)).flatten()
    })
}

/// The cluster that the pair's answers of this family last came from.
fn last(topology: &Topology, memory: &Memory, pair: Pair, family: Family) -> Option<ClusterId> {
    let last = memory.usable.get(pair.index)?;
    let list = [last.ipv4, last.ipv6, last.hosts][family as usize]?;
    let groups = &memory.lists.get(list as usize)?.groups;
    let candidate = groups.first()?.candidates.first()?;
    Some(topology.servers.get(candidate.server as usize)?.cluster)
}

/// Why a list of an area names no server where the area points, in words for people; `None` if it
/// names one. The Plan does not carry it: it shows. `what` is what those servers lack, such as
/// "IPv6 address".
#[must_use]
pub fn why_elsewhere(plan: &Plan, area: &AreaPlan, list: ListIndex, what: &str) -> Option<String> {
    let groups = &plan.lists.get(list as usize)?.groups;
    let candidates = groups.iter().flat_map(|group| &group.candidates);
    let servers = candidates.filter_map(|it| plan.servers.get(it.server as usize));
    let mut found: Vec<&str> = servers.map(|server| server.cluster.as_str()).collect();
    found.sort_unstable();
    found.dedup();
    let pointed: Vec<&str> = area.clusters.iter().map(|(cluster, _)| cluster.as_str()).collect();
    let is_told = !found.is_empty() && !pointed.is_empty();
    let is_elsewhere = is_told && found.iter().all(|cluster| !pointed.contains(cluster));
    is_elsewhere.then(|| {
        let (pointed, found) = (pointed.join(" and "), found.join(" and "));
        format!("{pointed} has no {what} to give out: next in order, {found}")
    })
}
