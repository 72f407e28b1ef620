//! Answering by the fast path does not allocate, whatever is asked.

#[path = "../benches/respond/world.rs"]
mod world;

use std::net::IpAddr;

use walrus_core::answer::{Counters, Outcome, Positions, Request, Transport, WorkerState, respond};
use walrus_core::world::Time;
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
            udp_size_max: 1232,
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
