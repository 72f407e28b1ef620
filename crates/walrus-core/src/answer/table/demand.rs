//! One service's demand, ready to be looked up: which domain asks, and how much it stands for.
//!
//! A domain is what the Plan names: a resolver's address or a client prefix. A query's is, in this
//! order: the longest named prefix that holds its client subnet; the named address or the longest
//! named prefix that holds its resolver; else one that is not named, of which the mean is known.
//!
//! A lookup allocates nothing, and looks at most [`LENGTHS_MAX`] times for each of the two addresses
//! into at most [`PROBES_MAX`] slots beside each other, whatever a Plan holds: resolvers' addresses come
//! from outside, and whoever makes them up must not make answers slow.

use std::net::IpAddr;

use crate::plan::{DomainDemand, ServiceDemand};
use crate::policy::choose::AskingDomain;
use crate::policy::ttl::{self, AlikeDomains};
use crate::world::{Domain, DomainClasses, TtlPolicy};

/// Different lengths of prefixes of a family, full addresses included: those of the heaviest
/// domains. Domains of further lengths count among those that are not named.
const LENGTHS_MAX: usize = 8;
/// Slots that a domain may stand in. A table that is a quarter full hardly ever needs more; who finds no
/// place counts among those that are not named.
const PROBES_MAX: usize = 16;
const NOT_HOT: u32 = u32::MAX;
/// The lower half of a slot: [`ServiceDemand::DOMAINS_MAX`] places and 0.
const PLACE_MASK: u32 = 0xffff;

/// The domains that a Plan names for a service.
#[derive(Clone, Debug, PartialEq)]
pub struct DemandTable {
    /// A power of two. The upper bits of the key, and below them the domain's place and 1; 0 is empty.
    slots: Box<[u32]>,
    domains: Box<[NamedDomain]>,
    ipv4: Lengths,
    ipv6: Lengths,
    /// The hidden load weight of a domain that is not named.
    unnamed_weight: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct NamedDomain {
    key: u64,
    domain: Domain,
    /// The length of the longest named prefix inside this one, which may be itself.
    longest_inside: u8,
    hot: u32,
    class: u32,
    /// How much it asks is known from its queries alone.
    reckoned: bool,
    /// How many it counts for where domains are counted: [`FEW`] if it never asks.
    count: f64,
    weight: f64,
}

impl DemandTable {
    /// Compiles a Plan's demand for answers of such TTLs, and says who asks, by the classes that these
    /// treat alike.
    /// What cannot be reckoned with (a text that is no prefix, a rate that is none) is as if it were
    /// not named.
    pub(super) fn compile(demand: &ServiceDemand, ttl: TtlPolicy) -> (Self, Vec<AlikeDomains>) {
        let mut draft = Draft::for_domains(demand.domains.len());
        let mut hot = 0;
        for domain in &demand.domains {
            // Whoever is left out keeps its place: others refer to the Plan's order.
            let place = if domain.hot { hot } else { NOT_HOT };
            hot += u32::from(domain.hot);
            if domain.rate.is_finite() && domain.rate > 0.0 {
                draft.add(domain, place);
            }
        }
        draft.finish(demand.rate - demand.silent, ttl)
    }

    /// The domain that a query is of, by its resolver and its client subnet with the source prefix
    /// length, if it has one that says anything.
    #[inline]
    #[must_use]
    pub fn asking(&self, resolver: IpAddr, subnet: Option<(IpAddr, u8)>) -> AskingDomain {
        let unnamed = AskingDomain::of(resolver, subnet);
        let mut found = None;
        // Another client's prefix of that length might be named, whoever is found in the end.
        let mut prefix_len = unnamed.prefix_len;
        if let Some((address, _)) = subnet.filter(|_| prefix_len > 0) {
            found = self.find(Domain::new(address, prefix_len), Some(unnamed.key));
            if let Some(domain) = found {
                prefix_len = prefix_len.min(domain.longest_inside);
            }
        }
        let by_resolver = || {
            // What names a domain that nothing else is known of is the resolver's address then.
            let key = (prefix_len == 0).then_some(unnamed.key);
            self.find(Domain::of_address(resolver), key)
        };
        match found.or_else(by_resolver) {
            Some(domain) => {
                let hot = (domain.hot != NOT_HOT).then_some(domain.hot);
                let NamedDomain { key, weight, class, .. } = *domain;
                AskingDomain { key, weight, hot, class, prefix_len }
            }
            None => AskingDomain { weight: self.unnamed_weight, ..unnamed },
        }
    }

    /// The longest named prefix that holds this one, whose own key may be known.
    #[inline]
    fn find(&self, asked: Domain, key: Option<u64>) -> Option<&NamedDomain> {
        let lengths = if asked.network().is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        let mut fitting = lengths.iter().filter(|length| *length <= asked.length());
        fitting.find_map(|length| {
            let domain = Domain::new(asked.network(), length);
            let own = key.filter(|_| length == asked.length());
            let key = own.unwrap_or_else(|| AskingDomain::key_of(domain.network(), length));
            self.find_exactly(key, domain)
        })
    }

    #[inline]
    fn find_exactly(&self, key: u64, domain: Domain) -> Option<&NamedDomain> {
        for slot in slots_of(key, self.slots.len()) {
            let held = *self.slots.get(slot)?;
            if held == 0 {
                return None;
            }
            if held & !PLACE_MASK == tag_of(key) {
                let named = self.domains.get((held & PLACE_MASK) as usize - 1)?;
                if named.domain == domain {
                    return Some(named);
                }
            }
        }
        None
    }
}

/// The slots that a key may stand in, of so many.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is wanted")]
fn slots_of(key: u64, slots: usize) -> impl Iterator<Item = usize> {
    let mask = slots.wrapping_sub(1);
    (0..PROBES_MAX).map(move |step| (key as usize).wrapping_add(step) & mask)
}

/// The part of a key that a slot holds.
#[inline]
const fn tag_of(key: u64) -> u32 {
    (key >> 32) as u32 & !PLACE_MASK
}

/// The lengths of a family's prefixes, falling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lengths {
    lengths: [u8; LENGTHS_MAX],
    count: u8,
}

impl Lengths {
    #[inline]
    fn iter(&self) -> impl Iterator<Item = u8> {
        self.lengths.iter().copied().take(usize::from(self.count))
    }

    /// Whether prefixes of this length are looked for: from now on, if there is room.
    fn admit(&mut self, length: u8) -> bool {
        if self.iter().any(|own| own == length) {
            return true;
        }
        let Some(free) = self.lengths.get_mut(usize::from(self.count)) else { return false };
        *free = length;
        self.count += 1;
        self.lengths[..usize::from(self.count)].sort_unstable_by(|one, other| other.cmp(one));
        true
    }
}

/// A table on the way.
struct Draft {
    slots: Box<[u32]>,
    /// With their rates instead of weights.
    domains: Vec<NamedDomain>,
    ipv4: Lengths,
    ipv6: Lengths,
}

impl Draft {
    fn for_domains(domains: usize) -> Self {
        let domains = domains.min(ServiceDemand::DOMAINS_MAX);
        let slots = (domains * 4).next_power_of_two();
        Self {
            slots: vec![0; slots].into(),
            domains: Vec::with_capacity(domains),
            ipv4: Lengths::default(),
            ipv6: Lengths::default(),
        }
    }

    fn add(&mut self, told: &DomainDemand, hot: u32) {
        let Ok(domain) = told.domain.parse::<Domain>() else { return };
        if self.domains.len() >= ServiceDemand::DOMAINS_MAX {
            return;
        }
        let key = AskingDomain::key_of(domain.network(), domain.length());
        let is_it = |held: u32| {
            let place = ((held & PLACE_MASK) as usize).checked_sub(1);
            place.and_then(|place| self.domains.get(place)).is_some_and(|it| it.domain == domain)
        };
        let mut slots = slots_of(key, self.slots.len());
        let slot = slots.find(|slot| self.slots[*slot] == 0 || is_it(self.slots[*slot]));
        // The first of two that are the same counts.
        let Some(slot) = slot.filter(|slot| self.slots[*slot] == 0) else { return };
        let lengths = if domain.network().is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 };
        if lengths.admit(domain.length()) {
            let longest_inside = domain.length();
            self.domains.push(NamedDomain {
                key,
                domain,
                longest_inside,
                hot,
                class: 0,
                reckoned: told.reckoned,
                count: if told.silent { FEW } else { 1.0 },
                weight: told.rate,
            });
            // At most [`ServiceDemand::DOMAINS_MAX`].
            self.slots[slot] = tag_of(key) | self.domains.len() as u32;
        }
    }

    /// `rate` is of all that ask.
    fn finish(mut self, rate: f64, ttl: TtlPolicy) -> (DemandTable, Vec<AlikeDomains>) {
        self.look_inside();
        let unnamed = Unnamed::new(rate, &self.domains);
        let alike = match ttl {
            TtlPolicy::Constant { .. } => DomainClasses::One,
            TtlPolicy::Adaptive { variant, .. } => variant.domain_classes(),
        };
        let mean = f64::from(ttl.seconds_mean());
        let rate = unnamed.domains * unnamed.rate;
        let mut asking = vec![AlikeDomains { class: 0, domains: unnamed.domains, rate }];
        // What is reckoned from queries alone counts as one that asks for as much as all others do in the mean,
        // or all others of its class.
        let is_alike = |it: &NamedDomain| alike != DomainClasses::Two || it.hot == NOT_HOT;
        let is_known = |it: &NamedDomain| !it.reckoned && it.count == 1.0;
        let known = || self.domains.iter().filter(|it| is_known(it) && is_alike(it));
        let neutral = (known().map(|it| it.weight).sum::<f64>() + rate)
            / (known().count() as f64 + unnamed.domains);
        let is_any_known = self.domains.iter().any(is_known);
        for (place, domain) in (0..).zip(&mut self.domains) {
            domain.class = match (domain.reckoned, alike) {
                (false, _) => ttl::class_of(alike, place, domain.hot != NOT_HOT),
                (true, DomainClasses::Each) if is_any_known => ttl::RECKONED,
                (true, _) => 0,
            };
            let asks = if domain.reckoned && is_any_known { neutral } else { domain.weight };
            let (class, domains) = (domain.class, domain.count);
            asking.push(AlikeDomains { class, domains, rate: asks * domains });
            domain.weight *= mean;
        }
        let table = DemandTable {
            slots: self.slots,
            domains: self.domains.into(),
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            unnamed_weight: unnamed.rate * mean,
        };
        (table, asking)
    }

    /// Finds the longest prefix inside each: sorted, a prefix stands before all that are inside it.
    fn look_inside(&mut self) {
        let mut order: Vec<usize> = (0..self.domains.len()).collect();
        order.sort_unstable_by_key(|place| self.domains[*place].domain);
        let mut around: Vec<usize> = Vec::new();
        for place in order {
            let domain = self.domains[place].domain;
            while around.pop_if(|outer| !self.domains[*outer].domain.contains(domain)).is_some() {}
            for outer in &around {
                let longest = &mut self.domains[*outer].longest_inside;
                *longest = domain.length().max(*longest);
            }
            around.push(place);
        }
    }
}

/// What is known of domains that are not named: each asks at most as much as the lightest that is,
/// and there are taken to be as few of them as that allows.
struct Unnamed {
    /// Requests a second of one of them.
    rate: f64,
    domains: f64,
}

impl Unnamed {
    fn new(rate: f64, named: &[NamedDomain]) -> Self {
        let asking = || named.iter().filter(|domain| domain.count == 1.0).map(|it| it.weight);
        let rates = || named.iter().map(|domain| domain.weight);
        let least = asking().reduce(f64::min).or_else(|| rates().reduce(f64::min));
        let Some(least) = least else { return Self { rate: 1.0, domains: 1.0 } };
        let rest = rate - asking().sum::<f64>();
        if rest > 0.0 && rest.is_finite() {
            return Self { rate: rest.min(least), domains: (rest / least).max(1.0) };
        }
        // There seem to be none: too few to count, but one may come.
        Self { rate: least, domains: FEW }
    }
}

/// Domains that change no mean.
const FEW: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn demand(rate: f64, domains: &[(&str, f64, bool)]) -> ServiceDemand {
        let domains = domains.iter().map(|&(domain, rate, hot)| DomainDemand {
            domain: domain.to_owned(),
            rate,
            hot,
            ..DomainDemand::default()
        });
        ServiceDemand { rate, domains: domains.collect(), ..ServiceDemand::default() }
    }

    fn compile(demand: &ServiceDemand, seconds: u32) -> DemandTable {
        DemandTable::compile(demand, TtlPolicy::Constant { seconds }).0
    }

    fn asking(table: &DemandTable, resolver: &str, subnet: Option<(&str, u8)>) -> AskingDomain {
        table.asking(ip(resolver), subnet.map(|(address, source)| (ip(address), source)))
    }

    #[test]
    fn the_subnet_is_found_before_the_resolver_and_the_longest_prefix_first() {
        let told = demand(
            100.0,
            &[
                ("192.0.2.53", 10.0, true),
                ("203.0.0.0/16", 9.0, false),
                ("203.0.113.0/24", 8.0, true),
                ("2001:db8::/32", 7.0, false),
                ("198.51.100.0/24", 6.0, false),
            ],
        );
        let table = compile(&told, 30);
        for (resolver, subnet, weight, hot, prefix_len) in [
            ("192.0.2.53", None, 300.0, Some(0), 0),
            ("192.0.2.53", Some(("203.0.113.7", 32)), 240.0, Some(1), 24),
            ("192.0.2.53", Some(("203.0.113.0", 24)), 240.0, Some(1), 24),
            // Some of this /16 is another domain.
            ("192.0.2.53", Some(("203.0.112.0", 24)), 270.0, None, 24),
            // Nobody knows what of the /16 this is.
            ("192.0.2.53", Some(("203.0.0.0", 16)), 270.0, None, 16),
            ("192.0.2.53", Some(("203.0.0.0", 8)), 300.0, Some(0), 8),
            ("192.0.2.53", Some(("10.0.0.0", 24)), 300.0, Some(0), 24),
            ("192.0.2.53", Some(("10.0.0.0", 0)), 300.0, Some(0), 0),
            ("192.0.2.54", Some(("2001:db8:1::", 56)), 210.0, None, 32),
            ("198.51.100.53", None, 180.0, None, 0),
            ("::ffff:198.51.100.53", None, 180.0, None, 0),
            // Nobody: as light as the lightest, and of its own key.
            ("192.0.2.54", None, 180.0, None, 0),
            ("192.0.2.54", Some(("10.1.2.0", 24)), 180.0, None, 24),
        ] {
            let domain = asking(&table, resolver, subnet);
            let found = (domain.weight, domain.hot, domain.prefix_len);
            assert_eq!(found, (weight, hot, prefix_len), "{resolver} {subnet:?}");
        }
        let key = |resolver, subnet| asking(&table, resolver, subnet).key;
        assert_eq!(
            key("192.0.2.1", Some(("203.0.113.0", 24))),
            AskingDomain::key_of(ip("203.0.113.0"), 24)
        );
        assert_eq!(key("192.0.2.53", Some(("10.0.0.0", 24))), key("192.0.2.53", None));
        assert_eq!(key("192.0.2.54", None), AskingDomain::key_of(ip("192.0.2.54"), 32));
    }

    #[test]
    fn who_is_not_named_asks_at_most_as_much_as_the_lightest() {
        let weight = |rate, domains: &[_]| {
            asking(&compile(&demand(rate, domains), 10), "192.0.2.1", None).weight
        };
        let named = [("192.0.2.53", 5.0, true), ("192.0.2.54", 2.0, false)];
        assert_eq!(weight(100.0, &named), 20.0);
        assert_eq!(weight(7.5, &named), 5.0, "the rest is one domain of 0.5 a second");
        assert_eq!(weight(7.0, &named), 20.0);
        assert_eq!(weight(0.0, &named), 20.0, "odd");
        assert_eq!(weight(f64::NAN, &named), 20.0, "odd");
        assert_eq!(weight(100.0, &[]), 10.0, "nothing is known");
    }

    #[test]
    fn what_is_odd_is_skipped_and_places_among_the_hot_stay() {
        let told = demand(
            10.0,
            &[
                ("no prefix", 9.0, true),
                ("192.0.2.1/33", 9.0, true),
                ("192.0.2.2", f64::NAN, true),
                ("192.0.2.3", -1.0, true),
                ("192.0.2.4", 2.0, true),
                ("192.0.2.4/32", 1.0, true),
            ],
        );
        let table = compile(&told, 1);
        assert_eq!(asking(&table, "192.0.2.4", None).hot, Some(4));
        assert_eq!(asking(&table, "192.0.2.4", None).weight, 2.0);
        assert_eq!(asking(&table, "192.0.2.2", None).hot, None);
        let nobody = compile(&ServiceDemand::default(), 30);
        assert_eq!(asking(&nobody, "192.0.2.4", Some(("10.0.0.0", 24))).hot, None);
    }

    #[test]
    fn everybody_of_a_full_plan_is_found() {
        let texts: Vec<String> = (0..ServiceDemand::DOMAINS_MAX)
            .map(|n| match n % 3 {
                0 => format!("10.{}.{}.53", n / 256, n % 256),
                1 => format!("100.{}.{}.0/24", n / 256, n % 256),
                _ => format!("2001:db8:{n:x}::/56"),
            })
            .collect();
        let domains: Vec<_> = texts.iter().map(|text| (text.as_str(), 1.5, false)).collect();
        let table = compile(&demand(1e6, &domains), 2);
        let found = |text: &str| {
            let domain: Domain = text.parse().unwrap();
            let (address, length) = (domain.network(), domain.length());
            let key = AskingDomain::key_of(address, length);
            match length == domain.length_max() {
                true => table.asking(address, None).key == key,
                false => table.asking(ip("192.0.2.1"), Some((address, length))).key == key,
            }
        };
        let lost = texts.iter().filter(|text| !found(text)).count();
        assert_eq!((lost, table.domains.len()), (0, ServiceDemand::DOMAINS_MAX));
    }

    #[test]
    fn lengths_are_bounded() {
        let texts: Vec<String> = (9..=24).map(|length| format!("10.0.0.0/{length}")).collect();
        let domains: Vec<_> = texts.iter().map(|text| (text.as_str(), 1.0, false)).collect();
        let table = compile(&demand(16.0, &domains), 1);
        assert_eq!(table.domains.len(), LENGTHS_MAX);
        assert_eq!(asking(&table, "10.0.0.1", None).key, AskingDomain::key_of(ip("10.0.0.0"), 16));
    }
}
