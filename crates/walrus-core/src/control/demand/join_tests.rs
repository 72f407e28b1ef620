//! Tests of who asks: queries and requests of the same domains as one.

use proptest::prelude::*;

use super::*;

const NAMING: Naming = Naming { domains_max: 100, hot_share: None, observes: true };

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
    assert_eq!(demand.domains.iter().map(|it| it.hot).collect::<Vec<_>>(), [true, false, false]);
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
    let naming = Naming { domains_max: 1100, observes: false, ..NAMING };
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
    let naming = Naming { domains_max: 12, ..naming };
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
    let hot =
        |demand: &ServiceDemand| demand.domains.iter().any(|it| it.hot && it.domain == "192.0.2.1");
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
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | high << 16 | low << 8 | 53);
            Domain::new(address.into(), length)
        },
    )
}

fn any_rates() -> impl Strategy<Value = Rates<Domain>> {
    (proptest::collection::vec((any_domain(), 0.0..1000.0_f64), 0..20), 0.0..100.0_f64).prop_map(
        |(all, rest)| {
            let mut rates = Rates::default();
            all.into_iter().for_each(|(domain, rate)| rates.add(domain, rate));
            rates.add_rest(rest);
            rates
        },
    )
}

/// A resolver that keeps answers so long that none of its queries is remembered is hot all the same
/// where somebody wants to know at which servers its clients are.
#[test]
fn what_servers_see_of_the_silent_is_told_to_who_looks_at_it() {
    let queries = rates(&[("192.0.2.53", 0.1)], 0.0);
    let requests = rates(&[("192.0.2.0/24", 10.0), ("203.0.113.0/24", 90.0)], 0.0);
    let demand = |observes| {
        let naming = Naming { observes, ..NAMING };
        let demand = join(&queries, &[served(&requests)], naming, None).unwrap();
        demand.domains.into_iter().find(|it| it.silent).unwrap()
    };
    let seen = demand(true);
    assert!(seen.hot && seen.observed == [(0, 90.0)], "{seen:?}");
    let unseen = demand(false);
    assert!(!unseen.hot && unseen.observed.is_empty(), "{unseen:?}");
}

/// Whose requests are known, whose are not, and of whom far fewer are known than it asks for.
#[test]
fn what_follows_from_queries_alone_is_told_apart() {
    let asked = [("192.0.2.53", 1.0), ("198.51.100.53", 1.0), ("203.0.113.53", 1.0)];
    let requests = rates(&[("192.0.2.0/24", 100.0), ("203.0.113.0/24", 0.1)], 0.0);
    let reckoned = |served: &[Served<'_>]| {
        let mut domains = join(&rates(&asked, 0.0), served, NAMING, None).unwrap().domains;
        domains.sort_by(|one, other| one.domain.cmp(&other.domain));
        domains.iter().map(|it| it.reckoned).collect::<Vec<_>>()
    };
    assert_eq!(reckoned(&[served(&requests)]), [false, true, true]);
    assert_eq!(reckoned(&[]), [true; 3]);
}

/// Its last query has all but faded; its clients are where they were.
#[test]
fn who_asked_long_ago_has_its_requests_and_who_has_none_is_not_named() {
    let queries = rates(&[("192.0.2.53", 1e-20), ("198.51.100.53", 1e-20), ("10.0.0.1", 1.0)], 0.0);
    let requests = rates(&[("192.0.2.0/24", 10.0), ("10.0.0.0/24", 20.0)], 0.0);
    let demand = join(&queries, &[served(&requests)], NAMING, None).unwrap();
    assert_eq!(named(&demand), [("10.0.0.1", 20.0), ("192.0.2.53", 10.0)]);
    assert!(demand.domains.iter().all(|it| !it.silent), "{demand:?}");
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
        let seen = |it: &DomainDemand| it.observed.iter().map(|it| it.1).sum::<f64>();
        let told = served.iter().map(|it| it.part * it.requests.named().values().sum::<f64>());
        let told: f64 = told.sum();
        prop_assert!(close(demand.domains.iter().map(seen).sum(), told), "{demand:?}");
        for domain in &demand.domains {
            prop_assert!(seen(domain) <= domain.rate * 1.01, "{domain:?}");
            prop_assert!(domain.rate > 0.0 && domain.hot, "{domain:?}");
        }
        let sum: f64 = demand.domains.iter().map(|it| it.rate).sum();
        prop_assert!(demand.rate.is_finite() && sum <= demand.rate * 1.01, "{demand:?}");
        prop_assert!(demand.domains.windows(2).all(|pair| pair[0].rate >= pair[1].rate));
    }
}
