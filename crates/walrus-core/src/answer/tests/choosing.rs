//! The `choose` stage as it is wired into answers: who asks, what a worker remembers, what a Plan says
//! of loads, and the scope of what depends on the client.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use walrus_dns::record_type::{A, AAAA};

use super::fixture::{Ask, label, list, plan, table};
use crate::answer::{
    AnswerTable, Counters, ExplainRequest, Outcome, Positions, Request, WorkerState, explain,
    respond, respond_completely,
};
use crate::plan::{DomainDemand, Plan, ServiceDemand};
use crate::world::{ChoosePolicy, Time};

const SERVICE: &str = "www.example";

fn plan_of(choose: ChoosePolicy) -> Plan {
    let mut plan = plan();
    plan.services[2].choose = choose;
    plan
}

/// The last byte of the first address, and the scope.
fn first(table: &AnswerTable, worker: &mut WorkerState, ask: &Ask, now: Time) -> (u8, u8) {
    let (bytes, mut reply) = (ask.bytes(), [0; 1232]);
    let request = Request { now, ..ask.request(&bytes) };
    let outcome = respond(table, worker, &request, &mut reply);
    assert!(matches!(outcome, Outcome::Reply(_)), "{outcome:?}");
    let decision = worker.decision();
    let server = decision.service.and_then(|service| service.first).expect("a server");
    (server as u8, decision.scope)
}

fn chosen(table: &AnswerTable, worker: &mut WorkerState, ask: &Ask, second: u64) -> u8 {
    first(table, worker, ask, Time::from_secs(second)).0
}

fn adopt(worker: &mut WorkerState, table: &AnswerTable) {
    let _ = worker.adopt(Positions::for_table(table), Counters::for_table(table));
}

/// Of these domains, the first so many hot.
fn demand(domains: &[(&str, f64)], hot: usize) -> ServiceDemand {
    let domain = |(place, &(domain, rate)): (usize, &(&str, f64))| DomainDemand {
        domain: domain.to_owned(),
        rate,
        hot: place < hot,
        ..DomainDemand::default()
    };
    let rate = domains.iter().map(|(_, rate)| rate).sum();
    ServiceDemand {
        rate,
        domains: domains.iter().enumerate().map(domain).collect(),
        ..ServiceDemand::default()
    }
}

#[test]
fn the_scope_is_no_wider_than_the_domain_that_was_looked_at() {
    for choose in ChoosePolicy::ALL {
        let table = table(plan_of(choose));
        let mut worker = WorkerState::new(1, &table);
        let looks = choose.looks_at_domain();
        for (network, source, wide, narrow) in [
            // Of asia's /24, and of nobody's.
            ("192.0.2.0", 24, 24, 24),
            ("192.0.2.7", 32, 24, 24),
            ("10.1.2.0", 24, 5, 24),
            ("10.1.2.3", 32, 5, 24),
            ("10.0.0.0", 8, 5, 8),
            ("2001:db8:77::", 56, 34, 56),
            ("2001:db8:77::", 128, 34, 56),
        ] {
            let ask = Ask::new(SERVICE, A).subnet(network, source);
            let (_, scope) = first(&table, &mut worker, &ask, Time::ZERO);
            let told = format!("{choose:?} {network}/{source}");
            assert!(scope <= source, "{told}: {scope}");
            if looks {
                assert_eq!(scope, narrow, "{told}");
            } else {
                assert!(scope <= wide.max(narrow), "{told}: {scope}");
            }
        }
        let nothing = Ask::new(SERVICE, A).subnet("0.0.0.0", 0);
        assert_eq!(first(&table, &mut worker, &nothing, Time::ZERO).1, 0);
    }
}

#[test]
fn pow2_takes_the_less_loaded_and_a_new_load_leaves_the_lists_alone() {
    let mut loaded = plan_of(ChoosePolicy::Pow2);
    loaded.lists[0] = list(&[0, 1]);
    let before = table(loaded.clone());
    loaded.servers[0].load = Some(0.9);
    loaded.servers[1].load = Some(0.1);
    let after = before.with_plan(Arc::new(loaded)).unwrap();
    let lists = |table: &AnswerTable| {
        table.service(3).unwrap().lists().iter().map(Arc::as_ptr).collect::<Vec<_>>()
    };
    assert_eq!(lists(&before), lists(&after));
    let ask = Ask::new(SERVICE, A);
    let mut worker = WorkerState::new(7, &before);
    let mut count = |table: &AnswerTable| {
        adopt(&mut worker, table);
        (0..4000).map(|_| i32::from(chosen(table, &mut worker, &ask, 0))).sum::<i32>()
    };
    // Both alike; then the first only if it is drawn twice. Five deviations: 158 and 137.
    assert!((count(&before) - 2000).abs() < 158);
    assert!((count(&after) - 3000).abs() < 137);
}

#[test]
fn capacities_count_if_all_candidates_have_one() {
    let shares = |capacities: [Option<f64>; 2]| {
        let mut plan = plan_of(ChoosePolicy::Dal);
        plan.servers[0].capacity = capacities[0];
        plan.servers[1].capacity = capacities[1];
        plan.lists[0].groups[0].candidates[0].weight = 3;
        let table = table(plan);
        let mut worker = WorkerState::new(1, &table);
        let ask = Ask::new(SERVICE, A);
        (0..120).map(|_| u32::from(chosen(&table, &mut worker, &ask, 0))).sum::<u32>()
    };
    assert_eq!(shares([Some(100.0), Some(200.0)]), 80);
    for missing in [None, Some(0.0)] {
        assert_eq!(shares([Some(100.0), missing]), 30, "by weight");
    }
}

#[test]
fn a_server_that_returns_bears_less_in_one_ring() {
    for (choose, rings) in [
        (ChoosePolicy::Rr2, 2),
        (ChoosePolicy::Mrl, 1),
        (ChoosePolicy::Dal, 1),
        (ChoosePolicy::Hash, 1),
        (ChoosePolicy::Pow2, 1),
        (ChoosePolicy::Prr2, 1),
        (ChoosePolicy::Crml, 1),
    ] {
        let mut plan = plan_of(choose);
        plan.lists[0].groups[0].candidates[1].ramp = 0.5;
        let table = table(plan);
        assert_eq!(table.service(3).unwrap().lists()[0].rings(), rings, "{choose:?}");
        let mut worker = WorkerState::new(3, &table);
        let resolver = |number: u32| IpAddr::from(number.to_be_bytes()).to_string();
        let second = (0..3000_u32).filter(|number| {
            let ask = Ask::new(SERVICE, A).from(&resolver(number.wrapping_mul(0x9e37_79b1)));
            let ask = Ask { client: ask.client, ..Ask::new(SERVICE, A) };
            // All from one area: list 0 is that of the world.
            chosen(&table, &mut worker, &ask, 0) == 1
        });
        let second = second.count() as i32;
        // A third, or a quarter where it takes part in half of the answers; hash is coarse.
        let (expected, within) = match choose {
            ChoosePolicy::Rr2 => (750, 150),
            ChoosePolicy::Hash => (1000, 300),
            _ => (1000, 130),
        };
        assert!((second - expected).abs() < within, "{choose:?}: {second}");
    }
}

/// America's clients have list 0 (s0, s1); a resolver of weight 600 and others of 30.
fn plan_with_demand(choose: ChoosePolicy) -> Plan {
    let mut plan = plan_of(choose);
    plan.services[2].demand =
        Some(demand(&[("203.0.113.1", 20.0), ("203.0.113.2", 1.0), ("203.0.113.3", 1.0)], 1));
    plan
}

fn from(resolver: &str) -> Ask {
    Ask::new(SERVICE, A).from(resolver)
}

#[test]
fn mrl_weighs_domains_as_the_plan_says() {
    for choose in [ChoosePolicy::Mrl, ChoosePolicy::Crml, ChoosePolicy::Dal] {
        let table = table(plan_with_demand(choose));
        let mut worker = WorkerState::new(1, &table);
        assert_eq!(chosen(&table, &mut worker, &from("203.0.113.1"), 10), 0, "{choose:?}");
        for turn in 0..10 {
            let ask = from(["203.0.113.2", "203.0.113.3"][turn % 2]);
            assert_eq!(chosen(&table, &mut worker, &ask, 10), 1, "{choose:?} {turn}");
        }
    }
}

#[test]
fn hot_domains_and_normal_ones_go_round_apart() {
    for choose in [ChoosePolicy::Rr2, ChoosePolicy::Prr2] {
        let table = table(plan_with_demand(choose));
        let mut worker = WorkerState::new(1, &table);
        let resolvers = ["203.0.113.1", "203.0.113.2", "203.0.113.1", "203.0.113.2"];
        let chosen = resolvers.map(|ask| chosen(&table, &mut worker, &from(ask), 0));
        assert_eq!(chosen, [0, 0, 1, 1], "{choose:?}");
    }
}

#[test]
fn who_asks_for_both_families_counts_once() {
    let mut both = plan_with_demand(ChoosePolicy::Dal);
    both.lists[0] = list(&[0, 2]);
    both.lists[3] = list(&[0, 2]);
    let mut one = both.clone();
    one.services[2].areas.iter_mut().for_each(|area| area.ipv6 = None);
    for (plan, types, times) in
        [(both.clone(), &[A, AAAA][..], 1.0), (one, &[A], 1.0), (both, &[A], 0.5)]
    {
        let table = table(plan);
        let mut worker = WorkerState::new(1, &table);
        for record_type in types {
            let ask = Ask::new(SERVICE, *record_type).from("203.0.113.2");
            first(&table, &mut worker, &ask, Time::ZERO);
        }
        let request = ExplainRequest {
            name: SERVICE.parse().unwrap(),
            record_type: A,
            resolver: "203.0.113.1".parse().unwrap(),
            client: None,
            local: "192.0.2.99:53".parse().unwrap(),
            now: Time::ZERO,
        };
        let choice = explain(&table, &worker, &request).service.unwrap().choice.unwrap();
        let given: f64 = choice.servers.iter().filter_map(|server| server.given).sum();
        assert_eq!(given, 30.0 * times, "{types:?}");
    }
}

#[test]
fn what_was_given_counts_in_lists_of_both_families() {
    let mut plan = plan_with_demand(ChoosePolicy::Mrl);
    plan.lists[0] = list(&[0, 2]);
    plan.lists[3] = list(&[0, 2]);
    let table = table(plan);
    let mut worker = WorkerState::new(1, &table);
    assert_eq!(chosen(&table, &mut worker, &from("203.0.113.1"), 0), 0);
    let other = Ask::new(SERVICE, AAAA).from("203.0.113.2");
    assert_eq!(chosen(&table, &mut worker, &other, 0), 2);
    assert_eq!(chosen(&table, &mut worker, &from("203.0.113.3"), 0), 2);
}

#[test]
fn memories_go_on_where_servers_are_numbered_anew() {
    for choose in [ChoosePolicy::Mrl, ChoosePolicy::Crml, ChoosePolicy::Dal, ChoosePolicy::Hash] {
        let before = table(plan_with_demand(choose));
        let mut worker = WorkerState::new(1, &before);
        let heavy = chosen(&before, &mut worker, &from("203.0.113.1"), 10);
        if choose == ChoosePolicy::Hash {
            // Its bound is 1.25 x 1200 / 2 the second time, and 1125 the third.
            assert_eq!(chosen(&before, &mut worker, &from("203.0.113.1"), 10), heavy);
        }
        // A server that sorts before all others, and another order of the list.
        let mut changed = plan_with_demand(choose);
        let mut server = changed.servers[5].clone();
        server.name = label("a");
        changed.servers.insert(0, server);
        changed.lists = vec![list(&[2, 1]), list(&[3, 4]), list(&[5, 6, 2]), list(&[1, 3, 5])];
        let after = before.with_plan(Arc::new(changed)).unwrap();
        adopt(&mut worker, &after);
        if choose != ChoosePolicy::Hash {
            for turn in 0..10 {
                let ask = from(["203.0.113.2", "203.0.113.3"][turn % 2]);
                let chosen = chosen(&after, &mut worker, &ask, 11);
                assert_eq!(chosen, 2 - heavy, "{choose:?} {turn}: s{heavy} is one further");
            }
        } else {
            let ask = from("203.0.113.1");
            assert_ne!(chosen(&after, &mut worker, &ask, 11), heavy + 1, "it is full");
        }
        // And back, all at once, after everything has ended.
        adopt(&mut worker, &before);
        chosen(&before, &mut worker, &from("203.0.113.1"), 10_000);
    }
}

#[test]
fn crml_charges_what_servers_observe() {
    let mut stray = plan_with_demand(ChoosePolicy::Crml);
    let domain = &mut stray.services[2].demand.as_mut().unwrap().domains[0];
    domain.observed = vec![(0, 20.0)];
    let table = table(stray);
    let mut worker = WorkerState::new(1, &table);
    for turn in 0..10 {
        let ask = from(["203.0.113.2", "203.0.113.3"][turn % 2]);
        assert_eq!(chosen(&table, &mut worker, &ask, 5), 1, "{turn}");
    }
}

#[test]
fn crml_charges_the_backlog_if_that_is_wanted() {
    for (wanted, first) in [(true, 1), (false, 0)] {
        let mut plan = plan_of(ChoosePolicy::Crml);
        plan.services[2].choose_parameters.crml_backlog = wanted;
        plan.servers[0].backlog = Some(9);
        let table = table(plan);
        assert_eq!(
            chosen(&table, &mut WorkerState::new(1, &table), &from("203.0.113.9"), 0),
            first
        );
    }
}

#[test]
fn another_policy_begins_anew() {
    let table_of = |choose| table(plan_with_demand(choose));
    let mut worker = WorkerState::new(1, &table_of(ChoosePolicy::Mrl));
    for choose in ChoosePolicy::ALL.into_iter().chain(ChoosePolicy::ALL.into_iter().rev()) {
        let table = table_of(choose);
        adopt(&mut worker, &table);
        for _ in 0..3 {
            assert!(chosen(&table, &mut worker, &from("203.0.113.1"), 3) < 2, "{choose:?}");
        }
    }
}

#[test]
fn a_worker_of_another_table_still_answers() {
    let worker_of = table(plan_of(ChoosePolicy::Random));
    for choose in ChoosePolicy::ALL {
        let table = table(plan_of(choose));
        let mut worker = WorkerState::new(1, &worker_of);
        assert!(chosen(&table, &mut worker, &from("203.0.113.1"), 0) < 2);
    }
}

fn odd() -> impl Strategy<Value = f64> {
    let odd = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 1e-300, 1.0, 7.5];
    proptest::sample::select(odd.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a Plan says, every policy answers, both paths alike.
    #[test]
    fn odd_numbers_in_a_plan_are_survived(
        policy in 0..ChoosePolicy::ALL.len(),
        (bound, rate, load, capacity) in (odd(), odd(), odd(), odd()),
        weight in prop_oneof![Just(0), Just(1), Just(u32::MAX)],
        (ramp, observed) in (odd(), odd()),
        seconds in proptest::collection::vec(0..u64::MAX / 1_000_000_000, 1..20),
    ) {
        let mut plan = plan_with_demand(ChoosePolicy::ALL[policy]);
        plan.services[2].choose_parameters.hash_bound = bound;
        plan.services[2].choose_parameters.crml_backlog = true;
        plan.servers[0].load = Some(load);
        plan.servers[0].backlog = Some(u64::MAX);
        plan.servers[0].capacity = Some(capacity);
        plan.servers[1].capacity = Some(1.0);
        plan.lists[0].groups[0].candidates[0].weight = weight;
        plan.lists[0].groups[0].candidates[0].ramp = ramp;
        let demand = plan.services[2].demand.as_mut().unwrap();
        demand.rate = rate;
        demand.domains[0].rate = rate;
        demand.domains[0].observed = vec![(0, observed), (u32::MAX, 1.0)];
        let table = table(plan);
        let mut worker = WorkerState::new(1, &table);
        for second in seconds {
            let ask = from("203.0.113.1");
            let bytes = ask.bytes();
            let request = Request { now: Time::from_secs(second), ..ask.request(&bytes) };
            let mut copy = worker.clone();
            let (mut fast, mut complete) = ([0; 1232], [0; 1232]);
            let one = respond(&table, &mut worker, &request, &mut fast);
            let other = respond_completely(&table, &mut copy, &request, &mut complete);
            prop_assert_eq!((one, fast), (other, complete));
            prop_assert!(matches!(one, Outcome::Reply(_)));
        }
    }
}

#[test]
fn every_policy_explains_what_it_looks_at() {
    for choose in ChoosePolicy::ALL {
        let mut plan = plan_with_demand(choose);
        plan.servers[0].load = Some(0.5);
        plan.services[2].demand.as_mut().unwrap().domains[0].observed = vec![(1, 2.0)];
        let table = table(plan);
        let mut worker = WorkerState::new(1, &table);
        let now = Time::from_secs(20);
        let given = first(&table, &mut worker, &from("203.0.113.2"), now).0;
        let request = ExplainRequest {
            name: SERVICE.parse().unwrap(),
            record_type: A,
            resolver: "203.0.113.1".parse().unwrap(),
            client: None,
            local: "192.0.2.99:53".parse().unwrap(),
            now,
        };
        let before = format!("{worker:?}");
        let explained = explain(&table, &worker, &request).service.unwrap();
        assert_eq!(format!("{worker:?}"), before, "explaining changes nothing");
        let choice = explained.choice.unwrap();
        assert_eq!(choice.servers.len(), 2, "{choose:?}");
        assert!(!choice.rule.is_empty());
        let looks = choose.looks_at_domain();
        assert_eq!(choice.domain.as_deref(), looks.then_some("203.0.113.1"), "{choose:?}");
        assert_eq!(
            choice.weight,
            looks.then_some(300.0),
            "600, of which the answers for IPv6 bring half"
        );
        assert_eq!(choice.hot, looks);
        let given = &choice.servers[usize::from(given)];
        match choose {
            ChoosePolicy::Mrl | ChoosePolicy::Crml => {
                // 15 requests that were granted for 30 s just now; half a tick is 4.
                assert!((given.given.unwrap() - 450.0).abs() < 5.0, "{given:?}");
            }
            ChoosePolicy::Dal | ChoosePolicy::Hash => assert_eq!(given.given, Some(15.0)),
            ChoosePolicy::Pow2 => {
                assert_eq!(choice.servers[0].given, Some(0.5));
                assert_eq!(choice.servers[1].given, None);
            }
            _ => assert_eq!(given.given, None),
        }
        let charged = choice.servers[1].charged;
        // Its own requests are no reason to send a domain elsewhere.
        assert_eq!(charged, (choose == ChoosePolicy::Crml).then_some(0.0));
        if let Some(bound) = choice.servers[0].bound {
            assert!((bound - 1.25 * 315.0 / 2.0).abs() < 1e-6, "{bound}");
        }
        // What is told to come first is least of what was compared, or was drawn.
        let first = explained.first.unwrap();
        let of_first = choice.servers.iter().find(|it| it.server == first).unwrap();
        if let (Some(least), None) = (of_first.compared, of_first.bound) {
            assert!(
                choice.servers.iter().all(|it| it.compared.unwrap() >= least),
                "{choice:?} {first}"
            );
        }
        if choose == ChoosePolicy::Pow2 {
            assert!(of_first.marked);
        }
    }
}
