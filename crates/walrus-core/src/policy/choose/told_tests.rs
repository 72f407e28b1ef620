//! How far several workers that tell each other every second are from one that sees everything.

use std::sync::Arc;
use std::time::Duration;

use super::charged_load::{self, Charges};
use super::grants::Grants;
use super::servers::Servers;
use super::*;
use crate::world::{ChooseParameters, Time};

const SERVERS: u32 = 16;
const DOMAINS: u32 = 1000;
const TTL: u32 = 30;
/// Queries a second.
const RATE: u64 = 500;
const SECONDS: u64 = 120;
/// Sequences of queries for `crml`: its hot domains ask seldom, and where the heaviest one goes decides much.
const SEEDS_OF_HOT: u64 = 8;
/// The heaviest domains are hot for `crml`, and keep answers beyond their TTL.
const HOT: usize = 32;
/// Seconds between two Plans that tell where these are seen.
const PLANS: u64 = 10;

fn inputs_of(policy: ChoosePolicy, observed: Observed) -> Arc<ChooseInputs> {
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

/// Where hot domains are, whatever they were granted.
struct Caches {
    /// By hot domain: its server, and when it asks again.
    kept: [Option<(u32, Time)>; HOT],
    /// By hot domain and server: requests since the last Plan.
    seen: Vec<f64>,
}

impl Caches {
    fn new() -> Self {
        Self { kept: [None; HOT], seen: vec![0.0; HOT * SERVERS as usize] }
    }

    /// From one and a half TTLs on to three.
    fn keep(&mut self, rank: usize, server: u32, now: Time) {
        let kept = Duration::from_secs(u64::from(TTL)) * (3 + rank as u32 % 4) / 2;
        self.kept[rank] = Some((server, now + kept));
    }

    fn holds(&self, rank: usize, now: Time) -> bool {
        self.kept.get(rank).copied().flatten().is_some_and(|(_, until)| now < until)
    }

    /// A second passes.
    fn send(&mut self) {
        for (rank, (server, _)) in
            self.kept.iter().enumerate().filter_map(|(rank, it)| Some((rank, (*it)?)))
        {
            self.seen[rank * SERVERS as usize + server as usize] +=
                weight(rank as u32) / f64::from(TTL);
        }
    }

    /// As the next Plan tells it.
    fn observed(&mut self) -> Observed {
        let seen = std::mem::replace(self, Self { kept: self.kept, ..Self::new() }).seen;
        let rates = (0..).zip(&seen).map(|(at, requests)| ObservedRate {
            hot: at / SERVERS,
            server: at % SERVERS,
            rate: requests / PLANS as f64,
        });
        let keys: Vec<u64> = (0..HOT as u32).map(key).collect();
        let observed = Observed::new(&keys, &[0.0; SERVERS as usize], rates, TTL, TTL);
        observed.made_over(PLANS as u32)
    }
}

fn key(rank: u32) -> u64 {
    AskingDomain::key_of(std::net::IpAddr::from(rank.to_be_bytes()), 32)
}

/// Requests in a TTL, as of Zipf.
fn weight(rank: u32) -> f64 {
    const HARMONIC: f64 = {
        let (mut sum, mut rank) = (0.0, 1);
        while rank <= DOMAINS {
            sum += 1.0 / rank as f64;
            rank += 1;
        }
        sum
    };
    1e5 / (f64::from(rank + 1) * HARMONIC)
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

/// By how much the most loaded server is above the mean residual (and charged) load over capacity, in the mean
/// over the time behind the first TTL; and the greatest difference of a server's share of all weight
/// from that of its capacity.
fn deviation(policy: ChoosePolicy, workers: usize, tells: bool) -> (f64, f64) {
    let seeds = if policy == ChoosePolicy::Crml { SEEDS_OF_HOT } else { 1 };
    let of = |seed| deviation_of_seed(policy, (workers, tells), seed);
    let (sum, off) = (7..7 + seeds)
        .map(of)
        .fold((0.0, 0.0), |(sum, off), (one, one_off)| (sum + one, one_off.max(off)));
    (sum / seeds as f64, off)
}

fn deviation_of_seed(
    policy: ChoosePolicy,
    (workers, tells): (usize, bool),
    seed: u64,
) -> (f64, f64) {
    let hot = if policy == ChoosePolicy::Crml { HOT } else { 0 };
    let mut caches = Caches::new();
    let chooser = chooser(policy);
    let mut inputs = inputs_of(policy, caches.observed());
    let worker = |number| Worker {
        generator: Generator::new(number),
        positions: [0; 2],
        memory: ServiceMemory::new(&inputs),
    };
    let mut all: Vec<Worker> = (0..workers as u64).map(worker).collect();
    let mut exchange = Exchange::new(workers);
    let servers = Servers::compile((0..SERVERS).map(|place| (place, capacity(place))));
    let mut truth = (Grants::new(SERVERS as usize, TTL), Charges::new(&inputs.observed));
    let mut draws = Generator::new(seed);
    let (mut sum, mut samples, mut given) = (0.0, 0.0, [0.0; SERVERS as usize]);
    for number in 0..SECONDS * RATE {
        let now = Time::from_nanos(number * 1_000_000_000 / RATE);
        // Caches hide how busy a domain is: all ask alike, and weigh as of Zipf.
        let rank = draws.index(DOMAINS).0;
        let (key, is_hot) = (key(rank), (rank as usize) < hot);
        truth.0.advance(now);
        truth.1.advance(now);
        if !is_hot || !caches.holds(rank as usize, now) {
            let weight = weight(rank);
            let domain =
                AskingDomain { weight, hot: is_hot.then_some(rank), ..AskingDomain::unknown(key) };
            // The kernel gives a resolver's queries to one worker.
            let Worker { generator, positions, memory } = &mut all[key as usize % workers];
            let state = ChooserState { generator, positions, memory: Some(memory) };
            let asked = Asked { now, ttl: TTL, domain };
            let chosen = chooser.choose(&asked, state);
            chooser.grant(chosen, &asked, Some(memory));
            given[chosen as usize] += weight;
            charged_load::grant(&servers, chosen, &asked, (&mut truth.0, &mut truth.1));
            if is_hot {
                caches.keep(rank as usize, chosen, now);
            }
        }
        if number % RATE == RATE - 1 {
            caches.send();
            if tells {
                tell(&mut all, &mut exchange, &inputs, now);
            }
        }
        if policy == ChoosePolicy::Crml && number % (PLANS * RATE) == PLANS * RATE - 1 {
            inputs = inputs_of(policy, caches.observed());
            for worker in &mut all {
                let mut before = std::mem::replace(&mut worker.memory, ServiceMemory::new(&inputs));
                worker.memory.carry_over(&mut before);
            }
            let before = std::mem::replace(&mut truth.1, Charges::new(&inputs.observed));
            truth.1.carry_over(&before, Some);
        }
        if number % (RATE / 10) == 0 && number > u64::from(TTL) * RATE {
            let since = truth.0.since_turn(now);
            let load = |at: u32| truth.0.residual(at, since) + truth.1.extra(at);
            let loads = (0..SERVERS).map(|at| load(at) / capacity(at));
            let total: f64 = (0..SERVERS).map(load).sum();
            let mean = total / (0..SERVERS).map(capacity).sum::<f64>();
            sum += loads.fold(0.0, f64::max) / mean - 1.0;
            samples += 1.0;
        }
    }
    let (total, bears): (f64, f64) = (given.iter().sum(), (0..SERVERS).map(capacity).sum());
    let off = (0..SERVERS).map(|at| (given[at as usize] / total - capacity(at) / bears).abs());
    (sum / samples, off.fold(0.0, f64::max))
}

/// All hear all others, as they do each second.
fn tell(all: &mut [Worker], exchange: &mut Exchange, inputs: &Arc<ChooseInputs>, now: Time) {
    for (thread, worker) in all.iter_mut().enumerate() {
        let mut told = Told::new(inputs).unwrap();
        worker.memory.tell(now, &mut told);
        exchange.tell(thread, vec![told]);
    }
    for (thread, worker) in all.iter_mut().enumerate() {
        let heard = exchange.hear(thread, std::iter::once(inputs), now);
        heard.iter().for_each(|heard| worker.memory.hear(heard));
    }
}

#[test]
fn workers_that_tell_each_other_choose_nearly_as_one() {
    // Above the one worker; a share's distance from the capacity's. With `hash` domains stay where they
    // belong as long as the bound allows, whoever knows what. With `crml` hot domains ask for as much as others
    // and are there for longer, so that what is given is not what is borne.
    for (policy, above, off) in [
        (ChoosePolicy::Mrl, 0.06, 0.005),
        (ChoosePolicy::Crml, 0.06, 0.02),
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
    for policy in [ChoosePolicy::Mrl, ChoosePolicy::Crml] {
        let of_eight = |tells| deviation(policy, 8, tells).0;
        assert!(of_eight(true) < of_eight(false), "{policy:?}");
    }
}

#[test]
fn alone_there_is_nothing_to_hear() {
    for policy in ChoosePolicy::ALL {
        let inputs = inputs_of(policy, Caches::new().observed());
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
