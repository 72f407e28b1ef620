//! What holds for the whole system in whatever happens: servers die, return, are overloaded and
//! drained, time passes, the program is killed.
//!
//! Everything follows from a seed. A failure names it and what happened, as a scenario's lines;
//! `SEED=7 cargo test -p walrus-sim --test whole_system` runs that one alone, and with `SEEDS=5000`
//! so many are tried.

#![expect(clippy::unwrap_used, reason = "a test: what cannot be done fails it")]

mod invariants;
mod random_world;

use std::ops::Range;

use invariants::Watch;
use random_world::RandomWorld;

/// Few enough for a debug build.
const SEEDS: u64 = 200;
/// Things that happen in one run.
const STEPS: usize = 30;

#[test]
fn whatever_happens_the_rules_hold() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seeds: Range<u64> = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    let mut failures = Vec::new();
    for seed in seeds {
        if let Err(failure) = run(seed) {
            failures.push(failure);
        }
    }
    let shown = failures.iter().take(3).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(failures.is_empty(), "{} seeds fail; the first are\n{shown}", failures.len());
}

fn run(seed: u64) -> Result<(), String> {
    let mut world = RandomWorld::new(seed);
    let mut watch = Watch::default();
    let mut told = Vec::new();
    let fail = |told: &[String], config: &str, what: String| {
        format!("seed {seed}: {what}\nconfig\n{config}end\nstart\n{}", told.join("\n"))
    };
    for _ in 0..STEPS {
        told.push(world.step());
        let looked = watch.look(&mut world);
        looked.map_err(|what| fail(&told, &world.config, what))?;
    }
    told.push(world.all_is_well());
    let looked = watch.look(&mut world).and_then(|()| watch.everybody_is_home(&mut world));
    looked.map_err(|what| fail(&told, &world.config, what))
}
