//! `respond` beside a calibration loop in the same run: `cargo bench -p walrus-core --bench respond`.
//!
//! The calibration loop is the least that any answer costs: parse, fold and hash the name once, copy
//! 90 bytes. Machines are noisy, so the multiple of it says more than nanoseconds do. Queries come
//! in random order by a fixed seed.

#[path = "respond/world.rs"]
mod world;

use std::net::IpAddr;

use divan::{Bencher, black_box};
use walrus_core::answer::{Outcome, Request, Transport, WorkerState, respond};
use walrus_core::policy::choose::Generator;
use walrus_core::world::Time;
use walrus_dns::query;
use world::World;

fn main() {
    divan::main();
}

/// Static names, and queries in a round.
const NAMES: usize = 10_000;
const QUERIES: usize = 1 << 16;

/// Runs one query of the round after the other.
fn each(bencher: Bencher<'_, '_>, queries: &[Vec<u8>], mut answer: impl FnMut(&[u8]) -> usize) {
    let mut next = 0;
    bencher.counter(1_usize).bench_local(|| {
        next = (next + 1) & (QUERIES - 1);
        black_box(answer(black_box(&queries[next])))
    });
}

fn static_queries(generator: &mut Generator) -> Vec<Vec<u8>> {
    (0..QUERIES)
        .map(|_| world::query(&world::static_name(generator.index(NAMES as u32).0), None))
        .collect()
}

fn service_queries(generator: &mut Generator) -> Vec<Vec<u8>> {
    let name = world::wire("www.example.com");
    (0..QUERIES).map(|_| world::query(&name, Some(generator.draw().to_be_bytes()))).collect()
}

fn respond_to(world: &World) -> impl FnMut(&[u8]) -> usize {
    let mut worker = WorkerState::new(1, &world.table);
    let mut reply = [0; 1232];
    move |query| {
        let request = Request {
            query,
            client: IpAddr::from([192, 0, 2, 1]),
            local: ([192, 0, 2, 53], 53).into(),
            transport: Transport::Udp,
            now: Time::ZERO,
            udp_size_max: 1232,
        };
        match respond(&world.table, &mut worker, &request, &mut reply) {
            Outcome::Reply(len) => len,
            other => panic!("{other:?}"),
        }
    }
}

/// Parse, fold and hash the name, copy 90 bytes.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn calibration(bencher: Bencher<'_, '_>) {
    let queries = static_queries(&mut Generator::new(1));
    let mut reply = [0; 1232];
    let source = [7; 90];
    each(bencher, &queries, |bytes| {
        let parsed = query::parse(bytes).expect("a query");
        let mut folded = [0; 256];
        let name = parsed.fold_name(&mut folded);
        let secrets = rapidhash::v3::RapidSecrets::seed(1);
        let hash = rapidhash::v3::rapidhash_v3_nano_inline::<true, false>(name, &secrets);
        reply[..90].copy_from_slice(black_box(&source));
        black_box(&mut reply);
        hash as usize
    });
}

/// 10,000 names with an A record each, EDNS.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn static_names(bencher: Bencher<'_, '_>) {
    let world = World::new(NAMES, 100);
    each(bencher, &static_queries(&mut Generator::new(1)), respond_to(&world));
}

/// Names that do not exist.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn no_such_name(bencher: Bencher<'_, '_>) {
    let world = World::new(NAMES, 100);
    let mut generator = Generator::new(2);
    let queries: Vec<_> = (0..QUERIES)
        .map(|_| world::query(&world::static_name(generator.index(1 << 30).0 + NAMES as u32), None))
        .collect();
    each(bencher, &queries, respond_to(&world));
}

/// A weighted service, a random client subnet of 24 bits, so many prefixes in 50 areas.
#[divan::bench(sample_count = 200, sample_size = 5000, args = [100, 10_000, 500_000])]
fn weighted_service(bencher: Bencher<'_, '_>, prefixes: usize) {
    let world = World::new(NAMES, prefixes);
    each(bencher, &service_queries(&mut Generator::new(3)), respond_to(&world));
}
