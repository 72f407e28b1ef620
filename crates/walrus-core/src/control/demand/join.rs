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
//! Prefixes that are domains of their own ask nobody: their clients' resolvers do, wherever they are.
//! They are **silent**: named, for a resolver that Directors did not name may stand in one, but neither
//! counted nor hot. Where nobody asks at all (Directors are not heard), all count.
//!
//! A resolver may have a few clients in its own network and most elsewhere. So a domain that asks has
//! at least a tenth ([`LEAST_PART`]) of what its queries stand for in the mean, and one with less than
//! that says nothing about the mean.
//!
//! **Source.** papers.md 2.3 (Colajanni, Yu, Dias: servers count requests by domain) and 5 (which
//! resolver a client uses must come from logs or ECS); the join by prefix is Walrus' own.
//!
//! **When it is wrong.** A resolver far from its clients, of whom a few are in its own network, has a tenth
//! of the mean at least and may have more in truth. A resolver far from its clients without ECS: their requests stand under
//! their own prefixes and once more in its estimate. Shares among those who ask stay right, the whole
//! is too high. Where only some servers tell, all rates are too low by the same part.
//!
//! **Example.** Resolver 198.51.100.53 asks once a second, 203.0.113.53 twice; the log has 10 requests
//! a second from 198.51.100.0/24 and 5 from 192.0.2.0/24. Demand: 203.0.113.53 20 (2 x 10 a query),
//! 198.51.100.53 10, 192.0.2.0/24 5.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::rates::{AVERAGED_OVER, Rates};
use crate::plan::{DomainDemand, ServiceDemand};
use crate::world::Domain;

/// A hot domain stays hot until its share is below this part of what made it hot, by more than chance:
/// one at the border would else bring a Plan each round.
const STAYS_HOT: f64 = 0.8;

/// A domain that asks has this part of what its queries stand for in the mean, however few requests
/// come from around it. Who really has so few is then taken for as light as few others are.
const LEAST_PART: f64 = 0.1;

/// Those that both sides saw say alone what a query stands for if they have this part of all queries;
/// the fewer they are, the more all others have a say.
const PART_OF_BOTH: f64 = 0.1;

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
    /// The share of what all ask that are not silent above which a domain is hot; one in the number
    /// of domains if `None`.
    pub(super) hot_share: Option<f64>,
    /// Whether anybody looks at where hot domains are seen.
    pub(super) observes: bool,
}

/// One service's demand, and how exactly it is known.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::control) struct Joint {
    pub(in crate::control) demand: ServiceDemand,
    pub(in crate::control) grains: Grains,
}

/// How many requests stand behind each event that was counted: a rate of r requests a second that was
/// counted over t seconds strays by the root of r x grain / t.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::control) struct Grains {
    /// By named domain: 1 where servers counted requests, else a query's.
    pub(in crate::control) named: BTreeMap<String, f64>,
    /// Of all others.
    pub(in crate::control) rest: f64,
}

impl Grains {
    pub(in crate::control) fn of(&self, domain: &str) -> f64 {
        self.named.get(domain).copied().unwrap_or(self.rest).max(1.0)
    }
}

/// What chance makes of a rate, a second, whose events have this grain: the deviation of the difference
/// of two averages.
pub(in crate::control) fn chance(rate: f64, grain: f64) -> f64 {
    (rate.max(0.0) * grain.max(1.0) / AVERAGED_OVER.as_secs_f64()).sqrt()
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
) -> Option<Joint> {
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
    let asks_at_all = queries.rest() > 0.0 || !queries.named().is_empty();
    let rates = domains.into_iter().map(|(domain, joined)| Rated {
        domain,
        rate: joined.rate(factor),
        grain: joined.grain(factor),
        is_silent: asks_at_all && joined.queries <= 0.0,
    });
    let asked = queries.rest() * factor;
    let rest = Rest { asked, silent: (rest_of_requests - asked).max(0.0), asks_at_all };
    let rates: Vec<Rated> = rates.filter(|it| it.rate > 0.0).collect();
    let named = rates.iter().map(|it| (it.domain.to_string(), it.grain));
    let grains = Grains { named: named.collect(), rest: factor };
    let mut demand = name(rates, rest, naming, before)?;
    if naming.observes {
        observe(&mut demand, served, &attributed);
    }
    Some(Joint { demand, grains })
}

impl Joined {
    /// Requests a second, where a query stands for `factor` in the mean.
    fn rate(self, factor: f64) -> f64 {
        let least = if self.requests > 0.0 { LEAST_PART } else { 1.0 };
        self.requests.max(self.queries * factor * least)
    }

    /// How many requests stand behind each event of that.
    fn grain(self, factor: f64) -> f64 {
        let rate = self.rate(factor);
        if rate > self.requests { rate / self.queries } else { 1.0 }
    }
}

/// A domain with its requests a second.
#[derive(Clone, Copy)]
struct Rated {
    domain: Domain,
    rate: f64,
    grain: f64,
    is_silent: bool,
}

/// What is told without names: requests a second.
#[derive(Clone, Copy)]
struct Rest {
    asked: f64,
    /// What servers have on top of it.
    silent: f64,
    asks_at_all: bool,
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

/// How many requests a query stands for in the mean.
fn requests_per_query(
    domains: &BTreeMap<Domain, Joined>,
    queries_rest: f64,
    requests_rest: f64,
) -> f64 {
    let sum = |counts: &dyn Fn(&Joined) -> bool| {
        let counted = domains.values().filter(|it| counts(it));
        counted.fold(Joined::default(), |sum, it| Joined {
            queries: sum.queries + it.queries,
            requests: sum.requests + it.requests,
        })
    };
    let all = sum(&|_| true);
    let (queries, requests) = (all.queries + queries_rest, all.requests + requests_rest);
    let of_all = if queries > 0.0 && requests > 0.0 { requests / queries } else { 1.0 };
    let is_both = |it: &Joined| it.queries > 0.0 && it.requests > 0.0;
    let both = sum(&is_both);
    if both.queries <= 0.0 {
        return of_all;
    }
    // Whose clients are elsewhere says nothing of those who have theirs at home.
    let least = both.requests / both.queries * LEAST_PART;
    let at_home = sum(&|it| is_both(it) && it.requests >= it.queries * least);
    let of_both = at_home.requests / at_home.queries;
    // The logarithms' mean: both may be off by orders of magnitude.
    let part = (both.queries / queries / PART_OF_BOTH).min(1.0);
    of_both.powf(part) * of_all.powf(1.0 - part)
}

/// Names the heaviest, marks the hot ones, and rounds: noise in the fourth digit is no news.
fn name(
    mut rates: Vec<Rated>,
    mut rest: Rest,
    naming: Naming,
    before: Option<&ServiceDemand>,
) -> Option<ServiceDemand> {
    let by_rate =
        |one: &Rated, two: &Rated| two.rate.total_cmp(&one.rate).then(one.domain.cmp(&two.domain));
    let most = naming.domains_max.min(ServiceDemand::DOMAINS_MAX);
    if rates.len() > most {
        // Who asks goes first.
        rates.sort_by(|one, two| one.is_silent.cmp(&two.is_silent).then(by_rate(one, two)));
        for it in rates.drain(most..) {
            *(if it.is_silent { &mut rest.silent } else { &mut rest.asked }) += it.rate;
        }
    }
    rates.sort_by(by_rate);
    let sum = |is_silent: bool| -> f64 {
        rates.iter().filter(|it| it.is_silent == is_silent).map(|it| it.rate).sum()
    };
    let (mut asked, mut silent) = (sum(false) + rest.asked, sum(true) + rest.silent);
    if !rest.asks_at_all {
        (asked, silent) = (asked + silent, 0.0);
    }
    if asked + silent <= 0.0 {
        return None;
    }
    let asking = rates.iter().filter(|it| !it.is_silent).count();
    let hot_share = naming.hot_share.unwrap_or_else(|| 1.0 / asking.max(1) as f64);
    let were_hot: BTreeSet<&str> = before
        .iter()
        .flat_map(|before| &before.domains)
        .filter(|it| it.hot)
        .map(|it| it.domain.as_str())
        .collect();
    let mut hot_left = ServiceDemand::HOT_MAX;
    let mut domains: Vec<DomainDemand> = Vec::with_capacity(rates.len());
    for Rated { domain, rate, grain, is_silent } in rates {
        let domain = domain.to_string();
        let share = rate / asked;
        let might_be = (rate + chance(rate, grain)) / asked;
        let stays = might_be > STAYS_HOT * hot_share && were_hot.contains(domain.as_str());
        let hot = !is_silent && hot_left > 0 && (share > hot_share || stays);
        hot_left -= usize::from(hot);
        let (rate, observed) = (rounded(rate), Vec::new());
        domains.push(DomainDemand { domain, rate, hot, silent: is_silent, observed });
    }
    let (rate, silent) = (rounded(asked + silent), rounded(silent));
    Some(ServiceDemand { rate, domains, silent, ..ServiceDemand::default() })
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

    const NAMING: Naming = Naming { domains_max: 100, hot_share: None, observes: true };

    fn join(
        queries: &Rates<Domain>,
        served: &[Served<'_>],
        naming: Naming,
        before: Option<&ServiceDemand>,
    ) -> Option<ServiceDemand> {
        super::join(queries, served, naming, before).map(|joint| joint.demand)
    }

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
        assert_eq!(demand.rate, 35.0);
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
    fn a_query_stands_for_many_requests_at_once() {
        let queries = rates(&[("192.0.2.53", 1.0), ("203.0.113.53", 0.1), ("10.0.0.1", 9.0)], 0.0);
        let requests = rates(&[("192.0.2.0/24", 300.0), ("10.0.0.0/24", 1.0)], 0.0);
        let joint = super::join(&queries, &[served(&requests)], NAMING, None).unwrap();
        let grain = |domain| (joint.grains.of(domain), joint.grains.rest);
        assert_eq!(grain("192.0.2.53"), (1.0, 300.0), "requests were counted");
        assert_eq!(grain("203.0.113.53"), (300.0, 300.0));
        assert_eq!(grain("10.0.0.1"), (30.0, 300.0), "it is told a tenth of the mean");
        assert_eq!(grain("10.9.9.9"), (300.0, 300.0), "of those that are not named");
        // One that was hot and had 10 queries in the last minute may have fewer by chance.
        let naming = Naming { hot_share: Some(0.25), ..NAMING };
        let demand = |count: f64, before| {
            let queries = rates(&[("192.0.2.53", 1.0), ("203.0.113.53", count / 60.0)], 0.0);
            join(&queries, &[served(&requests)], naming, before).unwrap()
        };
        let hot = |demand: &ServiceDemand| {
            demand.domains.iter().any(|it| it.hot && it.domain == "203.0.113.53")
        };
        let was = demand(22.0, None);
        assert!(hot(&was) && !hot(&demand(14.0, None)));
        assert!(hot(&demand(14.0, Some(&was))) && !hot(&demand(9.0, Some(&was))));
    }

    /// A thousand client networks behind ten resolvers elsewhere, none of whom is hotter than others.
    #[test]
    fn strangers_in_a_log_are_not_counted_among_those_who_ask() {
        let resolver = |index: usize| format!("198.51.100.{index}");
        let resolvers: Vec<String> = (0..10).map(resolver).collect();
        let mut queries = rates(&[], 0.0);
        resolvers.iter().for_each(|it| queries.add(it.parse().unwrap(), 1.0));
        let mut requests = rates(&[], 0.0);
        for index in 0..1000 {
            requests.add(format!("10.{}.{}.0/24", index / 250, index % 250).parse().unwrap(), 1.0);
        }
        let naming = Naming { domains_max: 1100, ..NAMING };
        let demand = join(&queries, &[served(&requests)], naming, None).unwrap();
        assert_eq!((demand.domains.len(), demand.rate, demand.silent), (1010, 2000.0, 1000.0));
        for domain in &demand.domains {
            assert_eq!(domain.silent, !resolvers.contains(&domain.domain), "{domain:?}");
            assert!(!domain.hot, "{domain:?}");
        }
        // One that asks for a third of all is hot.
        queries.add(resolvers[0].parse().unwrap(), 4.0);
        let demand = join(&queries, &[served(&requests)], naming, None).unwrap();
        let hot: Vec<_> = demand.domains.iter().filter(|it| it.hot).map(|it| &it.domain).collect();
        assert_eq!(hot, [&resolvers[0]]);
        // Those who ask are named first, though others are heavier.
        let naming = Naming { domains_max: 12, ..NAMING };
        queries.add_rest(1000.0);
        let demand = join(&queries, &[served(&requests)], naming, None).unwrap();
        assert_eq!(demand.domains.iter().filter(|it| it.silent).count(), 2);
        assert_eq!(demand.silent, 1000.0, "998 of them without a name");
        // Where nobody asks, prefixes are all that is known.
        let demand = join(&rates(&[], 0.0), &[served(&requests)], NAMING, None).unwrap();
        assert_eq!(demand.silent, 0.0);
        assert!(demand.domains.iter().all(|it| !it.silent));
    }

    /// The first resolver asks for a million clients elsewhere, and one person sits beside it.
    #[test]
    fn a_few_clients_at_home_do_not_hide_the_others() {
        let queries = rates(&[("192.0.2.53", 10.0), ("198.51.100.53", 1.0)], 0.0);
        let requests = rates(&[("192.0.2.0/24", 0.1), ("198.51.100.0/24", 100.0)], 0.0);
        let demand = join(&queries, &[served(&requests)], NAMING, None).unwrap();
        assert_eq!(named(&demand), [("192.0.2.53", 100.0), ("198.51.100.53", 100.0)]);
        // Nothing is seen of it: all clients are elsewhere.
        let requests = rates(&[("198.51.100.0/24", 100.0)], 0.0);
        let demand = join(&queries, &[served(&requests)], NAMING, None).unwrap();
        assert_eq!(named(&demand)[0].0, "192.0.2.53");
        assert!((500.0..1000.0).contains(&demand.domains[0].rate), "{demand:?}");
    }

    #[test]
    fn next_to_nothing_does_not_say_what_a_query_stands_for() {
        let queries = |both| rates(&[("192.0.2.53", both), ("198.51.100.53", 1.0)], 0.0);
        let requests = rates(&[("192.0.2.0/24", 10.0), ("10.0.0.0/8", 90.0)], 0.0);
        let rate = |both| {
            let demand = join(&queries(both), &[served(&requests)], NAMING, None).unwrap();
            demand.domains.iter().find(|it| it.domain == "198.51.100.53").unwrap().rate
        };
        // All have 100 requests a query, give or take.
        assert!((90.0..250.0).contains(&rate(1e-4)), "{}", rate(1e-4));
        // A query in nine is enough.
        assert_eq!(rate(0.125), 80.0);
        let mut last = rate(0.12);
        for both in [0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001] {
            let now = rate(both);
            assert!((0.3..5.0).contains(&(now / last)), "{both}: no leaps ({last}, {now})");
            last = now;
        }
    }

    #[test]
    fn who_has_no_part_is_not_named() {
        let queries = rates(&[("192.0.2.53", 1.0)], 0.0);
        let requests = rates(&[("198.51.100.0/24", 10.0)], 0.0);
        let served = [Served { part: 0.0, ..served(&requests) }];
        let demand = join(&queries, &served, NAMING, None).unwrap();
        assert_eq!(named(&demand), [("192.0.2.53", 1.0)]);
    }

    #[test]
    fn what_nobody_looks_at_is_not_observed() {
        let queries = rates(&[("192.0.2.53", 1.0)], 0.0);
        let requests = rates(&[("192.0.2.0/24", 10.0)], 0.0);
        for observes in [true, false] {
            let naming = Naming { hot_share: Some(0.0), observes, ..NAMING };
            let demand = join(&queries, &[served(&requests)], naming, None).unwrap();
            assert_eq!(demand.domains[0].observed.len(), usize::from(observes));
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
        let naming = Naming { domains_max: 1 << 20, hot_share: Some(0.0), ..NAMING };
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
            // All that ask are hot: what servers see of them, and of those that do not ask, is all
            // that they serve by name.
            let seen = |it: &DomainDemand| match it.silent {
                true => it.rate,
                false => it.observed.iter().map(|it| it.1).sum(),
            };
            let told = served.iter().map(|it| it.part * it.requests.named().values().sum::<f64>());
            let told: f64 = told.sum();
            prop_assert!(close(demand.domains.iter().map(seen).sum(), told), "{demand:?}");
            for domain in &demand.domains {
                prop_assert!(seen(domain) <= domain.rate * 1.01, "{domain:?}");
                prop_assert!(domain.rate > 0.0 && !(domain.hot && domain.silent), "{domain:?}");
            }
            let sum: f64 = demand.domains.iter().map(|it| it.rate).sum();
            prop_assert!(demand.rate.is_finite() && sum <= demand.rate * 1.01, "{demand:?}");
            prop_assert!(demand.domains.windows(2).all(|pair| pair[0].rate >= pair[1].rate));
        }
    }
}
