//! `assign = "nearest"`.

use proptest::prelude::*;

use super::*;
use crate::world::Distance;

/// One area without a home and these milliseconds to its clusters; an area `x` that is told nothing
/// of, unless it is among them.
fn scene(areas: &[(&str, &[(&str, f64)])]) -> Scene {
    let names: Vec<(&str, &str)> = areas.iter().map(|(area, _)| (*area, "")).collect();
    let mut scene = Scene::new(&[("a", 2), ("b", 2), ("c", 2)], &names);
    for (area, times) in areas {
        scene.milliseconds(area, times);
    }
    scene.service().assign = AssignPolicy::Nearest;
    scene
}

impl Scene {
    /// b and c are four times as large as a, and nearly idle: what an area brings from a is a quarter there.
    fn with_large_ones_farther(&mut self) -> &mut Self {
        for server in ["b1", "b2", "c1", "c2"] {
            self.weight(server, 4);
        }
        self.load("b", 0.1).load("c", 0.1)
    }
}

#[test]
fn an_area_points_at_the_nearest_that_has_room() {
    let times: &[(&str, f64)] = &[("a", 5.0), ("b", 20.0), ("c", 80.0)];
    for (out, over, expected) in [
        ("", "", "a"),
        ("a", "", "b"),
        ("", "a", "b"),
        ("b", "a", "c"),
        ("", "a b", "c"),
        // Better overloaded than not functioning.
        ("a", "b c", "b"),
        ("", "a b c", "a"),
    ] {
        let mut scene = scene(&[("x", times)]);
        for cluster in out.split_whitespace() {
            scene.life(cluster, Life::Dead);
        }
        for cluster in over.split_whitespace() {
            scene.load(cluster, 0.9);
        }
        assert_eq!(scene.round().at("x"), expected, "out: {out}, above the threshold: {over}");
    }
}

#[test]
fn home_comes_first_and_what_is_not_known_last_in_the_order_of_the_service() {
    let mut scene = scene(&[("x", &[("b", 5.0)])]);
    scene.service().clusters.reverse();
    assert_eq!(scene.round().at("x"), "b");
    assert_eq!(scene.reason("x").to_string(), "nearest: 5 ms");
    scene.life("b", Life::Dead).event();
    assert_eq!(
        (scene.at("x").as_str(), scene.reason("x")),
        ("c", Reason::ForcedNearest(Distance::Unknown(1)))
    );
    scene.service().homes[0] = scene.topology.cluster("a");
    scene.memory = Memory::default();
    assert_eq!(scene.round().at("x"), "a");
    assert_eq!(scene.reason("x"), Reason::Nearest(Distance::Home));
}

#[test]
fn equally_near_clusters_go_by_name() {
    let mut scene = scene(&[("x", &[("c", 5.0), ("b", 5.0), ("a", 5.001)])]);
    assert_eq!(scene.round().at("x"), "b");
}

#[test]
fn load_moves_it_outward_in_rounds_and_back_when_the_nearer_one_is_well_below() {
    let mut scene = scene(&[("x", &[("a", 5.0), ("b", 20.0), ("c", 80.0)])]);
    scene.service().ttl = TtlPolicy::Constant { seconds: 90 };
    scene.with_large_ones_farther().round();
    scene.load("a", 0.9).event();
    assert_eq!(scene.at("x"), "a", "not between rounds");
    scene.round();
    assert_eq!(
        (scene.at("x").as_str(), scene.reason("x")),
        ("b", Reason::PassedOver(Distance::Microseconds(20_000)))
    );
    scene.load("a", 0.78).round();
    assert_eq!(scene.at("x"), "b", "its last move is less than a TTL old");
    assert_eq!(scene.round().at("x"), "b", "0.78 is not below the threshold by the hysteresis");
    scene.load("a", 0.36).round();
    assert_eq!(scene.at("x"), "b", "0.1 at b is 0.4 at a, and 0.76 is not below it either");
    scene.load("a", 0.35).round();
    assert_eq!(
        (scene.at("x").as_str(), scene.reason("x")),
        ("a", Reason::GoesNearer(Distance::Microseconds(5000)))
    );
    assert_eq!(scene.round().reason("x"), Reason::Nearest(Distance::Microseconds(5000)));
}

#[test]
fn an_overloaded_cluster_gives_one_area_a_round_to_each_that_has_room() {
    let times: &[(&str, f64)] = &[("a", 5.0), ("b", 20.0), ("c", 80.0)];
    let mut scene = scene(&[("u", times), ("v", times), ("w", times), ("x", times)]);
    scene.with_large_ones_farther().hits("v", 10.0).hits("x", 20.0);
    assert_eq!(scene.round().all(), "a a a a");
    scene.load("a", 0.95).round();
    assert_eq!(scene.all(), "a c a b", "most hits first; b and c take one each");
    // They come back one by one as well: the second would be too much.
    scene.load("a", 0.3).round();
    assert_eq!(scene.all(), "a c a b", "what they bring does not show yet");
    scene.round();
    assert_eq!(scene.all(), "a a a b");
    assert_eq!(scene.load("a", 0.78).round().all(), "a a a b");
    // Those that a death sent away come back all at once.
    scene.life("a", Life::Dead).event();
    assert_eq!(scene.all(), "b b b b");
    scene.load("a", 0.1).round();
    assert_eq!(scene.all(), "a a a b", "x was sent away by load before");
    assert_eq!(scene.round().all(), "a a a a");
}

#[test]
fn it_comes_back_by_shares() {
    let mut scene = scene(&[("x", &[("a", 5.0), ("b", 20.0)])]);
    scene.service().ramp = Duration::from_secs(600);
    scene.round();
    scene.life("a", Life::Dead).event();
    assert_eq!(scene.at("x"), "b");
    scene.load("a", 0.2).round();
    assert_eq!(scene.at("x"), "a 5, b 95");
    assert_eq!(scene.round().at("x"), "a 10, b 90");
    assert_eq!(scene.reason("x"), Reason::GoesNearer(Distance::Microseconds(5000)));
    scene.load("a", 0.9).round();
    assert_eq!(scene.at("x"), "a 10, b 90", "the way waits while there is no room");
}

#[test]
fn a_family_that_is_missing_comes_from_the_next_nearest() {
    let mut scene = scene(&[("x", &[("c", 5.0), ("b", 20.0), ("a", 80.0)])]);
    for server in ["a1", "b1", "b2"] {
        scene.ipv6_only(server);
    }
    scene.round();
    assert_eq!((scene.at("x").as_str(), scene.candidates_ipv6("x").as_str()), ("c", "b1 b2"));
    scene.load("b", 0.9).round();
    assert_eq!(scene.candidates_ipv6("x"), "a1");
    scene.load("a1", 0.9).round();
    assert_eq!(scene.candidates_ipv6("x"), "b1 b2");
}

#[test]
fn it_goes_on_where_it_was_after_a_restart_and_a_reload() {
    let mut scene = scene(&[("world", &[]), ("x", &[("a", 5.0), ("b", 20.0)])]);
    scene.load("a", 0.9).round();
    assert_eq!(scene.at("x"), "b");
    scene.load("a", 0.78);
    scene.memory = Memory::from_plan(&scene.topology, &scene.plan(), scene.now);
    scene.memory = scene.memory.carry(&scene.topology, &scene.topology);
    assert_eq!(scene.round().at("x"), "b");
    scene.load("b", 0.2);
    assert_eq!(scene.load("a", 0.2).round().at("x"), "b", "`world` went back first");
    assert_eq!(scene.round().at("x"), "a");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_first_choice_is_the_least_distance_among_those_with_room(
        times in prop::collection::vec(0..50_u32, 6),
        loads in prop::collection::vec(prop::option::of(0.0..1.2_f64), 6),
        dead in prop::collection::vec(prop::bool::weighted(0.3), 6),
    ) {
        let letters = ["a", "b", "c", "d", "e", "f"];
        let clusters: Vec<(&str, u32)> = letters.iter().map(|letter| (*letter, 1)).collect();
        let mut scene = Scene::new(&clusters, &[("x", "")]);
        scene.service().assign = AssignPolicy::Nearest;
        let known: Vec<(&str, f64)> = letters.into_iter().zip(times.iter().map(|time| f64::from(*time))).collect();
        scene.milliseconds("x", &known);
        for (index, letter) in letters.into_iter().enumerate() {
            scene.load(letter, loads[index]);
            if dead[index] {
                scene.life(letter, Life::Dead);
            }
        }
        let living = || (0..6).filter(|index| !dead[*index]);
        prop_assume!(living().next().is_some());
        let has_room = |index: &usize| loads[*index].is_none_or(|load| load <= 0.8);
        let nearest = living().filter(has_room).min_by_key(|index| times[*index]);
        let expected = nearest.or_else(|| living().min_by_key(|index| times[*index]));
        prop_assert_eq!(scene.round().at("x"), letters[expected.unwrap_or(0)]);
    }
}

#[test]
fn outward_is_not_nearer_and_who_has_no_clients_stays() {
    let times: &[(&str, f64)] = &[("a", 5.0), ("b", 20.0), ("c", 80.0)];
    let mut away = scene(&[("x", times)]);
    away.service().home_rounds = 3;
    away.with_large_ones_farther().weight("c1", 16).weight("c2", 16).round();
    away.load("a", 0.9).round();
    assert_eq!(away.at("x"), "b");
    // b is full and a has room again, but for one round only: x goes on outward, not back all at once.
    away.load("a", 0.1).load("b", 0.9).round();
    assert_eq!(away.at("x"), "c");
    away.load("c", 0.02);
    assert_eq!(away.round().at("x"), "c");
    assert_eq!(away.round().at("x"), "a", "after three rounds");

    let mut idle = scene(&[("x", times), ("y", times)]);
    idle.with_large_ones_farther().hits("x", 0.0).hits("y", 5.0).round();
    idle.load("a", 0.9).round();
    assert_eq!(idle.all(), "a b", "x has no load to move");
}

#[test]
fn it_goes_where_it_fits_else_where_it_is_much_better_off_else_it_stays() {
    let times: &[(&str, f64)] = &[("a", 5.0), ("b", 20.0), ("c", 80.0)];
    for (weights, expected) in [((1, 1), "a"), ((4, 1), "b"), ((1, 4), "c"), ((2, 4), "c")] {
        let mut scene = scene(&[("x", times)]);
        scene.round();
        for (server, weight) in
            [("b1", weights.0), ("b2", weights.0), ("c1", weights.1), ("c2", weights.1)]
        {
            scene.weight(server, weight);
        }
        // 0.4 and what it brings: 0.45 by a cluster twice as large, 0.225 by one four times as large.
        assert_eq!(
            scene.load("a", 0.9).load("b", 0.4).load("c", 0.4).round().at("x"),
            expected,
            "{weights:?}"
        );
    }
    // Nowhere below the threshold, but significantly better than the present one.
    let mut scene = scene(&[("x", times)]);
    scene.service().threshold = 0.4;
    scene.round();
    scene.weight("b1", 3).weight("b2", 3).load("a", 0.9).load("b", 0.3).load("c", 0.3);
    assert_eq!(scene.round().at("x"), "b", "0.6 instead of 0.9");
}

/// a has a Reporter, b and c have none: what went there for load cannot be measured there.
#[test]
fn an_area_that_load_drove_to_where_nobody_reports_does_not_swing() {
    let times: &[(&str, f64)] = &[("a", 5.0), ("b", 20.0), ("c", 80.0)];
    let mut scene = scene(&[("x", times), ("y", times)]);
    scene.hits("x", 5.0).hits("y", 4.0).load("b", None).load("c", None);
    scene.point("x", "a").point("y", "a");
    let (mut moves, mut before) = (Vec::new(), "a a".to_owned());
    for round in 0..200 {
        let at_a = |place: usize| before.split(' ').nth(place) == Some("a");
        let x = if at_a(0) { 0.5 } else { 0.0 };
        scene.load("a", if at_a(1) { x + 0.4 } else { x });
        let now = scene.round().all();
        if now != before {
            moves.push(format!("{round}: {now}"));
            before = now;
        }
    }
    // Both leave at once, for neither knows of the other; a can bear one of them.
    assert_eq!(moves, ["0: b c", "2: a b"]);
}

/// x is all that a serves, and goes on trial to c; meanwhile a fills with something else.
#[test]
fn an_area_whose_trial_failed_goes_back_to_where_it_came_from_and_nowhere_else() {
    let times: &[(&str, f64)] = &[("a", 5.0), ("b", 20.0), ("c", 80.0)];
    let mut scene = scene(&[("x", times), ("y", &[("b", 5.0)])]);
    scene.hits("x", 10.0).hits("y", 8.0).point("x", "a").point("y", "b");
    let mut seen = Vec::new();
    for round in 0..60 {
        let x = if round == 0 { "a".to_owned() } else { scene.at("x") };
        let load = |cluster, own| if x == cluster { own + 0.95 } else { own };
        let backup = if (6..40).contains(&round) { 0.9 } else { 0.0 };
        scene.load("a", load("a", backup)).load("b", load("b", 0.74)).load("c", load("c", 0.0));
        scene.round();
        if seen.last() != Some(&scene.at("x")) {
            seen.push(scene.at("x"));
        }
    }
    assert_eq!(seen, ["a", "c", "a"]);
}
