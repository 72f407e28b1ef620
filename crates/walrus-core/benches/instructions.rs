//! Answers a fixed number of queries and ends: for counting instructions and cache misses under
//! `valgrind`, which no neighbour on the machine can disturb. `bench/instructions` runs it.
//!
//! usage: instructions calibration|static|missing|service COUNT [PREFIXES]

#[path = "respond/load.rs"]
mod load;
#[path = "respond/world.rs"]
mod world;

use std::hint::black_box;

use load::{NAMES, Queries};
use world::World;

fn main() {
    // `cargo bench` and `cargo test` pass options of their own and want nothing measured here.
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let [what, count, rest @ ..] = &words[..] else { return };
    let count: usize = count.parse().expect("COUNT is a number");
    let prefixes = rest.first().map_or(500_000, |text| text.parse().expect("PREFIXES is a number"));
    let (queries, prefixes) = match what.as_str() {
        "calibration" | "static" => (Queries::of_names(NAMES), 100),
        "missing" => (Queries::missing(), 100),
        "service" => (Queries::of_service(), prefixes),
        _ => panic!("calibration, static, missing or service"),
    };
    if what == "calibration" {
        return run(&queries, count, load::calibrate());
    }
    run(&queries, count, load::respond_to(&World::new(NAMES, prefixes)));
}

fn run(queries: &Queries, count: usize, mut answer: impl FnMut(&[u8]) -> usize) {
    for index in 0..count {
        black_box(answer(black_box(queries.get(index))));
    }
}
