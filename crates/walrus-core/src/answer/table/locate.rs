//! In which area is a client? The map and the name servers' addresses, for all services at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::map::Map;
use crate::world::{Area, AreaId, Name, Topology};

/// What locates clients; it changes with the configuration, not with the Plan.
#[derive(Clone, Debug)]
pub(in crate::answer) struct Locator {
    pub(in crate::answer) map: Arc<Map>,
    /// Sorted, as in the topology.
    pub(in crate::answer) areas: Box<[Name]>,
    pub(in crate::answer) world: Option<AreaId>,
    /// Sorted by address.
    nameservers: Box<[(SocketAddr, AreaId)]>,
}

impl Locator {
    pub(in crate::answer) fn new(map: Arc<Map>, topology: &Topology) -> Self {
        let areas: Box<[Name]> = topology.areas.iter().map(|area| area.name.clone()).collect();
        let mut nameservers: Vec<(SocketAddr, AreaId)> = (0..)
            .zip(&topology.areas)
            .flat_map(|(id, area)| {
                area.nameservers.iter().map(move |address| (canonical(*address), AreaId(id)))
            })
            .collect();
        nameservers.sort();
        nameservers.dedup_by_key(|(address, _)| *address);
        Self { map, world: topology.area(Area::WORLD), areas, nameservers: nameservers.into() }
    }

    /// The area whose clients are expected to ask this address.
    pub(in crate::answer) fn nameserver(&self, local: SocketAddr) -> Option<AreaId> {
        let local = canonical(local);
        let found = self.nameservers.binary_search_by(|(address, _)| address.cmp(&local)).ok()?;
        Some(self.nameservers[found].1)
    }

    pub(in crate::answer) fn area_of_name(&self, name: &str) -> Option<AreaId> {
        let found = self.areas.binary_search_by(|area| area.as_str().cmp(name)).ok()?;
        u32::try_from(found).ok().map(AreaId)
    }

    pub(in crate::answer) fn map_area(&self, address: IpAddr) -> Option<AreaId> {
        self.map.lookup(address)
    }
}

/// IPv4 addresses that a socket shows as mapped into IPv6 are IPv4 addresses.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
