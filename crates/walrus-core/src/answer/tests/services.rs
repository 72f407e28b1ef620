//! Services: where clients are found, what they are told, which scope it has.

use std::sync::Arc;

use walrus_dns::record_type::{A, AAAA};

use super::fixture::{
    Ask, Reply, area_plan, both, candidate, empty_table, list, plan, table, zone_table,
};
use crate::answer::{AnswerTable, Outcome, WorkerState, respond_completely};
use crate::plan::Plan;
use crate::world::{AreaId, ChoosePolicy, LocatePolicy, ServiceType};

fn worker(table: &AnswerTable) -> WorkerState {
    WorkerState::new(1, table)
}

fn last_bytes(table: &AnswerTable, worker: &mut WorkerState, ask: &Ask) -> Vec<u8> {
    let reply = ask.answer(table, worker);
    reply
        .addresses()
        .iter()
        .map(|address| match address {
            std::net::IpAddr::V4(address) => address.octets()[3],
            std::net::IpAddr::V6(address) => address.octets()[15],
        })
        .collect()
}

#[test]
fn round_robin_goes_round_each_ring_for_itself() {
    let table = table(plan());
    let mut worker = worker(&table);
    let europe = Ask::new("www.example", A).from("198.51.100.1");
    let asia = Ask::new("www.example", A).from("192.0.2.77");
    for (from_europe, from_asia) in
        [([4, 5], [2, 3]), ([5, 1], [3, 2]), ([1, 4], [2, 3]), ([4, 5], [3, 2])]
    {
        assert_eq!(last_bytes(&table, &mut worker, &europe), from_europe);
        assert_eq!(last_bytes(&table, &mut worker, &asia), from_asia);
    }
    let decision = worker.decision().service.unwrap();
    assert_eq!((decision.area, decision.first), (Some(AreaId(1)), Some(3)));
    assert_eq!(worker.counters().areas(3), [0, 4, 4, 0]);
    let mut counted: Vec<_> = worker.counters().servers(3).collect();
    counted.sort_unstable();
    assert_eq!(counted, [(1, 1), (2, 2), (3, 2), (4, 2), (5, 1)]);
}

#[test]
fn each_family_has_its_own_servers_and_nodata_only_without_any() {
    let table = table(plan());
    let mut worker = worker(&table);
    let america = Ask::new("www.example", AAAA);
    assert_eq!(last_bytes(&table, &mut worker, &america), [0, 2]);
    assert_eq!(last_bytes(&table, &mut worker, &america), [2, 4]);
    let asia = Ask::new("www.example", AAAA).from("192.0.2.1").answer(&table, &mut worker);
    assert_eq!(asia.text(), "/ example SOA 300 ns.example. host.example. 1 2 3 4 300");
}

#[test]
fn a_service_answers_at_the_apex() {
    let table = table(plan());
    let mut worker = worker(&table);
    let reply = Ask::new("Example", A).answer(&table, &mut worker);
    assert!(reply.text().starts_with("Example A 30 10.0.0."), "{}", reply.text());
}

#[test]
fn the_scope_is_the_widest_prefix_decided_alike() {
    let table = table(plan());
    let mut worker = worker(&table);
    for (ask, expected) in [
        // The area's own prefix, but never longer than the source.
        (Ask::new("www.example", A).subnet("198.51.100.0", 24), (24, 24)),
        (Ask::new("www.example", A).subnet("198.51.100.7", 32), (32, 24)),
        (Ask::new("www.example", A).subnet("198.51.0.0", 16), (16, 16)),
        // america and world are decided alike: the widest such prefix holds no other area.
        (Ask::new("www.example", A).subnet("203.0.113.0", 24), (24, 5)),
        (Ask::new("www.example", A).subnet("8.8.8.0", 24), (24, 1)),
        (Ask::new("www.example", A).subnet("2001:db8:1::", 48), (48, 0)),
        // A source of 0 bits: the resolver's address decides.
        (Ask::new("www.example", A).subnet("0.0.0.0", 0), (0, 0)),
        // Static names do not depend on the client.
        (Ask::new("ns.example", A).subnet("198.51.100.0", 24), (24, 0)),
        (Ask::new("nothing.example", A).subnet("198.51.100.0", 24), (24, 0)),
        (Ask::new("elsewhere", A).subnet("198.51.100.0", 24), (24, 0)),
    ] {
        let reply = ask.answer(&table, &mut worker);
        assert_eq!(reply.scope(), Some(expected), "{ask:?}");
        assert_eq!(worker.decision().scope, expected.1);
    }
}

#[test]
fn rfc_7871_section_7_4_a_negative_answer_has_scope_0() {
    let table = table(plan());
    let mut worker = worker(&table);
    // The area has no server with an IPv6 address.
    let ask = Ask::new("www.example", AAAA).subnet("192.0.2.0", 24);
    assert_eq!(ask.answer(&table, &mut worker).scope(), Some((24, 0)));
    assert_eq!(worker.decision().scope, 0);
    let ask = Ask::new("www.example", A).subnet("192.0.2.0", 24);
    assert_eq!(ask.answer(&table, &mut worker).scope(), Some((24, 24)));
}

#[test]
fn dig_sends_subnet_0_with_family_0() {
    let table = table(plan());
    let mut worker = worker(&table);
    let mut ask = Ask::new("www.example", A).from("198.51.100.1");
    ask.subnet = Some(vec![0, 0, 0, 0]);
    let reply = ask.answer(&table, &mut worker);
    assert_eq!(reply.addresses()[0], std::net::IpAddr::from([10, 0, 0, 4]));
    assert!(reply.0.ends_with(&[0, 8, 0, 4, 0, 0, 0, 0]));
}

#[test]
fn malformed_subnets_are_formerr_and_not_longer_than_the_query() {
    let table = table(plan());
    let mut worker = worker(&table);
    for data in [
        vec![],
        vec![0, 1, 24],
        vec![0, 3, 0, 0],
        vec![0, 0, 8, 0, 10],
        vec![0, 1, 24, 0, 10, 0],
        vec![0, 1, 24, 0, 10, 0, 0, 0],
        vec![0, 1, 33, 0, 10, 0, 0, 0, 0],
        vec![0, 1, 24, 1, 10, 0, 0],
        vec![0, 1, 23, 0, 10, 0, 1],
        vec![0, 2, 129, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let ask = Ask { subnet: Some(data), ..Ask::new("www.example", A) };
        let reply = ask.answer(&table, &mut worker);
        assert_eq!((reply.rcode(), reply.text().as_str()), (1, ""), "{ask:?}");
        assert!(reply.0.len() <= ask.bytes().len());
    }
}

fn located_by(policies: &[LocatePolicy]) -> Plan {
    let mut plan = plan();
    plan.services[2].locate = policies.to_vec();
    plan
}

#[test]
fn locate_tries_its_policies_in_order_and_then_world() {
    use LocatePolicy::{Map, Nameserver};
    let america_server = "192.0.2.53:53";
    let europe_server = "192.0.2.54:53";
    for (policies, client, asked, first) in [
        (&[Map][..], "192.0.2.7", europe_server, 2),
        (&[Map], "8.8.8.8", europe_server, 0),
        (&[Map, Nameserver], "192.0.2.7", europe_server, 2),
        (&[Map, Nameserver], "8.8.8.8", europe_server, 4),
        (&[Map, Nameserver], "8.8.8.8", "192.0.2.55:53", 0),
        (&[Nameserver, Map], "192.0.2.7", europe_server, 4),
        (&[Nameserver, Map], "192.0.2.7", "192.0.2.55:53", 2),
        (&[Nameserver], "192.0.2.7", america_server, 0),
        (&[Nameserver], "192.0.2.7", "192.0.2.54:5353", 0),
        (&[], "192.0.2.7", europe_server, 0),
    ] {
        let table = table(located_by(policies));
        let ask = Ask::new("www.example", A).from(client).at(asked);
        let got = last_bytes(&table, &mut worker(&table), &ask);
        assert_eq!(got[0], first, "{policies:?} {client} {asked}");
    }
}

#[test]
fn the_scope_of_a_fallback_is_the_hole_and_of_a_name_server_0() {
    use LocatePolicy::{Map, Nameserver};
    let table_of = |policies: &[LocatePolicy]| table(located_by(policies));
    let ask = Ask::new("www.example", A).at("192.0.2.54:53");
    for (policies, network, scope) in [
        // 8.8.8.0 lies in a hole that reaches as far as no area's prefix is touched.
        (&[Map, Nameserver][..], "8.8.8.0", 1),
        (&[Map, Nameserver], "203.0.112.0", 24),
        (&[Map, Nameserver], "203.0.113.0", 24),
        (&[Nameserver, Map], "203.0.113.0", 0),
        (&[Nameserver], "203.0.113.0", 0),
    ] {
        let table = table_of(policies);
        let reply = ask.clone().subnet(network, 24).answer(&table, &mut worker(&table));
        assert_eq!(reply.scope(), Some((24, scope)), "{policies:?} {network}");
    }
}

#[test]
fn degraded_areas_have_half_the_ttl() {
    let mut plan = plan();
    plan.services[2].areas[1].degraded = true;
    let table = table(plan);
    let mut worker = worker(&table);
    let asia = Ask::new("www.example", A).from("192.0.2.7").answer(&table, &mut worker);
    assert!(asia.text().starts_with("www.example A 15 "), "{}", asia.text());
    assert_eq!(worker.decision().service.unwrap().ttl, 15);
    let america = Ask::new("www.example", A).answer(&table, &mut worker);
    assert!(america.text().starts_with("www.example A 30 "), "{}", america.text());
}

/// How often each of the six servers came first: as often as its list expects.
fn shares(plan: Plan, question: &str, count: usize) -> [u32; 6] {
    let table = table(plan);
    let mut worker = WorkerState::new(42, &table);
    let ask = Ask::new(question, A);
    let (bytes, mut reply) = (ask.bytes(), [0; 1232]);
    let mut shares = [0; 6];
    for _ in 0..count {
        let _ = crate::answer::respond(&table, &mut worker, &ask.request(&bytes), &mut reply);
        shares[worker.decision().service.unwrap().first.unwrap() as usize] += 1;
    }
    let decided = worker.decision().service.unwrap();
    let list = table.list_of(decided.service, decided.area.unwrap(), ServiceType::A).unwrap();
    let mut expected = [0.0; 6];
    for (server, share) in list.expected().unwrap() {
        expected[server as usize] += share;
    }
    assert!((expected.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{expected:?}");
    for (drawn, expected) in shares.iter().zip(expected) {
        // Five deviations of a binomial.
        let bound = 5.0 * (count as f64 * expected * (1.0 - expected)).sqrt() + 1.0;
        assert!((f64::from(*drawn) - count as f64 * expected).abs() <= bound, "{question}");
    }
    shares
}

fn near(count: u32, expected: u32) -> bool {
    // Five deviations of a binomial of 10,000 are at most 250.
    count.abs_diff(expected) <= 250
}

#[test]
fn weights_and_ramps_shape_the_shares() {
    let mut weighted = plan();
    weighted.lists[0] = list(&[0, 1, 2, 3]);
    let candidates = &mut weighted.lists[0].groups[0].candidates;
    candidates[0].weight = 2;
    (candidates[1].weight, candidates[1].ramp) = (4, 0.25);
    candidates[3].weight = 0;
    let [a, b, c, d, ..] = shares(weighted, "example", 10_000);
    assert!(near(a, 5000) && near(b, 2500) && near(c, 2500) && d == 0, "{a} {b} {c} {d}");
}

#[test]
fn without_weights_a_ramp_is_the_share_of_answers_that_take_part() {
    for question in ["deep.service.example", "www.example"] {
        let mut plan = plan();
        plan.lists[0] = list(&[0, 1, 2]);
        let candidates = &mut plan.lists[0].groups[0].candidates;
        candidates[1].ramp = 0.5;
        candidates[2].ramp = 0.2;
        // 0.2: all three; 0.3: two; 0.5: the first alone.
        let [a, b, c, ..] = shares(plan, question, 10_000);
        let thirds = 10_000.0 * 0.2 / 3.0;
        let halves = 10_000.0 * 0.3 / 2.0;
        assert!(near(a, (thirds + halves + 5000.0) as u32), "{question}: {a}");
        assert!(near(b, (thirds + halves) as u32), "{question}: {b}");
        assert!(near(c, thirds as u32), "{question}: {c}");
    }
}

#[test]
fn somebody_takes_part_when_all_come_back_at_once() {
    let mut plan = plan();
    for candidate in &mut plan.lists[0].groups[0].candidates {
        candidate.ramp = 0.1;
    }
    let [a, b, ..] = shares(plan, "deep.service.example", 10_000);
    assert!(near(a, 5000) && near(b, 5000) && a + b == 10_000);
}

#[test]
fn groups_are_drawn_by_share() {
    let mut plan = plan();
    let mut second = list(&[4, 5]).groups.remove(0);
    second.share = 0.3;
    plan.lists[0].groups[0].share = 0.7;
    plan.lists[0].groups.push(second);
    let [a, b, _, _, e, f] = shares(plan, "www.example", 10_000);
    assert!(near(a + b, 7000) && near(e + f, 3000), "{a} {b} {e} {f}");
    assert!(a.abs_diff(b) <= 1 && e.abs_diff(f) <= 1);
}

#[test]
fn weights_of_zero_are_all_alike_if_there_are_no_others() {
    let mut plan = plan();
    for candidate in &mut plan.lists[0].groups[0].candidates {
        candidate.weight = 0;
    }
    let [a, b, ..] = shares(plan, "www.example", 100);
    assert_eq!([a, b], [50, 50]);
}

#[test]
fn a_server_answers_with_all_its_addresses_of_the_family() {
    let mut plan = plan();
    plan.servers[1].addresses.push([10, 0, 1, 1].into());
    let table = table(plan);
    let mut worker = worker(&table);
    let ask = Ask::new("www.example", A);
    assert_eq!(last_bytes(&table, &mut worker, &ask), [0, 1, 1]);
    assert_eq!(last_bytes(&table, &mut worker, &ask), [1, 1, 0]);
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let table = table(plan());
    let ask = Ask::new("deep.service.example", A).from("198.51.100.1");
    let run = |seed| {
        let mut worker = WorkerState::new(seed, &table);
        (0..20).map(|_| last_bytes(&table, &mut worker, &ask)[0]).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_list_too_long_for_any_reply_is_cut_to_what_fits() {
    let mut plan = plan();
    let candidates = (0..5000).map(|_| candidate(0)).collect();
    plan.lists[0].groups[0].candidates = candidates;
    plan.services[2].answers = None;
    let table = table(plan);
    let ask = Ask::new("www.example", A).tcp();
    let reply = both(&table, &mut worker(&table), &ask.request(&ask.bytes())).unwrap();
    assert_eq!(reply.flags(), (true, false));
    assert_eq!(reply.addresses().len(), (65_535 - 1_800) / 16);
}

#[test]
fn a_list_too_long_for_any_reply_is_cut_behind_an_alias_too() {
    let mut plan = plan();
    // `to.example` is an alias of the service `www.other` here: its records need longer owners.
    plan.services[2].name = "www.other".into();
    plan.lists[0].groups[0].candidates = (0..5000).map(|_| candidate(0)).collect();
    plan.services[2].answers = None;
    let zones = Arc::new(zone_table(&["www.other"]));
    let table = empty_table().with_zones(zones).unwrap().with_plan(Arc::new(plan)).unwrap();
    let ask = Ask::new("to.example", A).tcp();
    let (bytes, mut reply) = (ask.bytes(), vec![0; 65_535]);
    let outcome = respond_completely(&table, &mut worker(&table), &ask.request(&bytes), &mut reply);
    let Outcome::Reply(len) = outcome else { panic!("{outcome:?}") };
    let reply = Reply(reply[..len].to_vec());
    assert_eq!(reply.flags(), (true, false));
    assert_eq!(reply.addresses().len(), (65_535 - 400 - 11 - 10 - 11) / (11 + 10 + 4));
}

#[test]
fn an_area_that_the_plan_lacks_is_world() {
    let mut plan = plan();
    plan.services[2].areas = vec![area_plan("world", Some(2), None)];
    plan.services[2].choose = ChoosePolicy::RoundRobin;
    let table = table(plan);
    let ask = Ask::new("www.example", A).from("192.0.2.1").subnet("203.0.113.0", 24);
    assert_eq!(last_bytes(&table, &mut worker(&table), &ask)[0], 4);
}

#[test]
fn many_servers_on_their_way_back_share_a_bounded_number_of_rings() {
    let mut plan = plan();
    let servers: Vec<u32> = (0..6).cycle().take(300).collect();
    plan.lists[0] = list(&servers);
    for (index, candidate) in (1..).zip(&mut plan.lists[0].groups[0].candidates) {
        candidate.ramp = f64::from(index) / 300.0;
    }
    let compiled = table(plan.clone());
    let rings = compiled.service(3).unwrap().lists()[0].rings();
    assert_eq!(rings, 16);
    // The servers of one number are spread evenly over all ramps, so their shares are even too.
    for share in shares(plan, "deep.service.example", 10_000) {
        assert!(near(share, 1667), "{share}");
    }
}
