//! What the Controller remembers from one decision to the next.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AreaPlan, Candidate, CandidateList, Group, ListIndex, Plan, PlannedServer, Reason};
use crate::policy::assign::{AssignMemory, Following, OverThreshold, Pointing, Transition, Trial};
use crate::world::{AssignPolicy, ClusterId, Life, Name, ServerId, Service, Time, Topology};

/// All that a decision needs of the past. Ids inside are those of one topology: after a reload
/// use [`Memory::carry`], after a restart [`Memory::from_plan`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Where areas point, and what hysteresis needs.
    pub assign: AssignMemory,
    /// The last usable answers, at `service * areas + area`; empty before the first decision.
    pub usable: Vec<LastUsable>,
    /// The lists that `usable` names; their server numbers are ids.
    pub lists: Vec<CandidateList>,
    /// By service: nobody functioned (so that the alert is told once).
    pub nobody: Vec<bool>,
}

/// The last answers of one (service, area) that named a server not known to be dead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUsable {
    /// For A, in [`Memory::lists`].
    pub ipv4: Option<ListIndex>,
    /// For AAAA, in [`Memory::lists`].
    pub ipv6: Option<ListIndex>,
    /// For records that name hosts, in [`Memory::lists`].
    #[serde(default)]
    pub hosts: Option<ListIndex>,
}

impl Memory {
    /// What a Plan tells of the past: after a restart, areas go on pointing where they did.
    /// When they were moved is not in the Plan, so balancing lets them stand for one TTL.
    ///
    /// The Plan is to be a valid one ([`Plan::validate`]).
    #[must_use]
    pub fn from_plan(topology: &Topology, plan: &Plan, now: Time) -> Self {
        let servers: Vec<Option<ServerId>> =
            plan.servers.iter().map(|server| topology.server(server.name.as_str())).collect();
        let mut memory = Self {
            lists: plan.lists.iter().map(|list| translate_list(list, &servers)).collect(),
            ..Self::default()
        };
        let functioning = functioning_clusters(topology, plan);
        for service in &topology.services {
            let text = service.name.to_string();
            let planned = plan.services.binary_search_by(|planned| planned.name.cmp(&text));
            let planned = planned.ok().map(|index| &plan.services[index]);
            for area in &topology.areas {
                let planned = planned.and_then(|planned| {
                    let found = planned.areas.binary_search_by(|entry| entry.area.cmp(&area.name));
                    found.ok().map(|index| &planned.areas[index])
                });
                let (pointing, usable) = planned.map_or_else(Default::default, |planned| {
                    let usable =
                        LastUsable { ipv4: planned.ipv4, ipv6: planned.ipv6, hosts: planned.hosts };
                    (pointing(topology, service, planned, now), usable)
                });
                memory.assign.pointing.push(pointing);
                memory.usable.push(usable);
            }
            let somebody = service.clusters.iter().any(|cluster| functioning[cluster.index()]);
            memory.nobody.push(planned.is_some() && !somebody);
            memory.remember_over(service, plan, &servers);
        }
        memory
    }

    /// Servers that were above the service's threshold.
    fn remember_over(&mut self, service: &Service, plan: &Plan, servers: &[Option<ServerId>]) {
        let everywhere = match service.assign {
            AssignPolicy::All => service.clusters.clone(),
            _ => Vec::new(),
        };
        let known = self.assign.over.iter().any(|over| {
            over.threshold == service.threshold
                && over.hysteresis == service.hysteresis
                && over.everywhere == everywhere
        });
        if !known {
            let is_over =
                |server: &PlannedServer| server.load.is_some_and(|load| load > service.threshold);
            let over = plan.servers.iter().zip(servers).filter(|(server, _)| is_over(server));
            let mut over: Vec<ServerId> = over.filter_map(|(_, id)| *id).collect();
            over.sort_unstable();
            // Those that no list names; who is above the threshold and named could not be spared.
            let lists = self.lists.iter().flat_map(|list| &list.groups);
            let named: BTreeSet<u32> =
                lists.flat_map(|group| &group.candidates).map(|it| it.server).collect();
            let left_out = over.iter().copied().filter(|id| !named.contains(&id.0)).collect();
            let lives = plan.servers.iter().zip(servers);
            let absent = lives.filter(|(server, _)| server.life != Life::Living);
            let mut absent: Vec<ServerId> = absent.filter_map(|(_, id)| *id).collect();
            absent.sort_unstable();
            self.assign.over.push(OverThreshold {
                threshold: service.threshold,
                hysteresis: service.hysteresis,
                everywhere,
                servers: over,
                left_out,
                absent,
                following: Vec::new(),
                rounds_below: Vec::new(),
                overloads: Vec::new(),
            });
        }
    }

    /// The same memory for another topology (after a reload), matched by names; what is new
    /// begins without a past.
    #[must_use]
    pub fn carry(&self, old: &Topology, new: &Topology) -> Self {
        let servers: Vec<Option<ServerId>> =
            old.servers.iter().map(|server| new.server(server.name.as_str())).collect();
        let clusters: Vec<Option<ClusterId>> =
            old.clusters.iter().map(|cluster| new.cluster(cluster.name.as_str())).collect();
        let old_areas: Vec<Option<usize>> = new
            .areas
            .iter()
            .map(|area| old.area(area.name.as_str()).map(|id| id.index()))
            .collect();
        let mut carried = Self {
            assign: AssignMemory {
                pointing: Vec::new(),
                over: translate_over(&self.assign.over, new, &servers, &clusters),
                requests_a_query: self.assign.requests_a_query,
                last_round: self.assign.last_round,
            },
            usable: Vec::new(),
            lists: self.lists.iter().map(|list| translate_list(list, &servers)).collect(),
            nobody: Vec::new(),
        };
        for service in &new.services {
            let old_service = old.service(&service.name).map(|id| id.index());
            let nobody = old_service.and_then(|index| self.nobody.get(index)).copied();
            carried.nobody.push(nobody.unwrap_or(false));
            for old_area in &old_areas {
                let pair = old_service
                    .zip(*old_area)
                    .map(|(service, area)| service * old.areas.len() + area);
                let pointing = pair.and_then(|pair| self.assign.pointing.get(pair));
                let pointing = pointing.map(|p| translate_pointing(p, service, &clusters));
                carried.assign.pointing.push(pointing.unwrap_or_default());
                let usable = pair.and_then(|pair| self.usable.get(pair)).copied();
                carried.usable.push(usable.unwrap_or_default());
            }
        }
        carried
    }
}

// ---- From a Plan -----------------------------------------------------------------------------

fn pointing(topology: &Topology, service: &Service, planned: &AreaPlan, now: Time) -> Pointing {
    // What was published only because the configuration says so was never pointed at.
    let pointed = planned.reason != Reason::Configured.to_string();
    if service.assign == AssignPolicy::All || !pointed {
        return Pointing::default();
    }
    let cluster = |(name, _): &(Name, f64)| {
        topology.cluster(name.as_str()).filter(|cluster| service.clusters.contains(cluster))
    };
    let present = planned.clusters.first().and_then(cluster);
    if service.assign == AssignPolicy::Stable {
        let shares = planned.clusters.iter().filter_map(|it| Some((cluster(it)?, it.1)));
        let mut pointing = Pointing { shares: shares.collect(), ..Pointing::default() };
        pointing.keep_shares(|_| true);
        pointing.moved = pointing.present.map(|_| now);
        return pointing;
    }
    let transition = match &planned.clusters[..] {
        [to, from] if present.is_some() => {
            let (since, share) = (now, to.1);
            cluster(from).map(|from| Transition { from, since, share, from_shares: Vec::new() })
        }
        _ => None,
    };
    Pointing { present, moved: present.map(|_| now), transition, ..Pointing::default() }
}

/// By cluster: whether a server of it functioned.
fn functioning_clusters(topology: &Topology, plan: &Plan) -> Vec<bool> {
    let mut functioning = vec![false; topology.clusters.len()];
    for server in plan.servers.iter().filter(|server| server.life.functions()) {
        if let Some(cluster) = topology.cluster(server.cluster.as_str()) {
            functioning[cluster.index()] = true;
        }
    }
    functioning
}

// ---- From ids to other ids -------------------------------------------------------------------

/// The list with other ids; servers that are gone are left out, and so are groups without any.
fn translate_list(list: &CandidateList, servers: &[Option<ServerId>]) -> CandidateList {
    let translate = |candidate: &Candidate| {
        let server = servers.get(candidate.server as usize).copied().flatten()?;
        Some(Candidate { server: server.0, ..candidate.clone() })
    };
    let groups = list.groups.iter().map(|group| Group {
        share: group.share,
        candidates: group.candidates.iter().filter_map(translate).collect(),
    });
    CandidateList { groups: groups.filter(|group| !group.candidates.is_empty()).collect() }
}

fn translate_over(
    over: &[OverThreshold],
    new: &Topology,
    servers: &[Option<ServerId>],
    clusters: &[Option<ClusterId>],
) -> Vec<OverThreshold> {
    let translate = |over: &OverThreshold| {
        let ids = |listed: &[ServerId]| -> Vec<ServerId> {
            let ids = listed.iter().filter_map(|id| servers.get(id.index()).copied().flatten());
            let mut ids: Vec<ServerId> = ids.collect();
            ids.sort_unstable();
            ids
        };
        let overloads = over.overloads.iter().filter_map(|(id, overload)| {
            Some((clusters.get(id.index()).copied().flatten()?, *overload))
        });
        let mut overloads: Vec<_> = overloads.collect();
        overloads.sort_unstable_by_key(|(id, _)| *id);
        let following = over.following.iter().filter_map(|it| {
            let server = servers.get(it.server.index()).copied().flatten()?;
            Some(Following { server, ..*it })
        });
        let mut following: Vec<Following> = following.collect();
        following.sort_unstable_by_key(|it| it.server);
        let everywhere = over.everywhere.iter();
        let everywhere =
            everywhere.filter_map(|id| clusters.get(id.index()).copied().flatten()).collect();
        let mut rounds_below = vec![0; new.clusters.len()];
        for (cluster, rounds) in clusters.iter().zip(&over.rounds_below) {
            if let Some(cluster) = cluster {
                rounds_below[cluster.index()] = *rounds;
            }
        }
        OverThreshold {
            threshold: over.threshold,
            hysteresis: over.hysteresis,
            everywhere,
            servers: ids(&over.servers),
            left_out: ids(&over.left_out),
            absent: ids(&over.absent),
            following,
            rounds_below,
            overloads,
        }
    };
    over.iter().map(translate).collect()
}

fn translate_pointing(
    pointing: &Pointing,
    service: &Service,
    clusters: &[Option<ClusterId>],
) -> Pointing {
    let translate = |cluster: ClusterId| {
        let cluster = clusters.get(cluster.index()).copied().flatten();
        cluster.filter(|cluster| service.clusters.contains(cluster))
    };
    if pointing.present.is_none() {
        return pointing.clone();
    }
    let translate_all = |shares: &[(ClusterId, f64)]| -> Vec<(ClusterId, f64)> {
        shares.iter().filter_map(|(cluster, share)| Some((translate(*cluster)?, *share))).collect()
    };
    let transition = pointing.transition.as_ref();
    let transition = transition.and_then(|transition| {
        let from_shares = translate_all(&transition.from_shares);
        let whole = from_shares.len() == transition.from_shares.len();
        let from = translate(transition.from).filter(|_| whole)?;
        Some(Transition { from, from_shares, ..transition.clone() })
    });
    let mut translated = Pointing {
        present: pointing.present.and_then(translate),
        transition,
        shares: translate_all(&pointing.shares),
        trial: pointing.trial.as_ref().and_then(|trial| {
            let from = trial.from.and_then(translate);
            translate(trial.to).map(|to| Trial { to, from, ..trial.clone() })
        }),
        ..pointing.clone()
    };
    if !pointing.shares.is_empty() && translated.shares.is_empty() {
        return Pointing::default();
    }
    translated.keep_shares(|_| true);
    if translated.present.is_none() { Pointing::default() } else { translated }
}
