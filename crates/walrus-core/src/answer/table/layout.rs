//! Where a worker keeps what belongs to a table: one flat array a kind, places given out once.

use std::sync::Arc;

use super::ring::RingList;
use super::service::ServiceTable;

/// Places in a worker's arrays.
#[derive(Clone, Debug, Default)]
pub(in crate::answer) struct Layout {
    services: Box<[Box<[ListPlaces]>]>,
    areas: usize,
    positions: usize,
    servers: usize,
}

/// Where one list of one service has its places.
#[derive(Clone, Debug)]
pub(in crate::answer) struct ListPlaces {
    list: Arc<RingList>,
    positions_at: u32,
    servers_at: u32,
}

impl Layout {
    pub(super) fn new(services: &[Option<Arc<ServiceTable>>], areas: usize) -> Self {
        let mut layout = Self { areas, ..Self::default() };
        let mut places_of = |service: &Option<Arc<ServiceTable>>| {
            let lists = service.iter().flat_map(|service| service.lists.iter());
            lists.map(|list| layout.add(list)).collect()
        };
        let services = services.iter().map(&mut places_of).collect();
        layout.services = services;
        layout
    }

    fn add(&mut self, list: &Arc<RingList>) -> ListPlaces {
        let at = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let places = ListPlaces {
            list: Arc::clone(list),
            positions_at: at(self.positions),
            servers_at: at(self.servers),
        };
        self.positions += list.rings();
        self.servers += list.servers().len();
        places
    }

    /// Round-robin positions, one a ring.
    pub(in crate::answer) const fn positions(&self) -> usize {
        self.positions
    }

    /// Counters of servers, one a server in a list of a service.
    pub(in crate::answer) const fn servers(&self) -> usize {
        self.servers
    }

    /// Counters of areas, one an area of a service.
    pub(in crate::answer) fn areas(&self) -> usize {
        self.areas * self.services.len()
    }

    pub(in crate::answer) fn area(&self, service: u32, area: usize) -> usize {
        service as usize * self.areas + area
    }

    #[inline]
    pub(in crate::answer) fn positions_at(&self, service: u32, list: u32) -> usize {
        self.places(service, list).map_or(0, |places| places.positions_at as usize)
    }

    #[inline]
    pub(in crate::answer) fn server(&self, service: u32, list: u32, ordinal: u32) -> usize {
        let places = self.places(service, list);
        places.map_or(usize::MAX, |places| places.servers_at as usize + ordinal as usize)
    }

    fn places(&self, service: u32, list: u32) -> Option<&ListPlaces> {
        self.services.get(service as usize)?.get(list as usize)
    }

    pub(in crate::answer) fn services(&self) -> usize {
        self.services.len()
    }

    /// Each counted server of a service: its place among the counters and in the Plan.
    pub(in crate::answer) fn counted_servers(
        &self,
        service: usize,
    ) -> impl Iterator<Item = (usize, u32)> {
        self.services.get(service).into_iter().flatten().flat_map(|places| {
            let at = places.servers_at as usize;
            (at..).zip(places.list.servers().iter().copied())
        })
    }

    /// Runs of positions to go on with, as (from in `earlier`, to here, length): those of the same
    /// ring lists of the same services, and for a list that is new those of the one in its place.
    ///
    /// Gradual return makes a list anew with every Plan: would round robin begin anew as well, then
    /// the first server would have all answers of a service that is asked once a Plan.
    pub(in crate::answer) fn kept_positions<'a>(
        &'a self,
        earlier: &'a Self,
    ) -> impl Iterator<Item = (usize, usize, usize)> + 'a {
        self.services.iter().zip(&earlier.services).flat_map(|(new, old)| {
            new.iter().enumerate().filter_map(move |(index, places)| {
                let is_it = |other: &&ListPlaces| Arc::ptr_eq(&other.list, &places.list);
                // Most often a list keeps its place.
                let in_place = old.get(index);
                let kept = in_place.filter(is_it).or_else(|| old.iter().find(is_it));
                let kept = kept.or(in_place)?;
                let (from, to) = (kept.positions_at as usize, places.positions_at as usize);
                Some((from, to, places.list.rings().min(kept.list.rings())))
            })
        })
    }
}
