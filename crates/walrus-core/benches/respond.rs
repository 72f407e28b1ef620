//! `respond` beside a calibration loop in the same run: `cargo bench -p walrus-core --bench respond`.
//!
//! The calibration loop is the least that any answer costs: parse, fold and hash the name once, copy
//! 90 bytes. Machines are noisy, so the multiple of it says more than nanoseconds do. Queries come
//! in random order by a fixed seed.

#[path = "respond/load.rs"]
mod load;
#[path = "respond/world.rs"]
mod world;

use divan::{Bencher, black_box};
use load::{NAMES, Queries};
use walrus_core::dnssec::Denial;
use world::World;

fn main() {
    divan::main();
}

/// Runs one query of the round after the other.
fn each(bencher: Bencher<'_, '_>, queries: &Queries, mut answer: impl FnMut(&[u8]) -> usize) {
    let mut next = 0;
    bencher.counter(1_usize).bench_local(|| {
        next += 1;
        black_box(answer(black_box(queries.get(next))))
    });
}

/// Parse, fold and hash the name, copy 90 bytes.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn calibration(bencher: Bencher<'_, '_>) {
    each(bencher, &Queries::of_names(NAMES), load::calibrate());
}

/// Names with an A record each, EDNS. What 10,000 cost more than 100 is waiting for memory.
#[divan::bench(sample_count = 200, sample_size = 5000, args = [100, 10_000])]
fn static_names(bencher: Bencher<'_, '_>, names: usize) {
    each(bencher, &Queries::of_names(names), load::respond_to(&World::new(names, 100)));
}

/// Names that do not exist.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn no_such_name(bencher: Bencher<'_, '_>) {
    each(bencher, &Queries::missing(), load::respond_to(&World::new(NAMES, 100)));
}

/// A weighted service, a random client subnet of 24 bits, so many prefixes in 50 areas.
#[divan::bench(sample_count = 200, sample_size = 5000, args = [100, 10_000, 500_000])]
fn weighted_service(bencher: Bencher<'_, '_>, prefixes: usize) {
    each(bencher, &Queries::of_service(), load::respond_to(&World::new(NAMES, prefixes)));
}

/// Signed names with an A record each, DO.
#[divan::bench(sample_count = 200, sample_size = 5000, args = [10_000])]
fn signed_names(bencher: Bencher<'_, '_>, names: usize) {
    let world = World::signed(names, 100, Denial::Nsec);
    each(bencher, &Queries::of_signed_names(names), load::respond_to(&world));
}

/// Names that a signed zone proves not to exist, by NSEC: two records of the chain.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn no_such_signed_name(bencher: Bencher<'_, '_>) {
    let world = World::signed(NAMES, 100, Denial::Nsec);
    each(bencher, &Queries::missing_signed(), load::respond_to(&world));
}

/// By NSEC3: three hashes.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn no_such_hashed_name(bencher: Bencher<'_, '_>) {
    let world = World::signed(NAMES, 100, Denial::Nsec3);
    each(bencher, &Queries::missing_signed(), load::respond_to(&world));
}

/// A weighted service in a signed zone, DO.
#[divan::bench(sample_count = 200, sample_size = 5000)]
fn signed_service(bencher: Bencher<'_, '_>) {
    let world = World::signed(NAMES, 100, Denial::Nsec);
    each(bencher, &Queries::of_signed_service(), load::respond_to(&world));
}
