//! Which clusters an area likes best, for `nearest` and `stable`.

use super::round::RoundContext;
use crate::world::{AreaId, ClusterId, Distance, Nearness, Service, Topology};

/// All clusters from which an area could have a service, nearest first: its home; what the
/// configuration tells of others (list, then times and kilometres, then the name); those of which
/// nothing is known, in the service's order. Some of them may not serve the service.
#[derive(Clone, Debug)]
pub(crate) struct Preference<'a> {
    home: Option<ClusterId>,
    first: Option<ClusterId>,
    nearness: &'a Nearness,
    near: std::slice::Iter<'a, (ClusterId, Distance)>,
    configured: std::iter::Zip<std::ops::RangeFrom<u32>, std::slice::Iter<'a, ClusterId>>,
}

impl<'a> Preference<'a> {
    /// That of an area for a service.
    pub(crate) fn of(topology: &'a Topology, service: &'a Service, area: AreaId) -> Self {
        let home = service.homes.get(area.index()).copied().flatten();
        let nearness = &topology.areas[area.index()].nearness;
        Self {
            home,
            first: home,
            nearness,
            near: nearness.nearest_first().iter(),
            configured: (1..).zip(&service.clusters),
        }
    }
}

impl<'a> RoundContext<'a> {
    /// That of a pair.
    pub(super) fn preference(&self, pair: usize) -> Preference<'a> {
        // There are at most as many areas as ids.
        let area = AreaId((pair % self.areas) as u32);
        Preference::of(self.input.topology, self.service(pair), area)
    }
}

impl Iterator for Preference<'_> {
    type Item = (ClusterId, Distance);

    fn next(&mut self) -> Option<Self::Item> {
        let home = self.home;
        if let Some(home) = self.first.take() {
            return Some((home, Distance::Home));
        }
        if let Some(near) = self.near.by_ref().find(|(cluster, _)| Some(*cluster) != home) {
            return Some(*near);
        }
        let nearness = self.nearness;
        let is_left = |cluster: ClusterId| Some(cluster) != home && !nearness.knows(cluster);
        let (place, cluster) = self.configured.by_ref().find(|(_, cluster)| is_left(**cluster))?;
        Some((*cluster, Distance::Unknown(place)))
    }
}
