//! Who is not among an area's candidates, and why: what an explanation of an answer begins with.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AreaPlan, Plan, PlannedServer};
use crate::world::{AreaId, Life, Name, Service, ServiceId, Topology};

/// A server near the area's clients that they are not sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which.
    pub server: Name,
    /// Where it stands.
    pub cluster: Name,
    /// Why, in a sentence for people.
    pub reason: String,
}

/// Servers of the area's home and of the clusters that it points at which are no candidates, in
/// order of names. (Those of all other clusters are left out because their cluster is.)
///
/// Empty if the Plan does not know the service or the area.
#[must_use]
pub fn left_out(
    topology: &Topology,
    plan: &Plan,
    service: ServiceId,
    area: AreaId,
) -> Vec<LeftOut> {
    let (Some(service), Some(place)) =
        (topology.services.get(service.index()), topology.areas.get(area.index()))
    else {
        return Vec::new();
    };
    let text = service.name.to_string();
    let planned = plan.services.binary_search_by(|planned| planned.name.cmp(&text));
    let planned = planned.ok().and_then(|index| {
        let areas = &plan.services[index].areas;
        areas.binary_search_by(|entry| entry.area.cmp(&place.name)).ok().map(|at| &areas[at])
    });
    let Some(planned) = planned else { return Vec::new() };
    let home = service.homes.get(area.index()).copied().flatten();
    let home = home.map(|home| &topology.clusters[home.index()].name);
    let pointed: BTreeSet<&Name> = planned.clusters.iter().map(|(name, _)| name).collect();
    let candidates = candidates(plan, planned);
    let servers = (0_u32..).zip(&plan.servers);
    let out = servers.filter(|(index, server)| {
        let near = pointed.contains(&server.cluster) || home == Some(&server.cluster);
        near && !candidates.contains(index)
    });
    out.map(|(_, server)| LeftOut {
        server: server.name.clone(),
        cluster: server.cluster.clone(),
        reason: reason(topology, service, server, pointed.contains(&server.cluster)),
    })
    .collect()
}

fn candidates(plan: &Plan, area: &AreaPlan) -> BTreeSet<u32> {
    let lists = [area.ipv4, area.ipv6, area.hosts].into_iter().flatten();
    let groups = lists.filter_map(|list| plan.lists.get(list as usize)).flat_map(|l| &l.groups);
    groups.flat_map(|group| &group.candidates).map(|candidate| candidate.server).collect()
}

fn reason(
    topology: &Topology,
    service: &Service,
    server: &PlannedServer,
    is_pointed: bool,
) -> String {
    let word = match server.life {
        Life::Living => return living_reason(topology, service, server, is_pointed),
        Life::Unknown => "unseen",
        Life::Drained => "drained",
        Life::Bypass => "asks to be left out (BYPASS)",
        Life::Panic => "in trouble (PANIC)",
        Life::Dead => "dead",
    };
    if server.reason.is_empty() { word.to_owned() } else { format!("{word}: {}", server.reason) }
}

fn living_reason(
    topology: &Topology,
    service: &Service,
    server: &PlannedServer,
    is_pointed: bool,
) -> String {
    let weight =
        topology.server(server.name.as_str()).map(|id| topology.servers[id.index()].weight);
    let back = service.threshold - service.hysteresis;
    match server.load {
        _ if weight == Some(0) => "weight 0: only if nobody else is left".to_owned(),
        // Before all that load may be the reason of: elsewhere nobody asked whether others can bear it.
        _ if !is_pointed => "its cluster is not the one that the area points at".to_owned(),
        Some(load) if load > service.threshold => {
            format!(
                "load {load:.2} is above the threshold {:.2}, and the others can bear its clients",
                service.threshold
            )
        }
        Some(load) if load > back => {
            format!("load {load:.2} was above the threshold and is not yet down to {back:.2}")
        }
        _ => "its addresses are of no family that the area's answers draw from it".to_owned(),
    }
}
