//! The stages of an answer, each by itself, beside the whole: `cargo bench -p walrus-core --bench stages`.
//!
//! What is left of the whole is finding the entry, composing the reply, and counting. Stages that run by
//! themselves have the caches for themselves: their sum is a little less than the whole.

#[path = "respond/adaptive.rs"]
mod adaptive;
#[path = "respond/load.rs"]
mod load;
#[path = "respond/world.rs"]
mod world;

use std::net::IpAddr;
use std::sync::Arc;

use adaptive::adaptive;
use divan::{Bencher, black_box};
use load::{NAMES, Queries};
use walrus_core::answer::look_ahead;
use walrus_core::dnssec::Denial;
use walrus_core::map::Map;
use walrus_core::policy::choose::{
    Asked, AskingDomain, Candidate, ChooseInputs, Chooser, ChooserState, Observed, ObservedRate,
    ServiceMemory,
};
use walrus_core::world::{
    AdaptiveTtl, Area, ChooseParameters, ChoosePolicy, ClientSpec, Generator, Nearness, Time,
    Topology,
};
use walrus_dns::query;
use world::World;

/// Queries that are looked ahead at together.
const BATCH: usize = 32;
const AREAS: u16 = 50;
/// Domains that ask for a choice.
const DOMAINS: u32 = 4096;

fn main() {
    divan::main();
}

/// Does it for one query of the round after the other.
fn each(bencher: Bencher<'_, '_>, queries: &Queries, mut stage: impl FnMut(&[u8]) -> usize) {
    let mut next = 0;
    bencher.counter(1_usize).bench_local(|| {
        next += 1;
        black_box(stage(black_box(queries.get(next))))
    });
}

fn parse(bytes: &[u8]) -> usize {
    usize::from(query::parse(black_box(bytes)).expect("a query").record_type)
}

/// A question with EDNS.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn a1_parse(bencher: Bencher<'_, '_>) {
    each(bencher, &Queries::of_names(NAMES), parse);
}

/// A question with EDNS and a client subnet.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn a2_parse_client_subnet(bencher: Bencher<'_, '_>) {
    each(bencher, &Queries::of_service(), parse);
}

/// The same as the first, the name folded and hashed, and 90 bytes copied.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn b_parse_fold_hash_copy(bencher: Bencher<'_, '_>) {
    each(bencher, &Queries::of_names(NAMES), load::calibrate());
}

/// A query's part of looking ahead over a batch; the hints themselves are left out.
#[divan::bench(sample_count = 200, sample_size = 200)]
fn c_look_ahead(bencher: Bencher<'_, '_>) {
    let (world, queries) = (World::new(NAMES, 100), Queries::of_names(NAMES));
    let mut next = 0;
    bencher.counter(BATCH).bench_local(|| {
        next += BATCH;
        let batch = (next..next + BATCH).map(|number| queries.get(number));
        look_ahead(&world.table, batch, |address| {
            black_box(address);
        });
    });
}

/// Client address to class of areas, random addresses, so many prefixes.
#[divan::bench(sample_count = 200, sample_size = 5000, args = [100, 10_000, 500_000])]
fn d_locate(bencher: Bencher<'_, '_>, prefixes: u32) {
    let mut generator = Generator::new(7);
    let area = |index: u16| Area {
        name: format!("area{index:03}").parse().expect("a good name"),
        home: None,
        clients: Vec::new(),
        nameservers: Vec::new(),
        nearness: Nearness::default(),
    };
    let mut areas: Vec<Area> = (0..AREAS).map(area).collect();
    for _ in 0..prefixes {
        let address = IpAddr::from(generator.index(u32::MAX).0.to_be_bytes());
        let bits = 12 + generator.index(13).0 as u8;
        let of = generator.index(u32::from(AREAS)).0 as usize;
        areas[of].clients.push(ClientSpec::Prefix(address, bits));
    }
    let map = Map::build(&Topology { areas, ..Topology::default() }, &[]).expect("a topology");
    let classes: Vec<u16> = (0..AREAS).collect();
    let table = map.classes(&classes, AREAS);
    bencher.counter(1_usize).bench_local(|| {
        let address = IpAddr::from(generator.index(u32::MAX).0.to_be_bytes());
        black_box(table.lookup(address).class)
    });
}

/// The first server, of so many, for one of 4,096 domains in turn: a query a microsecond, TTL 30 s.
#[divan::bench(sample_count = 200, sample_size = 5000, args = [
    (ChoosePolicy::RoundRobin, 64), (ChoosePolicy::Random, 64), (ChoosePolicy::Weighted, 8),
    (ChoosePolicy::Weighted, 64), (ChoosePolicy::Hash, 64), (ChoosePolicy::Pow2, 64),
    (ChoosePolicy::Rr2, 64), (ChoosePolicy::Prr2, 64), (ChoosePolicy::Dal, 64),
    (ChoosePolicy::Mrl, 64), (ChoosePolicy::Crml, 64),
])]
fn e_choose(bencher: Bencher<'_, '_>, (policy, servers): (ChoosePolicy, u32)) {
    let candidate =
        |place: u32| Candidate { key: place.into(), place, weight: f64::from(1 + place) };
    let candidates: Vec<Candidate> = (0..servers).map(candidate).collect();
    let parameters = ChooseParameters::default();
    let chooser =
        Chooser::compile(policy, &parameters, &candidates, f64::from(servers)).expect("servers");
    let mut memory = ServiceMemory::new(&Arc::new(inputs(policy, servers)));
    let (mut generator, mut positions) = (Generator::new(1), [0; 2]);
    let domains: Vec<AskingDomain> = (0..DOMAINS).map(domain).collect();
    let mut number = 0;
    bencher.counter(1_usize).bench_local(|| {
        number += 1;
        let domain = domains[number % DOMAINS as usize];
        let asked = Asked { now: Time::from_nanos(number as u64 * 1_000), ttl: 30, domain };
        let (generator, positions) = (&mut generator, &mut positions);
        let state = ChooserState { generator, positions, memory: Some(&mut memory) };
        let chosen = chooser.choose(black_box(&asked), state);
        chooser.grant(chosen, &asked, Some(&mut memory));
        black_box(chosen)
    });
}

/// With a load for each server, and each observing four of 256 hot domains.
fn inputs(policy: ChoosePolicy, servers: u32) -> ChooseInputs {
    let hot: Vec<u64> = (0..256).collect();
    let backlog = vec![1.0; servers as usize];
    let rates = (0..256).flat_map(|hot| {
        let of = move |place| ObservedRate { hot, server: (hot + place) % servers, rate: 1.0 };
        (0..4).map(of)
    });
    let name = |place: u32| format!("server{place:03}").parse().expect("a good name");
    ChooseInputs {
        ttl_min: 30,
        ttl_mean: 30,
        ttl_max: 30,
        servers: (0..servers).map(name).collect(),
        present: vec![true; servers as usize].into(),
        loads: (0..servers).map(|place| place as f32 / servers as f32).collect(),
        observed: Arc::new(Observed::new(&hot, &backlog, rates, 30, 30)),
        ..ChooseInputs::nothing("www.example".to_owned(), policy)
    }
}

/// The first 256 are hot; weights as of Zipf.
fn domain(number: u32) -> AskingDomain {
    let key = AskingDomain::key_of(IpAddr::from(number.to_be_bytes()), 32);
    let hot = (number < 256).then_some(number);
    AskingDomain { weight: 1e5 / f64::from(number + 1), hot, ..AskingDomain::unknown(key) }
}

/// Which domain asks: 4,096 client prefixes are named, half of those that ask.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn e2_find_domain(bencher: Bencher<'_, '_>) {
    let world = adaptive(&World::new(NAMES, 100), AdaptiveTtl::ServerEach);
    let demand = world.table.service(0).and_then(|service| service.demand()).expect("demand");
    let (mut generator, resolver) = (Generator::new(7), IpAddr::from([192, 0, 2, 1]));
    bencher.counter(1_usize).bench_local(|| {
        let [_, _, high, low] = generator.index(2 * DOMAINS).0.to_be_bytes();
        let subnet = Some((IpAddr::from([10, high, low, 0]), 24));
        black_box(demand.asking(black_box(resolver), subnet).weight)
    });
}

/// A Plan whose demand changed: 4,096 domains of a service, its lists as before.
#[divan::bench(sample_count = 20, sample_size = 10)]
fn e3_compile_demand(bencher: Bencher<'_, '_>) {
    let world = adaptive(&World::new(NAMES, 100), AdaptiveTtl::ServerEach);
    let plan = Arc::clone(world.table.plan().expect("a Plan"));
    bencher.bench_local(|| black_box(world.table.with_plan(Arc::clone(&plan))).is_ok());
}

/// Everything: a static name.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn f1_whole_static_name(bencher: Bencher<'_, '_>) {
    each(bencher, &Queries::of_names(NAMES), load::respond_to(&World::new(NAMES, 100)));
}

/// Everything: a static name with its signature.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn f2_whole_signed_name(bencher: Bencher<'_, '_>) {
    let world = World::signed(NAMES, 100, Denial::Nsec);
    each(bencher, &Queries::of_signed_names(NAMES), load::respond_to(&world));
}

/// Everything: a weighted service for a client subnet, so many prefixes.
#[divan::bench(sample_count = 200, sample_size = 5000, args = [10_000, 500_000])]
fn f3_whole_service(bencher: Bencher<'_, '_>, prefixes: usize) {
    each(bencher, &Queries::of_service(), load::respond_to(&World::new(NAMES, prefixes)));
}

/// Everything: a name that does not exist, and its proof.
#[divan::bench(sample_count = 200, sample_size = 5000, args = [false, true])]
fn f4_whole_no_such_name(bencher: Bencher<'_, '_>, signed: bool) {
    let (queries, world) = match signed {
        false => (Queries::missing(), World::new(NAMES, 100)),
        true => (Queries::missing_signed(), World::signed(NAMES, 100, Denial::Nsec)),
    };
    each(bencher, &queries, load::respond_to(&world));
}

/// Everything: a weighted service with its signature.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn f5_whole_signed_service(bencher: Bencher<'_, '_>) {
    let world = World::signed(NAMES, 100, Denial::Nsec);
    each(bencher, &Queries::of_signed_service(), load::respond_to(&world));
}

/// Everything: a weighted service for a client subnet, with a constant TTL, and with an adaptive one
/// for 4,096 named domains, half of those that ask.
#[divan::bench(sample_count = 200, sample_size = 5000, args = [false, true])]
fn f6_whole_adaptive_service(bencher: Bencher<'_, '_>, is_adaptive: bool) {
    let world = World::new(NAMES, 10_000);
    let world = if is_adaptive { adaptive(&world, AdaptiveTtl::ServerEach) } else { world };
    each(bencher, &adaptive::queries(), load::respond_to(&world));
}
