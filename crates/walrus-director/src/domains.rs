//! The heaviest domains of each service, counted in bounded memory.
//!
//! **Problem.** A domain (a resolver, or a client subnet if the query has one) has its hidden load
//! weight; there may be millions of them, and an attacker can make up as many as he likes.
//!
//! **Rule.** Space-saving: a table of fixed size; who is not in it takes the place of the one with
//! the lowest count and inherits that count as its possible error. Whoever really has more than
//! 1/size of all queries is in the table. Here each domain may stand in eight places only, found by
//! its hash, so that a query costs two cache lines (the eight's tags and counts, and the place itself)
//! and not a search for the minimum: the guarantee then holds for each eight.
//!
//! **Source.** Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements
//! in Data Streams (ICDT 2005).
//!
//! **When it is wrong.** Many domains of like weight push each other out: counts are then mostly
//! error, and `error` says so.
//!
//! **Example.** Full eight with a lowest count of 3: a new domain enters with count 4, error 3.

use std::net::IpAddr;

use walrus_core::world;
use walrus_dns::edns::ClientSubnet;

/// Places that a domain may stand in.
const WAYS: usize = 8;

/// Places in all, however many services there are: 4 MiB a thread at most.
const PLACES_MAX: usize = 1 << 16;

/// A resolver's address or a client subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Domain {
    bits: u128,
    /// The prefix' length; IPv4 ones have 128 added.
    length: u8,
}

/// Marks an IPv4 prefix' length.
const IPV4: u8 = 128 + 1;

impl Domain {
    /// The client subnet if it says anything, as far as answers tell clients apart; else the resolver.
    #[inline]
    pub(crate) fn of(subnet: Option<&ClientSubnet>, resolver: IpAddr) -> Self {
        let subnet = subnet.and_then(|subnet| Some((subnet.address()?, subnet.source())));
        // As `AskingDomain::of` has it: what is counted here must be found when it asks again.
        let domain = match subnet.filter(|(address, _)| address.to_canonical() == *address) {
            Some((address, source)) => world::Domain::new(address, source).of_client(),
            None => world::Domain::of_address(resolver),
        };
        match domain.network() {
            IpAddr::V4(address) => {
                Self { bits: u128::from(address.to_bits()), length: IPV4 + domain.length() }
            }
            IpAddr::V6(address) => Self { bits: address.to_bits(), length: domain.length() },
        }
    }

    fn hash(self, service: u32) -> u64 {
        let folded = (self.bits >> 64) as u64 ^ (self.bits as u64).rotate_left(29);
        let tag = u64::from(service) << 8 | u64::from(self.length);
        let mixed =
            (folded ^ tag.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.length {
            IPV4.. => {
                let address = std::net::Ipv4Addr::from_bits(self.bits as u32);
                match self.length - IPV4 {
                    32 => write!(f, "{address}"),
                    length => write!(f, "{address}/{length}"),
                }
            }
            length => {
                let address = std::net::Ipv6Addr::from_bits(self.bits);
                if length == 128 { write!(f, "{address}") } else { write!(f, "{address}/{length}") }
            }
        }
    }
}

/// A domain with its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) service: u32,
    pub(crate) domain: Domain,
    /// At most `error` too high.
    pub(crate) count: u64,
    pub(crate) error: u64,
}

/// One thread's counts: a head for each [`WAYS`] places.
pub(crate) struct DomainCounts {
    heads: Box<[Head]>,
    places: Box<[Place]>,
}

/// What a query looks at first: one cache line for eight places. A place itself is only read if its
/// tag fits, which is then nearly always the one that is sought.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Head {
    /// A part of the hash.
    tags: [u32; WAYS],
    /// A count of 0 is an empty place. They end at 2^32 - 1, which no thread reaches between two
    /// observations.
    counts: [u32; WAYS],
}

/// Who stands in a place.
#[derive(Clone, Copy)]
struct Place {
    domain: Domain,
    service: u32,
    error: u32,
}

impl DomainCounts {
    /// For so many domains a service: twice as many places, bounded over all services.
    pub(crate) fn new(domains: usize, services: usize) -> Self {
        let wanted = domains.saturating_mul(2).saturating_mul(services);
        let places = wanted.clamp(WAYS, PLACES_MAX).next_power_of_two();
        let head = Head { tags: [0; WAYS], counts: [0; WAYS] };
        let place = Place { domain: Domain { bits: 0, length: 0 }, service: 0, error: 0 };
        Self { heads: vec![head; places / WAYS].into(), places: vec![place; places].into() }
    }

    /// No places: nothing can be counted, and nothing is allocated.
    pub(crate) fn none() -> Self {
        Self { heads: Box::default(), places: Box::default() }
    }

    /// Whether there are no places.
    pub(crate) const fn is_none(&self) -> bool {
        self.places.is_empty()
    }

    /// Forgets all counts.
    pub(crate) fn clear(&mut self) {
        self.heads.iter_mut().for_each(|head| head.counts = [0; WAYS]);
    }

    /// Counts one query.
    #[inline]
    pub(crate) fn add(&mut self, service: u32, domain: Domain) {
        let hash = domain.hash(service);
        let group = hash as usize & self.heads.len().wrapping_sub(1);
        let tag = (hash >> 32) as u32;
        let Some(head) = self.heads.get_mut(group) else { return };
        let Some(places) = self.places.get_mut(group * WAYS..(group + 1) * WAYS) else { return };
        for (way, place) in places.iter().enumerate() {
            let is_same =
                head.tags[way] == tag && place.domain == domain && place.service == service;
            if is_same && head.counts[way] > 0 {
                head.counts[way] = head.counts[way].saturating_add(1);
                return;
            }
        }
        let mut lowest = 0;
        for way in 1..WAYS {
            if head.counts[way] < head.counts[lowest] {
                lowest = way;
            }
        }
        let error = head.counts[lowest];
        places[lowest] = Place { domain, service, error };
        head.tags[lowest] = tag;
        head.counts[lowest] = error.saturating_add(1);
    }

    /// All that were counted, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Counted> {
        let counts = self.heads.iter().flat_map(|head| head.counts);
        let counted = counts.zip(&self.places).filter(|(count, _)| *count > 0);
        counted.map(|(count, place)| Counted {
            service: place.service,
            domain: place.domain,
            count: u64::from(count),
            error: u64::from(place.error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::of(None, text.parse().unwrap())
    }

    fn subnet(option: &[u8]) -> ClientSubnet {
        ClientSubnet::parse(option).unwrap()
    }

    #[test]
    fn the_subnet_counts_if_it_says_anything() {
        let resolver = "192.0.2.53".parse().unwrap();
        let ipv4 = subnet(&[0, 1, 24, 0, 198, 51, 100]);
        let ipv6 = subnet(&[0, 2, 32, 0, 0x20, 0x01, 0x0d, 0xb8]);
        let none = subnet(&[0, 1, 0, 0]);
        let long_ipv4 = subnet(&[0, 1, 32, 0, 198, 51, 100, 7]);
        let long_ipv6 = subnet(&[0, 2, 64, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2]);
        let mut mapped = [0; 20];
        mapped[1..3].copy_from_slice(&[2, 128]);
        mapped[14..].copy_from_slice(&[0xff, 0xff, 198, 51, 100, 7]);
        let mapped = subnet(&mapped);
        for (subnet, expected) in [
            (Some(&ipv4), "198.51.100.0/24"),
            (Some(&ipv6), "2001:db8::/32"),
            (Some(&long_ipv4), "198.51.100.0/24"),
            (Some(&long_ipv6), "2001:db8:1::/56"),
            (Some(&mapped), "192.0.2.53"),
            (Some(&none), "192.0.2.53"),
            (None, "192.0.2.53"),
        ] {
            assert_eq!(Domain::of(subnet, resolver).to_string(), expected);
        }
        assert_eq!(domain("2001:db8::1").to_string(), "2001:db8::1");
    }

    #[test]
    fn heavy_domains_survive_a_flood_of_others() {
        let mut counts = DomainCounts::new(50, 1);
        let heavy = domain("192.0.2.1");
        for round in 0..10_000_u32 {
            counts.add(0, Domain::of(None, IpAddr::V4(round.into())));
            if round % 10 == 0 {
                counts.add(0, heavy);
            }
        }
        let found = counts.iter().max_by_key(|counted| counted.count).unwrap();
        assert_eq!(found.domain, heavy);
        assert!(found.count >= 1_000 && found.count - found.error <= 1_000);
        let sum: u64 = counts.iter().map(|counted| counted.count).sum();
        assert_eq!(sum, 11_000, "every query stands in exactly one count");
    }

    #[test]
    fn services_are_counted_apart() {
        let mut counts = DomainCounts::new(10, 2);
        for service in [0, 1, 1] {
            counts.add(service, domain("192.0.2.1"));
        }
        let mut found: Vec<_> = counts.iter().map(|c| (c.service, c.count, c.error)).collect();
        found.sort();
        assert_eq!(found, [(0, 1, 0), (1, 2, 0)]);
    }
}
