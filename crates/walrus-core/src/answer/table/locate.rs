//! In which area is a client? The map and the name servers' addresses, for all services at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::map::Map;
use crate::policy::locate::Nameservers;
use crate::world::{Area, AreaId, Name, Topology};

/// What locates clients; it changes with the configuration, not with the Plan.
#[derive(Clone, Debug)]
pub(in crate::answer) struct Locator {
    pub(in crate::answer) map: Arc<Map>,
    /// Sorted, as in the topology.
    pub(in crate::answer) areas: Box<[Name]>,
    pub(in crate::answer) world: Option<AreaId>,
    nameservers: Nameservers,
}

impl Locator {
    pub(in crate::answer) fn new(map: Arc<Map>, topology: &Topology) -> Self {
        let areas: Box<[Name]> = topology.areas.iter().map(|area| area.name.clone()).collect();
        Self {
            map,
            world: topology.area(Area::WORLD),
            areas,
            nameservers: Nameservers::new(topology),
        }
    }

    /// The area whose clients are expected to ask this address.
    pub(in crate::answer) fn nameserver(&self, local: SocketAddr) -> Option<AreaId> {
        self.nameservers.lookup(local)
    }

    pub(in crate::answer) fn area_of_name(&self, name: &str) -> Option<AreaId> {
        let found = self.areas.binary_search_by(|area| area.as_str().cmp(name)).ok()?;
        u32::try_from(found).ok().map(AreaId)
    }

    pub(in crate::answer) fn map_area(&self, address: IpAddr) -> Option<AreaId> {
        self.map.lookup(address)
    }
}
