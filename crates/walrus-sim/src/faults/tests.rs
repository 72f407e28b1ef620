//! Seeds by the hundred, and every rule seen to fail.

use std::collections::BTreeMap;

use super::*;

/// The seeds of which one must show what is broken.
const TRIED: std::ops::RangeInclusive<u64> = 1..=60;

fn broken(seed: u64, sabotage: Sabotage) -> FaultsRun {
    run_broken(seed, &FaultOptions::default(), sabotage).unwrap()
}

#[test]
fn what_is_broken_is_seen() {
    for (sabotage, rule) in [
        (Sabotage::AnyPlan, Rule::NumbersRise),
        (Sabotage::EpochForgotten, Rule::EpochStored),
        (Sabotage::AllLost, Rule::NewestPlan),
        (Sabotage::EmptyAnswers, Rule::NoEmptyAnswer),
        (Sabotage::OutAnswers, Rule::SeenBeforeUnknown),
        (Sabotage::NoPresence, Rule::OneMaster),
        (Sabotage::NoOverrides, Rule::OverridesAgree),
        (Sabotage::Boasting, Rule::Rest),
        (Sabotage::Restless, Rule::TimePasses),
        (Sabotage::Undead, Rule::WorkingAnswer),
        (Sabotage::Unheard, Rule::GoodIsLiving),
    ] {
        let breaks = |seed: &u64| broken(*seed, sabotage).breaches.iter().any(|it| it.rule == rule);
        assert!(TRIED.clone().any(|seed| breaks(&seed)), "{sabotage:?} breaks no seed's {rule:?}");
    }
    // Name servers that were there before are in wider worlds alone.
    let breaks = |seed: u64| {
        let breaches = broken(seed, Sabotage::Stubborn).breaches;
        breaches.iter().any(|it| it.rule == Rule::NameServers)
    };
    assert!((WIDER_FROM..WIDER_FROM + 60).any(breaks), "updates that change nothing are not seen");
}

#[test]
fn the_same_seed_is_the_same_to_the_byte() {
    let options = FaultOptions { trace: true, ..FaultOptions::default() };
    for seed in [3, 15] {
        let (one, other) =
            (super::run(seed, &options).unwrap(), super::run(seed, &options).unwrap());
        assert!(one == other, "seed {seed}");
        assert!(one.trace.len() > 10);
    }
}

/// `FAULTS=1-1000 cargo test -p walrus-sim --lib try_seeds -- --nocapture` tells which seeds fail.
#[test]
fn try_seeds() {
    let Ok(text) = std::env::var("FAULTS") else { return };
    let seeds = crate::simulation::parse_seeds(&text).unwrap();
    let mut counts = FaultCounts::default();
    let mut failed = 0;
    let mut by_rule: BTreeMap<Rule, Vec<u64>> = BTreeMap::new();
    let begin = std::time::Instant::now();
    let traced = FaultOptions { trace: true, ..FaultOptions::default() };
    for seed in &seeds {
        if std::env::var("ALONE").is_ok() && World::new(*seed).unwrap().controllers > 1 {
            continue;
        }
        let run = super::run(*seed, &FaultOptions::default()).unwrap();
        counts.add(&run.counts);
        if let Some(breach) = run.breaches.first() {
            failed += 1;
            by_rule.entry(breach.rule).or_default().push(*seed);
            if failed <= 3 {
                println!("{}", super::run(*seed, &traced).unwrap().page());
            }
        }
        if std::env::var("TRACE").is_ok() {
            println!("{}", super::run(*seed, &traced).unwrap().trace.join("\n"));
        }
    }
    println!("{failed} fail; {counts:?}; {:?}", begin.elapsed());
    for (rule, seeds) in by_rule {
        println!("{rule:?}: {} {:?}", seeds.len(), &seeds[..seeds.len().min(12)]);
    }
}
