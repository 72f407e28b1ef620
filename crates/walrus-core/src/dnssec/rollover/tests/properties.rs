//! Whatever happens, and whenever, no resolver ever refuses the zone; and in the end only what is
//! wanted is left.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{KeyRole, Stage, TakeKeyError};
use super::system::{System, Ttls};
use crate::dnssec::Algorithm;

const SECONDS: u64 = 3_000;

fn layouts() -> [Vec<KeyRole>; 2] {
    [vec![KeyRole::Csk], vec![KeyRole::Ksk, KeyRole::Zsk]]
}

/// Something that an operator may do.
fn act(system: &mut System) {
    let mut settings = system.rollover.settings().clone();
    match system.chance.below(8) {
        0 | 1 => {
            settings.algorithm = match settings.algorithm {
                Algorithm::Ed25519 => Algorithm::EcdsaP256Sha256,
                Algorithm::EcdsaP256Sha256 => Algorithm::Ed25519,
            };
        }
        2 => settings.roles = layouts()[system.chance.below(2) as usize].clone(),
        3 => system.restart(),
        4 => system.ttls.zone = 5 + system.chance.below(100) as u32,
        5 => system.ttls.dnskey = 5 + system.chance.below(100) as u32,
        _ => {
            let keys = &system.rollover.state().keys;
            let tags: Vec<u16> = keys.iter().map(|entry| entry.key.tag()).collect();
            if !tags.is_empty() {
                let tag = tags[system.chance.below(tags.len() as u64) as usize];
                match system.rollover.retire(system.now, tag) {
                    Ok(()) | Err(TakeKeyError::Many) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    system.rollover.reconfigure(settings);
}

fn run(seed: u64, ttls: Ttls, nodes: usize, parents: usize, every: u64, lag: u64) -> System {
    let mut system = System::new(seed, ttls, nodes, parents);
    system.lag = lag;
    let mut settings = system.rollover.settings().clone();
    settings.roll_zsk_every = system.chance.one_in(2).then_some(Duration::from_secs(900));
    settings.roll_ksk_every = system.chance.one_in(3).then_some(Duration::from_secs(1500));
    settings.margin = Duration::from_secs(30 * system.chance.below(2));
    system.rollover.reconfigure(settings);
    for _ in 0..SECONDS {
        if system.chance.one_in(every) {
            act(&mut system);
        }
        system.second();
    }
    // Now everybody is left in peace.
    let mut settings = system.rollover.settings().clone();
    (settings.roll_zsk_every, settings.roll_ksk_every) = (None, None);
    system.rollover.reconfigure(settings);
    for _ in 0..SECONDS {
        system.second();
    }
    system
}

#[test]
fn a_parent_that_is_slow_to_carry_out_an_old_cds_record_is_waited_for() {
    run(11_704_136_005_854_559_589, Ttls { zone: 67, dnskey: 112, ds: 9 }, 3, 1, 533, 11);
}

/// Few, for each is an hour and a half of some nodes' life; `PROPTEST_CASES=2000` runs more.
fn few() -> ProptestConfig {
    const UNLESS_ASKED: u32 = 256;
    let default = ProptestConfig::default();
    let cases = if default.cases == UNLESS_ASKED { 16 } else { default.cases };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn no_resolver_ever_refuses_the_zone_and_every_roll_ends(
        seed: u64,
        zone in 5_u32..120,
        dnskey in 5_u32..120,
        ds in 5_u32..120,
        nodes in 1_usize..4,
        parents in 1_usize..3,
        every in 40_u64..1500,
        lag in 1_u64..25,
    ) {
        let system = run(seed, Ttls { zone, dnskey, ds }, nodes, parents, every, lag);
        let settings = system.rollover.settings();
        let report = system.rollover.report(system.now);
        let roles: Vec<KeyRole> = report.iter().map(|key| key.role).collect();
        prop_assert_eq!(roles.len(), settings.roles.len(), "{}", system.keys_text());
        for key in &report {
            prop_assert_eq!(key.stage, Stage::Active, "{}", system.keys_text());
            prop_assert_eq!(key.key.algorithm(), settings.algorithm);
            prop_assert!(settings.roles.contains(&key.role));
        }
    }
}
