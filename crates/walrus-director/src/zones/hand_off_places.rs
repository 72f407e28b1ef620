//! Who may have how many messages wait: some places are for those whose signature is right, as many for primaries that
//! tell of changes, fewer for all others, and of each no network has more than a part. Whoever floods takes places
//! from itself and its like.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::hand_off::Caller;

/// Kinds of those who send: strangers, primaries, and who signs.
const KINDS: usize = 3;
/// Messages of each kind in all, and from one network. An address may be forged, so primaries, which are known by
/// theirs alone, have no place of those who sign.
const MOST: [(usize, usize); KINDS] = [(64, 8), (192, 64), (192, 64)];
/// Messages of all kinds.
pub(super) const PLACES: usize = MOST[0].0 + MOST[1].0 + MOST[2].0;
/// Of one signed message: a client asks again, and somebody who has recorded it may send it from everywhere.
const SAME_MAX: usize = 4;
/// Networks, and signed messages, that are told apart; those beyond share what they have.
const TOLD_APART: usize = 4096;
/// What makes a network, as for response rate limits by default.
const IPV4_PREFIX: u32 = 24;
const IPV6_PREFIX: u32 = 56;

/// The places of one queue.
pub(super) struct HandOffPlaces {
    of_all: [AtomicUsize; KINDS],
    of_one: Box<[AtomicUsize]>,
    of_message: Box<[AtomicUsize]>,
    hasher: RandomState,
}

/// A place, until it is dropped.
pub(crate) struct HandOffPlace {
    places: Arc<HandOffPlaces>,
    kind: usize,
    network: usize,
    message: Option<usize>,
}

impl HandOffPlaces {
    pub(super) fn new() -> Arc<Self> {
        let zeros = |count: usize| (0..count).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self {
            of_all: Default::default(),
            of_one: zeros(KINDS * TOLD_APART),
            of_message: zeros(TOLD_APART),
            hasher: RandomState::new(),
        })
    }

    /// A place, if the client's network, its kind and the message have one left.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr, caller: Caller) -> Option<HandOffPlace> {
        let (kind, message) = match caller {
            Caller::Stranger | Caller::Unsigned => (0, None),
            Caller::Primary => (1, None),
            Caller::Signed(message) => (2, Some(message)),
        };
        let (of_all, of_one) = MOST[kind];
        // The remainders are small numbers.
        let network = self.hasher.hash_one(network(client)) % TOLD_APART as u64;
        let network = KINDS * network as usize + kind;
        let message = message.map(|message| (message % TOLD_APART as u64) as usize);
        take_one(&self.of_one[network], of_one)?;
        let is_left = self.of_all[kind].fetch_add(1, Relaxed) < of_all;
        // From here on it gives back what was taken.
        let mut place = HandOffPlace { places: Arc::clone(self), kind, network, message: None };
        if let Some(message) = message {
            take_one(&self.of_message[message], SAME_MAX)?;
            place.message = Some(message);
        }
        is_left.then_some(place)
    }
}

/// Counts one more, if there are not too many.
fn take_one(count: &AtomicUsize, most: usize) -> Option<()> {
    if count.fetch_add(1, Relaxed) < most {
        return Some(());
    }
    count.fetch_sub(1, Relaxed);
    None
}

impl Drop for HandOffPlace {
    fn drop(&mut self) {
        self.places.of_all[self.kind].fetch_sub(1, Relaxed);
        self.places.of_one[self.network].fetch_sub(1, Relaxed);
        if let Some(message) = self.message {
            self.places.of_message[message].fetch_sub(1, Relaxed);
        }
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
        caller: impl Fn(u64) -> Caller,
    ) -> Vec<HandOffPlace> {
        let clients = clients.zip(0..);
        clients.filter_map(|(client, it)| places.take(client.into(), caller(it))).collect()
    }

    #[test]
    fn strangers_leave_room_to_each_other_and_all_of_it_to_those_who_sign_and_to_primaries() {
        let places = HandOffPlaces::new();
        let stranger = |_| Caller::Stranger;
        let one = taken(&places, (0..255).map(|host| [192, 0, 2, host]), stranger);
        assert_eq!(one.len(), MOST[0].1);
        assert_eq!(taken(&places, [[198, 51, 100, 1]].into_iter(), stranger).len(), 1);
        let many = || (0..u16::MAX).map(|net| [10, (net >> 8) as u8, net as u8, 1]);
        let all = taken(&places, many(), stranger);
        assert_eq!(one.len() + all.len(), MOST[0].0);
        let primaries = taken(&places, many(), |_| Caller::Primary);
        assert_eq!(primaries.len(), MOST[1].0, "whatever strangers do");
        let repeats = taken(&places, many(), |_| Caller::Signed(7));
        assert_eq!(repeats.len(), SAME_MAX, "of one message");
        let signed = taken(&places, many(), Caller::Signed);
        assert_eq!(repeats.len() + signed.len(), MOST[2].0, "whatever all others do");
        drop((one, all));
        assert_eq!(taken(&places, many(), stranger).len(), MOST[0].0, "given back");
        drop((primaries, repeats, signed));
        let counts = places.of_one.iter().chain(&places.of_all).chain(&places.of_message);
        assert!(counts.into_iter().all(|count| count.load(Relaxed) == 0));
    }
}
