//! Queries that Directors saw and requests that servers served become one demand by domain.
//!
//! **Problem.** What loads servers is requests, but whoever asks a Director is a resolver (or names a
//! client prefix), and whoever asks a server is a client. A domain's queries say little of its
//! requests: a resolver asks once a TTL, whether ten clients stand behind it or ten thousand.
//!
//! **Rule.** A client prefix of an access log counts for the domains that lie in it (resolvers'
//! addresses, ECS prefixes), divided by their queries; if there are none, for the longest ECS prefix
//! that it lies in; else it is a domain of its own. A domain that has requests so has their rate, and
//! its queries no longer count. One that only Directors saw has its queries times the mean requests
//! a query of those that both saw; if both saw none in common, of all; if no server tells of requests,
//! times 1: the unit is queries then. The rest is what is told without names on either side, whichever
//! is more.
//!
//! **Source.** papers.md 2.3 (Colajanni, Yu, Dias: servers count requests by domain) and 5 (which
//! resolver a client uses must come from logs or ECS); the join by prefix is Walrus' own.
//!
//! **When it is wrong.** A resolver far from its clients without ECS: their requests stand under
//! their own prefixes and once more in its estimate. Shares among those who ask stay right, the whole
//! is too high. Where only some servers tell, all rates are too low by the same part.
//!
//! **Example.** Resolver 198.51.100.53 asks once a second, 203.0.113.53 twice; the log has 10 requests
//! a second from 198.51.100.0/24 and 5 from 192.0.2.0/24. Demand: 203.0.113.53 20 (2 x 10 a query),
//! 198.51.100.53 10, 192.0.2.0/24 5.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::rates::Rates;
use crate::plan::{DomainDemand, ServiceDemand};
use crate::world::Domain;

/// A hot domain stays hot until its share is below this part of what made it hot: one at the border
/// would else bring a Plan each round.
const STAYS_HOT: f64 = 0.8;

/// What one server serves of a service.
#[derive(Clone, Copy)]
pub(super) struct Served<'a> {
    /// Its place in the Plan.
    pub(super) server: u32,
    /// The part of its requests that is this service's, 0 to 1.
    pub(super) part: f64,
    /// Of all its services.
    pub(super) requests: &'a Rates<Domain>,
    /// Where they come from now; `None` if the last report is too old to tell.
    pub(super) seen: Option<Seen<'a>>,
}

/// What a server's last report alone tells.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) rates: &'a BTreeMap<Domain, f64>,
    /// How long ago the time began that it covers.
    pub(super) over: Duration,
}

/// How much is named, and what is hot.
#[derive(Clone, Copy)]
pub(super) struct Naming {
    /// The most domains that are named.
    pub(super) domains_max: usize,
    /// The share of the whole above which a domain is hot; one in the number of domains if `None`.
    pub(super) hot_share: Option<f64>,
}

/// One domain, both sides.
#[derive(Clone, Copy, Default)]
struct Joined {
    queries: f64,
    requests: f64,
}

/// The demand of one service; `None` if there is nothing. `before` says who was hot.
pub(super) fn join(
    queries: &Rates<Domain>,
    served: &[Served<'_>],
    naming: Naming,
    before: Option<&ServiceDemand>,
) -> Option<ServiceDemand> {
    let asked = Asked::new(queries);
    let attributed = attribute(&asked, served);
    let mut domains: BTreeMap<Domain, Joined> = BTreeMap::new();
    for (domain, rate) in queries.named() {
        domains.entry(*domain).or_default().queries = *rate;
    }
    for it in served {
        for (prefix, rate) in it.requests.named() {
            for (domain, share) in &attributed[prefix] {
                domains.entry(*domain).or_default().requests += it.part * rate * share;
            }
        }
    }
    let rest_of_requests: f64 = served.iter().map(|it| it.part * it.requests.rest()).sum();
    let factor = requests_per_query(&domains, queries.rest(), rest_of_requests);
    let rest = (queries.rest() * factor).max(rest_of_requests);
    let rates = domains.iter().map(|(domain, joined)| {
        (*domain, if joined.requests > 0.0 { joined.requests } else { joined.queries * factor })
    });
    let mut demand = name(rates.collect(), rest, naming, before)?;
    demand.queries = rounded(queries.named().values().sum::<f64>() + queries.rest());
    observe(&mut demand, served, &attributed);
    Some(demand)
}

/// What Directors were asked, to look prefixes up in.
struct Asked<'a> {
    queries: &'a Rates<Domain>,
    /// All lengths that there are, longest first.
    lengths: Vec<u8>,
}

impl<'a> Asked<'a> {
    fn new(queries: &'a Rates<Domain>) -> Self {
        let lengths: BTreeSet<u8> = queries.named().keys().map(|it| it.length()).collect();
        Self { queries, lengths: lengths.into_iter().rev().collect() }
    }

    /// The domains that a client prefix counts for, with shares that add up to 1.
    fn of_prefix(&self, prefix: Domain) -> Vec<(Domain, f64)> {
        let all = self.queries.named();
        let inside = || all.range(prefix..=prefix.last());
        let whole: f64 = inside().map(|(_, rate)| rate).sum();
        if whole > 0.0 {
            return inside().map(|(domain, rate)| (*domain, rate / whole)).collect();
        }
        let around = self.lengths.iter().filter(|length| **length < prefix.length());
        let mut around = around.map(|length| Domain::new(prefix.network(), *length));
        vec![(around.find(|it| all.contains_key(it)).unwrap_or(prefix), 1.0)]
    }
}

/// For which domains each client prefix counts.
fn attribute(asked: &Asked<'_>, served: &[Served<'_>]) -> BTreeMap<Domain, Vec<(Domain, f64)>> {
    let mut attributed = BTreeMap::new();
    for prefix in served.iter().flat_map(|it| it.requests.named().keys()) {
        attributed.entry(*prefix).or_insert_with(|| asked.of_prefix(*prefix));
    }
    attributed
}

fn requests_per_query(
    domains: &BTreeMap<Domain, Joined>,
    queries_rest: f64,
    requests_rest: f64,
) -> f64 {
    let (mut both, mut all) = (Joined::default(), Joined::default());
    for it in domains.values() {
        all.queries += it.queries;
        all.requests += it.requests;
        if it.queries > 0.0 && it.requests > 0.0 {
            both.queries += it.queries;
            both.requests += it.requests;
        }
    }
    let (queries, requests) = (all.queries + queries_rest, all.requests + requests_rest);
    if both.queries > 0.0 {
        both.requests / both.queries
    } else if queries > 0.0 && requests > 0.0 {
        requests / queries
    } else {
        1.0
    }
}

/// Names the heaviest, marks the hot ones, and rounds: noise in the fourth digit is no news.
fn name(
    mut rates: Vec<(Domain, f64)>,
    mut rest: f64,
    naming: Naming,
    before: Option<&ServiceDemand>,
) -> Option<ServiceDemand> {
    rates.sort_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
    let most = naming.domains_max.min(ServiceDemand::DOMAINS_MAX);
    rest += rates.iter().skip(most).map(|(_, rate)| rate).sum::<f64>();
    rates.truncate(most);
    let whole = rates.iter().map(|(_, rate)| rate).sum::<f64>() + rest;
    if whole <= 0.0 {
        return None;
    }
    let hot_share = naming.hot_share.unwrap_or_else(|| 1.0 / rates.len().max(1) as f64);
    let were_hot: BTreeSet<&str> = before
        .iter()
        .flat_map(|before| &before.domains)
        .filter(|it| it.hot)
        .map(|it| it.domain.as_str())
        .collect();
    let mut hot_left = ServiceDemand::HOT_MAX;
    let mut domains: Vec<DomainDemand> = Vec::with_capacity(rates.len());
    for (domain, rate) in rates {
        let domain = domain.to_string();
        let share = rate / whole;
        let stays = share > STAYS_HOT * hot_share && were_hot.contains(domain.as_str());
        let hot = hot_left > 0 && (share > hot_share || stays);
        hot_left -= usize::from(hot);
        domains.push(DomainDemand { domain, rate: rounded(rate), hot, observed: Vec::new() });
    }
    Some(ServiceDemand { rate: rounded(whole), queries: 0.0, domains, observed_over_ms: 0 })
}

/// Says at which servers hot domains are seen.
fn observe(
    demand: &mut ServiceDemand,
    served: &[Served<'_>],
    attributed: &BTreeMap<Domain, Vec<(Domain, f64)>>,
) {
    let hot = demand.domains.iter().enumerate().filter(|(_, it)| it.hot);
    let hot: BTreeMap<Domain, usize> =
        hot.filter_map(|(index, it)| Some((it.domain.parse().ok()?, index))).collect();
    if hot.is_empty() {
        return;
    }
    for it in served {
        let mut seen: BTreeMap<usize, f64> = BTreeMap::new();
        let Some(Seen { rates, over }) = it.seen else { continue };
        for (prefix, rate) in rates {
            for (domain, share) in attributed.get(prefix).into_iter().flatten() {
                if let Some(index) = hot.get(domain) {
                    *seen.entry(*index).or_default() += it.part * rate * share;
                }
            }
        }
        for (index, rate) in seen {
            let rate = rounded(rate);
            if rate > 0.0 {
                demand.domains[index].observed.push((it.server, rate));
                let over = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
                demand.observed_over_ms = demand.observed_over_ms.max(over);
            }
        }
    }
}

/// To three significant digits.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.2e}").parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMING: Naming = Naming { domains_max: 100, hot_share: None };

    fn rates(all: &[(&str, f64)], rest: f64) -> Rates<Domain> {
        let mut rates = Rates::default();
        all.iter().for_each(|(domain, rate)| rates.add(domain.parse().unwrap(), *rate));
        rates.add_rest(rest);
        rates
    }

    fn served(requests: &Rates<Domain>) -> Served<'_> {
        Served { server: 0, part: 1.0, requests, seen: seen(requests, 1) }
    }

    fn seen(requests: &Rates<Domain>, seconds: u64) -> Option<Seen<'_>> {
        Some(Seen { rates: requests.named(), over: Duration::from_secs(seconds) })
    }

    fn named(demand: &ServiceDemand) -> Vec<(&str, f64)> {
        demand.domains.iter().map(|it| (it.domain.as_str(), it.rate)).collect()
    }

    #[test]
    fn the_example_of_the_header() {
        let queries = rates(&[("198.51.100.53", 1.0), ("203.0.113.53", 2.0)], 0.0);
        let requests = rates(&[("198.51.100.0/24", 10.0), ("192.0.2.0/24", 5.0)], 0.0);
        let demand = join(&queries, &[served(&requests)], NAMING, None).unwrap();
        let expected = [("203.0.113.53", 20.0), ("198.51.100.53", 10.0), ("192.0.2.0/24", 5.0)];
        assert_eq!(named(&demand), expected);
        assert_eq!((demand.rate, demand.queries), (35.0, 3.0));
        assert_eq!(
            demand.domains.iter().map(|it| it.hot).collect::<Vec<_>>(),
            [true, false, false]
        );
    }

    #[test]
    fn a_prefix_counts_for_what_lies_in_it_else_for_what_is_around_it_else_for_itself() {
        let asked = [
            ("10.0.0.0/8", 7.0),
            ("10.1.0.0/16", 1.0),
            ("10.1.2.53", 3.0),
            ("10.1.2.54", 1.0),
            ("10.1.3.0/24", 5.0),
            ("2001:db8::/32", 1.0),
        ];
        let queries = rates(&asked, 0.0);
        let asked = Asked::new(&queries);
        for (prefix, expected) in [
            ("10.1.2.0/24", &[("10.1.2.53", 0.75), ("10.1.2.54", 0.25)][..]),
            ("10.1.3.0/24", &[("10.1.3.0/24", 1.0)]),
            ("10.1.3.7", &[("10.1.3.0/24", 1.0)]),
            ("10.1.9.0/24", &[("10.1.0.0/16", 1.0)]),
            ("10.9.9.0/24", &[("10.0.0.0/8", 1.0)]),
            ("11.0.0.0/24", &[("11.0.0.0/24", 1.0)]),
            ("2001:db8:5::/48", &[("2001:db8::/32", 1.0)]),
            ("2001:db9::/48", &[("2001:db9::/48", 1.0)]),
        ] {
            let found = asked.of_prefix(prefix.parse().unwrap());
            let found: Vec<_> = found.iter().map(|(it, share)| (it.to_string(), *share)).collect();
            let expected: Vec<_> = expected.iter().map(|(it, s)| (it.to_string(), *s)).collect();
            assert_eq!(found, expected, "{prefix}");
        }
    }

    #[test]
    fn without_requests_queries_are_the_unit() {
        let queries = rates(&[("192.0.2.1", 3.0), ("192.0.2.2", 1.0)], 4.0);
        let demand = join(&queries, &[], NAMING, None).unwrap();
        assert_eq!(named(&demand), [("192.0.2.1", 3.0), ("192.0.2.2", 1.0)]);
        assert_eq!(demand.rate, 8.0);
        let silent = rates(&[], 0.0);
        assert_eq!(join(&queries, &[served(&silent)], NAMING, None), Some(demand));
        assert_eq!(join(&silent, &[served(&silent)], NAMING, None), None);
    }

    #[test]
    fn nothing_in_common_scales_by_all() {
        let queries = rates(&[("203.0.113.53", 2.0)], 2.0);
        let requests = rates(&[("192.0.2.0/24", 6.0)], 2.0);
        let demand = join(&queries, &[served(&requests)], NAMING, None).unwrap();
        assert_eq!(named(&demand), [("192.0.2.0/24", 6.0), ("203.0.113.53", 4.0)]);
        assert_eq!(demand.rate, 14.0, "the rest is 4, not 4 and 2");
    }

    #[test]
    fn hot_domains_are_seen_at_each_server_by_its_part() {
        let queries = rates(&[("192.0.2.53", 1.0), ("198.51.100.53", 1.0)], 0.0);
        let one = rates(&[("192.0.2.0/24", 30.0), ("198.51.100.0/24", 1.0)], 0.0);
        let two = rates(&[("192.0.2.0/24", 8.0), ("198.51.100.0/24", 4.0)], 0.0);
        let served = [
            Served { server: 3, part: 1.0, requests: &one, seen: seen(&one, 7) },
            Served { server: 5, part: 0.5, requests: &two, seen: seen(&two, 9) },
        ];
        let demand = join(&queries, &served, NAMING, None).unwrap();
        assert_eq!(named(&demand), [("192.0.2.53", 34.0), ("198.51.100.53", 3.0)]);
        assert_eq!(demand.domains[0].observed, [(3, 30.0), (5, 4.0)]);
        assert!(demand.domains[1].observed.is_empty(), "it is not hot");
        assert_eq!(demand.observed_over_ms, 9_000, "of the oldest report");
        let naming = Naming { hot_share: Some(1.0), ..NAMING };
        let nobody_is_hot = join(&queries, &served, naming, None).unwrap();
        assert_eq!(nobody_is_hot.observed_over_ms, 0);
    }

    #[test]
    fn a_hot_domain_stays_hot_for_a_while() {
        let naming = Naming { hot_share: Some(0.5), ..NAMING };
        let demand = |heavy: f64, before: Option<&ServiceDemand>| {
            let queries = rates(&[("192.0.2.1", heavy), ("192.0.2.2", 100.0 - heavy)], 0.0);
            join(&queries, &[], naming, before).unwrap()
        };
        let hot = |demand: &ServiceDemand| {
            demand.domains.iter().any(|it| it.hot && it.domain == "192.0.2.1")
        };
        let was = demand(55.0, None);
        assert!(hot(&was));
        assert!(!hot(&demand(45.0, None)));
        assert!(hot(&demand(45.0, Some(&was))));
        assert!(!hot(&demand(39.0, Some(&was))));
    }

    #[test]
    fn what_is_named_and_hot_is_bounded_and_rounded() {
        let mut queries = Rates::default();
        for host in 0..10_000_u32 {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + host);
            queries.add(Domain::of_address(address.into()), 1.0 + 1.0 / f64::from(host + 3));
        }
        let naming = Naming { domains_max: 1 << 20, hot_share: Some(0.0) };
        let demand = join(&queries, &[], naming, None).unwrap();
        assert_eq!(demand.domains.len(), ServiceDemand::DOMAINS_MAX);
        assert_eq!(demand.domains.iter().filter(|it| it.hot).count(), ServiceDemand::HOT_MAX);
        assert!(demand.domains.windows(2).all(|pair| pair[0].rate >= pair[1].rate));
        assert_eq!(demand.domains[0].rate, 1.33);
        assert_eq!(rounded(123_456.0), 123_000.0);
        assert_eq!(rounded(0.000_123_49), 0.000_123);
    }

    fn any_domain() -> impl Strategy<Value = Domain> {
        (0..4_u32, 0..4_u32, prop_oneof![Just(8_u8), Just(16), Just(24), Just(32)]).prop_map(
            |(high, low, length)| {
                let address =
                    std::net::Ipv4Addr::from_bits(0x0a00_0000 | high << 16 | low << 8 | 53);
                Domain::new(address.into(), length)
            },
        )
    }

    fn any_rates() -> impl Strategy<Value = Rates<Domain>> {
        (proptest::collection::vec((any_domain(), 0.0..1000.0_f64), 0..20), 0.0..100.0_f64)
            .prop_map(|(all, rest)| {
                let mut rates = Rates::default();
                all.into_iter().for_each(|(domain, rate)| rates.add(domain, rate));
                rates.add_rest(rest);
                rates
            })
    }

    proptest! {
        #[test]
        fn no_request_is_lost_or_counted_twice_and_the_whole_is_the_sum(
            queries in any_rates(),
            requests in proptest::collection::vec((any_rates(), 0.0..=1.0_f64), 0..4),
        ) {
            let served: Vec<Served<'_>> = (0..)
                .zip(&requests)
                .map(|(server, (requests, part))| Served {
                    server,
                    part: *part,
                    requests,
                    seen: seen(requests, 1),
                })
                .collect();
            let naming = Naming { hot_share: Some(0.0), ..NAMING };
            let Some(demand) = join(&queries, &served, naming, None) else { return Ok(()) };
            let close = |one: f64, two: f64| (one - two).abs() <= 0.01 * (1.0 + one.max(two));
            // All are hot: what servers see of them is all that they serve by name.
            let seen: f64 = demand.domains.iter().flat_map(|it| &it.observed).map(|it| it.1).sum();
            let told = served.iter().map(|it| it.part * it.requests.named().values().sum::<f64>());
            prop_assert!(close(seen, told.sum()), "{demand:?}");
            for domain in demand.domains.iter().filter(|it| !it.observed.is_empty()) {
                let seen: f64 = domain.observed.iter().map(|it| it.1).sum();
                prop_assert!(close(seen, domain.rate), "{domain:?}");
            }
            let sum: f64 = demand.domains.iter().map(|it| it.rate).sum();
            prop_assert!(demand.rate.is_finite() && sum <= demand.rate * 1.01, "{demand:?}");
            prop_assert!(demand.domains.windows(2).all(|pair| pair[0].rate >= pair[1].rate));
        }
    }
}
