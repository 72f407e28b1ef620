//! The servers of a ring with what each can bear, for policies that compare what they were given.

/// More than any server bears, in whatever unit: sums and quotients stay finite.
const CAPACITY_MAX: f64 = 1e12;

/// A ring's servers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Servers {
    servers: Box<[Server]>,
    /// What all of them bear.
    capacity: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Server {
    /// 1 / capacity; infinite for one that bears nothing.
    inverse: f64,
    /// Its place among the service's servers.
    place: u32,
}

impl Servers {
    /// From (place among the service's servers, capacity). All alike if none is above 0; else
    /// whoever has none is chosen only if nobody else is there.
    pub(super) fn compile(servers: impl Iterator<Item = (u32, f64)> + Clone) -> Self {
        let count = servers.clone().count();
        let sum: f64 = servers.clone().map(|(_, capacity)| countable(capacity)).sum();
        let server = |(place, capacity)| {
            let capacity = if sum > 0.0 { countable(capacity) } else { 1.0 };
            Server { place, inverse: 1.0 / capacity }
        };
        let capacity = if sum > 0.0 { sum } else { count as f64 };
        Self { servers: servers.map(server).collect(), capacity }
    }

    /// How many there are.
    pub(super) const fn count(&self) -> u32 {
        // As many as candidates, which are counted in 32 bits.
        self.servers.len() as u32
    }

    /// What all of them bear.
    #[inline]
    pub(super) const fn capacity(&self) -> f64 {
        self.capacity
    }

    /// The place of a candidate among the service's servers.
    #[inline]
    pub(super) fn place(&self, candidate: u32) -> u32 {
        self.servers.get(candidate as usize).map_or(u32::MAX, |server| server.place)
    }

    /// 1 / capacity of a candidate.
    #[inline]
    pub(super) fn inverse(&self, candidate: u32) -> f64 {
        self.servers.get(candidate as usize).map_or(f64::INFINITY, |server| server.inverse)
    }

    /// All of them.
    #[inline]
    pub(super) fn places(&self) -> impl Iterator<Item = u32> + Clone + '_ {
        self.servers.iter().map(|server| server.place)
    }

    /// The candidate for which `relative(place, 1 / capacity)` is least, ties by the pointer, which
    /// then moves behind it. What is not a number is never less.
    #[inline]
    pub(super) fn least(&self, position: &mut u32, relative: impl Fn(u32, f64) -> f64) -> u32 {
        let len = self.count();
        let from = if *position < len { *position } else { *position % len.max(1) };
        let (before, behind) = self.servers.split_at(from as usize);
        let (mut least, mut chosen) = (f64::INFINITY, from);
        let mut look = |mut index: u32, servers: &[Server]| {
            for server in servers {
                let relative = relative(server.place, server.inverse);
                if relative < least {
                    (least, chosen) = (relative, index);
                }
                index += 1;
            }
        };
        look(from, behind);
        look(0, before);
        *position = if chosen + 1 >= len { 0 } else { chosen + 1 };
        chosen
    }
}

/// A capacity that can be reckoned with, whatever was told.
fn countable(capacity: f64) -> f64 {
    // Not a number is no capacity either.
    if capacity > 0.0 { capacity.min(CAPACITY_MAX) } else { 0.0 }
}

#[cfg(test)]
impl Servers {
    /// From places and capacities.
    pub(super) fn new(servers: &[(u32, f64)]) -> Self {
        Self::compile(servers.iter().copied())
    }

    /// So many at places from 0 on.
    pub(super) fn alike(count: u32) -> Self {
        Self::compile((0..count).map(|place| (place, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least(servers: &Servers, position: &mut u32, loads: impl Fn(u32) -> f64) -> u32 {
        servers.least(position, |place, inverse| loads(place) * inverse)
    }

    #[test]
    fn the_least_over_its_capacity() {
        let servers = Servers::new(&[(4, 1.0), (5, 2.0), (6, 0.0)]);
        let loads = |place: u32| [3.0, 4.0, 0.0][place as usize - 4];
        let mut position = 0;
        assert_eq!(least(&servers, &mut position, loads), 1);
        assert_eq!(position, 2);
        assert_eq!(servers.places().collect::<Vec<_>>(), [4, 5, 6]);
    }

    #[test]
    fn ties_go_round_from_any_pointer() {
        let servers = Servers::alike(3);
        let mut position = 7;
        let chosen: Vec<u32> = (0..4).map(|_| least(&servers, &mut position, |_| 1.0)).collect();
        assert_eq!(chosen, [1, 2, 0, 1]);
    }

    #[test]
    fn nobody_with_capacity_counts_as_all_alike() {
        let servers = Servers::new(&[(0, 0.0), (1, f64::NAN)]);
        assert_eq!(least(&servers, &mut 0, |place| [2.0, 1.0][place as usize]), 1);
        assert_eq!(servers.capacity(), 2.0);
    }

    #[test]
    fn odd_capacities_are_none() {
        let odd = [(0, f64::NAN), (1, -1.0), (2, f64::INFINITY), (3, 1.0)];
        let servers = Servers::new(&odd);
        assert!(servers.capacity().is_finite());
        assert_eq!(least(&servers, &mut 0, |_| 0.0), 2, "no load, and some capacity");
    }
}
