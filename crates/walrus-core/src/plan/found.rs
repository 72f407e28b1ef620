//! What resolution found for aliases, taken from a Plan back into the topology.
//!
//! A signed zone promises which families a name has. Those of an alias are its target's, and only the
//! Controller asks for them; since it writes them into the Plan, all Directors promise the same.

use std::net::IpAddr;

use super::Plan;
use crate::world::{ServerId, Topology};

/// The topology with the addresses that a Plan has for aliases, if any of them has other families
/// than before; `None` if all promise the same. What is not resolved in the Plan stays as it was.
#[must_use]
pub fn with_found(topology: &Topology, plan: &Plan) -> Option<Topology> {
    let aliases = topology.services.iter().filter(|service| service.records.alias.is_some());
    let clusters = aliases.flat_map(|service| &service.clusters);
    let servers = clusters.flat_map(|cluster| &topology.clusters[cluster.index()].servers);
    let mut found: Vec<(ServerId, &[IpAddr])> = Vec::new();
    for id in servers {
        let server = &topology.servers[id.index()];
        let place = plan.servers.binary_search_by(|planned| planned.name.cmp(&server.name));
        let addresses = place.map_or(&[][..], |place| &plan.servers[place].addresses);
        if !addresses.is_empty() && families(addresses) != families(&server.addresses) {
            found.push((*id, addresses));
        }
    }
    if found.is_empty() {
        return None;
    }
    let mut topology = topology.clone();
    for (id, addresses) in found {
        topology.servers[id.index()].addresses = addresses.to_vec();
    }
    Some(topology)
}

fn families(addresses: &[IpAddr]) -> [bool; 2] {
    [addresses.iter().any(IpAddr::is_ipv4), addresses.iter().any(IpAddr::is_ipv6)]
}
