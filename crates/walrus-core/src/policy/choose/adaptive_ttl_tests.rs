//! Choosers with adaptive TTLs: how full the fullest server is where a few domains are heavy.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::*;
use crate::policy::ttl::{AdaptiveTtls, AlikeDomains, Bounds, ServerShare, class_of};
use crate::world::{AdaptiveTtl, ChooseParameters, DomainClasses, Time};

const SERVERS: u32 = 20;
const DOMAINS: u32 = 1000;
const BOUNDS: Bounds = Bounds { mean: 60, min: 6, max: 600 };
/// Seconds.
const DURATION: u64 = 1_800;

/// Domains' sizes are those of the study of hidden load: the largest is an eighth of a server.
fn rate(rank: u32) -> f64 {
    (1.0 + f64::from(rank) / 122.2).powf(-1.743)
}

fn inputs(policy: ChoosePolicy, is_adaptive: bool) -> ChooseInputs {
    let name = |place: u32| format!("s{place:02}").parse().unwrap();
    let (ttl_min, ttl_max) =
        if is_adaptive { (BOUNDS.min, BOUNDS.max) } else { (BOUNDS.mean, BOUNDS.mean) };
    ChooseInputs {
        ttl_min,
        ttl_mean: BOUNDS.mean,
        ttl_max,
        servers: (0..SERVERS).map(name).collect(),
        present: [true; SERVERS as usize].into(),
        ..ChooseInputs::nothing("www.example".to_owned(), policy)
    }
}

/// The load of the fullest server over that of all in the mean, in the mean over the time: with clients
/// that ask for each page, and with such that keep an address for a minute.
fn fullest(policy: ChoosePolicy, variant: Option<AdaptiveTtl>) -> [f64; 2] {
    let candidate = |place: u32| Candidate { key: u64::from(place), place, weight: 1.0 };
    let candidates: Vec<Candidate> = (0..SERVERS).map(candidate).collect();
    let chooser = Chooser::compile(policy, &ChooseParameters::default(), &candidates, 1.0).unwrap();
    let mut memory = ServiceMemory::new(&Arc::new(inputs(policy, variant.is_some())));
    let (mut generator, mut positions) = (Generator::new(7), [0; 2]);
    let mean_rate = (0..DOMAINS).map(rate).sum::<f64>() / f64::from(DOMAINS);
    let domain = |rank: u32| {
        let is_hot = rate(rank) > mean_rate;
        let classes = variant.map_or(DomainClasses::One, AdaptiveTtl::domain_classes);
        let class = class_of(classes, rank, is_hot);
        let weight = rate(rank) * f64::from(BOUNDS.mean);
        AskingDomain {
            weight,
            class,
            hot: is_hot.then_some(rank),
            ..AskingDomain::unknown(rank.into())
        }
    };
    let alike = |rank| AlikeDomains { class: domain(rank).class, domains: 1.0, rate: rate(rank) };
    let domains: Vec<_> = (0..DOMAINS).map(alike).collect();
    let server = ServerShare { capacity: 1.0, share: 1.0 };
    let lists = std::iter::once(vec![server; SERVERS as usize]);
    let ttls = variant.map(|variant| AdaptiveTtls::compile(variant, BOUNDS, &domains, lists));
    let mut questions: BinaryHeap<Reverse<(u64, u32)>> = (0..DOMAINS)
        .map(|rank| Reverse((u64::from(generator.index(60_000_000).0) * 1_000, rank)))
        .collect();
    let mut at = vec![0_usize; DOMAINS as usize];
    let mut kept = vec![[0.0_f64; SERVERS as usize]; DOMAINS as usize];
    let (mut sums, mut samples) = ([0.0; 2], 0.0);
    for second in 0..DURATION {
        while let Some(Reverse((nanos, rank))) = questions.peek().copied() {
            if nanos > second * 1_000_000_000 {
                break;
            }
            questions.pop();
            let domain = domain(rank);
            let expected =
                ttls.as_ref().map_or(BOUNDS.mean, |ttls| ttls.expected(domain.class, false));
            let mut asked = Asked { now: Time::from_nanos(nanos), ttl: expected, domain };
            let (generator, positions) = (&mut generator, &mut positions);
            let chosen = chooser
                .choose(&asked, ChooserState { generator, positions, memory: Some(&mut memory) });
            if let Some(ttls) = &ttls {
                asked.ttl = ttls.seconds((domain.class, 0, chosen), false, generator.share());
            }
            chooser.grant(chosen, &asked, Some(&mut memory));
            at[rank as usize] = chosen as usize;
            // The next client comes sooner or later.
            let gap = generator.index(4_000_000).0;
            questions.push(Reverse((
                nanos + u64::from(asked.ttl) * 1_000_000_000 + u64::from(gap) * 1_000,
                rank,
            )));
        }
        let mut loads = [[0.0; SERVERS as usize]; 2];
        for rank in 0..DOMAINS {
            let (server, kept, rate) = (at[rank as usize], &mut kept[rank as usize], rate(rank));
            loads[0][server] += rate;
            for (place, share) in kept.iter_mut().enumerate() {
                *share += (f64::from(u8::from(place == server)) - *share) / 60.0;
                loads[1][place] += *share * rate;
            }
        }
        if second >= DURATION / 3 {
            samples += 1.0;
            for (sum, loads) in sums.iter_mut().zip(loads) {
                let mean = loads.iter().sum::<f64>() / f64::from(SERVERS);
                *sum += loads.into_iter().fold(0.0, f64::max) / mean;
            }
        }
    }
    sums.map(|sum| sum / samples)
}

#[test]
fn shorter_ttls_for_the_heavy_do_not_hide_them() {
    let (one, two, each) = (None, Some(AdaptiveTtl::Two), Some(AdaptiveTtl::Each));
    // What was measured, and some more.
    for (policy, variant, pages, minutes) in [
        (ChoosePolicy::Mrl, one, 1.12, 1.03),
        (ChoosePolicy::Mrl, two, 1.16, 1.05),
        (ChoosePolicy::Mrl, each, 1.23, 1.06),
        (ChoosePolicy::Dal, one, 1.12, 1.03),
        (ChoosePolicy::Dal, each, 1.35, 1.10),
    ] {
        let [at_once, kept] = fullest(policy, variant);
        println!("{policy:?} {variant:?}: {at_once:.3}, {kept:.3}");
        assert!(at_once < pages, "{policy:?} {variant:?}: {at_once}");
        assert!(kept < minutes, "{policy:?} {variant:?}, addresses kept for a minute: {kept}");
    }
    // Taking turns with the same TTLs knows less.
    assert!(fullest(ChoosePolicy::Mrl, each)[1] < fullest(ChoosePolicy::RoundRobin, each)[1]);
}
