//! A parent takes as long as it likes between reading CDS and showing the DS: what it was asked for
//! may come until it has acted on what it was asked for later.

use super::super::{KeyRole, Stage, TakeKeyError};
use super::system::{START, System, Ttls, names};
use crate::dnssec::Algorithm::{self, EcdsaP256Sha256, Ed25519};

/// What an operator does at the beginning of a step.
enum Wish {
    Nothing,
    /// All keys shall go.
    Renew,
    Algorithm(Algorithm),
}
use Wish::{Nothing, Renew};

/// The parent shows the DS of these keys for so long that nothing waits for time alone any more.
struct Step {
    wish: Wish,
    shown: &'static [u8],
    published: &'static str,
    wanted: &'static str,
}

fn step(wish: Wish, shown: &'static [u8], published: &'static str, wanted: &'static str) -> Step {
    Step { wish, shown, published, wanted }
}

fn follow(case: &str, roles: &[KeyRole], steps: Vec<Step>) {
    let mut system = System::new(1, Ttls { zone: 7, dnskey: 11, ds: 5 }, 1, 1);
    let mut settings = system.rollover.settings().clone();
    settings.roles = roles.to_vec();
    system.rollover.reconfigure(settings.clone());
    for (index, step) in steps.into_iter().enumerate() {
        match step.wish {
            Nothing => {}
            Renew => {
                let keys = system.rollover.state().keys.clone();
                for entry in keys.iter().filter(|entry| entry.retired.is_none()) {
                    system.rollover.retire(system.now, entry.key.tag()).unwrap();
                }
            }
            Wish::Algorithm(algorithm) => settings.algorithm = algorithm,
        }
        system.rollover.reconfigure(settings.clone());
        for _ in 0..200 {
            let keys = system.rollover.state().keys.iter().map(|entry| entry.key.clone());
            let shown = keys.filter(|key| step.shown.contains(&key.public()[0])).collect();
            system.parent.set(0, shown);
            system.quiet_second();
        }
        let keys = system.rollover.keys();
        assert_eq!(
            (names(&keys.published).as_str(), names(&keys.wanted_at_parent).as_str()),
            (step.published, step.wanted),
            "{case}, step {index}, at {}\n{}",
            system.now - START,
            system.keys_text()
        );
    }
}

#[test]
fn what_the_parent_was_asked_for_stays_until_it_acts_on_what_it_was_asked_for_later() {
    follow(
        "one key",
        &[KeyRole::Csk],
        vec![
            step(Nothing, &[], "1/13", "1/13"),
            step(Nothing, &[1], "1/13", "1/13"),
            step(Renew, &[1], "1/13 2/13", "2/13"),
            // The parent has read the second, and is slow to act on it.
            step(Renew, &[1], "1/13 2/13 3/13", "3/13"),
            step(Nothing, &[2], "2/13 3/13", "3/13"),
            step(Nothing, &[3], "3/13", "3/13"),
        ],
    );
    follow(
        "another algorithm and back",
        &[KeyRole::Ksk, KeyRole::Zsk],
        vec![
            step(Nothing, &[], "1/13 2/13", "1/13"),
            step(Wish::Algorithm(Ed25519), &[1], "1/13 2/13 3/15 4/15", "3/15"),
            step(Wish::Algorithm(EcdsaP256Sha256), &[1], "1/13 3/15 4/15 5/13 6/13", "5/13"),
            step(Nothing, &[3], "3/15 4/15 5/13 6/13", "5/13"),
            step(Nothing, &[5], "5/13 6/13", "5/13"),
        ],
    );
}

#[test]
fn a_parent_that_shows_no_ds_keeps_no_key() {
    follow(
        "never any",
        &[KeyRole::Csk],
        vec![
            step(Nothing, &[], "1/13", "1/13"),
            step(Renew, &[], "2/13", "2/13"),
            step(Wish::Algorithm(Ed25519), &[], "3/15", "3/15"),
        ],
    );
    follow(
        "taken back by hand",
        &[KeyRole::Csk],
        vec![
            step(Nothing, &[], "1/13", "1/13"),
            step(Nothing, &[1], "1/13", "1/13"),
            step(Renew, &[1], "1/13 2/13", "2/13"),
            step(Nothing, &[], "2/13", "2/13"),
        ],
    );
}

#[test]
fn a_parent_that_goes_back_while_it_can_keeps_the_key() {
    follow(
        "two DS for a while",
        &[KeyRole::Csk],
        vec![
            step(Nothing, &[], "1/13", "1/13"),
            step(Nothing, &[1], "1/13", "1/13"),
            step(Renew, &[1], "1/13 2/13", "2/13"),
            step(Nothing, &[1, 2], "1/13 2/13", "2/13"),
            step(Nothing, &[1], "1/13 2/13", "2/13"),
            step(Nothing, &[2], "2/13", "2/13"),
        ],
    );
}

#[test]
fn keys_that_pile_up_while_the_parent_sleeps_leave_room_for_their_successors() {
    for roles in [&[KeyRole::Csk][..], &[KeyRole::Ksk, KeyRole::Zsk]] {
        let mut system = System::new(1, Ttls { zone: 7, dnskey: 11, ds: 5 }, 1, 1);
        let mut settings = system.rollover.settings().clone();
        settings.roles = roles.to_vec();
        let mut many = 0;
        for round in 0..40 {
            // Each is asked for, and then not wanted any more, by one way or another.
            settings.algorithm = [EcdsaP256Sha256, Ed25519][round / 5 % 2];
            system.rollover.reconfigure(settings.clone());
            quiet(&mut system, 60);
            if round == 0 {
                act_on_cds(&mut system);
            }
            for entry in system.rollover.state().keys.clone() {
                let retired = system.rollover.retire(system.now, entry.key.tag());
                many += usize::from(retired == Err(TakeKeyError::Many));
            }
        }
        assert!(many > 0, "{}", system.keys_text());
        // In the end the parent wakes up.
        for _ in 0..4 {
            quiet(&mut system, 100);
            act_on_cds(&mut system);
        }
        quiet(&mut system, 100);
        let left = system.rollover.report(system.now);
        assert_eq!(left.len(), roles.len(), "{}", system.keys_text());
        assert!(left.iter().all(|key| key.stage == Stage::Active), "{}", system.keys_text());
    }
}

fn quiet(system: &mut System, seconds: u64) {
    for _ in 0..seconds {
        system.quiet_second();
    }
}

fn act_on_cds(system: &mut System) {
    let wanted = system.rollover.keys().wanted_at_parent;
    system.parent.set(0, wanted.into_iter().collect());
}

#[test]
fn a_ds_that_was_shown_between_two_looks_is_waited_for() {
    let mut system = System::new(1, Ttls { zone: 7, dnskey: 11, ds: 50 }, 1, 1);
    quiet(&mut system, 60);
    act_on_cds(&mut system);
    for _ in 0..2 {
        quiet(&mut system, 60);
        let tag = system.rollover.keys().sign_zone[0].tag();
        system.rollover.retire(system.now, tag).unwrap();
        quiet(&mut system, 60);
    }
    // The second is shown for a second in which nobody looks but resolvers.
    let second = system.rollover.state().keys[1].key.clone();
    system.parent.set(0, [second].into());
    system.now += 1;
    system.check();
    act_on_cds(&mut system);
    quiet(&mut system, 49);
    assert_eq!(names(&system.rollover.keys().published), "1/13 2/13 3/13");
    quiet(&mut system, 49);
    assert_eq!(names(&system.rollover.keys().published), "3/13");
}
