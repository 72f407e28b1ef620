//! Who may have how many messages wait: some places are for those whose signature is right, as many for primaries that
//! tell of changes, fewer for all others, and of each no network has more than a part, nor has a key. Whoever floods takes places
//! from itself and its like.

use std::hash::{BuildHasher as _, Hash, RandomState};
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
/// Of one key: an address may be forged by those who have a key, too.
const SAME_KEY_MAX: usize = MOST[2].0 / 2;
/// Of one signed message: a client asks again, and somebody who has recorded it may send it from everywhere.
const SAME_MAX: usize = 4;
/// Networks, keys, and signed messages, that are told apart; those beyond share what they have.
const TOLD_APART: usize = 4096;
/// What makes a network, as for response rate limits by default.
const IPV4_PREFIX: u32 = 24;
const IPV6_PREFIX: u32 = 56;

/// The places of one queue.
pub(super) struct HandOffPlaces {
    of_all: [AtomicUsize; KINDS],
    of_one: Box<[AtomicUsize]>,
    of_key: Box<[AtomicUsize]>,
    of_message: Box<[AtomicUsize]>,
    hasher: RandomState,
}

/// A place, until it is dropped.
pub(crate) struct HandOffPlace {
    places: Arc<HandOffPlaces>,
    kind: usize,
    network: usize,
    key: Option<usize>,
    message: Option<usize>,
}

impl HandOffPlaces {
    pub(super) fn new() -> Arc<Self> {
        let zeros = |count: usize| (0..count).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self {
            of_all: Default::default(),
            of_one: zeros(KINDS * TOLD_APART),
            of_key: zeros(TOLD_APART),
            of_message: zeros(TOLD_APART),
            hasher: RandomState::new(),
        })
    }

    /// A place, if the client's network, its kind and the message have one left.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr, caller: &Caller) -> Option<HandOffPlace> {
        let (kind, signer) = match caller {
            Caller::Stranger | Caller::Unsigned => (0, None),
            Caller::Primary => (1, None),
            Caller::Signed(signed) => (2, Some(&signed.signer)),
        };
        let (of_all, of_one) = MOST[kind];
        let network = KINDS * self.place_of(network(client)) + kind;
        take_one(&self.of_one[network], of_one)?;
        let is_left = self.of_all[kind].fetch_add(1, Relaxed) < of_all;
        // From here on it gives back what was taken.
        let places = Arc::clone(self);
        let mut place = HandOffPlace { places, kind, network, key: None, message: None };
        if let Some(signer) = signer {
            let (key, message) = (self.place_of(signer.key()), self.place_of(signer.request_mac()));
            take_one(&self.of_key[key], SAME_KEY_MAX)?;
            place.key = Some(key);
            take_one(&self.of_message[message], SAME_MAX)?;
            place.message = Some(message);
        }
        is_left.then_some(place)
    }

    fn place_of(&self, what: impl Hash) -> usize {
        // A small number.
        (self.hasher.hash_one(what) % TOLD_APART as u64) as usize
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
        if let Some(key) = self.key {
            self.places.of_key[key].fetch_sub(1, Relaxed);
        }
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
    use walrus_core::config::TsigAlgorithm;

    use super::*;
    use crate::tsig::{SharedKey, TsigKeys};

    /// A message with this number.
    fn signed(key: &str, number: u64) -> Caller {
        let key = SharedKey::new(key.parse().unwrap(), TsigAlgorithm::HmacSha256, b"secret");
        let mut message = [&(number as u16).to_be_bytes()[..], &[0; 10]].concat();
        let _ = key.sign_request(&mut message, 1000);
        let keys: TsigKeys = [key].into_iter().collect();
        Caller::Signed(Box::new(keys.look(&message, 1000).unwrap().unwrap()))
    }

    fn taken(
        places: &Arc<HandOffPlaces>,
        clients: impl Iterator<Item = [u8; 4]>,
        caller: impl Fn(u64) -> Caller,
    ) -> Vec<HandOffPlace> {
        let clients = clients.zip(0..);
        clients.filter_map(|(client, it)| places.take(client.into(), &caller(it))).collect()
    }

    #[test]
    fn strangers_leave_room_to_each_other_and_all_of_it_to_those_who_sign_and_to_primaries() {
        let places = HandOffPlaces::new();
        let stranger = |_| Caller::Stranger;
        let one = taken(&places, (0..255).map(|host| [192, 0, 2, host]), stranger);
        assert_eq!(one.len(), MOST[0].1);
        // Of two networks, and of two keys, one may share what another has.
        let others = [[198, 51, 100, 1], [203, 0, 113, 1]].into_iter();
        assert!(!taken(&places, others, stranger).is_empty());
        let many = || (0..u16::MAX).map(|net| [10, (net >> 8) as u8, net as u8, 1]);
        let all = taken(&places, many(), stranger);
        assert_eq!(one.len() + all.len(), MOST[0].0);
        let primaries = taken(&places, many(), |_| Caller::Primary);
        assert_eq!(primaries.len(), MOST[1].0, "whatever strangers do");
        let repeats = taken(&places, many().take(100), |_| signed("k", 7));
        assert_eq!(repeats.len(), SAME_MAX, "of one message");
        let one_key = taken(&places, many().take(300), |it| signed("k", it));
        assert_eq!(repeats.len() + one_key.len(), SAME_KEY_MAX, "of one key");
        let others =
            ["other", "third"].map(|key| taken(&places, many().take(300), |it| signed(key, it)));
        let count: usize = others.iter().map(Vec::len).sum();
        assert_eq!(count, MOST[2].0 - SAME_KEY_MAX, "whatever all others do");
        drop((one, all));
        assert_eq!(taken(&places, many(), stranger).len(), MOST[0].0, "given back");
        drop((primaries, repeats, one_key, others));
        let counts = places.of_one.iter().chain(&places.of_all);
        let counts = counts.chain(&places.of_key).chain(&places.of_message);
        assert!(counts.into_iter().all(|count| count.load(Relaxed) == 0));
    }
}
