//! TTLs by who asks and by who is given: in replies of both paths, in their scopes, in signed zones,
//! and in explanations.

use std::sync::Arc;

use walrus_dns::record_type::{A, AAAA, HTTPS, MX, SRV};

use super::fixture::{Ask, Reply, list, name, plan, table};
use super::signer::{SERVICE, Signer, plan_of};
use crate::answer::{AnswerTable, ExplainRequest, TtlExplanation, WorkerState, explain};
use crate::plan::{DomainDemand, Plan, ServiceDemand, ServicePlan};
use crate::world::{AdaptiveTtl, TtlPolicy};

/// Resolvers with 8 and 1 requests a second, and a client prefix with 1: K = 3.
pub(super) fn demand() -> ServiceDemand {
    let domain = |domain: &str, rate: f64, hot| DomainDemand {
        domain: domain.to_owned(),
        rate,
        hot,
        ..DomainDemand::default()
    };
    let domains =
        vec![domain(HEAVY, 8.0, true), domain(LIGHT, 1.0, false), domain(PREFIX, 1.0, false)];
    ServiceDemand { rate: 10.0, domains, ..ServiceDemand::default() }
}

const HEAVY: &str = "203.0.113.9";
const LIGHT: &str = "203.0.113.10";
const PREFIX: &str = "198.51.100.0/26";

pub(super) fn adapt(service: &mut ServicePlan, variant: AdaptiveTtl) {
    service.ttl = TtlPolicy::Adaptive { variant, seconds: 240, min: 24, max: 2400 };
    service.demand = Some(demand());
}

/// The fixture's, where s0 and s1 serve America in turn, s0 with three times the weight.
fn adaptive_plan(variant: AdaptiveTtl) -> Plan {
    let mut plan = plan();
    // Of the lists for IPv4 and IPv6.
    plan.lists[0].groups[0].candidates[0].weight = 3;
    plan.lists[3].groups[0].candidates[0].weight = 3;
    adapt(&mut plan.services[2], variant);
    plan
}

/// The TTLs of all records of the answer section, which are the same.
fn ttl(reply: &Reply) -> u32 {
    let text = reply.text();
    let ttls: Vec<u32> =
        text.split(", ").map(|record| record.split(' ').nth(2).unwrap().parse().unwrap()).collect();
    assert!(ttls.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    ttls[0]
}

/// The TTLs of the next two answers, those with s0 first and with s1 first.
fn both_servers(table: &AnswerTable, ask: &Ask) -> [u32; 2] {
    let mut worker = WorkerState::new(1, table);
    let mut ttls = [0; 2];
    for _ in 0..2 {
        let ttl = ttl(&ask.answer(table, &mut worker));
        let decided = worker.decision().service.unwrap();
        assert_eq!(decided.ttl, ttl);
        ttls[decided.first.unwrap() as usize] = ttl;
    }
    ttls
}

#[test]
fn the_ttl_is_that_of_the_domain_and_of_the_server_that_comes_first() {
    for (variant, heavy, light) in [
        (AdaptiveTtl::One, [240, 240], [240, 240]),
        (AdaptiveTtl::Two, [100, 100], [800, 800]),
        (AdaptiveTtl::Each, [100, 100], [800, 800]),
        (AdaptiveTtl::ServerOne, [360, 120], [360, 120]),
        (AdaptiveTtl::ServerTwo, [150, 50], [1200, 400]),
        (AdaptiveTtl::ServerEach, [150, 50], [1200, 400]),
    ] {
        let table = table(adaptive_plan(variant));
        let ask = Ask::new("www.example", A);
        assert_eq!(both_servers(&table, &ask.clone().from(HEAVY)), heavy, "{variant:?}");
        assert_eq!(both_servers(&table, &ask.clone().from(LIGHT)), light, "{variant:?}");
        // Who is not named is as light as the lightest that is; here by the resolver's area.
        assert_eq!(both_servers(&table, &ask.from("203.0.113.77")), light, "{variant:?}");
        // Another service's stays what it is.
        let other = Ask::new("deep.service.example", A).from(HEAVY);
        assert_eq!(ttl(&other.answer(&table, &mut WorkerState::new(1, &table))), 30);
    }
}

/// Client networks that only access logs tell of: whoever asks keeps its TTL, and so do the queries.
#[test]
fn who_never_asks_does_not_count() {
    let mut plan = adaptive_plan(AdaptiveTtl::Each);
    let demand = plan.services[2].demand.as_mut().unwrap();
    let stranger = |index| DomainDemand {
        domain: format!("100.64.{index}.0/24"),
        rate: 5.0,
        silent: true,
        ..DomainDemand::default()
    };
    demand.domains.extend((0..100).map(stranger));
    // Those that are not named included.
    demand.silent = 1000.0;
    demand.rate += demand.silent;
    for variant in [AdaptiveTtl::Two, AdaptiveTtl::Each] {
        plan.services[2].ttl = TtlPolicy::Adaptive { variant, seconds: 240, min: 24, max: 2400 };
        let table = table(plan.clone());
        let ask = Ask::new("www.example", A);
        assert_eq!(both_servers(&table, &ask.clone().from(HEAVY)), [100, 100]);
        assert_eq!(both_servers(&table, &ask.clone().from(LIGHT)), [800, 800]);
        assert_eq!(both_servers(&table, &ask.clone().from("203.0.113.77")), [800, 800]);
        // A resolver in such a network is taken for it: 240 x 10/3 / 5.
        let expected = if variant == AdaptiveTtl::Each { 160 } else { 800 };
        assert_eq!(both_servers(&table, &ask.from("100.64.7.53")), [expected; 2]);
    }
}

#[test]
fn it_is_halved_while_the_area_is_degraded_and_constant_without_demand() {
    let mut degraded = adaptive_plan(AdaptiveTtl::ServerEach);
    degraded.services[2].areas[0].degraded = true;
    let table_of = table(degraded);
    let ask = Ask::new("www.example", A).from(HEAVY);
    assert_eq!(both_servers(&table_of, &ask), [75, 25]);
    // The world has the same list and is as it should be.
    assert_eq!(both_servers(&table_of, &ask.clone().from("8.8.8.8")), [1200, 400]);
    let mut unknown = adaptive_plan(AdaptiveTtl::Each);
    unknown.services[2].demand = None;
    assert_eq!(both_servers(&table(unknown), &ask), [240, 240]);
}

#[test]
fn the_scope_is_as_long_as_what_names_the_domain() {
    let table_of = |variant| table(adaptive_plan(variant));
    let scope = |table: &AnswerTable, network: &str, source| {
        let ask = Ask::new("www.example", A).from(HEAVY).subnet(network, source);
        let reply = ask.answer(table, &mut WorkerState::new(1, table));
        (ttl(&reply), reply.scope().unwrap())
    };
    let by_domain = table_of(AdaptiveTtl::Each);
    // Domains are no longer than /24, whatever is told: so this /26 is not seen.
    assert_eq!(scope(&by_domain, "198.51.100.7", 32), (100, (32, 24)));
    assert_eq!(scope(&by_domain, "10.0.0.0", 16), (100, (16, 16)));
    assert_eq!(scope(&by_domain, "0.0.0.0", 0), (100, (0, 0)));
    let mut wider = adaptive_plan(AdaptiveTtl::Each);
    wider.services[2].demand.as_mut().unwrap().domains[2].domain = "198.51.0.0/16".into();
    let wider = table(wider);
    assert_eq!(
        scope(&wider, "198.51.7.0", 24),
        (800, (24, 18)),
        "the hole in the map is a part of it"
    );
    // Without domains it is the area's alone.
    let by_server = table_of(AdaptiveTtl::ServerOne);
    assert_eq!(scope(&by_server, "10.0.0.0", 16).1, (16, 1));
}

#[test]
fn a_signed_set_and_its_signatures_have_the_lower_ttl_and_the_original_one() {
    let mut signer = Signer::new();
    let mut plan = plan_of(1, Some(2), &[list(&[0, 1, 2]), list(&[0, 1, 2])], false);
    adapt(&mut plan.services[0], AdaptiveTtl::Each);
    let table = signer.table.with_plan(Arc::new(plan)).unwrap();
    signer.publish(&table);
    signer.catch_up(usize::MAX);
    let mut worker = WorkerState::new(1, &signer.table);
    for (resolver, seconds) in [(HEAVY, 100), (LIGHT, 800)] {
        for of_type in [A, AAAA, HTTPS, MX, SRV] {
            let mut ask = Ask::new(SERVICE, of_type).from(resolver);
            ask.edns = Some((1232, true));
            let reply = ask.answer(&signer.table, &mut worker);
            let text = reply.text();
            let records: Vec<Vec<&str>> =
                text.split(", ").map(|record| record.split(' ').collect()).collect();
            assert!(records.iter().all(|record| record[2] == seconds.to_string()), "{text}");
            let signature = records.iter().find(|record| record[1] == "RRSIG").expect(&text);
            // Type covered, algorithm, labels, original TTL.
            assert_eq!(signature[6], "2400", "{text}");
        }
    }
}

#[test]
fn changed_demand_compiles_no_list_anew() {
    let before = table(adaptive_plan(AdaptiveTtl::Each));
    let with = |rate: f64| {
        let mut plan = adaptive_plan(AdaptiveTtl::Each);
        plan.services[2].demand.as_mut().unwrap().domains[1].rate = rate;
        before.with_plan(Arc::new(plan)).unwrap()
    };
    let service = |table: &AnswerTable| std::ptr::from_ref(table.service(3).unwrap());
    assert_eq!(service(&before), service(&with(1.0)));
    let after = with(2.0);
    assert_ne!(service(&before), service(&after));
    let lists = |table: &AnswerTable| -> Vec<_> {
        table.service(3).unwrap().lists().iter().map(Arc::as_ptr).collect()
    };
    assert_eq!(lists(&before), lists(&after));
}

/// Who asks often because its answers end early must not get still shorter ones for it.
#[test]
fn what_is_known_from_queries_alone_changes_no_ttl() {
    let mut plan = adaptive_plan(AdaptiveTtl::Each);
    let told = |plan: &Plan, resolver: &str| {
        let told = explained(plan.clone(), resolver).1.unwrap();
        (told.class, told.seconds)
    };
    assert_eq!(told(&plan, HEAVY).0, "itself");
    // Nor those of others: one of two that are left is known, and asks for as much as both do in the mean.
    let half = |times: f64| {
        let mut plan = plan.clone();
        let demand = plan.services[2].demand.as_mut().unwrap();
        let resolvers = demand.domains.iter_mut().filter(|it| !it.domain.contains('/'));
        let last = resolvers.last().unwrap();
        last.reckoned = true;
        demand.rate += last.rate * (times - 1.0);
        last.rate *= times;
        let resolver = last.domain.clone();
        (told(&plan, HEAVY).1, told(&plan, &resolver).1)
    };
    assert_eq!(half(1.0), half(10.0));
    let demand = plan.services[2].demand.as_mut().unwrap();
    demand.domains[0].reckoned = true;
    assert_eq!(told(&plan, HEAVY).0, "rest");
    let demand = plan.services[2].demand.as_mut().unwrap();
    demand.domains.iter_mut().for_each(|it| it.reckoned = true);
    let (class, seconds) = told(&plan, HEAVY);
    assert_eq!(class, "rest");
    assert!((seconds - 240.0).abs() < 1e-3, "{seconds}");
}

/// The TTL of the next answer to a resolver, and how it came about.
fn explained(plan: Plan, resolver: &str) -> (u32, Option<TtlExplanation>) {
    let table = table(plan);
    let request = ExplainRequest {
        name: name("www.example"),
        record_type: A,
        resolver: resolver.parse().unwrap(),
        client: None,
        local: "192.0.2.99:53".parse().unwrap(),
        now: crate::world::Time::ZERO,
    };
    let told = explain(&table, &WorkerState::new(1, &table), &request).service.unwrap();
    (told.ttl, told.adaptive)
}

#[test]
fn each_variant_explains_what_it_looks_at() {
    // For s0, which comes first and has three times the weight of s1.
    for (variant, asks, class, weight, (by_domain, factor)) in [
        (AdaptiveTtl::One, HEAVY, "all", None, (240.0, 1.0)),
        (AdaptiveTtl::One, "8.8.8.8", "all", None, (240.0, 1.0)),
        (AdaptiveTtl::Two, HEAVY, "hot", Some(1920.0), (100.0, 1.0)),
        (AdaptiveTtl::Two, LIGHT, "normal", Some(240.0), (800.0, 1.0)),
        (AdaptiveTtl::Each, HEAVY, "itself", Some(1920.0), (100.0, 1.0)),
        (AdaptiveTtl::Each, LIGHT, "itself", Some(240.0), (800.0, 1.0)),
        (AdaptiveTtl::ServerOne, HEAVY, "all", None, (240.0, 1.5)),
        (AdaptiveTtl::ServerTwo, HEAVY, "hot", Some(1920.0), (100.0, 1.5)),
        (AdaptiveTtl::ServerTwo, LIGHT, "normal", Some(240.0), (800.0, 1.5)),
        (AdaptiveTtl::ServerEach, HEAVY, "itself", Some(1920.0), (100.0, 1.5)),
        (AdaptiveTtl::ServerEach, LIGHT, "itself", Some(240.0), (800.0, 1.5)),
    ] {
        let (ttl, told) = explained(adaptive_plan(variant), asks);
        let told = told.unwrap();
        assert_eq!((&*told.policy, &*told.class), (variant.name(), class), "{variant:?} {asks}");
        assert_eq!(told.weight, weight, "{variant:?} {asks}");
        assert_eq!((told.by_domain, told.factor), (by_domain, factor), "{variant:?} {asks}");
        assert_eq!(told.seconds, by_domain * factor, "{variant:?} {asks}");
        assert_eq!(f64::from(ttl), told.seconds, "{variant:?} {asks}");
        assert!(!told.halved && !told.bounded, "{variant:?} {asks}");
    }
    let (_, rest) = explained(adaptive_plan(AdaptiveTtl::Each), "8.8.8.8");
    assert_eq!(rest.unwrap().class, "rest");
}

#[test]
fn an_explanation_tells_what_was_halved_or_cut_off() {
    let mut plan = adaptive_plan(AdaptiveTtl::ServerEach);
    plan.services[2].areas[0].degraded = true;
    let (ttl, Some(told)) = explained(plan.clone(), HEAVY) else { panic!("adaptive") };
    assert_eq!((ttl, &*told.policy, &*told.class), (75, "TTL/S_K", "itself"));
    assert_eq!((told.mean, told.min, told.max), (240, 24, 2400));
    assert_eq!(told.weight, Some(1920.0), "8 a second for 240 seconds");
    assert_eq!((told.by_domain, told.factor, told.seconds), (100.0, 1.5, 75.0));
    assert!(told.halved && !told.bounded);
    plan.services[2].ttl =
        TtlPolicy::Adaptive { variant: AdaptiveTtl::Two, seconds: 240, min: 24, max: 600 };
    let (_, Some(told)) = explained(plan.clone(), "8.8.8.8") else { panic!("adaptive") };
    assert_eq!((&*told.class, told.bounded, told.seconds), ("normal", true, 600.0));
    plan.services[2].ttl = TtlPolicy::Constant { seconds: 240 };
    assert_eq!(explained(plan, HEAVY), (120, None));
}
