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
    domains: Box<[Domain]>,
    /// By population: its first domain.
    first_domains: Vec<u32>,
    /// Answers to client subnets whose scope is wider than a domain, by resolver, scope and prefix.
    wide: BTreeMap<(u32, u8, u128), Held>,
    /// By domain, of those that a resolver lives in: what only lookups need.
    states: Box<[ResolverState]>,
    /// By domain and name server; empty with just one name server.
    known: Box<[Acquaintance]>,
    name_servers: usize,
    /// The seed of the phases in which caches begin.
    phases: u64,
}

/// A network of clients: what each page needs, in half a cache line.
#[derive(Clone, Copy, Debug)]
struct Domain {
    /// What its resolver holds: for all of its domains if it lives here; for this one if the population
    /// sends client subnets.
    held: Held,
    /// The domain that its resolver lives in: the first of those that it serves, and its number.
    home: u32,
    population: u16,
    /// Its nearest clusters, by number among [`super::crowd::Nearest`].
    nearest: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct ResolverState {
    /// It was answered so often.
    windows: u32,
    /// ... and at this question by the nearest name server first; 0: not yet.
    first_near: u32,
    /// It asked so often.
    questions: u32,
    /// It follows its population's rule for TTLs.
    follows: bool,
}

/// As many answers of wide scope are kept; when there are more, those that ended are thrown out.
const WIDE_MAX: usize = 1_000_000;

impl Resolvers {
    /// `nearest` has each domain's nearest clusters, by number.
    pub(super) fn new(
        populations: &[Population],
        nearest: &[u16],
        name_servers: usize,
        seed: u64,
    ) -> Self {
        let mut generator = Generator::new(seed);
        let mut domains: Vec<Domain> = Vec::with_capacity(nearest.len());
        let mut states: Vec<ResolverState> = Vec::with_capacity(nearest.len());
        let mut first_domains = Vec::new();
        for (number, population) in populations.iter().enumerate() {
            let first = domains.len() as u32;
            first_domains.push(first);
            for domain in 0..population.shares.shares().len() as u32 {
                let home = first + domain - domain % population.domains_per_resolver;
                let follows = home == first + domain && generator.share() < population.ttl_share;
                let nearest = nearest[domains.len()];
                let population = number as u16;
                domains.push(Domain { held: Held::NOTHING, home, population, nearest });
                states.push(ResolverState { follows, ..ResolverState::default() });
            }
        }
        let acquaintances = if name_servers > 1 { domains.len() * name_servers } else { 0 };
        let mut known = vec![Acquaintance::UNKNOWN; acquaintances].into_boxed_slice();
        for (domain, known) in domains.iter().zip(known.chunks_mut(name_servers.max(1))) {
            let family = populations[usize::from(domain.population)].family;
            family::begin(family, known, &mut generator);
        }
        let (domains, states, wide) = (domains.into(), states.into(), BTreeMap::new());
        let phases = generator.draw();
        Self { domains, first_domains, wide, states, known, name_servers, phases }
    }

    /// Bytes that a resolver takes, with one domain and this many name servers.
    #[cfg(test)]
    const fn bytes_each(name_servers: usize) -> usize {
        size_of::<Domain>() + size_of::<ResolverState>() + size_of::<Acquaintance>() * name_servers
    }

    pub(super) const fn domains(&self) -> usize {
        self.domains.len()
    }

    #[inline]
    pub(super) fn population_of(&self, domain: u32) -> usize {
        usize::from(self.domains[domain as usize].population)
    }

    /// Fetches what these clients' pages will need of their domains while others' are worked on, instead of
    /// waiting for memory page by page, which was a tenth of a run.
    #[inline]
    pub(super) fn look_ahead(&self, entries: &[Entry]) {
        let mut homes = 0;
        for entry in entries {
            homes ^= self.domains.get(entry.domain as usize).map_or(0, |domain| domain.home);
        }
        // Nobody needs the number; that it is made is what matters.
        std::hint::black_box(homes);
    }

    /// Its nearest clusters, by number among [`super::crowd::Nearest`].
    #[inline]
    pub(super) fn nearest_to(&self, domain: u32) -> u16 {
        self.domains[domain as usize].nearest
    }

    /// A population's first domain.
    pub(super) fn first_domain(&self, population: usize) -> u32 {
        self.first_domains[population]
    }

    /// The first domain of a domain's resolver: in its network the resolver lives.
    pub(super) fn home_of(&self, domain: u32) -> u32 {
        self.domains[domain as usize].home
    }

    /// What the resolver of this domain has for it, if it need not ask. `subnet`: its network, if client
    /// subnets are sent.
    #[inline]
    pub(super) fn find(&self, domain: u32, now: u64, subnet: Option<Network>) -> Option<Held> {
        let home = self.home_of(domain);
        let held = self.domains[if subnet.is_some() { domain } else { home } as usize].held;
        if now < held.until {
            return Some(held);
        }
        let subnet = subnet.filter(|_| !self.wide.is_empty())?;
        (0..subnet.bits).rev().find_map(|scope| {
            let held = self.wide.get(&(home, scope, subnet.masked(scope)))?;
            (now < held.until).then_some(*held)
        })
    }

    /// Keeps an answer, and says how long. A scope narrower than the subnet that was sent counts as that
    /// (RFC 7871 7.3.1).
    pub(super) fn keep(
        &mut self,
        domain: u32,
        mut held: Held,
        subnet: Option<(Network, u8)>,
    ) -> Held {
        let home = self.home_of(domain);
        let Some((network, scope)) = subnet else {
            self.begin_in_phase(home, &mut held);
            self.domains[home as usize].held = held;
            return held;
        };
        let is_shared = self.domains.get(home as usize + 1).is_some_and(|next| next.home == home);
        if scope < network.bits && is_shared {
            if self.wide.len() >= WIDE_MAX {
                self.wide.retain(|_, other| other.until > held.from);
            }
            if self.wide.len() < WIDE_MAX {
                self.begin_in_phase(home, &mut held);
                self.wide.insert((home, scope, network.masked(scope)), held);
                return held;
            }
        }
        self.begin_in_phase(domain, &mut held);
        self.domains[domain as usize].held = held;
        held
    }

    /// Cuts what is kept in the first TTL short, at a random part of it, as if the answer had been there
    /// before time began. Else all caches would be filled in the first seconds and expire in step for
    /// hours: with a TTL of minutes and a click every few seconds, chance moves them apart slowly.
    fn begin_in_phase(&self, domain: u32, held: &mut Held) {
        let lifetime = held.until - held.from;
        if held.from >= lifetime || held.answer == Entry::NO_ANSWER {
            return;
        }
        let mixed = self.phases ^ u64::from(domain).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shorter")]
        let end = (Generator::new(mixed).share() * lifetime as f64) as u64;
        if held.from < end {
            held.until = end;
        }
    }

    /// How long an answer is kept, in nanoseconds, for a TTL in seconds.
    pub(super) fn lifetime(&self, domain: u32, ttl: u32, rule: TtlRule) -> u64 {
        let honoured = u64::from(ttl) * 1_000_000_000;
        let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if !self.states[self.home_of(domain) as usize].follows {
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
        let at = self.home_of(domain) as usize * self.name_servers;
        self.known.get_mut(at..at + self.name_servers).unwrap_or_default()
    }

    /// Its resolver asks: the number of that question.
    pub(super) fn count_question(&mut self, domain: u32) -> u32 {
        let home = self.home_of(domain);
        let state = &mut self.states[home as usize];
        state.questions = state.questions.wrapping_add(1);
        state.questions
    }

    /// Its resolver was answered: the number of that question, from 1, and whether it is the first that
    /// the nearest answered.
    pub(super) fn count_window(&mut self, domain: u32, is_nearest: bool) -> (u32, bool) {
        let home = self.home_of(domain);
        let state = &mut self.states[home as usize];
        state.windows += 1;
        let is_first = is_nearest && state.first_near == 0;
        if is_first {
            state.first_near = state.windows;
        }
        (state.windows, is_first)
    }

    /// By population: resolvers that asked and never came to the nearest.
    pub(super) fn never_near(&self) -> Vec<u64> {
        let mut never = vec![0; self.first_domains.len()];
        for (domain, state) in self.domains.iter().zip(&self.states) {
            let is_one = state.windows > 0 && state.first_near == 0;
            never[usize::from(domain.population)] += u64::from(is_one);
        }
        never
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
        assert!(Resolvers::bytes_each(1) <= 64, "{}", Resolvers::bytes_each(1));
        assert!(Resolvers::bytes_each(8) <= 200, "{}", Resolvers::bytes_each(8));
    }
}
