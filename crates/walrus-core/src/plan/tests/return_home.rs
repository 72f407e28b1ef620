//! Going home: hysteresis, dwell, and the way by shares.

use super::*;
use crate::policy::assign::Transition;

/// x lives at a, is at b because a was dead, and a is back with this load.
fn away(load: f64) -> Scene {
    let mut scene = Scene::new(&[("a", 1), ("b", 1)], &[("x", "a"), ("y", "b")]);
    scene.round();
    scene.life("a", Life::Dead).event();
    assert_eq!(scene.at("x"), "b");
    // What b is busy with is y's.
    scene.load("a", load).hits("x", 1.0).hits("y", 1e12);
    scene
}

#[test]
fn a7_home_must_be_below_by_the_hysteresis() {
    assert_eq!(away(0.75).round().at("x"), "a");
    let mut scene = away(0.78);
    assert_eq!(scene.round().at("x"), "b");
    scene.service().hysteresis = 0.0;
    assert_eq!(scene.round().at("x"), "a", "hysteresis 0 and one round are the thesis");
}

#[test]
fn a7_home_must_be_below_for_so_many_rounds() {
    let mut scene = away(0.2);
    scene.service().home_rounds = 3;
    assert_eq!(scene.round().at("x"), "b");
    assert_eq!(scene.round().at("x"), "b");
    scene.load("a", 0.79).round();
    scene.load("a", 0.2);
    for at in ["b", "b", "a"] {
        assert_eq!(scene.event().at("x"), "b", "events do not count as rounds");
        assert_eq!(scene.round().at("x"), at);
    }
}

#[test]
fn a23_an_area_goes_home_no_sooner_than_a_ttl_after_its_last_move() {
    let mut scene = away(0.2);
    scene.service().ttl = TtlPolicy::Constant { seconds: 150 };
    assert_eq!(scene.round().at("x"), "b", "a forced move counts as a move");
    assert_eq!(scene.round().at("x"), "b");
    assert_eq!(scene.round().at("x"), "a");
}

#[test]
fn an_area_goes_home_by_shares_in_ten_steps_that_wait_for_no_round() {
    let mut scene = away(0.2);
    scene.service().ramp = Duration::from_secs(20);
    let mut seen = vec![scene.round().at("x")];
    assert_eq!(scene.reason("x"), Reason::GoesHome);
    assert_eq!(scene.candidates("x"), "a1 b1");
    for _ in 0..20 {
        let at = scene.event().at("x");
        assert!(at == "a" || scene.memory.assign.next_step(&scene.topology) > Some(scene.now));
        if seen.last() != Some(&at) {
            seen.push(at);
        }
    }
    let shares: Vec<String> =
        (1..10).map(|n| format!("a {}, b {}", n * 10, 100 - n * 10)).collect();
    assert_eq!(seen, [&["a 5, b 95".to_owned()], &shares[..], &["a".to_owned()]].concat());
    assert_eq!(scene.memory.assign.next_step(&scene.topology), None);
    assert_eq!(scene.round().reason("x"), Reason::Home);
}

#[test]
fn steps_that_were_slept_through_are_made_up_for() {
    let mut scene = away(0.2);
    scene.service().ramp = Duration::from_secs(240);
    assert_eq!(scene.round().at("x"), "a 5, b 95");
    assert_eq!(scene.round().at("x"), "a 20, b 80");
    assert_eq!(scene.round().at("x"), "a 50, b 50", "5 of 24 s each");
    assert_eq!(scene.round().at("x"), "a 70, b 30");
    assert_eq!(scene.round().at("x"), "a");
}

#[test]
fn a_way_home_ends_at_once_if_either_end_stops_functioning() {
    let mut scene = away(0.2);
    scene.service().ramp = Duration::from_secs(600);
    scene.round();
    let mut old_end = scene.clone();
    assert_eq!(old_end.life("b", Life::Dead).event().at("x"), "a");
    assert_eq!(scene.life("a", Life::Dead).event().at("x"), "b");
    assert!(scene.reason("x").is_forced());
}

#[test]
fn a_way_home_waits_while_home_is_above_the_threshold() {
    let mut scene = away(0.2);
    scene.service().ramp = Duration::from_secs(600);
    scene.round();
    assert_eq!(scene.round().at("x"), "a 10, b 90");
    scene.load("a", 0.9).load("b", 0.85);
    assert_eq!(scene.round().at("x"), "a 10, b 90");
    assert_eq!(scene.round().at("x"), "a 10, b 90");
    scene.load("a", 0.3);
    assert_eq!(scene.event().at("x"), "a 10, b 90", "no step is made up for");
    assert_eq!(scene.round().at("x"), "a 20, b 80");
}

#[test]
fn a_way_back_by_failover_asks_for_no_room() {
    let mut scene = away(0.2);
    scene.service().assign = AssignPolicy::Failover;
    scene.service().ramp = Duration::from_secs(600);
    scene.load("a", 0.95);
    assert_eq!(scene.round().at("x"), "a 5, b 95");
    assert_eq!(scene.round().at("x"), "a 10, b 90", "load plays no part");
}

#[test]
fn memory_comes_back_from_a_plan() {
    let mut scene = away(0.2);
    scene.service().ramp = Duration::from_secs(600);
    scene.round();
    let plan = scene.plan();
    scene.now = Time::from_secs(5);
    scene.memory = Memory::from_plan(&scene.topology, &plan, scene.now);
    assert_eq!(scene.decide(Cause::Round).at("x"), "a 5, b 95");
    assert!(scene.decision.alerts.is_empty());
    // The last usable answers came along.
    scene.life("a", Life::Dead).life("b", Life::Dead).event();
    assert_eq!(scene.candidates("x"), "a1 b1");
    assert_eq!(scene.candidates("y"), "b1");
}

#[test]
fn memory_is_carried_over_a_reload_by_names() {
    let mut scene = away(0.2);
    scene.load("a", 0.78).round();
    assert_eq!(scene.all(), "b b");
    // A cluster and an area that come first in the order of names shift all ids.
    let mut new =
        Scene::new(&[("0", 1), ("a", 1), ("b", 1)], &[("0", "0"), ("x", "a"), ("y", "b")]);
    new.memory = scene.memory.carry(&scene.topology, &new.topology);
    new.now = scene.now;
    new.load("a", 0.78).load("0", 0.4);
    assert_eq!(new.event().all(), "0 b b");
    // A cluster that the service no longer has is left.
    let mut gone = Scene::new(&[("a", 1), ("c", 1)], &[("x", ""), ("y", "")]);
    gone.memory = scene.memory.carry(&scene.topology, &gone.topology);
    gone.load("a", 0.1).load("c", 0.7);
    assert_eq!(gone.event().all(), "a c");
}

#[test]
fn a_remembered_answer_is_made_whole_when_some_of_its_servers_are_gone() {
    let mut scene = away(0.2);
    scene.service().ramp = Duration::from_secs(240);
    assert_eq!(scene.round().at("x"), "a 5, b 95");
    let areas = &[("x", "a"), ("y", ""), ("world", "")];
    let mut less = Scene::new(&[("a", 1), ("c", 1)], areas);
    less.memory = scene.memory.carry(&scene.topology, &less.topology);
    less.life("a", Life::Dead).life("c", Life::Dead).event();
    assert_eq!(less.candidates("x"), "a1");
    assert_eq!(less.candidates("y"), "a1 c1", "nothing is left of what it had");
}

#[test]
fn a_memory_that_makes_no_sense_does_no_harm() {
    let mut scene = away(0.2);
    scene.round();
    for pointing in &mut scene.memory.assign.pointing {
        pointing.present = Some(ClusterId(99));
    }
    scene.memory.assign.over[0].servers.push(ServerId(99));
    scene.memory.assign.over[0].rounds_below.clear();
    scene.memory.lists[0].groups[0].share = f64::NAN;
    scene.memory.usable[0].ipv4 = Some(99);
    let mut dead = scene.clone();
    assert_eq!(scene.event().all(), "a b");
    dead.life("a", Life::Dead).life("b", Life::Dead).event();
    assert_eq!((dead.candidates("x"), dead.candidates("y")), ("a1".into(), "b1".into()));
    let away = Transition {
        from: ClusterId(7),
        since: scene.now,
        share: f64::NAN,
        from_shares: Vec::new(),
    };
    scene.memory.assign.pointing[0].transition = Some(away);
    assert_eq!(scene.event().all(), "a b");
}
