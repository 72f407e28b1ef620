//! How far several workers that tell each other every second are from one that sees everything.

use std::sync::Arc;

use super::grants::Grants;
use super::*;
use crate::world::{ChooseParameters, Time};

const SERVERS: u32 = 16;
const DOMAINS: u32 = 1000;
const TTL: u32 = 30;
/// Queries a second.
const RATE: u64 = 500;
const SECONDS: u64 = 120;

fn inputs(policy: ChoosePolicy) -> Arc<ChooseInputs> {
    let observed = Observed::new(&[], &[0.0; SERVERS as usize], std::iter::empty(), TTL, TTL);
    Arc::new(ChooseInputs {
        ttl_min: TTL,
        ttl_mean: TTL,
        ttl_max: TTL,
        servers: (0..SERVERS).map(name).collect(),
        present: [true; SERVERS as usize].into(),
        observed: Arc::new(observed),
        ..ChooseInputs::nothing("www.example".to_owned(), policy)
    })
}

fn name(place: u32) -> Name {
    format!("s{place:02}").parse().unwrap()
}

fn chooser(policy: ChoosePolicy) -> Chooser {
    let candidate = |place: u32| Candidate {
        key: Candidate::key_of(&name(place)),
        place,
        weight: capacity(place),
    };
    let candidates: Vec<Candidate> = (0..SERVERS).map(candidate).collect();
    Chooser::compile(policy, &ChooseParameters::default(), &candidates, 2.0).unwrap()
}

/// One half has twice the capacity of the other.
fn capacity(place: u32) -> f64 {
    f64::from(1 + place % 2)
}

struct Worker {
    generator: Generator,
    positions: [u32; 2],
    memory: ServiceMemory,
}

/// By how much the most loaded server is above the mean residual load over capacity, in the mean over
/// the time behind the first TTL; and the greatest difference of a server's share of all weight from
/// that of its capacity.
fn deviation(policy: ChoosePolicy, workers: usize, tells: bool) -> (f64, f64) {
    let (inputs, chooser) = (inputs(policy), chooser(policy));
    let worker = |seed| Worker {
        generator: Generator::new(seed),
        positions: [0; 2],
        memory: ServiceMemory::new(&inputs),
    };
    let mut all: Vec<Worker> = (0..workers as u64).map(worker).collect();
    let mut exchange = Exchange::new(workers);
    let mut truth = Grants::new(SERVERS as usize, TTL);
    let mut draws = Generator::new(7);
    let (mut sum, mut samples, mut given) = (0.0, 0.0, [0.0; SERVERS as usize]);
    let harmonic: f64 = (1..=DOMAINS).map(|rank| 1.0 / f64::from(rank)).sum();
    for number in 0..SECONDS * RATE {
        let now = Time::from_nanos(number * 1_000_000_000 / RATE);
        // Caches hide how busy a domain is: all ask alike, and weigh as of Zipf.
        let rank = draws.index(DOMAINS).0;
        let weight = 1e5 / (f64::from(rank + 1) * harmonic);
        let key = AskingDomain::key_of(std::net::IpAddr::from(rank.to_be_bytes()), 32);
        let domain = AskingDomain { weight, ..AskingDomain::unknown(key) };
        // The kernel gives a resolver's queries to one worker.
        let Worker { generator, positions, memory } = &mut all[key as usize % workers];
        let state = ChooserState { generator, positions, memory: Some(memory) };
        let asked = Asked { now, ttl: TTL, domain };
        let chosen = chooser.choose(&asked, state);
        chooser.grant(chosen, &asked, Some(memory));
        given[chosen as usize] += weight;
        truth.advance(now);
        truth.add(chosen, weight, now, TTL);
        if tells && number % RATE == RATE - 1 {
            for (thread, worker) in all.iter_mut().enumerate() {
                let mut told = Told::new(&inputs).unwrap();
                worker.memory.tell(now, &mut told);
                exchange.tell(thread, vec![told]);
            }
            for (thread, worker) in all.iter_mut().enumerate() {
                let heard = exchange.hear(thread, std::iter::once(&inputs), now);
                heard.iter().for_each(|heard| worker.memory.hear(heard));
            }
        }
        if number % (RATE / 10) == 0 && number > u64::from(TTL) * RATE {
            let since = truth.since_turn(now);
            let loads: Vec<f64> =
                (0..SERVERS).map(|at| truth.residual(at, since) / capacity(at)).collect();
            let total: f64 = (0..SERVERS).map(|at| truth.residual(at, since)).sum();
            let mean = total / (0..SERVERS).map(capacity).sum::<f64>();
            sum += loads.iter().copied().fold(0.0, f64::max) / mean - 1.0;
            samples += 1.0;
        }
    }
    let (total, bears): (f64, f64) = (given.iter().sum(), (0..SERVERS).map(capacity).sum());
    let off = (0..SERVERS).map(|at| (given[at as usize] / total - capacity(at) / bears).abs());
    (sum / samples, off.fold(0.0, f64::max))
}

#[test]
fn workers_that_tell_each_other_choose_nearly_as_one() {
    // Above the one worker; a share's distance from the capacity's. With `hash` domains stay where they
    // belong as long as the bound allows, whoever knows what.
    for (policy, above, off) in [
        (ChoosePolicy::Mrl, 0.06, 0.005),
        (ChoosePolicy::Crml, 0.06, 0.005),
        (ChoosePolicy::Dal, 0.06, 0.005),
        (ChoosePolicy::Hash, 0.1, 0.06),
    ] {
        let (one, one_share) = deviation(policy, 1, true);
        println!("{policy:?}: 1 worker: {one:.3}, share {one_share:.4}");
        for workers in [2, 8] {
            let (apart, _) = deviation(policy, workers, false);
            let (together, share) = deviation(policy, workers, true);
            println!("  {workers} workers: {together:.3}, share {share:.4}; apart {apart:.3}");
            assert!(together < one + above, "{policy:?} {workers}: {together} for {one}");
            assert!(share < off, "{policy:?} {workers}: {share}");
        }
    }
    // What it is good for: eight that know nothing of each other are further off.
    let of_eight = |tells| deviation(ChoosePolicy::Mrl, 8, tells).0;
    assert!(of_eight(true) < of_eight(false));
}

#[test]
fn alone_there_is_nothing_to_hear() {
    for policy in ChoosePolicy::ALL {
        let inputs = inputs(policy);
        let mut exchange = Exchange::new(1);
        let told = Told::new(&inputs);
        exchange.tell(0, told.into_iter().collect());
        exchange.tell(9, Vec::new());
        let before = ServiceMemory::new(&inputs);
        let mut memory = before.clone();
        for heard in exchange.hear(0, std::iter::once(&inputs), Time::ZERO) {
            memory.hear(&heard);
        }
        assert_eq!(memory.kept, before.kept, "{policy:?}");
    }
}
