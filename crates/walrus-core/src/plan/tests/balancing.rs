//! Phase four: the worst area to the best free cluster, one a cluster and round.

use super::*;

#[test]
fn a2_best_is_most_to_spare_then_lower_load_then_name() {
    let mut scene = Scene::new(&[("a", 1), ("b", 2), ("c", 2), ("d", 1)], &[("x", "a")]);
    scene.life("a", Life::Dead);
    // b spares 0.4, c 0.3 + 0.3 = 0.6, d 0.5.
    scene.load("b", 0.6).load("c", 0.5).load("d", 0.3);
    assert_eq!(scene.round().at("x"), "c");

    // Equal to spare: b by one server of two, so its mean load is higher than d's.
    let mut scene = Scene::new(&[("a", 1), ("b", 2), ("d", 1)], &[("x", "a")]);
    scene.life("a", Life::Dead).load("b1", 0.3).load("b2", 0.9).load("d", 0.3);
    assert_eq!(scene.round().at("x"), "d");

    // Equal in all: by name.
    let mut scene = Scene::new(&[("a", 1), ("b", 1), ("d", 1)], &[("x", "a")]);
    assert_eq!(scene.life("a", Life::Dead).round().at("x"), "b");
}

/// Areas without home, on busy clusters; `d` is free.
fn busy() -> Scene {
    let areas = &[("x", ""), ("y", ""), ("z", ""), ("world", "")];
    let mut scene = Scene::new(&[("a", 1), ("b", 1), ("d", 1)], areas);
    scene.point("x", "a").point("y", "b").point("z", "b").point("world", "d");
    scene.load("a", 0.9).load("b", 0.95).load("d", 0.1);
    scene
}

#[test]
fn a3_worst_is_the_highest_load_then_most_hits_then_name() {
    assert_eq!(busy().round().all(), "a d b", "b is worse than a; y comes before z");
    let asked = || {
        let mut scene = busy();
        // Large enough for any of them.
        scene.weight("d1", 10).hits("x", 1.0).hits("y", 8.0).hits("z", 9.0);
        scene
    };
    assert_eq!(asked().round().all(), "a b d", "z has more hits");
    assert_eq!(asked().load("a", 0.99).round().all(), "d b b", "a is worst");
}

#[test]
fn a4_unassigned_means_in_this_round() {
    // d is y's home and phase two assigns y to it: no candidate for x, whatever d could spare.
    let mut scene = Scene::new(&[("a", 1), ("d", 1)], &[("x", "a"), ("y", "d")]);
    scene.round();
    scene.load("a", 0.95).load("d", 0.1);
    assert_eq!(scene.round().all(), "a d");
    assert_eq!(scene.reason("x"), Reason::Stays);

    // An area that merely stays at d (it has no home) does not take it.
    let mut scene = busy();
    assert_eq!(scene.at_after_round("y"), "d");
}

impl Scene {
    fn at_after_round(&mut self, area: &str) -> String {
        self.round();
        self.at(area)
    }
}

#[test]
fn spill_spare_may_pick_a_taken_cluster_with_load_to_spare() {
    let mut scene = Scene::new(&[("a", 1), ("d", 1)], &[("x", "a"), ("y", "d")]);
    scene.service().spill = Spill::Spare;
    scene.weight("d1", 10).round();
    assert_eq!(scene.load("a", 0.95).load("d", 0.1).round().all(), "d d");
    assert_eq!(scene.reason("x"), Reason::Balanced);
    assert!(!scene.memory.assign.pointing[1].forced);
}

#[test]
fn a5_an_area_settled_by_phase_three_is_not_moved_again_in_that_round() {
    let mut scene = Scene::new(&[("a", 1), ("b", 1), ("c", 1)], &[("w", "a"), ("x", "a")]);
    scene.service().spill = Spill::Spare;
    scene.round();
    scene.life("a", Life::Dead).load("b", 0.0).load("c", 0.75);
    // Dealt to b and c, though b would be far better for both.
    assert_eq!(scene.round().all(), "b c");
    assert_eq!(scene.reason("x"), Reason::Forced);
}

#[test]
fn a6_alive_but_above_the_threshold_and_nothing_better_stays() {
    let mut scene = Scene::new(&[("a", 1), ("b", 1)], &[("x", "a"), ("y", "b")]);
    scene.round();
    scene.load("a", 0.9).load("b", 0.85);
    assert_eq!(scene.round().all(), "a b");
    assert_eq!(scene.reason("x"), Reason::Stays);
}

#[test]
fn two_areas_and_two_clusters_both_above_the_threshold_do_not_move() {
    for spill in [Spill::Unassigned, Spill::Spare] {
        let mut scene = Scene::new(&[("a", 1), ("b", 1)], &[("x", "a"), ("y", "b")]);
        scene.service().spill = spill;
        scene.round();
        scene.load("a", 0.99).load("b", 0.81);
        for _ in 0..5 {
            assert_eq!(scene.round().all(), "a b");
        }
    }
}

#[test]
fn a8_significantly_better_is_by_ratio_and_by_difference() {
    let moves = |from: f64, to: f64, threshold: f64| {
        let areas = &[("x", ""), ("large", ""), ("world", "")];
        let mut scene = Scene::new(&[("a", 1), ("b", 1)], areas);
        scene.service().threshold = threshold;
        scene.point("x", "a").point("large", "a").point("world", "b");
        // What x brings along is next to nothing.
        scene.hits("x", 1.0).hits("large", 1e12).load("a", from).load("b", to);
        scene.round().at("x") == "b"
    };
    assert!(moves(1.0, 0.75, 0.8), "exactly a quarter less");
    assert!(!moves(1.0, 0.76, 0.8));
    assert!(moves(0.3, 0.2, 0.8), "exactly 0.1 less and a third");
    assert!(!moves(0.3, 0.21, 0.8), "0.3 to 0.21 is a ratio of 0.7 but only 0.09");
    assert!(!moves(0.9, 0.6, 0.5), "nothing to spare below the threshold");
}

#[test]
fn a23_no_area_is_balanced_twice_within_its_ttl() {
    let mut scene = busy();
    scene.hits("x", 1.0).hits("y", 10.0).hits("z", 10.0).hits("world", 90.0);
    scene.service().ttl = TtlPolicy::Constant { seconds: 300 };
    assert_eq!(scene.round().at("y"), "d");
    // Now d is worst and a is idle; four minutes later y still may not move, five it may.
    scene.load("d", 0.95).load("a", 0.1).load("b", 0.7);
    scene.point("x", "b");
    scene.life("b", Life::Living).load("b", 0.7);
    for minute in 1..=5 {
        scene.round();
        assert_eq!(scene.at("y"), if minute < 5 { "d" } else { "a" }, "minute {minute}");
    }
}

#[test]
fn oscillation_one_idle_cluster_and_many_overloaded_areas_move_one_a_round() {
    let areas: Vec<(String, &str)> = (0..8).map(|n| (format!("area{n}"), "")).collect();
    let areas: Vec<(&str, &str)> = areas.iter().map(|(n, home)| (n.as_str(), *home)).collect();
    for spill in [Spill::Unassigned, Spill::Spare] {
        let mut scene = Scene::new(&[("a", 1), ("b", 1)], &areas);
        scene.service().spill = spill;
        for (area, _) in &areas {
            scene.point(area, "a");
        }
        scene.weight("b1", 8).load("a", 0.99).load("b", 0.0);
        for round in 1..=8 {
            scene.round();
            let moved = scene.decision.areas.iter().filter(|a| a.clusters[0].0 == ClusterId(1));
            assert_eq!(moved.count(), round, "{spill:?}");
        }
        // Once the loads meet, nothing moves any more, for ever.
        scene.load("a", 0.6).load("b", 0.55);
        let settled = scene.round().all();
        for _ in 0..20 {
            assert_eq!(scene.round().all(), settled);
        }
    }
}

#[test]
fn a_cluster_receives_one_area_a_round_over_all_services() {
    let mut scene = Scene::new(&[("a", 1), ("b", 1)], &[("x", ""), ("world", "")]);
    scene.add_service("wxw.example.com");
    for service in &mut scene.topology.services {
        service.spill = Spill::Spare;
    }
    scene.point("x", "a").point("world", "a");
    for pointing in &mut scene.memory.assign.pointing {
        pointing.present = Some(ClusterId(0));
    }
    scene.weight("b1", 4).load("a", 0.95).load("b", 0.1);
    for moved in 1..=4 {
        scene.round();
        let at_b = scene.decision.areas.iter().filter(|area| area.clusters[0].0 == ClusterId(1));
        assert_eq!(at_b.count(), moved);
    }
}

#[test]
fn an_area_that_is_as_heavy_as_a_cluster_stays_where_it_is() {
    for spill in [Spill::Unassigned, Spill::Spare] {
        let mut scene = Scene::new(
            &[("a", 1), ("b", 1), ("idle", 1)],
            &[("x", "a"), ("y", "b"), ("world", "")],
        );
        scene.service().spill = spill;
        scene.point("world", "idle").hits("x", 9.0).hits("y", 9.0);
        scene.load("a", 0.95).load("b", 0.95).load("idle", 0.0);
        for _ in 0..5 {
            assert_eq!(scene.round().all(), "a b", "{spill:?}: it would bring 0.95 along");
        }
        // Six times as large: 0.16, and 0.32 with the second.
        scene.weight("idle1", 6);
        assert_eq!(scene.round().all(), "idle b", "one a round");
        scene.load("a", 0.0).load("idle", 0.16);
        // Home is idle, but would not be with x; and y would bring as much there as it has now.
        assert_eq!(scene.round().all(), "idle idle", "{spill:?}");
        scene.load("b", 0.0).load("idle", 0.32);
        for _ in 0..5 {
            assert_eq!(scene.round().all(), "idle idle", "{spill:?}: nobody swings");
        }
        // Half of the clients are gone: home can take x, and y.
        scene.load("idle", 0.16);
        assert_eq!(scene.round().all(), "a b", "{spill:?}");
    }
}

#[test]
fn what_an_area_brings_goes_by_capacity_where_all_have_one_and_by_weight_else() {
    for (capacity, weight, moves) in
        [(Some(600.0), 1, true), (Some(100.0), 6, false), (None, 6, true)]
    {
        let mut scene = Scene::new(&[("a", 1), ("idle", 1)], &[("x", "a")]);
        scene.topology.servers[0].capacity = Some(100.0);
        scene.topology.servers[1].capacity = capacity;
        scene.weight("idle1", weight).load("a", 0.95).load("idle", 0.0);
        let expected = if moves { "idle" } else { "a" };
        scene.round();
        assert_eq!(scene.round().at("x"), expected, "{capacity:?} {weight}");
    }
}

#[test]
fn what_keeps_a_server_busy_that_was_left_out_is_not_brought_along() {
    let mut scene = Scene::new(&[("a", 2), ("b", 2)], &[("x", "a"), ("world", "")]);
    scene.point("world", "b").hits("x", 9.0).load("a", 0.3).load("b", 0.0).round();
    assert_eq!(scene.load("a1", 1.0).round().candidates("x"), "a2");
    // a2 alone has 0.85 of x's; at b that would be 0.43.
    assert_eq!(scene.load("a2", 0.85).round().at("x"), "b");
}

#[test]
fn an_area_that_nobody_asks_for_is_not_moved_for_load() {
    let mut scene = busy();
    scene.hits("z", 4.0).hits("x", 4.0);
    scene.weight("d1", 10).load("b", 0.99);
    // y has no clients; by its name it would be the first at b to go.
    assert_eq!(scene.round().all(), "a b d");
}

#[test]
fn an_unknown_load_is_below_the_threshold_with_nothing_to_spare() {
    let mut scene = Scene::new(&[("a", 1), ("b", 1)], &[("x", "a")]);
    scene.round();
    assert_eq!(scene.load("a", None).load("b", 0.0).round().at("x"), "a", "home is below");
    // Nobody goes to a cluster of which nothing is known ...
    assert_eq!(scene.load("a", 0.99).load("b", None).round().at("x"), "a");
    // ... nor leaves one.
    let mut scene = Scene::new(&[("a", 1), ("b", 1)], &[("x", "")]);
    scene.point("x", "a").load("a", None).load("b", 0.0);
    assert_eq!(scene.round().at("x"), "a");
}

#[test]
fn the_first_cluster_that_is_worth_it_is_taken_though_another_has_more_to_spare() {
    for spill in [Spill::Unassigned, Spill::Spare] {
        let areas = &[("x", "a"), ("y", "b"), ("world", "")];
        let mut scene = Scene::new(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)], areas);
        scene.service().spill = spill;
        scene.point("world", "c").hits("x", 9.0).hits("y", 9.0);
        scene.weight("a1", 10).weight("b1", 10).weight("c1", 40).weight("d1", 14).round();
        scene.load("a", 0.9).load("b", 0.88).load("c", 0.5).load("d", 0.0);
        // c has 12 to spare, d 11.2; with x, c would be at 0.73, d at 0.64.
        assert_eq!(scene.round().all(), "d b", "{spill:?}");
        scene.load("a", 0.0).load("d", 0.64);
        // Now a has most to spare after c, and as much as y has would be there: nothing is gained.
        assert_eq!(scene.round().all(), "d b", "{spill:?}");
        // With y, c would be at 0.62.
        assert_eq!(scene.load("c", 0.4).round().all(), "d c", "{spill:?}");
    }
}
