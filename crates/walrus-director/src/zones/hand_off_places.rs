//! Who may have how many messages wait: some places are for those whom Walrus knows, fewer for all others, and of
//! either no network has more than a part. Whoever floods takes places from itself and its like.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Messages of those whose key, or whose address as a primary, is known.
pub(super) const KNOWN_MAX: usize = 192;
/// Of these from one network.
const KNOWN_OF_ONE_MAX: usize = 64;
/// Messages of all others.
pub(super) const STRANGERS_MAX: usize = 64;
/// Of these from one network.
const STRANGERS_OF_ONE_MAX: usize = 8;
/// Networks that are told apart; those beyond share what they have.
const NETWORKS: usize = 4096;
/// What makes a network, as for response rate limits by default.
const IPV4_PREFIX: u32 = 24;
const IPV6_PREFIX: u32 = 56;

/// The places of one queue.
pub(super) struct HandOffPlaces {
    of_all: [AtomicUsize; 2],
    of_one: Box<[AtomicUsize]>,
    hasher: RandomState,
}

/// A place, until it is dropped.
pub(crate) struct HandOffPlace {
    places: Arc<HandOffPlaces>,
    kind: usize,
    network: usize,
}

impl HandOffPlaces {
    pub(super) fn new() -> Arc<Self> {
        let of_one = (0..2 * NETWORKS).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self { of_all: Default::default(), of_one, hasher: RandomState::new() })
    }

    /// A place, if the client's network and its kind have one left.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr, is_known: bool) -> Option<HandOffPlace> {
        let kind = usize::from(is_known);
        let most = [(STRANGERS_MAX, STRANGERS_OF_ONE_MAX), (KNOWN_MAX, KNOWN_OF_ONE_MAX)][kind];
        // The remainder is a small number.
        let network = self.hasher.hash_one(network(client)) % NETWORKS as u64;
        let network = 2 * network as usize + kind;
        let of_one = &self.of_one[network];
        if of_one.fetch_add(1, Relaxed) >= most.1 {
            of_one.fetch_sub(1, Relaxed);
            return None;
        }
        let place = HandOffPlace { places: Arc::clone(self), kind, network };
        (self.of_all[kind].fetch_add(1, Relaxed) < most.0).then_some(place)
    }
}

impl Drop for HandOffPlace {
    fn drop(&mut self) {
        self.places.of_all[self.kind].fetch_sub(1, Relaxed);
        self.places.of_one[self.network].fetch_sub(1, Relaxed);
    }
}

fn network(client: IpAddr) -> (bool, u128) {
    match client.to_canonical() {
        IpAddr::V4(address) => (false, u128::from(address.to_bits() >> (32 - IPV4_PREFIX))),
        IpAddr::V6(address) => (true, address.to_bits() >> (128 - IPV6_PREFIX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(
        places: &Arc<HandOffPlaces>,
        clients: impl Iterator<Item = [u8; 4]>,
        is_known: bool,
    ) -> Vec<HandOffPlace> {
        clients.filter_map(|client| places.take(client.into(), is_known)).collect()
    }

    #[test]
    fn strangers_leave_room_to_each_other_and_all_of_it_to_those_who_are_known() {
        let places = HandOffPlaces::new();
        let one = taken(&places, (0..255).map(|host| [192, 0, 2, host]), false);
        assert_eq!(one.len(), STRANGERS_OF_ONE_MAX);
        assert_eq!(taken(&places, [[198, 51, 100, 1]].into_iter(), false).len(), 1);
        let many = || (0..u16::MAX).map(|net| [10, (net >> 8) as u8, net as u8, 1]);
        let all = taken(&places, many(), false);
        assert_eq!(one.len() + all.len(), STRANGERS_MAX);
        let known = taken(&places, many(), true);
        assert_eq!(known.len(), KNOWN_MAX, "whatever strangers do");
        drop((one, all));
        assert_eq!(taken(&places, many(), false).len(), STRANGERS_MAX, "given back");
        drop(known);
        assert!(places.of_one.iter().chain(&places.of_all).all(|count| count.load(Relaxed) == 0));
    }
}
