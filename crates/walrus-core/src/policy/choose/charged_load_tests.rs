//! Charges from worked figures, and that they leave MRL where nothing is observed astray.

use super::super::{AskingDomain, ObservedRate};
use super::*;

const TTL: u32 = 60;
const HOT: [u64; 1] = [9];

struct Worker {
    servers: Servers,
    grants: Grants,
    charges: Charges,
    positions: [u32; 2],
    ttl: u32,
}

impl Worker {
    fn new(observed: Observed) -> Self {
        let count = observed.servers();
        Self {
            servers: Servers::alike(count as u32),
            grants: Grants::new(count, TTL),
            charges: Charges::new(&Arc::new(observed)),
            positions: [0, 0],
            ttl: TTL,
        }
    }

    fn ask(&mut self, millis: u64, domain: AskingDomain) -> u32 {
        let asked = Asked { now: Time::from_millis(millis), ttl: self.ttl, domain };
        let memory = (&mut self.grants, &mut self.charges);
        let chosen = choose(&self.servers, &asked, memory, &mut self.positions);
        grant(&self.servers, chosen, &asked, (&mut self.grants, &mut self.charges));
        chosen
    }

    fn hear(&mut self, observed: Observed) {
        let mut next = Charges::new(&Arc::new(observed));
        next.carry_over(&self.charges, Some);
        self.charges = next;
    }
}

fn hot(weight: f64) -> AskingDomain {
    AskingDomain { weight, hot: Some(0), ..AskingDomain::unknown(HOT[0]) }
}

fn normal(weight: f64) -> AskingDomain {
    AskingDomain { weight, ..AskingDomain::unknown(1) }
}

fn observed(entries: &[(u32, u32, f64)]) -> Observed {
    let rates = entries.iter().map(|&(hot, server, rate)| ObservedRate { hot, server, rate });
    Observed::new(&HOT, &[0.0; 2], rates, TTL, TTL)
}

#[test]
fn a_domain_that_stays_beyond_its_ttl_is_charged() {
    let mut worker = Worker::new(observed(&[]));
    assert_eq!(worker.ask(0, hot(600.0)), 0, "granted a");
    worker.charges.advance(Time::from_secs(25));
    worker.hear(observed(&[(0, 0, 10.0)]).made_over(10));
    worker.charges.advance(Time::from_secs(30));
    assert_eq!(*worker.charges.extra, [0.0, 0.0], "the grant lives: nothing on top of it");
    // The grant has ended, the requests have not: a is charged 10 x 60 requests.
    let chosen: Vec<u32> = (0..6).map(|_| worker.ask(70_000, normal(105.0))).collect();
    assert_eq!(chosen, [1; 6], "six grants of 105 make b's load more than that of a");
    assert_eq!(worker.ask(70_000, normal(105.0)), 0);
}

/// Worked figures of the rule. TTL 60, a Plan that came at 100 s and tells of the ten seconds before it:
/// servers a and b observe the domain at 10 and 1 requests a second, which is 36,000 and 3,600 over an
/// horizon of 60 s. What is charged at 103 s, and at 165 s, when no grant lives any more.
#[test]
fn what_was_observed_before_the_newest_grant_is_where_that_went() {
    for (granted, server, at_103, at_165, why) in [
        (None, 0, [36_000.0, 3_600.0], [36_000.0, 3_600.0], "never granted"),
        (Some(20), 0, [36_000.0, 3_600.0], [36_000.0, 3_600.0], "long ago: it stays beyond it"),
        (Some(60), 0, [0.0, 3_600.0], [36_000.0, 3_600.0], "the grant of a lives, not that of b"),
        (Some(88), 0, [0.0, 3_600.0], [36_000.0, 3_600.0], "just before it was observed"),
        (Some(91), 0, [0.0, 0.0], [39_600.0, 0.0], "while it was observed: b told of the past"),
        (Some(91), 1, [0.0, 0.0], [0.0, 39_600.0], "likewise, granted to b: a told of the past"),
        (Some(99), 1, [0.0, 0.0], [0.0, 39_600.0], "after it was observed, before the Plan"),
        (Some(101), 0, [0.0, 0.0], [39_600.0, 0.0], "after the Plan"),
        (Some(103), 1, [0.0, 0.0], [0.0, 39_600.0], "just now"),
    ] {
        let mut worker = Worker::new(observed(&[]));
        let mut granted = granted.map(Time::from_secs).into_iter().peekable();
        if let Some(at) = granted.next_if(|at| *at < Time::from_secs(100)) {
            worker.charges.advance(at);
            worker.charges.grant(0, server, TTL);
        }
        worker.charges.advance(Time::from_secs(100));
        worker.hear(observed(&[(0, 0, 10.0), (0, 1, 1.0)]).made_over(10));
        if let Some(at) = granted.next() {
            worker.charges.advance(at);
            worker.charges.grant(0, server, TTL);
        }
        worker.charges.advance(Time::from_secs(103));
        assert_eq!(*worker.charges.extra, at_103, "{why}");
        worker.charges.advance(Time::from_secs(165));
        assert_eq!(*worker.charges.extra, at_165, "{why}");
    }
}

#[test]
fn the_next_observation_counts_again() {
    let mut worker = Worker::new(observed(&[(0, 0, 10.0)]).made_over(5));
    worker.charges.advance(Time::from_secs(100));
    worker.charges.grant(0, 1, 10);
    for (second, charged) in [(103, 0.0), (105, 0.0), (106, 36_000.0)] {
        worker.charges.advance(Time::from_secs(second));
        worker.hear(observed(&[(0, 0, 10.0)]).made_over(5));
        assert_eq!(worker.charges.extra(0), charged, "a Plan at {second}");
    }
    // The Plan in force goes on under another table: it is as old as it was.
    let mut again = Charges::new(&worker.charges.observed);
    worker.charges.advance(Time::from_secs(200));
    again.carry_over(&worker.charges, Some);
    assert_eq!(again.began, worker.charges.began);
}

#[test]
fn each_grant_moves_its_own_domain_alone() {
    let rates = [(0, 0, 10.0), (0, 1, 1.0), (1, 0, 0.1), (1, 1, 0.3)];
    let rates = rates.into_iter().map(|(hot, server, rate)| ObservedRate { hot, server, rate });
    let observed = Observed::new(&[9, 5], &[2.0, 0.0], rates, TTL, TTL);
    let mut charges = Charges::new(&Arc::new(observed));
    charges.advance(Time::from_secs(100));
    assert_eq!(*charges.extra, [120.0 + 36_000.0 + 360.0, 3_600.0 + 1_080.0]);
    for (hot, server, expected) in [
        (0, 1, [120.0 + 360.0, 1_080.0]),
        (0, 0, [120.0 + 360.0, 1_080.0]),
        (1, 0, [120.0, 0.0]),
        (1, 0, [120.0, 0.0]),
        (7, 0, [120.0, 0.0]),
    ] {
        charges.grant(hot, server, TTL);
        assert_eq!(*charges.extra, expected);
        assert!((0..2).all(|place| charges.own(Some(0), place) == 0.0));
    }
    for (second, expected) in
        [(101, [120.0, 0.0]), (160, [120.0, 0.0]), (161, [120.0 + 39_600.0 + 1_440.0, 0.0])]
    {
        charges.advance(Time::from_secs(second));
        assert_eq!(*charges.extra, expected, "at {second}");
    }
    // Granted elsewhere once more, it is taken off where it was.
    charges.grant(0, 1, TTL);
    assert_eq!(*charges.extra, [120.0 + 1_440.0, 0.0]);
    assert_eq!(charges.own(Some(1), 0), 1_440.0);
    charges.advance(Time::from_secs(222));
    assert_eq!(*charges.extra, [120.0 + 1_440.0, 39_600.0]);
}

#[test]
fn a_domain_does_not_flee_from_itself() {
    // It keeps a beyond its TTL; b has less to do, but more than a has without it.
    let mut worker = Worker::new(observed(&[(0, 0, 10.0)]));
    let residual = [(0, 100.0), (1, 200.0)];
    for (place, weight) in residual {
        worker.grants.add(place, weight, Time::ZERO, TTL);
    }
    let mut fresh = worker.charges.clone();
    assert_eq!(worker.ask(1_000, hot(600.0)), 0);
    std::mem::swap(&mut worker.charges, &mut fresh);
    worker.grants = Grants::new(2, TTL);
    for (place, weight) in residual {
        worker.grants.add(place, weight, Time::ZERO, TTL);
    }
    assert_eq!(worker.ask(1_000, normal(1.0)), 1, "others see its load");
}

/// Server b has three times the capacity of a: charged 3,600 each, a has 3,600 and b 1,200, so that b
/// gets 2,400 x 3 more: grants of 100 over 60 s come to 6,000, two to b and then one to a.
#[test]
fn what_is_charged_is_over_the_capacity() {
    let mut worker = Worker::new(observed(&[(0, 0, 1.0), (0, 1, 1.0)]));
    worker.servers = Servers::compile([(0, 1.0), (1, 3.0)].into_iter());
    let chosen = [1, 2, 3, 4].map(|_| worker.ask(0, normal(100.0)));
    assert_eq!(chosen, [1, 1, 0, 1]);
}

#[test]
fn backlog_is_charged_where_it_is_reported() {
    let mut worker = Worker::new(Observed::new(&HOT, &[3.0, 0.0], std::iter::empty(), TTL, TTL));
    let chosen = [1, 2, 3, 4].map(|_| worker.ask(0, normal(1.0)));
    assert_eq!(chosen, [1, 1, 1, 0]);
}

#[test]
fn nobody_is_charged_where_nobody_is() {
    let nobody = Observed::new(&HOT, &[], std::iter::empty(), TTL, TTL);
    Charges::new(&Arc::new(nobody)).advance(Time::from_secs(9));
}

#[test]
fn what_others_granted_counts_here_too() {
    let report = || observed(&[(0, 0, 10.0)]).made_over(5);
    let mut one = Worker::new(report());
    let mut other = one.charges.clone();
    other.advance(Time::ZERO);
    other.grant(0, 1, TTL);
    let mut told = HotGrants::new(&report());
    other.tell(&mut told);
    one.charges.advance(Time::ZERO);
    assert_eq!(*one.charges.extra, [36_000.0, 0.0]);
    one.charges.hear(&told, Time::from_secs(1));
    assert_eq!(one.charges.second, 2, "who has heard knows how late it is");
    assert_eq!(*one.charges.extra, [0.0, 0.0]);
    let after = u64::from(TTL) + 1;
    one.charges.advance(Time::from_secs(after));
    assert_eq!(*one.charges.extra, [0.0, 36_000.0], "it was observed before that grant");
    one.hear(report());
    assert_eq!(*one.charges.extra, [36_000.0, 0.0], "and still is after it");
}

#[test]
fn hot_domains_keep_their_grants_where_their_order_changes() {
    let nothing = || std::iter::empty();
    let observed = Observed::new(&[7, 9], &[0.0; 2], nothing(), TTL, TTL);
    let mut before = Charges::new(&Arc::new(observed));
    before.advance(Time::ZERO);
    before.grant(1, 0, TTL);
    before.advance(Time::from_secs(20));
    before.grant(0, 1, TTL);
    before.advance(Time::from_secs(30));
    // Places now: domain 9 holds the grant of what is server 2, domain 7 that of server 1.
    let rates = [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0), (2, 2, 1.0)];
    let rates = rates.into_iter().map(|(hot, server, rate)| ObservedRate { hot, server, rate });
    let observed = Observed::new(&[9, 5, 7], &[0.0; 3], rates, TTL, TTL).made_over(15);
    let mut after = Charges::new(&Arc::new(observed));
    after.carry_over(&before, |server| [None, Some(1), Some(0)][server]);
    // Domain 9 beside its grant, and domain 5; that of 7 is where its grant lives.
    assert_eq!(*after.extra, [0.0, 3_600.0, 3_600.0]);
    // All three: that of 7 went to server 1, wherever it was observed.
    after.advance(Time::from_secs(100));
    assert_eq!(*after.extra, [0.0, 7_200.0, 7_200.0]);
    // Its server is gone.
    let mut fewer = Charges::new(&after.observed);
    fewer.carry_over(&before, |server| [None, None, Some(0)][server]);
    fewer.advance(Time::from_secs(100));
    assert_eq!(*fewer.extra, [0.0, 3_600.0, 7_200.0]);
}

/// What each thread granted of two hot domains: the sum is the newest of all, whoever comes first; of one second
/// all take the same.
#[test]
fn the_newest_grant_of_all_threads_is_found_in_any_order() {
    let observed = Observed::new(&[7, 9], &[0.0; 3], std::iter::empty(), TTL, TTL);
    let grants = |all: &[(usize, usize, u32)]| {
        let mut grants = HotGrants::new(&observed);
        all.iter().for_each(|(hot, server, second)| {
            grants.add((*hot, *server, 3), *second, TTL);
        });
        grants
    };
    let threads = [
        grants(&[(0, 1, 90), (1, 2, 50)]),
        grants(&[(1, 0, 50)]),
        grants(&[(0, 0, 80), (0, 2, 20)]),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let (mut sum, mut heard) = (HotGrants::new(&observed), HotGrants::new(&observed));
        for thread in order {
            sum.carry(&observed, (&observed, &threads[thread]), Some);
            heard.hear(&threads[thread]);
        }
        for merged in [&sum, &heard] {
            assert_eq!((merged.newest(0), merged.newest_at(0)), (90, 1), "{order:?}");
            assert_eq!((merged.newest(1), merged.newest_at(1)), (50, 0), "{order:?}");
            assert_eq!(merged.end(0), 80 + TTL);
        }
    }
}

proptest::proptest! {
    /// Reports for living grants only, or of the time before a newest one that lives, or none at all: MRL,
    /// choice by choice, but for ties: hot domains have a pointer of their own, which goes with the other one here.
    #[test]
    fn without_strays_it_is_mrl_up_to_ties(
        capacities in proptest::collection::vec(1_u32..9, 1..4),
        domains in 1_usize..5,
        ttl in 5..=TTL,
        asks in proptest::collection::vec((0_u64..4_000, 0_usize..8, 1_u32..50), 1..200),
        reports in 0..3,
    ) {
        let keys: Vec<u64> = (0..domains as u64).collect();
        let backlog = vec![0.0; capacities.len()];
        // Each hot domain at another rate, and each server of it.
        let observed = |sees: &dyn Fn(usize, usize) -> bool| {
            let all = (0..domains).flat_map(|hot| (0..backlog.len()).map(move |at| (hot, at)));
            let rates = all.filter(|(hot, at)| sees(*hot, *at)).map(|(hot, at)| ObservedRate {
                hot: hot as u32,
                server: at as u32,
                rate: 7.1 * (hot + 1) as f64 + 0.3 * at as f64,
            });
            Observed::new(&keys, &backlog, rates, ttl, ttl)
        };
        let servers = (0..).zip(capacities.iter().copied().map(f64::from));
        let servers = Servers::compile(servers);
        let mut grants = Grants::new(backlog.len(), ttl);
        let mut crml = Worker::new(observed(&|_, _| false));
        (crml.servers, crml.grants, crml.ttl) = (servers.clone(), grants.clone(), ttl);
        let (mut position, mut now) = (0, 0);
        let mut granted = vec![vec![None; backlog.len()]; domains];
        for (pause, domain, weight) in asks {
            now += pause;
            let weight = f64::from(weight);
            // Every domain behind the hot ones is a normal one.
            let hot = u32::try_from(domain).ok().filter(|_| domain < domains);
            let domain = AskingDomain { weight, hot, ..AskingDomain::unknown(domain as u64) };
            let lives = |hot: usize, at: usize| {
                granted[hot][at].is_some_and(|at: u64| at + u64::from(ttl) * 1000 > now)
            };
            crml.hear(match reports {
                1 => observed(&lives),
                // So old that nothing was granted yet when it began.
                2 => observed(&|hot, _| (0..backlog.len()).any(|at| lives(hot, at)))
                    .made_over(now as u32),
                _ => observed(&|_, _| false),
            });
            let asked = Asked { now: Time::from_millis(now), ttl, domain };
            // With one pointer: ties go round together.
            crml.positions = [position; 2];
            let chosen = crml.ask(now, domain);
            let expected = residual_load::choose(&servers, &asked, &mut grants, &mut position);
            residual_load::grant(&servers, expected, &asked, &mut grants);
            proptest::prop_assert_eq!(chosen, expected);
            if let Some(hot) = hot {
                granted[hot as usize][chosen as usize] = Some(now);
            }
        }
    }

    /// What comes off piece by piece, and what is not summed up each second, is as if it were.
    #[test]
    fn sums_are_the_same_however_they_came_about(
        rates in proptest::collection::vec((0_u32..4, 0_u32..3, 0.0_f64..1e6), 0..12),
        backlog in 0.0_f64..1e6,
        steps in proptest::collection::vec((0_u64..3, 0_u32..5, 0_u32..4, 1_u32..5), 1..60),
    ) {
        let rates = rates.into_iter();
        let rates = rates.map(|(hot, server, rate)| ObservedRate { hot, server, rate });
        let observed = Observed::new(&[1, 2, 3, 4], &[backlog, 0.0, 1.0], rates, TTL, TTL);
        let observed = Arc::new(observed.made_over(3));
        let mut charges = Charges::new(&observed);
        let mut now = 0;
        for (pause, hot, server, ttl) in steps {
            now += pause;
            charges.advance(Time::from_secs(now));
            if server < 3 {
                charges.grant(hot, server, ttl);
            } else {
                // The same is observed once more.
                let mut next = Charges::new(&Arc::new(Observed::clone(&observed)));
                next.carry_over(&charges, Some);
                charges = next;
            }
            let mut anew = charges.clone();
            anew.sum_up();
            proptest::prop_assert_eq!(&charges.extra, &anew.extra);
        }
    }
}
