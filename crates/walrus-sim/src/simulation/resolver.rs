//! Resolvers: their caches, and what they know of name servers. Nothing here asks.

use std::collections::BTreeMap;
use std::net::IpAddr;

use walrus_core::world::Generator;

use super::family::{self, Acquaintance};
use super::queue::Entry;
use super::study::{Population, TtlRule};

/// What a resolver holds for one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// When its answer is there: until then, who asks waits.
    pub(super) from: u64,
    /// From then on it has to ask again.
    pub(super) until: u64,
    /// [`Entry::NO_ANSWER`] if there was none.
    pub(super) answer: u32,
}

impl Held {
    const NOTHING: Self = Self { from: 0, until: 0, answer: Entry::NO_ANSWER };
}

/// All resolvers of all populations, and the domains that they serve.
#[derive(Debug)]
pub(super) struct Resolvers {
    /// By domain: its population.
    populations: Box<[u16]>,
    /// By domain: its resolver.
    resolvers: Box<[u32]>,
    /// By population: its first domain.
    first_domains: Vec<u32>,
    /// By resolver, or by domain where client subnets are sent.
    held: Box<[Held]>,
    /// Answers to client subnets whose scope is wider than a domain, by resolver, scope and prefix.
    wide: BTreeMap<(u32, u8, u128), Held>,
    /// By resolver: asked so often, and at which question the nearest answered first (0: not yet).
    windows: Box<[(u32, u32)]>,
    /// By resolver: whether it follows its population's rule for TTLs.
    follows: Box<[bool]>,
    /// By resolver: its first domain.
    homes: Box<[u32]>,
    /// By resolver and name server; empty with just one name server.
    known: Box<[Acquaintance]>,
    name_servers: usize,
}

/// As many answers of wide scope are kept; when there are more, those that ended are thrown out.
const WIDE_MAX: usize = 1_000_000;

impl Resolvers {
    pub(super) fn new(populations: &[Population], name_servers: usize, seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let (mut of_domain, mut resolvers) = (Vec::new(), Vec::new());
        let (mut homes, mut follows, mut first_domains) = (Vec::new(), Vec::new(), Vec::new());
        for (number, population) in populations.iter().enumerate() {
            first_domains.push(of_domain.len() as u32);
            for domain in 0..population.shares.shares().len() as u32 {
                if domain % population.domains_per_resolver == 0 {
                    homes.push(of_domain.len() as u32);
                    follows.push(generator.share() < population.ttl_share);
                }
                of_domain.push(number as u16);
                resolvers.push(homes.len() as u32 - 1);
            }
        }
        let by_domain = populations.iter().any(|population| population.subnet);
        let places = if by_domain { of_domain.len() } else { homes.len() };
        let acquaintances = if name_servers > 1 { homes.len() * name_servers } else { 0 };
        let mut known = vec![Acquaintance::UNKNOWN; acquaintances].into_boxed_slice();
        for (home, known) in homes.iter().zip(known.chunks_mut(name_servers.max(1))) {
            let population: u16 = of_domain[*home as usize];
            family::begin(populations[usize::from(population)].family, known, &mut generator);
        }
        Self {
            populations: of_domain.into(),
            resolvers: resolvers.into(),
            first_domains,
            held: vec![Held::NOTHING; places].into(),
            wide: BTreeMap::new(),
            windows: vec![(0, 0); homes.len()].into(),
            follows: follows.into(),
            homes: homes.into(),
            known,
            name_servers,
        }
    }

    /// Bytes that a resolver takes, with one domain and this many name servers.
    #[cfg(test)]
    pub(super) const fn bytes_each(name_servers: usize) -> usize {
        let domain = size_of::<u16>() + size_of::<u32>();
        let resolver =
            size_of::<Held>() + size_of::<(u32, u32)>() + size_of::<bool>() + size_of::<u32>();
        domain + resolver + size_of::<Acquaintance>() * name_servers
    }

    pub(super) const fn domains(&self) -> usize {
        self.populations.len()
    }

    #[inline]
    pub(super) fn population_of(&self, domain: u32) -> usize {
        usize::from(self.populations[domain as usize])
    }

    /// A population's first domain.
    pub(super) fn first_domain(&self, population: usize) -> u32 {
        self.first_domains[population]
    }

    /// The first domain of a domain's resolver: in its network the resolver lives.
    pub(super) fn home_of(&self, domain: u32) -> u32 {
        self.homes[self.resolvers[domain as usize] as usize]
    }

    /// What the resolver of this domain has for it, if it need not ask. `subnet`: its network, if client
    /// subnets are sent.
    #[inline]
    pub(super) fn find(&self, domain: u32, now: u64, subnet: Option<Network>) -> Option<Held> {
        let held = self.held[self.place(domain, subnet.is_some())];
        if now < held.until {
            return Some(held);
        }
        let subnet = subnet.filter(|_| !self.wide.is_empty())?;
        let resolver = self.resolvers[domain as usize];
        (0..subnet.bits).rev().find_map(|scope| {
            let held = self.wide.get(&(resolver, scope, subnet.masked(scope)))?;
            (now < held.until).then_some(*held)
        })
    }

    /// Keeps an answer. A scope narrower than the subnet that was sent counts as that (RFC 7871 7.3.1).
    pub(super) fn keep(&mut self, domain: u32, held: Held, subnet: Option<(Network, u8)>) {
        let resolver = self.resolvers[domain as usize];
        if let Some((network, scope)) = subnet
            && scope < network.bits
            && self.is_shared(resolver)
        {
            if self.wide.len() >= WIDE_MAX {
                self.wide.retain(|_, other| other.until > held.from);
            }
            if self.wide.len() < WIDE_MAX {
                self.wide.insert((resolver, scope, network.masked(scope)), held);
                return;
            }
        }
        let place = self.place(domain, subnet.is_some());
        self.held[place] = held;
    }

    /// Where the answer for a domain is kept: by resolver, or, if any population sends client subnets, by
    /// domain; that of the resolver's first one for a resolver that sends none.
    #[inline]
    fn place(&self, domain: u32, by_subnet: bool) -> usize {
        let resolver = self.resolvers[domain as usize];
        if self.held.len() == self.homes.len() {
            resolver as usize
        } else if by_subnet {
            domain as usize
        } else {
            self.homes[resolver as usize] as usize
        }
    }

    /// Whether a resolver serves more than one domain.
    fn is_shared(&self, resolver: u32) -> bool {
        let home = self.homes[resolver as usize] as usize;
        self.resolvers.get(home + 1).is_some_and(|next| *next == resolver)
    }

    /// How long an answer is kept, in nanoseconds, for a TTL in seconds.
    pub(super) fn lifetime(&self, domain: u32, ttl: u32, rule: TtlRule) -> u64 {
        let honoured = u64::from(ttl) * 1_000_000_000;
        let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if !self.follows[self.resolvers[domain as usize] as usize] {
            return honoured;
        }
        match rule {
            TtlRule::Honour => honoured,
            TtlRule::AtLeast(least) => honoured.max(nanos(least)),
            TtlRule::AtMost(most) => honoured.min(nanos(most)),
            TtlRule::Ignore(always) => nanos(always),
        }
    }

    /// What the resolver of this domain knows of name servers; empty with just one.
    pub(super) fn known(&mut self, domain: u32) -> &mut [Acquaintance] {
        let at = self.resolvers[domain as usize] as usize * self.name_servers;
        self.known.get_mut(at..at + self.name_servers).unwrap_or_default()
    }

    /// Its resolver was answered: the number of that question, from 1, and whether it is the first that
    /// the nearest answered.
    pub(super) fn count_window(&mut self, domain: u32, is_nearest: bool) -> (u32, bool) {
        let (windows, first) = &mut self.windows[self.resolvers[domain as usize] as usize];
        *windows += 1;
        let is_first = is_nearest && *first == 0;
        if is_first {
            *first = *windows;
        }
        (*windows, is_first)
    }

    /// Resolvers of these populations that asked and never came to the nearest.
    pub(super) fn never_near(&self, counts: impl Fn(usize) -> bool) -> u64 {
        let of = |home: &u32| usize::from(self.populations[*home as usize]);
        let each = self.homes.iter().zip(&self.windows);
        each.filter(|(home, (windows, first))| *windows > 0 && *first == 0 && counts(of(home)))
            .count() as u64
    }
}

/// A domain's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// The first address, IPv4 ones in the upper 32 bits.
    address: u128,
    pub(super) bits: u8,
    is_ipv4: bool,
}

impl Network {
    /// The network of a population's domain.
    #[inline]
    pub(super) fn of(population: &Population, domain: u32) -> Self {
        let bits = population.network_bits;
        let (first, is_ipv4) = match population.network {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, true),
            IpAddr::V6(address) => (address.to_bits(), false),
        };
        Self { address: first + (u128::from(domain) << (128 - bits)), bits, is_ipv4 }
    }

    /// Its address.
    pub(super) fn address(self) -> IpAddr {
        self.host(0)
    }

    /// The address of its resolver: .53, or ::53.
    pub(super) fn resolver(self) -> IpAddr {
        self.host(if self.is_ipv4 { 53 } else { 0x53 })
    }

    fn host(self, number: u8) -> IpAddr {
        if self.is_ipv4 {
            IpAddr::V4(((self.address >> 96) as u32 | u32::from(number)).into())
        } else {
            IpAddr::V6((self.address | u128::from(number)).into())
        }
    }

    /// The bytes of its prefix, as they end a client subnet option.
    pub(super) fn prefix_bytes(self) -> ([u8; 16], usize) {
        (self.address.to_be_bytes(), usize::from(self.bits.div_ceil(8)))
    }

    fn masked(self, bits: u8) -> u128 {
        if bits == 0 { 0 } else { self.address & u128::MAX << (128 - bits) }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address(), self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_costs_at_most_200_bytes_with_eight_name_servers() {
        assert!(Resolvers::bytes_each(1) <= 72, "{}", Resolvers::bytes_each(1));
        assert!(Resolvers::bytes_each(8) <= 200, "{}", Resolvers::bytes_each(8));
    }
}
