//! More than a thousand small worlds in which everything goes wrong: the group's rules hold in all of them.
//!
//! `FAULTS=1-5000 cargo test -p walrus-sim --test faults` tries other seeds; a failure prints the seed, the world, what
//! went wrong when and which rule was broken. `walrus sim faults` does the same with an optimised program.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use walrus_sim::faults::{FaultCounts, FaultOptions, run};
use walrus_sim::simulation::parse_seeds;

/// A thousand worlds, and wider ones: nodes of both roles, name servers that were there before, goodbyes.
const SEEDS: &str = "1-1000,1000000-1000099";

/// Shorter than what a person tries by hand: rather more worlds than longer ones.
const OPTIONS: FaultOptions = FaultOptions { seconds: 25, trace: false };

#[test]
fn whatever_goes_wrong_the_rules_hold() {
    let seeds = std::env::var("FAULTS").unwrap_or_else(|_| SEEDS.to_owned());
    let seeds = parse_seeds(&seeds).unwrap();
    let next = AtomicUsize::new(0);
    let done = Mutex::new((Vec::new(), FaultCounts::default()));
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = run(*seed, &OPTIONS).unwrap();
            let mut done = done.lock().unwrap();
            done.1.add(&result.counts);
            if !result.held() {
                done.0.push(*seed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(4) {
            scope.spawn(work);
        }
    });
    let (mut failed, counts) = done.into_inner().unwrap();
    failed.sort_unstable();
    println!("{counts:?}");
    let page = |seed: &u64| run(*seed, &FaultOptions { trace: true, ..OPTIONS }).unwrap().page();
    let pages: Vec<String> = failed.iter().take(3).map(page).collect();
    assert!(failed.is_empty(), "seeds {failed:?} fail; the first are\n{}", pages.join("\n"));
    // A group that never settles is looked at by no rule that matters.
    let looks = counts.settled_directors;
    assert!(looks > 2 * seeds.len() as u64, "{looks} looks at settled Directors are few");
    assert!(counts.settled_cuts > seeds.len() as u64 / 20, "{counts:?}");
}
