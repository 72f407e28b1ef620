//! Answering by the fast path does not allocate, whatever is asked.

#[path = "../benches/respond/world.rs"]
mod world;

use std::net::IpAddr;

use std::sync::Arc;

use walrus_core::answer::{
    AnswerTable, Counters, Outcome, Positions, Request, ServerOptions, Transport, WorkerState,
    ZoneTable, respond, respond_completely,
};
use walrus_core::dnssec::Denial;
use walrus_core::map::Map;
use walrus_core::plan::{DomainDemand, Plan, ServiceDemand};
use walrus_core::world::{AdaptiveTtl, ChoosePolicy, Time, Topology, TtlPolicy};
use walrus_core::zone::read_zone;
use world::World;

#[test]
fn no_answer_allocates() {
    let world = World::new(100, 1000);
    let mut worker = WorkerState::new(1, &world.table);
    let mut reply = [0; 1232];
    let service = world::wire("www.example.com");
    let mut cut_short = world::query(&service, None);
    cut_short.pop();
    let mut chaos = world::query(&service, None);
    chaos[12 + service.len() + 3] = 3;
    for (what, query) in [
        ("static name", world::query(&world::static_name(7), None)),
        ("no such name", world::query(&world::static_name(777), None)),
        ("elsewhere", world::query(&world::wire("example.org"), None)),
        ("service", world::query(&service, None)),
        ("service with client subnet", world::query(&service, Some([203, 0, 113, 1, 0, 0, 0, 0]))),
        ("another class", chaos),
        ("cut short", cut_short),
        ("nothing", Vec::new()),
    ] {
        let request = Request {
            query: &query,
            client: IpAddr::from([192, 0, 2, 1]),
            local: ([192, 0, 2, 53], 53).into(),
            transport: Transport::Udp,
            now: Time::ZERO,
            unix_secs: 0,
            udp_size_max: 1232,
            server: ServerOptions::SILENT,
        };
        let mut outcome = Outcome::NotUnderstood;
        let counted = allocation_counter::measure(|| {
            for _ in 0..100 {
                outcome = respond(&world.table, &mut worker, &request, &mut reply);
            }
        });
        assert_ne!(outcome, Outcome::NotUnderstood, "{what}");
        assert_eq!(counted.count_total, 0, "{what}");
    }
}

#[test]
fn no_signed_answer_allocates() {
    for denial in [Denial::Nsec, Denial::Nsec3] {
        let world = World::signed(100, 100, denial);
        let mut worker = WorkerState::new(1, &world.table);
        let mut reply = [0; 1232];
        let service = world::wire("www.example.com");
        for (what, query) in [
            ("static name", world::signed_query(&world::static_name(7), 1)),
            ("no such type", world::signed_query(&world::static_name(7), 28)),
            ("no such name", world::signed_query(&world::static_name(777), 1)),
            ("below a service", world::signed_query(&world::wire("a.b.www.example.com"), 1)),
            ("service", world::signed_query(&service, 1)),
            ("no such type of a service", world::signed_query(&service, 16)),
            ("any", world::signed_query(&service, 255)),
            ("signatures", world::signed_query(&world::static_name(7), 46)),
        ] {
            let request = Request {
                query: &query,
                client: IpAddr::from([192, 0, 2, 1]),
                local: ([192, 0, 2, 53], 53).into(),
                transport: Transport::Udp,
                now: Time::ZERO,
                unix_secs: 0,
                udp_size_max: 1232,
                server: ServerOptions::SILENT,
            };
            let mut outcome = Outcome::NotUnderstood;
            let counted = allocation_counter::measure(|| {
                for _ in 0..100 {
                    outcome = respond(&world.table, &mut worker, &request, &mut reply);
                }
            });
            // A signature of 64 bytes, and what stands around it.
            assert!(matches!(outcome, Outcome::Reply(len) if len > 100), "{what}: {outcome:?}");
            assert_eq!(counted.count_total, 0, "{what}");
        }
    }
}

/// The world with this rule of choice: servers have loads and capacities, the client prefixes
/// 10.0.0.0/24 to 10.0.63.0/24 are known, the first eight of them hot, and servers observe these.
fn chosen_by(world: &World, choose: ChoosePolicy, ttl: TtlPolicy) -> AnswerTable {
    let mut plan = Plan::clone(world.table.plan().expect("a Plan"));
    for (number, server) in (0_u32..).zip(&mut plan.servers) {
        server.load = Some(f64::from(number % 10) / 10.0);
        server.backlog = Some(number.into());
        server.capacity = Some(f64::from(100 + number % 3));
    }
    let domain = |number: u32| DomainDemand {
        domain: format!("10.0.{number}.0/24"),
        rate: 100.0 / f64::from(number + 1),
        hot: number < 8,
        observed: (0..if number < 8 { 4 } else { 0 }).map(|server| (server, 5.0)).collect(),
        ..DomainDemand::default()
    };
    let service = &mut plan.services[0];
    (service.choose, service.ttl) = (choose, ttl);
    service.choose_parameters.crml_backlog = true;
    service.demand = Some(ServiceDemand {
        rate: 1e3,
        domains: (0..64).map(domain).collect(),
        observed_over_ms: 10_000,
        ..ServiceDemand::default()
    });
    world.table.with_plan(Arc::new(plan)).expect("a good Plan")
}

#[test]
fn no_answer_allocates_however_it_is_chosen() {
    let world = World::new(1, 100);
    let service = world::wire("www.example.com");
    // Half of them in domains that the Plan names.
    let queries: Vec<Vec<u8>> = (0..128)
        .map(|number| world::query(&service, Some([10, 0, number, 0, 0, 0, 0, 0])))
        .collect();
    let constant = TtlPolicy::Constant { seconds: 30 };
    let adaptive =
        TtlPolicy::Adaptive { variant: AdaptiveTtl::ServerEach, seconds: 30, min: 3, max: 300 };
    for (choose, ttl) in
        ChoosePolicy::ALL.into_iter().flat_map(|choose| [(choose, constant), (choose, adaptive)])
    {
        let table = chosen_by(&world, choose, ttl);
        let mut worker = WorkerState::new(1, &table);
        let mut reply = [0; 1232];
        let mut answered = 0;
        // Until grants of the longest TTL have ended, and then after a long silence.
        let counted = allocation_counter::measure(|| {
            for second in (0..700).step_by(10).chain([1_000_000]) {
                for query in &queries {
                    let request = Request {
                        query,
                        client: IpAddr::from([192, 0, 2, 1]),
                        local: ([192, 0, 2, 53], 53).into(),
                        transport: Transport::Udp,
                        now: Time::from_secs(second),
                        unix_secs: 0,
                        udp_size_max: 1232,
                        server: ServerOptions::SILENT,
                    };
                    let outcome = respond(&table, &mut worker, &request, &mut reply);
                    let first = worker.decision().service.and_then(|service| service.first);
                    let is_reply = matches!(outcome, Outcome::Reply(_)) && first.is_some();
                    answered += u32::from(is_reply);
                }
            }
        });
        assert_eq!(answered, 71 * 128, "{choose:?} {ttl:?}");
        assert_eq!(counted.count_total, 0, "{choose:?} {ttl:?}");
    }
}

#[test]
fn going_over_to_another_table_does_not_allocate() {
    let world = World::new(1, 10);
    let mut worker = WorkerState::new(1, &world.table);
    let (positions, counters) =
        (Positions::for_table(&world.table), Counters::for_table(&world.table));
    let mut old = None;
    let counted = allocation_counter::measure(|| old = Some(worker.adopt(positions, counters)));
    assert_eq!(counted.count_total, 0);
    drop(old);
}

#[test]
fn a_name_of_many_labels_costs_the_complete_path_no_walk_over_them() {
    let text = b"@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n\
                 *.w 60 A 192.0.2.1\nd 60 NS ns\n";
    let apex = "example".parse().unwrap();
    let zone = read_zone("zone", text, &apex).unwrap().zone;
    let zones = Arc::new(ZoneTable::compile(&[Arc::new(zone)], &[]).unwrap());
    let topology = Topology::default();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let table = AnswerTable::new(zones, map, &topology);
    let mut worker = WorkerState::new(1, &table);
    let mut reply = [0; 1232];
    let mut allocations = |labels: usize, above: &str| {
        let name = world::wire(&format!("{}{above}.example", "a.".repeat(labels)));
        let query = world::query(&name, None);
        let request = Request {
            query: &query,
            client: IpAddr::from([192, 0, 2, 1]),
            local: ([192, 0, 2, 53], 53).into(),
            transport: Transport::Udp,
            now: Time::ZERO,
            unix_secs: 0,
            udp_size_max: 1232,
            server: ServerOptions::SILENT,
        };
        let counted = allocation_counter::measure(|| {
            let outcome = respond_completely(&table, &mut worker, &request, &mut reply);
            assert!(matches!(outcome, Outcome::Reply(_)));
        });
        counted.count_total
    };
    for above in ["w", "d"] {
        let (few, many) = (allocations(1, above), allocations(120, above));
        // Buffers that grow are grown some more times.
        assert!(many <= few + 10, "{above}: {few} with one label, {many} with 120");
    }
}
