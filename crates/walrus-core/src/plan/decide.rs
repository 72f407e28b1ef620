//! Decides for every (service, area) which clusters serve it and which servers are candidates.

use super::candidates::{Family, GroupIndex, Lists};
use super::elsewhere::elsewhere;
use super::{CandidateList, LastUsable, ListIndex, Memory};
use crate::policy::assign::{AssignInput, Assignments, Cause, Place, Rank, Reason, assign};
use crate::world::{ClusterId, Condition, ServerId, ServiceId, Time, Topology};

/// All that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct DecideInput<'a> {
    /// What stands where.
    pub topology: &'a Topology,
    /// How each server fares, by [`crate::world::ServerId`]; a missing one counts as unknown.
    pub conditions: &'a [Condition],
    /// Queries a second of each (service, area), at `service * areas + area`; a missing one
    /// counts as 0.
    pub area_hits: &'a [f64],
    /// What the last decision remembered.
    pub memory: &'a Memory,
    /// The time of this decision.
    pub now: Time,
    /// Why now.
    pub cause: Cause,
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// At `service * areas + area`.
    pub areas: Vec<AreaDecision>,
    /// The candidate lists that `areas` name; server numbers are ids.
    pub lists: Vec<CandidateList>,
    /// For the next decision.
    pub memory: Memory,
    /// Services that nobody serves any more, or whose servers function again: edges only.
    pub alerts: Vec<Alert>,
}

/// What was decided for one (service, area).
#[derive(Clone, Debug, PartialEq)]
pub struct AreaDecision {
    /// Clusters with their shares; the first is where the area points.
    pub clusters: Vec<(ClusterId, f64)>,
    /// Candidates for A in [`Decision::lists`]; `None` if the service has no such server.
    pub ipv4: Option<ListIndex>,
    /// Candidates for AAAA in [`Decision::lists`]; `None` if the service has no such server.
    pub ipv6: Option<ListIndex>,
    /// Candidates for records that name hosts in [`Decision::lists`]; `None` if the service gives
    /// no such record.
    pub hosts: Option<ListIndex>,
    /// The area is worse off than it should be.
    pub degraded: bool,
    /// What decided.
    pub reason: Reason,
}

/// "Nobody functions" began or ended for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Alert {
    /// Which service.
    pub service: ServiceId,
    /// It is over.
    pub recovered: bool,
}

/// Decides. Pure and deterministic: the same input gives the same decision, on any machine.
#[must_use]
pub fn decide(input: &DecideInput<'_>) -> Decision {
    let assigned = assign(&AssignInput {
        topology: input.topology,
        conditions: input.conditions,
        area_hits: input.area_hits,
        memory: &input.memory.assign,
        now: input.now,
        cause: input.cause,
    });
    let mut lists = Lists::new(input.topology, input.conditions, &assigned);
    let mut usable = Vec::with_capacity(assigned.places.len());
    let mut areas = Vec::with_capacity(assigned.places.len());
    for (index, (place, reason)) in assigned.places.iter().enumerate() {
        let pair = Pair::at(input.topology, index);
        let rank = assigned.service_ranks[pair.service];
        let (clusters, groups) = resolve(input.topology, &mut lists, pair, place, rank.is_some());
        let answers = answers((input, &assigned), &mut lists, pair, &clusters, &groups);
        let home_fails = pair
            .home
            .is_some_and(|home| rank.is_none() || assigned.cluster_ranks[home.index()] != rank);
        let over = answers.iter().any(|a| a.list.is_some_and(|list| lists.is_over(list)));
        let [ipv4, ipv6, hosts] = answers;
        usable.push(LastUsable {
            ipv4: ipv4.last_usable,
            ipv6: ipv6.last_usable,
            hosts: hosts.last_usable,
        });
        areas.push(AreaDecision {
            clusters,
            ipv4: ipv4.list,
            ipv6: ipv6.list,
            hosts: hosts.list,
            degraded: home_fails || over || rank != Some(Rank::Living),
            reason: *reason,
        });
    }
    let nobody = nobody_functions(input);
    let alerts = edges(&input.memory.nobody, &nobody);
    let lists = lists.finish();
    let memory = Memory { assign: assigned.memory, usable, lists: lists.clone(), nobody };
    Decision { areas, lists, memory, alerts }
}

/// A (service, area).
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub(super) index: usize,
    pub(super) service: usize,
    pub(super) home: Option<ClusterId>,
}

impl Pair {
    fn at(topology: &Topology, index: usize) -> Self {
        let (service, area) = (index / topology.areas.len(), index % topology.areas.len());
        let home = topology.services[service].homes.get(area).copied().flatten();
        Self { index, service, home }
    }
}

/// Things with their shares, which add up to 1.
type Shares<T> = Vec<(T, f64)>;

/// Where the pair's clients go: clusters with their shares, for people; groups of candidates,
/// none of them if nobody functions.
fn resolve(
    topology: &Topology,
    lists: &mut Lists<'_>,
    pair: Pair,
    place: &Place,
    somebody: bool,
) -> (Shares<ClusterId>, Shares<GroupIndex>) {
    let clusters = match place {
        Place::One(cluster) => vec![(*cluster, 1.0)],
        Place::Shares { to, from, share } => vec![(*to, *share), (*from, 1.0 - share)],
        Place::Many(shares) => shares.clone(),
        Place::All if somebody => {
            let Some(group) = lists.everywhere(pair.service) else {
                return (Vec::new(), Vec::new());
            };
            return (lists.cluster_shares(group), vec![(group, 1.0)]);
        }
        Place::All | Place::Nowhere => {
            let service = &topology.services[pair.service].clusters;
            let home = pair.home.filter(|_| *place == Place::Nowhere);
            let all = home.as_ref().map_or(&service[..], std::slice::from_ref);
            let share = 1.0 / all.len() as f64;
            all.iter().map(|cluster| (*cluster, share)).collect()
        }
    };
    let mut groups = Vec::new();
    if somebody {
        for (cluster, share) in &clusters {
            groups.extend(lists.cluster(pair.service, *cluster).map(|group| (group, *share)));
        }
    }
    (clusters, groups)
}

/// The answers of one family, or of both.
struct Answers {
    list: Option<ListIndex>,
    /// The same, unless nobody is left and never was.
    last_usable: Option<ListIndex>,
}

/// Each family's candidates: those of the assigned clusters; else those of the next cluster that has
/// the family; else the last usable answer; else what the configuration says.
fn answers(
    (input, assigned): (&DecideInput<'_>, &Assignments),
    lists: &mut Lists<'_>,
    pair: Pair,
    clusters: &[(ClusterId, f64)],
    groups: &[(GroupIndex, f64)],
) -> [Answers; 3] {
    let known = (input.topology, assigned, input.memory);
    Family::ALL.map(|family| {
        let service = &input.topology.services[pair.service];
        let wanted = match family {
            Family::Ipv4 => service.records.a,
            Family::Ipv6 => service.records.aaaa,
            Family::Either => service.records.names_servers(),
        };
        if !wanted || !lists.service_has(pair.service, family) {
            return Answers { list: None, last_usable: None };
        }
        let usable = lists
            .of_family(groups, family)
            .or_else(|| elsewhere(known, lists, pair, clusters, family))
            .or_else(|| lists.remembered(input.memory, (pair.index, pair.service), family));
        let list = usable
            .or_else(|| lists.configured(pair.home.as_slice(), family))
            .or_else(|| lists.configured(&service.clusters, family));
        Answers { list, last_usable: usable }
    })
}

/// By service: whether no server of it functions. A drained server does.
fn nobody_functions(input: &DecideInput<'_>) -> Vec<bool> {
    let functions = |id: &ServerId| {
        input.conditions.get(id.index()).is_some_and(|condition| condition.life.functions())
    };
    let clusters = &input.topology.clusters;
    let any: Vec<bool> = clusters.iter().map(|c| c.servers.iter().any(functions)).collect();
    let services = &input.topology.services;
    services.iter().map(|s| !s.clusters.iter().any(|cluster| any[cluster.index()])).collect()
}

fn edges(before: &[bool], now: &[bool]) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for (service, nobody) in (0..).map(ServiceId).zip(now) {
        if before.get(service.index()).copied().unwrap_or(false) != *nobody {
            alerts.push(Alert { service, recovered: !nobody });
        }
    }
    alerts
}
