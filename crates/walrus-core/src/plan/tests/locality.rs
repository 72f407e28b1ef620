//! Phases one to three: who functions, home, and away from clusters where nobody does.

use super::*;

const TWO: &[(&str, u32)] = &[("a", 2), ("b", 2)];
const HOMES: &[(&str, &str)] = &[("x", "a"), ("y", "b")];

#[test]
fn areas_begin_at_home_and_stay_there() {
    let mut scene = Scene::new(TWO, HOMES);
    assert_eq!(scene.round().all(), "a b");
    assert_eq!(scene.reason("x"), Reason::Home);
    assert_eq!(scene.round().all(), "a b");
    assert!(!scene.area("x").degraded);
}

#[test]
fn an_area_that_points_nowhere_goes_home_even_if_home_is_overloaded() {
    let mut scene = Scene::new(TWO, HOMES);
    assert_eq!(scene.load("a", 0.95).load("b", 0.1).round().all(), "a b");
    assert!(scene.area("x").degraded, "over the threshold");
}

#[test]
fn home_at_exactly_the_threshold_is_not_overloaded() {
    let mut scene = Scene::new(TWO, HOMES);
    scene.round();
    assert_eq!(scene.load("a", 0.8).load("b", 0.0).round().all(), "a b");
    assert_eq!(scene.reason("x"), Reason::Home);
}

#[test]
fn a10_stranded_areas_are_served_by_decreasing_hits_then_name() {
    let mut scene = Scene::new(
        &[("a", 1), ("b", 1), ("c", 1)],
        &[("v", "a"), ("w", "a"), ("x", "a"), ("y", "a")],
    );
    scene.round();
    scene.life("a", Life::Dead).load("b", 0.1).load("c", 0.5);
    scene.hits("v", 10.0).hits("w", 10.0).hits("x", 90.0).hits("y", 20.0);
    // By hits: x, y, then v and w by name; dealt to b, c, b, c.
    assert_eq!(scene.event().all(), "b c b c");
    assert_eq!(scene.reason("x"), Reason::Forced);
    assert!(scene.memory.assign.pointing[0].forced);
}

#[test]
fn a11_each_rounds_turn_begins_with_the_best_cluster() {
    let mut scene =
        Scene::new(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)], &[("x", "a"), ("y", "d")]);
    scene.round();
    scene.load("b", 0.1).load("c", 0.2);
    assert_eq!(scene.life("a", Life::Dead).event().all(), "b d");
    // A pointer kept from the event would go on with c.
    assert_eq!(scene.life("d", Life::Dead).event().all(), "b b");
}

#[test]
fn a21_areas_without_home_and_clusters_without_area() {
    let mut scene = Scene::new(TWO, &[("x", "a"), ("world", "")]);
    scene.load("a", 0.5).load("b", 0.2);
    // `world` has no home: phase three, best cluster; b is nobody's home.
    assert_eq!(scene.round().at("world"), "b");
    assert_eq!(scene.reason("world"), Reason::First);
    assert_eq!(scene.at("x"), "a");
}

#[test]
fn a22_one_cluster_may_be_home_to_many() {
    let areas = &[("v", "a"), ("w", "a"), ("x", "a"), ("y", "b")];
    let mut scene = Scene::new(TWO, areas);
    assert_eq!(scene.load("a", 0.7).load("b", 0.0).round().all(), "a a a b");
    // All of them come back to it in one round.
    scene.life("a", Life::Dead).event();
    assert_eq!(scene.all(), "b b b b");
    assert_eq!(scene.load("a", 0.1).round().all(), "a a a b");
}

#[test]
fn a24_loads_are_relative_and_weights_scale_what_is_to_spare() {
    let mut scene = Scene::new(&[("a", 1), ("b", 1), ("c", 1)], &[("x", "a")]);
    // b has less to spare a unit of weight than c, but five of them.
    let b1 = scene.topology.server("b1").unwrap();
    scene.topology.servers[b1.index()].weight = 5;
    scene.load("b", 0.6).load("c", 0.3).life("a", Life::Dead);
    assert_eq!(scene.round().at("x"), "b");
}

#[test]
fn a26_a_cluster_functions_while_one_server_does() {
    let mut scene = Scene::new(TWO, HOMES);
    scene.round();
    assert_eq!(scene.life("a1", Life::Panic).event().all(), "a b");
    assert_eq!(scene.candidates("x"), "a2");
    assert_eq!(scene.life("a2", Life::Bypass).event().all(), "b b");
    assert!(scene.area("x").degraded, "home does not function");
}

#[test]
fn bypass_panic_death_and_drain_all_force_a_move_at_once() {
    for life in [Life::Bypass, Life::Panic, Life::Dead, Life::Drained, Life::Unknown] {
        let mut scene = Scene::new(TWO, HOMES);
        scene.round();
        assert_eq!(scene.life("a", life).event().all(), "b b", "{life:?}");
        assert!(scene.memory.assign.pointing[0].forced);
    }
}

#[test]
fn forced_moves_do_not_wait_for_the_ttl() {
    let mut scene = Scene::new(&[("a", 1), ("b", 1), ("c", 1)], &[("x", "a")]);
    scene.load("b", 0.1).load("c", 0.2).round();
    assert_eq!(scene.life("a", Life::Dead).event().at("x"), "b");
    assert_eq!(scene.life("b", Life::Dead).event().at("x"), "c");
    // Home again, one second later: forced, and home has room.
    scene.load("a", 0.1);
    assert_eq!(scene.life("c", Life::Dead).event().at("x"), "a");
    assert_eq!(scene.reason("x"), Reason::ForcedHome);
}

#[test]
fn an_event_moves_only_whom_it_strikes() {
    let mut scene = Scene::new(&[("a", 1), ("b", 1), ("c", 1)], &[("x", "a"), ("y", "b")]);
    scene.point("y", "a").point("x", "c").load("a", 0.9).load("b", 0.1).weight("b1", 10);
    // A round would send y home to b; the event takes only x from c.
    assert_eq!(scene.life("c", Life::Dead).event().all(), "b a");
    assert_eq!(scene.reason("y"), Reason::Unmoved);
    assert_eq!(scene.round().at("y"), "b");
}

#[test]
fn failover_follows_the_order_and_ignores_load() {
    let mut scene = Scene::new(&[("a", 1), ("b", 1), ("c", 1)], &[("x", "b")]);
    scene.service().assign = AssignPolicy::Failover;
    assert_eq!(scene.load("b", 1.0).load("c", 0.0).round().at("x"), "b");
    assert_eq!(scene.life("b", Life::Dead).event().at("x"), "a");
    assert_eq!(scene.life("a", Life::Dead).event().at("x"), "c");
    assert_eq!(scene.load("a", 0.1).event().at("x"), "c", "not between rounds");
    assert_eq!(scene.round().at("x"), "a");
    assert_eq!(scene.load("b", 0.1).round().at("x"), "b");
}

#[test]
fn all_names_every_functioning_cluster() {
    let mut scene = Scene::new(&[("a", 2), ("b", 1)], &[("x", "a")]);
    scene.service().assign = AssignPolicy::All;
    let b1 = scene.topology.server("b1").unwrap();
    scene.topology.servers[b1.index()].weight = 2;
    assert_eq!(scene.round().at("x"), "a 50, b 50");
    assert_eq!(scene.candidates("x"), "a1 a2 b1");
    // b would have all clients, twice as many as now.
    assert_eq!(scene.load("a", 0.9).round().at("x"), "a 50, b 50");
    assert_eq!(scene.load("b", 0.3).round().at("x"), "b");
    assert_eq!(scene.life("b", Life::Dead).event().at("x"), "a");
    assert_eq!(scene.candidates("x"), "a1 a2");
    assert_eq!(scene.life("a", Life::Dead).event().candidates("x"), "a1 a2", "last usable");
}

/// Nobody is given out of a cluster that is drained as a whole, so that it has no clients who are still to come.
#[test]
fn all_leaves_out_whom_the_others_can_bear_whatever_is_drained() {
    let mut scene = Scene::new(&[("a", 2), ("b", 2), ("c", 4)], &[("x", "a")]);
    scene.service().assign = AssignPolicy::All;
    scene.load("a", 0.5).load("b", 0.5).life("c", Life::Drained).round().round();
    assert_eq!(scene.candidates("x"), "a1 a2 b1 b2");
    assert_eq!(scene.load("a1", 0.9).round().candidates("x"), "a2 b1 b2");
}
