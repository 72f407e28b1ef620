//! Drains.

use super::harness::*;
use crate::control::{Effect, Input, Refusal, Stored};
use crate::world::{Life, Override, OverrideState, Target};

fn set(target: Target, state: OverrideState, force: bool) -> Input {
    Input::SetOverride { target, state, force, unix_ms: 5, by: None }
}

fn drain(server: &str) -> Input {
    set(Target::Server(name(server)), OverrideState::Drained, false)
}

#[test]
fn a_drain_holds_at_once_and_survives_a_restart() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.pass(200);
    harness.input(drain("asia1")).unwrap();
    assert_eq!(harness.life("asia1"), Life::Drained);
    assert_eq!(harness.candidates("east"), ["asia2"]);
    let stored = harness.effects.iter().rev().find_map(|(_, effect)| match effect {
        Effect::StoreOverrides(overrides) => Some(overrides.clone()),
        _ => None,
    });
    let stored = Stored { overrides: stored.unwrap(), ..Stored::default() };
    let mut harness = Harness::start(TWO_CLUSTERS, stored);
    assert_eq!(harness.candidates("east"), ["asia2"]);
    let undrain = set(Target::Server(name("asia1")), OverrideState::None, false);
    harness.pass(200);
    harness.input(undrain).unwrap();
    assert_eq!(harness.candidates("east"), ["asia1", "asia2"]);
}

#[test]
fn the_last_usable_server_is_refused_unless_forced() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.pass(200);
    let asia = Target::Cluster(name("asia"));
    harness.input(set(asia.clone(), OverrideState::Drained, false)).unwrap();
    assert_eq!(harness.candidates("east"), ["europe1", "europe2"], "areas move");
    harness.pass(200);
    harness.input(drain("europe1")).unwrap();
    let refused = harness.input(drain("europe2")).unwrap_err();
    assert!(
        matches!(&refused, Refusal::LastUsable { service, .. } if service == "www.example.com")
    );
    assert!(refused.to_string().contains("--force"), "{refused}");
    let forced = set(Target::Server(name("europe2")), OverrideState::Drained, true);
    harness.pass(200);
    harness.input(forced).unwrap();
    assert_eq!(harness.life("europe2"), Life::Drained);
    assert!(!harness.candidates("east").is_empty());
    let nobody = set(Target::Cluster(name("africa")), OverrideState::Drained, true);
    assert!(matches!(harness.input(nobody), Err(Refusal::UnknownTarget(_))));
}

#[test]
fn the_newer_override_wins_and_a_made_up_one_is_refused() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.pass(200);
    let entry = |state, revision| Override {
        state,
        revision,
        id: name("other"),
        set_unix_ms: 1,
        by: None,
        after: Vec::new(),
    };
    let merge = |entry| Input::MergeOverride { target: Target::Server(name("asia1")), entry };
    harness.input(merge(entry(OverrideState::Drained, 3))).unwrap();
    assert_eq!(harness.life("asia1"), Life::Drained);
    harness.input(merge(entry(OverrideState::None, 2))).unwrap();
    assert_eq!(harness.life("asia1"), Life::Drained, "an older one");
    harness.input(merge(entry(OverrideState::None, 4))).unwrap();
    assert_eq!(harness.life("asia1"), Life::Living);
    let absurd = harness.input(merge(entry(OverrideState::Drained, u64::MAX)));
    assert_eq!(absurd, Err(Refusal::Revision(u64::MAX)));
}

#[test]
fn undraining_says_what_stays_drained_and_frees_what_is_gone() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    let asia = Target::Cluster(name("asia"));
    harness.input(set(asia, OverrideState::Drained, false)).unwrap();
    harness.input(drain("asia1")).unwrap();
    let asia1 = || Target::Server(name("asia1"));
    harness.input(set(asia1(), OverrideState::None, false)).unwrap();
    assert_eq!(harness.life("asia1"), Life::Drained);
    let warned =
        |(_, effect): &(_, Effect)| matches!(effect, Effect::Warn(text) if text.contains("asia1"));
    assert!(harness.effects.iter().any(warned));
    harness.input(drain("asia1")).unwrap();
    let next = configuration(&TWO_CLUSTERS.replace("asia1", "asia9"));
    harness.controller.reconfigure(harness.now, next.clone(), digests(&next));
    harness.input(set(asia1(), OverrideState::None, false)).unwrap();
    let gone = harness.input(drain("asia1")).unwrap_err();
    assert!(matches!(gone, Refusal::UnknownTarget(_)));
}
