//! Locate: in which area is this client?
//!
//! A service names policies in order; the first that finds an area wins, and whoever none of them
//! finds is in the area `world`. The fast path does the same over classes instead of areas
//! ([`crate::map::ClassTable`]); this is the rule in the open, for `walrus explain`, for the
//! complete path and for tests.

mod map;
mod nameserver;

use std::net::{IpAddr, SocketAddr};

pub use nameserver::Nameservers;

use crate::map::Map;
use crate::world::{AreaId, LocatePolicy};

/// What the policies go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// The address of the ECS prefix if the query had one that counts, else the resolver's.
    pub client: IpAddr,
    /// The address and port that the query was sent to.
    pub asked: SocketAddr,
}

/// Where a client is and which policy found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The client's area.
    pub area: AreaId,
    /// Who found it; `None` if nobody did and it is in `world` for that.
    pub by: Option<LocatePolicy>,
}

/// Asks the policies in order; `world` if none of them finds an area.
#[must_use]
pub fn locate(
    order: &[LocatePolicy],
    map: &Map,
    nameservers: &Nameservers,
    whereabouts: Whereabouts,
    world: AreaId,
) -> Location {
    for &policy in order {
        let area = match policy {
            LocatePolicy::Map => map::locate(map, whereabouts.client),
            LocatePolicy::Nameserver => nameservers.lookup(whereabouts.asked),
        };
        if let Some(area) = area {
            return Location { area, by: Some(policy) };
        }
    }
    Location { area: world, by: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::tests::topology;

    #[test]
    fn the_first_hit_wins_and_world_comes_last() {
        let mut topology =
            topology(&[("asia", &["192.0.2.0/24"]), ("europe", &[]), ("world", &[])]);
        topology.areas[1].nameservers = vec!["198.51.100.1:53".parse().unwrap()];
        let map = Map::build(&topology, &[]).unwrap();
        let nameservers = Nameservers::new(&topology);
        let check = |order: &[LocatePolicy], client: &str, asked: &str| {
            let whereabouts =
                Whereabouts { client: client.parse().unwrap(), asked: asked.parse().unwrap() };
            let found = locate(order, &map, &nameservers, whereabouts, topology.world());
            (topology.areas[found.area.index()].name.as_str().to_owned(), found.by)
        };
        use LocatePolicy::{Map as ByMap, Nameserver};
        let here = "198.51.100.1:53";
        let both = [ByMap, Nameserver];
        assert_eq!(check(&both, "192.0.2.7", here), ("asia".into(), Some(ByMap)));
        assert_eq!(check(&both, "203.0.113.7", here), ("europe".into(), Some(Nameserver)));
        assert_eq!(check(&both, "203.0.113.7", "198.51.100.2:53"), ("world".into(), None));
        let turned = [Nameserver, ByMap];
        assert_eq!(check(&turned, "192.0.2.7", here), ("europe".into(), Some(Nameserver)));
        assert_eq!(check(&[], "192.0.2.7", here), ("world".into(), None));
    }
}
