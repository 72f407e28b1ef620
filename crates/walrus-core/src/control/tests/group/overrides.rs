//! Drains in a group: known to all, kept by each, merged.

use super::super::harness::name;
use super::*;
use crate::control::Input;
use crate::world::{Life, OverrideState, Target};

fn set(network: &mut Network, number: usize, server: &str, state: OverrideState) {
    let now = network.now;
    let target = Target::Server(name(server));
    let input = Input::SetOverride { target, state, force: true, unix_ms: 0, by: None };
    network.controller(number).handle(now, input).unwrap();
    network.drain();
}

/// Of the Plan that a Controller's name server has.
fn life(network: &Network, number: usize, server: &str) -> Life {
    let plan = &network.nodes[number].taken.last().unwrap().1;
    plan.servers.iter().find(|it| it.name.as_str() == server).unwrap().life
}

#[test]
fn a_drain_at_any_controller_is_in_the_masters_plan_within_a_second() {
    let mut network = Network::new(3);
    network.pass(20_000);
    set(&mut network, 2, "asia1", OverrideState::Drained);
    network.until(1000, |it| (0..3).all(|number| life(it, number, "asia1") == Life::Drained));
    set(&mut network, 1, "asia1", OverrideState::None);
    network.until(1000, |it| (0..3).all(|number| life(it, number, "asia1") == Life::Living));
    assert!((0..3).all(|number| network.group(number).conflicts.is_empty()));
}

#[test]
fn who_comes_later_gets_the_drains_of_before() {
    let mut network = Network::new(2);
    network.pass(20_000);
    network.stop(1, Stop::Lose);
    set(&mut network, 0, "asia1", OverrideState::Drained);
    network.pass(5000);
    network.start(1);
    network.pass(8000);
    assert!(network.group(1).peers[0].same_overrides);
    network.stop(0, Stop::Lose);
    network.pass(8000);
    assert_eq!((network.masters().as_str(), life(&network, 1, "asia1")), ("b", Life::Drained));
}

#[test]
fn what_two_sides_want_differently_is_merged_and_shown() {
    let mut network = Network::new(3);
    network.pass(20_000);
    network.split(&[&[0], &[1, 2]]);
    network.pass(5000);
    set(&mut network, 0, "asia1", OverrideState::Drained);
    set(&mut network, 1, "asia1", OverrideState::Drained);
    set(&mut network, 2, "europe1", OverrideState::Drained);
    network.pass(1000);
    set(&mut network, 1, "asia1", OverrideState::None);
    network.pass(1000);
    assert_eq!(life(&network, 0, "asia1"), Life::Drained);
    assert_eq!(life(&network, 2, "asia1"), Life::Living);
    network.heal();
    network.until(5000, |it| {
        let same = |number| it.group(number).peers.iter().all(|peer| peer.same_overrides);
        it.agree() && (0..3).all(same)
    });
    for number in 0..3 {
        assert_eq!(life(&network, number, "asia1"), Life::Living);
        assert_eq!(life(&network, number, "europe1"), Life::Drained);
        let conflicts = network.group(number).conflicts;
        assert_eq!(conflicts.len(), 1, "{number}: {conflicts:?}");
        let (kept, lost) = (&conflicts[0].kept, &conflicts[0].lost);
        assert_eq!((kept.id.as_str(), kept.revision, kept.state), ("b", 2, OverrideState::None));
        assert_eq!((lost.id.as_str(), lost.state), ("a", OverrideState::Drained));
    }
    assert!(network.nodes[0].warnings.iter().any(|line| line.contains("server asia1 was drained")));
    // Somebody decides: there is nothing to be shown any more.
    set(&mut network, 2, "asia1", OverrideState::Drained);
    network.pass(2000);
    assert!((0..3).all(|number| network.group(number).conflicts.is_empty()));
}

#[test]
fn who_knew_of_the_other_through_a_third_is_in_no_conflict_with_it() {
    let mut network = Network::new(3);
    network.pass(20_000);
    // a and c do not hear each other; b hears both, and is heard by both.
    network.cut(0, 2);
    network.cut(2, 0);
    network.pass(5000);
    set(&mut network, 0, "asia1", OverrideState::Drained);
    network.pass(5000);
    network.cut(0, 1);
    network.cut(1, 0);
    network.pass(5000);
    set(&mut network, 1, "asia1", OverrideState::None);
    network.pass(2000);
    set(&mut network, 2, "asia1", OverrideState::Drained);
    set(&mut network, 2, "asia1", OverrideState::None);
    network.pass(2000);
    assert_eq!(life(&network, 0, "asia1"), Life::Drained, "a has heard of none of these");
    network.heal();
    network.until(15_000, |it| {
        (0..3).all(|number| it.group(number).peers.iter().all(|peer| peer.same_overrides))
    });
    network.pass(3000);
    for number in 0..3 {
        let conflicts = network.group(number).conflicts;
        assert!(conflicts.is_empty(), "{number}: {conflicts:?}");
        assert_eq!(life(&network, number, "asia1"), Life::Living);
    }
}

#[test]
fn in_a_ring_of_one_way_ways_all_hear_of_a_drain() {
    let mut network = Network::new(3);
    network.pass(10_000);
    // a hears b, b hears c, c hears a, and nobody anybody else.
    for (from, to) in [(2, 0), (0, 1), (1, 2)] {
        network.cut(from, to);
    }
    network.pass(20_000);
    let now = network.now;
    let target = crate::world::Target::Server(super::super::harness::name("asia1"));
    let state = crate::world::OverrideState::Drained;
    let input = crate::control::Input::SetOverride {
        target: target.clone(),
        state,
        force: true,
        unix_ms: 0,
        by: None,
    };
    network.controller(0).handle(now, input).unwrap();
    network.drain();
    network.until(25_000, |it| {
        (0..3).all(|number| {
            let controller = it.nodes[number].controller.as_ref().unwrap();
            controller.status(it.now, 0).overrides.iter().any(|entry| entry.0 == target)
        })
    });
}
