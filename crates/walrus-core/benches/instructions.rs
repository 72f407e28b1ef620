//! Answers a fixed number of queries and ends: for counting instructions and cache misses under
//! `valgrind`, which no neighbour on the machine can disturb. `bench/instructions` runs it.
//!
//! usage: instructions calibration|domains|adaptive|static|cookies|missing|service|signed-static|signed-missing|signed-service COUNT [PREFIXES]

#[path = "respond/adaptive.rs"]
mod adaptive;
#[path = "respond/cookies.rs"]
mod cookies;
#[path = "respond/load.rs"]
mod load;
#[path = "respond/world.rs"]
mod world;

use std::hint::black_box;

use adaptive::adaptive;
use load::{NAMES, Queries};
use walrus_core::dnssec::Denial;
use walrus_core::world::AdaptiveTtl;
use world::World;

fn main() {
    // `cargo bench` and `cargo test` pass options of their own and want nothing measured here.
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let [what, count, rest @ ..] = &words[..] else { return };
    let count: usize = count.parse().expect("COUNT is a number");
    let prefixes = rest.first().map_or(500_000, |text| text.parse().expect("PREFIXES is a number"));
    if what == "cookies" {
        let (world, server) = (World::new(NAMES, 100), cookies::giver());
        let (mut respond, mut reply) = (load::respond_as(&world, &server), [0; 1232]);
        let queries = cookies::queries(&world, &server);
        return run(&queries, count, |query| respond(query, &mut reply));
    }
    let (queries, prefixes) = match what.as_str() {
        "calibration" | "static" => (Queries::of_names(NAMES), 100),
        "missing" => (Queries::missing(), 100),
        "service" => (Queries::of_service(), prefixes),
        "domains" | "adaptive" => (adaptive::queries(), 10_000),
        "signed-static" => (Queries::of_signed_names(NAMES), 100),
        "signed-missing" => (Queries::missing_signed(), 100),
        "signed-service" => (Queries::of_signed_service(), 100),
        _ => {
            panic!(
                "calibration, cookies, domains, adaptive; static, missing or service, also with signed-"
            )
        }
    };
    if what == "calibration" {
        return run(&queries, count, load::calibrate());
    }
    let world = match what.starts_with("signed-") {
        true => World::signed(NAMES, prefixes, Denial::Nsec),
        false => World::new(NAMES, prefixes),
    };
    let is_adaptive = what == "adaptive";
    let world = if is_adaptive { adaptive(&world, AdaptiveTtl::ServerEach) } else { world };
    run(&queries, count, load::respond_to(&world));
}

fn run(queries: &Queries, count: usize, mut answer: impl FnMut(&[u8]) -> usize) {
    for index in 0..count {
        black_box(answer(black_box(queries.get(index))));
    }
}
