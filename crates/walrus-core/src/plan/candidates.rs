//! Makes candidate lists, each once: areas and services with the same candidates share one.

use std::collections::BTreeMap;

use super::{Candidate, CandidateList, Group, ListIndex, Memory};
use crate::policy::assign::{Assignments, Rank, Standing};
use crate::world::{ClusterId, Condition, ServerId, Topology};

/// A group's place in [`Lists`].
pub(super) type GroupIndex = u32;

/// What a list's candidates must have, in the order in which it is kept here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Ipv4 = 0,
    Ipv6 = 1,
    /// An address of any kind: every server has one.
    Either = 2,
}

impl Family {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Ipv4, Self::Ipv6, Self::Either];
}

/// By [`Family`].
type Families = [bool; 3];

/// What a candidate list is made of, so that it is made once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// One cluster.
    Cluster(ClusterId),
    /// All clusters of a service, named by the first service with the same ones.
    Everywhere(usize),
    /// Those of one family in a cluster.
    Family(ClusterId, Family),
    /// Those of one family in all clusters of a service.
    FamilyEverywhere(usize, Family),
}

/// All groups and lists of one decision.
#[derive(Debug)]
pub(super) struct Lists<'a> {
    topology: &'a Topology,
    conditions: &'a [Condition],
    assigned: &'a Assignments,
    /// By service: the first service that has the same clusters.
    cluster_set: Vec<usize>,
    /// By server: has it this family?
    families: Vec<Families>,
    /// By cluster set: has any server this family?
    set_families: Vec<Families>,
    /// By cluster: the best rank among its servers of each family.
    family_ranks: Vec<[Option<Rank>; 3]>,
    groups: Vec<Vec<Candidate>>,
    /// By group: does any candidate have this family?
    group_families: Vec<Families>,
    by_content: BTreeMap<Vec<(u32, u32, bool, u64)>, GroupIndex>,
    by_scope: BTreeMap<(usize, Scope), Option<GroupIndex>>,
    lists: Vec<CandidateList>,
    /// By list: is there a group whose candidates all have a load above the threshold?
    list_over: Vec<bool>,
    by_groups: BTreeMap<Vec<(GroupIndex, u64)>, ListIndex>,
    /// Remembered lists that were made again.
    by_memory: BTreeMap<(ListIndex, usize, Family), Option<ListIndex>>,
    /// Groups of `everywhere`, as clusters with their shares.
    shares: BTreeMap<GroupIndex, Vec<(ClusterId, f64)>>,
}

impl<'a> Lists<'a> {
    pub(super) fn new(
        topology: &'a Topology,
        conditions: &'a [Condition],
        assigned: &'a Assignments,
    ) -> Self {
        let families: Vec<Families> = topology
            .servers
            .iter()
            .map(|server| {
                let ipv6 = server.addresses.iter().any(std::net::IpAddr::is_ipv6);
                [server.addresses.iter().any(std::net::IpAddr::is_ipv4), ipv6, true]
            })
            .collect();
        let mut sets: BTreeMap<&[ClusterId], usize> = BTreeMap::new();
        let (mut cluster_set, mut set_families) = (Vec::new(), Vec::new());
        for (index, service) in topology.services.iter().enumerate() {
            let set = *sets.entry(&service.clusters[..]).or_insert(index);
            let known = set_families.get(set).copied();
            set_families.push(known.unwrap_or_else(|| {
                let servers =
                    service.clusters.iter().flat_map(|c| &topology.clusters[c.index()].servers);
                servers.fold(Families::default(), |sum, id| either(sum, families[id.index()]))
            }));
            cluster_set.push(set);
        }
        Self {
            topology,
            conditions,
            assigned,
            cluster_set,
            family_ranks: family_ranks(topology, assigned, &families),
            families,
            set_families,
            groups: Vec::new(),
            group_families: Vec::new(),
            by_content: BTreeMap::new(),
            by_scope: BTreeMap::new(),
            lists: Vec::new(),
            list_over: Vec::new(),
            by_groups: BTreeMap::new(),
            by_memory: BTreeMap::new(),
            shares: BTreeMap::new(),
        }
    }

    /// Whether any server of the service, in whatever state, has this family.
    pub(super) fn service_has(&self, service: usize, family: Family) -> bool {
        self.set_families[service][family as usize]
    }

    /// The candidates of one cluster for a service (A12).
    pub(super) fn cluster(&mut self, service: usize, cluster: ClusterId) -> Option<GroupIndex> {
        self.of_scope(service, Scope::Cluster(cluster))
    }

    /// The candidates of all functioning clusters of a service.
    pub(super) fn everywhere(&mut self, service: usize) -> Option<GroupIndex> {
        self.of_scope(service, Scope::Everywhere(self.cluster_set[service]))
    }

    /// The best servers of one family that a service has anywhere.
    pub(super) fn family_everywhere(
        &mut self,
        service: usize,
        family: Family,
    ) -> Option<ListIndex> {
        let scope = Scope::FamilyEverywhere(self.cluster_set[service], family);
        let group = self.of_scope(service, scope)?;
        Some(self.list(&[(group, 1.0)]))
    }

    /// The best servers of one family in one cluster, and whether they are below the threshold.
    pub(super) fn family_in(
        &mut self,
        service: usize,
        cluster: ClusterId,
        family: Family,
    ) -> Option<(GroupIndex, bool)> {
        let group = self.of_scope(service, Scope::Family(cluster, family))?;
        let has_room = self.groups[group as usize].iter().any(|it| !it.over_threshold);
        Some((group, has_room))
    }

    /// The list of one group alone.
    pub(super) fn of_group(&mut self, group: GroupIndex) -> ListIndex {
        self.list(&[(group, 1.0)])
    }

    /// Servers as the configuration names them, for want of anything better.
    pub(super) fn configured(
        &mut self,
        clusters: &[ClusterId],
        family: Family,
    ) -> Option<ListIndex> {
        let topology = self.topology;
        let servers = clusters
            .iter()
            .filter_map(|cluster| topology.clusters.get(cluster.index()))
            .flat_map(|cluster| &cluster.servers)
            .filter(|id| self.families[id.index()][family as usize]);
        let candidates: Vec<Candidate> =
            servers.map(|id| candidate(topology, *id, 1.0, false)).collect();
        let group = self.intern(candidates)?;
        Some(self.list(&[(group, 1.0)]))
    }

    /// The last usable answer of a pair, without servers that are gone; `None` if there was none
    /// or none of the rest has this family.
    pub(super) fn remembered(
        &mut self,
        memory: &Memory,
        (pair, service): (usize, usize),
        family: Family,
    ) -> Option<ListIndex> {
        let last = memory.usable.get(pair)?;
        let index = [last.ipv4, last.ipv6, last.hosts][family as usize]?;
        let key = (index, self.cluster_set[service], family);
        if let Some(known) = self.by_memory.get(&key) {
            return *known;
        }
        let list = memory.lists.get(index as usize)?;
        let again = self.again(list, service, family);
        self.by_memory.insert(key, again);
        again
    }

    fn again(&mut self, list: &CandidateList, service: usize, family: Family) -> Option<ListIndex> {
        let clusters = &self.topology.services[service].clusters;
        let mut shares = Vec::new();
        for group in list.groups.iter().filter(|group| group.share > 0.0 && group.share <= 1.0) {
            let known = |c: &&Candidate| {
                let server = self.topology.servers.get(c.server as usize);
                server.is_some_and(|server| clusters.contains(&server.cluster))
            };
            let candidates = group.candidates.iter().filter(known);
            let candidates: Vec<Candidate> = candidates
                .map(|c| candidate(self.topology, ServerId(c.server), 1.0, false))
                .collect();
            if let Some(group_index) = self.intern(candidates) {
                shares.push((group_index, group.share));
            }
        }
        self.of_family(&shares, family)
    }

    /// The list of those groups that have servers of this family, their shares made whole.
    pub(super) fn of_family(
        &mut self,
        shares: &[(GroupIndex, f64)],
        family: Family,
    ) -> Option<ListIndex> {
        let has =
            |(group, _): &(GroupIndex, f64)| self.group_families[*group as usize][family as usize];
        let mut kept: Vec<(GroupIndex, f64)> = shares.iter().copied().filter(has).collect();
        let sum: f64 = kept.iter().map(|(_, share)| share).sum();
        if kept.is_empty() || sum <= 0.0 {
            return None;
        }
        // What adds up already is left alone, so that equal shares stay equal to the bit.
        if (sum - 1.0).abs() > 1e-9 {
            kept.iter_mut().for_each(|(_, share)| *share /= sum);
        }
        Some(self.list(&kept))
    }

    /// The list with these groups and shares.
    fn list(&mut self, shares: &[(GroupIndex, f64)]) -> ListIndex {
        let key: Vec<_> = shares.iter().map(|(group, share)| (*group, share.to_bits())).collect();
        if let Some(index) = self.by_groups.get(&key) {
            return *index;
        }
        let index = ListIndex::try_from(self.lists.len()).unwrap_or(ListIndex::MAX);
        let group = |(group, share): &(GroupIndex, f64)| Group {
            share: *share,
            candidates: self.groups[*group as usize].clone(),
        };
        let groups: Vec<Group> = shares.iter().map(group).collect();
        let is_over = |group: &Group| group.candidates.iter().all(|it| it.over_threshold);
        self.list_over.push(groups.iter().any(is_over));
        self.lists.push(CandidateList { groups });
        self.by_groups.insert(key, index);
        index
    }

    /// The clusters that a group's candidates stand in, each with its share of their weights.
    pub(super) fn cluster_shares(&mut self, group: GroupIndex) -> Vec<(ClusterId, f64)> {
        let (topology, groups) = (self.topology, &self.groups);
        let shares = self.shares.entry(group).or_insert_with(|| {
            let mut shares: Vec<(ClusterId, f64)> = Vec::new();
            let mut sum = 0.0;
            for candidate in &groups[group as usize] {
                let cluster = topology.servers[candidate.server as usize].cluster;
                let weight = f64::from(candidate.weight) * candidate.ramp;
                sum += weight;
                match shares.iter_mut().rev().find(|(of, _)| *of == cluster) {
                    Some((_, share)) => *share += weight,
                    None => shares.push((cluster, weight)),
                }
            }
            shares.retain(|(_, weight)| *weight > 0.0);
            shares.iter_mut().for_each(|(_, share)| *share /= sum);
            shares
        });
        shares.clone()
    }

    /// Whether all that a list names of some cluster are above the threshold.
    pub(super) fn is_over(&self, list: ListIndex) -> bool {
        self.list_over[list as usize]
    }

    /// All lists that were asked for.
    pub(super) fn finish(self) -> Vec<CandidateList> {
        self.lists
    }

    fn of_scope(&mut self, service: usize, scope: Scope) -> Option<GroupIndex> {
        let class = self.assigned.class_of[service];
        if let Some(known) = self.by_scope.get(&(class, scope)) {
            return *known;
        }
        let standing = &self.assigned.standings[class];
        let clusters = &self.topology.services[service].clusters;
        let candidates = match scope {
            Scope::Cluster(cluster) => self.candidates(
                standing,
                &[cluster],
                self.assigned.cluster_ranks[cluster.index()],
                None,
            ),
            Scope::Everywhere(_) => {
                self.candidates(standing, clusters, self.assigned.service_ranks[service], None)
            }
            Scope::Family(cluster, family) => {
                let rank = self.best_rank(&[cluster], family);
                self.candidates(standing, &[cluster], rank, Some(family))
            }
            Scope::FamilyEverywhere(_, family) => {
                let rank = self.best_rank(clusters, family);
                self.candidates(standing, clusters, rank, Some(family))
            }
        };
        let group = self.intern(candidates);
        self.by_scope.insert((class, scope), group);
        group
    }

    /// The best rank among the servers of one family in these clusters.
    pub(super) fn best_rank(&self, clusters: &[ClusterId], family: Family) -> Option<Rank> {
        let ranks = clusters.iter().map(|cluster| self.family_ranks[cluster.index()]);
        ranks.filter_map(|ranks| ranks[family as usize]).min()
    }

    /// A12: those of this rank that are not left out for their load, in the order of the configuration;
    /// least loaded first if all of them are above the threshold.
    fn candidates(
        &self,
        standing: &Standing,
        clusters: &[ClusterId],
        rank: Option<Rank>,
        family: Option<Family>,
    ) -> Vec<Candidate> {
        let Some(rank) = rank else { return Vec::new() };
        let servers = clusters.iter().flat_map(|c| &self.topology.clusters[c.index()].servers);
        let fits = |id: &ServerId| {
            self.assigned.server_ranks[id.index()] == Some(rank)
                && family.is_none_or(|family| self.families[id.index()][family as usize])
        };
        let all: Vec<ServerId> = servers.copied().filter(fits).collect();
        let mut chosen: Vec<ServerId> =
            all.iter().copied().filter(|id| !standing.left_out[id.index()]).collect();
        if chosen.is_empty() {
            // Of a family, all may be among those that are left out of a cluster.
            chosen = all;
        }
        if chosen.iter().all(|id| standing.over[id.index()]) {
            // Whoever is above the threshold has a known load.
            let load = |id: &ServerId| self.conditions[id.index()].load.unwrap_or(0.0);
            chosen.sort_by(|a, b| load(a).total_cmp(&load(b)));
        }
        // Ramps count against each other: with nobody fully back, the furthest stands for 1.
        let ramp_max = chosen.iter().map(|id| self.ramp(*id)).fold(0.0, f64::max);
        chosen
            .into_iter()
            .map(|id| {
                let ramp = self.ramp(id) / ramp_max;
                candidate(self.topology, id, ramp, standing.over[id.index()])
            })
            .collect()
    }

    fn ramp(&self, id: ServerId) -> f64 {
        let ramp = self.conditions.get(id.index()).map_or(1.0, |condition| condition.ramp);
        if ramp.is_finite() { ramp.clamp(0.01, 1.0) } else { 1.0 }
    }

    /// The group with these candidates; none if there are none.
    fn intern(&mut self, mut candidates: Vec<Candidate>) -> Option<GroupIndex> {
        if candidates.is_empty() {
            return None;
        }
        if candidates.iter().all(|candidate| candidate.weight == 0) {
            candidates.iter_mut().for_each(|candidate| candidate.weight = 1);
        }
        let key: Vec<_> = candidates
            .iter()
            .map(|c| (c.server, c.weight, c.over_threshold, c.ramp.to_bits()))
            .collect();
        if let Some(index) = self.by_content.get(&key) {
            return Some(*index);
        }
        let index = GroupIndex::try_from(self.groups.len()).unwrap_or(GroupIndex::MAX);
        let families = candidates
            .iter()
            .fold(Families::default(), |sum, c| either(sum, self.families[c.server as usize]));
        self.groups.push(candidates);
        self.group_families.push(families);
        self.by_content.insert(key, index);
        Some(index)
    }
}

fn family_ranks(
    topology: &Topology,
    assigned: &Assignments,
    families: &[Families],
) -> Vec<[Option<Rank>; 3]> {
    let best = |servers: &[ServerId]| {
        Family::ALL.map(|family| {
            let of_family = servers.iter().filter(|id| families[id.index()][family as usize]);
            of_family.filter_map(|id| assigned.server_ranks[id.index()]).min()
        })
    };
    topology.clusters.iter().map(|cluster| best(&cluster.servers)).collect()
}

fn candidate(topology: &Topology, id: ServerId, ramp: f64, over_threshold: bool) -> Candidate {
    Candidate { server: id.0, weight: topology.servers[id.index()].weight, over_threshold, ramp }
}

fn either(a: Families, b: Families) -> Families {
    [a[0] || b[0], a[1] || b[1], a[2] || b[2]]
}
