//! All servers fall silent together, and what that is told apart from.

use super::harness::*;
use crate::control::{Input, NoticeKind, Stored};
use crate::world::{Life, OverrideState, Target};

const ASIA: [&str; 2] = ["asia1", "asia2"];
const EUROPE: [&str; 2] = ["europe1", "europe2"];

fn reporting(text: &str) -> Harness {
    let mut harness = Harness::new(text);
    harness.all_report(&busy(0.5));
    harness.pass(30_200);
    harness
}

/// Each of them is heard a second longer than the one before.
fn fall_silent(harness: &mut Harness, servers: &[&str]) {
    for server in servers {
        harness.reporters.remove(&name(server));
        harness.pass(1_000);
    }
    harness.pass(5_000);
}

fn drain(server: &str) -> Input {
    let target = Target::Server(name(server));
    Input::SetOverride { target, state: OverrideState::Drained, force: false, unix_ms: 5, by: None }
}

#[test]
fn who_falls_silent_with_all_others_is_not_dead_and_all_stays_as_it_was() {
    for assign in ["walrus", "failover", "nearest", "all"] {
        let text = format!("{TWO_CLUSTERS}\nassign = \"{assign}\"\n");
        let mut harness = reporting(&text);
        let before = (harness.candidates("east"), harness.candidates("west"));
        fall_silent(&mut harness, &["asia2", "asia1", "europe1"]);
        assert_eq!(harness.candidates("east"), ["europe2"], "{assign}: one is left, it serves");
        harness.reporters.insert(name("asia2"), busy(0.5));
        harness.reporters.insert(name("asia1"), busy(0.5));
        harness.reporters.insert(name("europe1"), busy(0.5));
        harness.pass(60_000);
        assert_eq!((harness.candidates("east"), harness.candidates("west")), before, "{assign}");
        harness.reporters.clear();
        fall_silent(&mut harness, &[]);
        let now = (harness.candidates("east"), harness.candidates("west"));
        assert_eq!(now, before, "{assign}: at once");
        assert_eq!(harness.life("asia1"), Life::Unknown);
        let open = harness.status().problems;
        assert_eq!(open.len(), 1, "people are told of one thing: {open:?}");
        assert_eq!(open[0].kind, NoticeKind::NobodyFunctions);
        harness.pass(3_600_000);
        let now = (harness.candidates("east"), harness.candidates("west"));
        assert_eq!(now, before, "{assign}: for as long as it lasts");
    }
}

#[test]
fn who_falls_silent_last_is_not_left_with_all_clients() {
    let mut harness = reporting(TWO_CLUSTERS);
    let last = harness.now;
    fall_silent(&mut harness, &["asia2", "europe2", "asia1", "europe1"]);
    assert_eq!(harness.candidates("east"), ["asia1"], "asia2 was out when europe1 was last heard");
    assert_eq!(harness.candidates("west"), EUROPE);
    let mut harness = reporting(TWO_CLUSTERS);
    for server in ["asia1", "asia2"] {
        harness.reporters.remove(&name(server));
    }
    fall_silent(&mut harness, &["europe1", "europe2"]);
    // Asia was silent first, and east was sent to Europe for a second.
    assert_eq!(harness.candidates("east"), ASIA);
    assert_eq!(harness.candidates("west"), EUROPE);
    let plan = harness.plan();
    let area = &plan.services[0].areas[0];
    assert!(area.reason.contains("fell silent together"), "{}", area.reason);
    assert!(area.degraded);
    let server = harness.server("asia1");
    assert!(server.condition.reason.contains("as before"), "{}", server.condition.reason);
    assert!(harness.now.since(last).as_secs() < 60);
}

#[test]
fn whoever_was_out_before_stays_out() {
    let mut harness = reporting(TWO_CLUSTERS);
    harness.reporters.remove(&name("asia1"));
    harness.pass(20_000);
    assert_eq!(harness.candidates("east"), ["asia2"]);
    harness.reporters.clear();
    harness.pass(10_000);
    assert_eq!(harness.candidates("east"), ["asia2"], "it fell silent alone");
    assert_eq!(harness.life("asia1"), Life::Dead);
    assert_eq!(harness.candidates("west"), EUROPE);
    let mut harness = reporting(TWO_CLUSTERS);
    fall_silent(&mut harness, &["asia1", "asia2"]);
    harness.pass(20_000);
    assert_eq!(harness.candidates("east"), EUROPE, "the half that reports serves");
    harness.reporters.clear();
    harness.pass(10_000);
    assert_eq!(harness.candidates("east"), EUROPE, "what was good when it was last heard");
    assert_eq!(harness.candidates("west"), EUROPE);
}

#[test]
fn what_was_said_stays_decisive() {
    let mut harness = reporting(TWO_CLUSTERS);
    harness.report("asia1", panic());
    harness.reporters.clear();
    harness.pass(10_000);
    assert_eq!(harness.candidates("east"), ["asia2"], "PANIC, then silence");
    assert_eq!(harness.candidates("west"), EUROPE);
    harness.input(drain("europe1")).unwrap();
    harness.pass(200);
    assert_eq!(harness.candidates("west"), ["europe2"], "an operator knows more");
    let refused = |harness: &mut Harness, server: &str| harness.input(drain(server)).is_err();
    harness.input(drain("asia2")).unwrap();
    assert!(refused(&mut harness, "europe2"), "the last one");
}

#[test]
fn the_first_to_be_heard_again_does_not_get_the_world() {
    let mut harness = reporting(TWO_CLUSTERS);
    harness.reporters.clear();
    harness.pass(600_000);
    let plans = harness.plans().len();
    harness.reporters.insert(name("europe2"), busy(0.5));
    harness.pass(1_000);
    assert_eq!(harness.candidates("east"), ASIA);
    assert_eq!(harness.candidates("west"), EUROPE);
    assert_eq!(harness.life("asia1"), Life::Living, "for one detection time");
    harness.reporters.insert(name("asia2"), busy(0.5));
    harness.reporters.insert(name("europe1"), busy(0.5));
    harness.pass(1_000);
    assert!((harness.ramp("asia2") - 1.0).abs() < 1e-9, "it was never gone");
    harness.pass(2_000);
    assert_eq!(harness.life("asia1"), Life::Dead, "not heard by then");
    assert_eq!(harness.candidates("east"), ["asia2"]);
    assert_eq!(harness.candidates("west"), EUROPE);
    assert!(harness.plans().len() - plans <= 4);
    assert!(harness.status().problems.iter().all(|it| it.kind != NoticeKind::NobodyFunctions));
}

#[test]
fn probes_that_fail_everywhere_together_are_silence_too() {
    let mut harness = Harness::new(&probed());
    harness.pass(20_000);
    let addresses = harness.configuration.topology.servers.iter();
    let addresses: Vec<_> = addresses.flat_map(|server| server.addresses.clone()).collect();
    harness.failing.extend(addresses);
    harness.pass(20_000);
    assert_eq!(harness.candidates("east"), ASIA);
    assert_eq!(harness.candidates("west"), EUROPE);
    assert_eq!(harness.life("asia1"), Life::Unknown);
    assert!(harness.server("asia1").condition.reason.contains("refused"));
    harness.failing.remove(&"198.51.100.2".parse().unwrap());
    harness.pass(5_000);
    assert_eq!(harness.life("europe2"), Life::Living);
    assert_eq!(harness.candidates("east"), ASIA, "for one detection time");
    harness.pass(30_000);
    assert_eq!(harness.candidates("east"), ["europe2"]);
}

#[test]
fn a_start_in_the_silence_goes_on_with_what_was_stored() {
    let mut before = reporting(TWO_CLUSTERS);
    before.reporters.remove(&name("europe1"));
    before.pass(10_000);
    before.reporters.clear();
    before.pass(10_000);
    let stored = Stored { epoch: 1, plan: Some(before.plan()), ..Stored::default() };
    let mut after = Harness::start(TWO_CLUSTERS, stored);
    for _ in 0..10 {
        after.pass(10_000);
        assert_eq!(after.candidates("east"), ASIA);
        assert_eq!(after.candidates("west"), ["europe2"], "dead stays dead");
    }
}

#[test]
fn a_reload_in_the_silence_keeps_what_was_before_it() {
    let mut harness = reporting(TWO_CLUSTERS);
    harness.reporters.remove(&name("asia1"));
    harness.reporters.remove(&name("asia2"));
    harness.pass(2_000);
    harness.reporters.clear();
    harness.pass(1_000);
    assert_eq!(harness.candidates("east"), EUROPE);
    let other = TWO_CLUSTERS.replace("round = \"10s\"", "round = \"9s\"");
    let other = configuration(&other);
    harness.controller.reconfigure(harness.now, other.clone(), digests(&other));
    harness.drain();
    harness.pass(10_000);
    assert_eq!(harness.candidates("east"), ASIA);
}
