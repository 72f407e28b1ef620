//! Places for those who were admitted: so many in all, for one client and for one key.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use walrus_dns::DomainName;

use crate::director::lock;

/// Transfers at once: each has a thread, two messages of up to 64 KiB, and the zone as it was when it began.
pub(super) const TRANSFERS: Most = Most { all: 32, client: 8, key: 16 };
/// Transfers that wait for a zone that is not ready yet: each has a thread that sleeps.
pub(super) const WAITING: Most = Most { all: 64, client: 8, key: 32 };
/// Signed queries: each is over as soon as it is answered.
pub(super) const QUERIES: Most = Most { all: 64, client: 32, key: 32 };

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    all: usize,
    /// Of one address.
    client: usize,
    /// Of one key, or of all who need none: half, so that none keeps others out.
    key: usize,
}

/// Who has them.
#[derive(Debug)]
pub(super) struct Places {
    most: Most,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_client: BTreeMap<IpAddr, usize>,
    by_key: BTreeMap<Option<DomainName>, usize>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    client: IpAddr,
    key: Option<DomainName>,
}

impl Places {
    pub(super) fn new(most: Most) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// A place, if there is one left for this client and key.
    pub(super) fn take(
        self: &Arc<Self>,
        client: IpAddr,
        key: Option<&DomainName>,
    ) -> Option<Place> {
        let (client, key) = (client.to_canonical(), key.cloned());
        let mut taken = lock(&self.taken);
        let of_client = taken.by_client.get(&client).copied().unwrap_or(0);
        let of_key = taken.by_key.get(&key).copied().unwrap_or(0);
        let Most { all, client: client_max, key: key_max } = self.most;
        if taken.all >= all || of_client >= client_max || of_key >= key_max {
            return None;
        }
        taken.all += 1;
        taken.by_client.insert(client, of_client + 1);
        taken.by_key.insert(key.clone(), of_key + 1);
        drop(taken);
        Some(Place { places: Arc::clone(self), client, key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.taken);
        taken.all -= 1;
        give_back(&mut taken.by_client, &self.client);
        give_back(&mut taken.by_key, &self.key);
    }
}

fn give_back<K: Ord>(counts: &mut BTreeMap<K, usize>, holder: &K) {
    if let Some(count) = counts.get_mut(holder) {
        *count -= 1;
        if *count == 0 {
            counts.remove(holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_client_nor_a_key_takes_the_places_of_others() {
        let places = Places::new(Most { all: 5, client: 2, key: 3 });
        let keys = ["a", "b"].map(|key| key.parse::<DomainName>().unwrap());
        let take = |last: u8, key: usize| places.take([192, 0, 2, last].into(), Some(&keys[key]));
        let held = [take(1, 0), take(1, 0), take(2, 0)];
        assert!(held.iter().all(Option::is_some));
        assert!(take(1, 1).is_none(), "a client has two");
        assert!(take(3, 0).is_none(), "and a key three");
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(places.take(mapped, None).is_none(), "it is the same client");
        let others = [take(3, 1), places.take([192, 0, 2, 4].into(), None)];
        assert!(others.iter().all(Option::is_some));
        assert!(take(5, 1).is_none(), "there are five in all");
        drop((held, others));
        assert!(take(1, 0).is_some());
        let taken = lock(&places.taken);
        assert_eq!((taken.all, taken.by_client.len(), taken.by_key.len()), (0, 0, 0));
    }
}
