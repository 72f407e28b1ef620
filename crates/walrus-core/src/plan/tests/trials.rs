//! Trial moves, in a world where the load comes along with an area, and in one where it stays behind.

use proptest::prelude::*;

use super::*;

/// Two clusters of one server each, of the same size; x alone at a.
fn alone(home: &str) -> Scene {
    let mut scene = Scene::new(&[("a", 1), ("b", 1)], &[("x", home), ("world", "")]);
    scene.service().spill = Spill::Spare;
    scene.point("x", "a").point("world", "b").hits("x", 10.0);
    scene
}

/// Where x points; `world` is before it.
fn x(scene: &Scene) -> &crate::policy::assign::Pointing {
    &scene.memory.assign.pointing[1]
}

/// Loads as they are when x's clients make so much of it, and something else so much at a.
fn loads(scene: &mut Scene, clients: f64, at_a: f64) {
    let present = x(scene).present;
    for (id, cluster) in (0..).map(ClusterId).zip(["a", "b"]) {
        let own = if cluster == "a" { at_a } else { 0.0 };
        let load = own + if present == Some(id) { clients } else { 0.0 };
        scene.load(cluster, load.min(1.0));
    }
}

/// The rounds, of so many, in which x moved, and where it was then.
fn moves(scene: &mut Scene, rounds: u32, clients: f64, at_a: impl Fn(u32) -> f64) -> String {
    let mut moves = Vec::new();
    let mut before = x(scene).present;
    for round in 1..=rounds {
        loads(scene, clients, at_a(round));
        scene.round();
        let now = x(scene).present;
        if now != before {
            moves.push(format!("{round}:{}", scene.at("x")));
        }
        before = now;
    }
    moves.join(" ")
}

#[test]
fn load_that_comes_along_brings_the_area_home_and_the_next_trial_waits_twice_as_long() {
    let mut scene = alone("a");
    // Five rounds above; two in which it shows; home. An hour later again, then two, four, eight, sixteen; then each day.
    assert_eq!(
        moves(&mut scene, 6000, 0.95, |_| 0.0),
        "5:b 7:a 65:b 67:a 185:b 187:a 425:b 427:a 905:b 907:a 1865:b 1867:a 3305:b 3307:a 4745:b 4747:a"
    );
    // Whatever happens, it is told.
    let mut scene = alone("a");
    assert_eq!(moves(&mut scene, 5, 0.95, |_| 0.0), "5:b");
    assert_eq!(scene.reason("x"), Reason::OnTrial);
    assert!(scene.reason("x").to_string().starts_with("on trial: "));
    let trial = x(&scene).trial.clone().unwrap();
    assert_eq!((trial.began, trial.wait_seconds), (scene.now, 3600));
}

#[test]
fn without_a_home_it_stays_where_the_trial_took_it_until_the_next() {
    let mut scene = alone("");
    assert_eq!(moves(&mut scene, 200, 0.95, |_| 0.0), "5:b 65:a 185:b");
}

#[test]
fn load_that_stays_behind_leaves_the_area_where_it_is_well_off() {
    let mut scene = alone("a");
    // Its clients make 0.2; a backup 0.75 more, which ends after three hundred rounds.
    let backup = |round| if round < 300 { 0.75 } else { 0.0 };
    assert_eq!(moves(&mut scene, 400, 0.2, backup), "5:b 300:a");
    assert_eq!(x(&scene).trial, None, "well off for an hour: forgotten");
    // The next night the same.
    assert_eq!(moves(&mut scene, 400, 0.2, backup), "5:b 300:a");
    // Half and half: with its clients home would be where it was.
    let mut scene = alone("a");
    assert_eq!(moves(&mut scene, 400, 0.45, |_| 0.5), "5:b");
}

#[test]
fn nobody_is_tried_without_need_or_hope() {
    type Change = fn(&mut Scene);
    let cases: [(&str, Change); 6] = [
        ("the other is not well below", |scene| {
            scene.load("b", 0.75);
        }),
        ("nothing is known of the other", |scene| {
            scene.load("b", None);
        }),
        ("nobody asks", |scene| {
            scene.hits("x", 0.0).hits("world", 1.0);
        }),
        ("requests account for the load", |scene| {
            for (server, condition) in scene.topology.servers.iter_mut().zip(&mut scene.conditions)
            {
                server.capacity = Some(100.0);
                condition.hits_per_second = 95.0;
            }
        }),
        ("another policy", |scene| scene.service().assign = AssignPolicy::Failover),
        ("a server is below now and then", |scene| {
            if scene.now.as_secs_f64() % 240.0 < 60.0 {
                scene.load("a", 0.7);
            }
        }),
    ];
    for (why, change) in cases {
        let mut scene = alone("a");
        for _ in 0..30 {
            scene.load("a", 0.95).load("b", 0.0);
            change(&mut scene);
            assert_eq!(scene.round().at("x"), "a", "{why}");
        }
    }
    // Requests that do not account for it give hope.
    let mut scene = alone("a");
    for server in &mut scene.topology.servers {
        server.capacity = Some(100.0);
    }
    for _ in 0..5 {
        scene.load("a", 0.95).load("b", 0.0);
        scene.condition("a1").hits_per_second = 20.0;
        scene.round();
    }
    assert_eq!(scene.at("x"), "b");
}

#[test]
fn one_area_of_all_is_on_trial_at_a_time() {
    let mut scene = Scene::new(
        &[("a", 1), ("b", 1), ("c", 1), ("d", 1)],
        &[("x", "a"), ("y", "b"), ("z", "c"), ("world", "")],
    );
    scene.point("world", "d").hits("x", 9.0).hits("y", 9.0).hits("z", 9.0);
    let mut tried = Vec::new();
    for _ in 0..60 {
        for (id, cluster) in (0..).map(ClusterId).zip(["a", "b", "c", "d"]) {
            let here = scene.memory.assign.pointing.iter().skip(1);
            let count = here.filter(|it| it.present == Some(id)).count();
            scene.load(cluster, (0.95 * count as f64).min(1.0));
        }
        scene.round();
        let away = ["x", "y", "z"].into_iter().zip(["a", "b", "c"]);
        let away: Vec<&str> =
            away.filter(|(area, home)| scene.at(area) != *home).map(|it| it.0).collect();
        assert!(away.len() <= 1, "{away:?}");
        tried.extend(away);
    }
    tried.dedup();
    assert_eq!(tried, ["x", "y", "z"], "each once within the hour");
}

#[test]
fn services_of_different_policies_begin_one_trial_a_round_together() {
    let mut scene = Scene::new(
        &[("a", 1), ("b", 1), ("c", 1), ("d", 1)],
        &[("x", "a"), ("y", "b"), ("world", "")],
    );
    scene.add_service("xww.example.com");
    scene.topology.services[1].assign = AssignPolicy::Nearest;
    for service in &mut scene.topology.services {
        service.spill = Spill::Spare;
    }
    // Of the first service x asks, of the second y.
    scene.point("x", "a").point("y", "b").point("world", "d").hits("x", 9.0).hits[5] = 9.0;
    let first = scene.memory.assign.pointing[..3].to_vec();
    scene.memory.assign.pointing[3..].clone_from_slice(&first);
    let mut began = Vec::new();
    for _ in 0..20 {
        scene.load("a", 0.95).load("b", 0.95).load("c", 0.0).load("d", 0.0).round();
        let pointing = scene.memory.assign.pointing.iter();
        began = pointing.filter_map(|it| Some(it.trial.as_ref()?.began)).collect();
        began.sort_unstable();
        let count = began.len();
        began.dedup();
        assert_eq!(began.len(), count, "two at once");
    }
    assert_eq!(began.len(), 2, "each once");
}

#[test]
fn a_failed_trial_that_cannot_go_home_keeps_nobody_else_from_theirs() {
    let mut scene = Scene::new(
        &[("a", 1), ("b", 1), ("c", 1), ("d", 1)],
        &[("x", "a"), ("y", "c"), ("world", "")],
    );
    scene.service().spill = Spill::Spare;
    scene.point("world", "d").hits("x", 10.0).hits("y", 9.0);
    let mut whereabouts = Vec::new();
    for _ in 0..30 {
        // What keeps a and c busy, and b as soon as x is there, are not these clients.
        let at_b = if x(&scene).present == scene.topology.cluster("b") { 0.95 } else { 0.0 };
        scene.load("a", 0.95).load("b", at_b).load("c", 0.95).load("d", 0.0).round();
        whereabouts.push(scene.all());
    }
    whereabouts.dedup();
    assert_eq!(whereabouts, ["a c", "b c", "b d"]);
}

#[test]
fn what_a_trial_showed_is_no_longer_told_as_to_be_seen() {
    for policy in [AssignPolicy::Walrus, AssignPolicy::Nearest] {
        let mut scene = alone("a");
        scene.service().assign = policy;
        assert_eq!(moves(&mut scene, 6, 0.1, |_| 0.85), "5:b", "{policy:?}");
        assert_eq!(scene.reason("x"), Reason::OnTrial, "{policy:?}");
        moves(&mut scene, 1, 0.1, |_| 0.85);
        let reason = scene.reason("x");
        match policy {
            AssignPolicy::Walrus => assert_eq!(reason, Reason::Stays),
            _ => assert!(matches!(reason, Reason::PassedOver(_)), "{reason}"),
        }
    }
}

#[test]
fn a_trial_is_remembered_over_reload_and_journal() {
    let mut scene = alone("a");
    moves(&mut scene, 10, 0.95, |_| 0.0);
    let memory = scene.memory.clone();
    assert!(memory.assign.pointing[1].trial.is_some() && memory.assign.last_round.is_some());
    let json = serde_json::to_string(&memory).unwrap();
    assert_eq!(serde_json::from_str::<Memory>(&json).unwrap(), memory);
    assert_eq!(memory.carry(&scene.topology, &scene.topology), memory);
    let mut other = scene.topology.clone();
    other.services[0].clusters.pop();
    let carried = memory.carry(&scene.topology, &other);
    assert_eq!(carried.assign.pointing[1].trial, None, "its cluster is gone");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    /// Whatever part of the load comes along, and with chance in it: in two days there are no more trials than
    /// the waits allow, each brings at most one move back, and nobody else moves.
    #[test]
    fn trials_are_few_in_any_world(
        clients in 0.0..1.0_f64,
        at_a in 0.0..1.0_f64,
        noise in prop::collection::vec(-0.1..0.1_f64, 37),
        home in any::<bool>(),
    ) {
        let mut scene = alone(if home { "a" } else { "" });
        let mut count = 0;
        let mut before = x(&scene).present;
        for round in 0..2880 {
            loads(&mut scene, clients, at_a);
            for (at, condition) in scene.conditions.iter_mut().enumerate() {
                let noise = noise[(round + 17 * at) % noise.len()];
                condition.load = condition.load.map(|load| (load * (1.0 + noise)).clamp(0.0, 1.0));
            }
            scene.round();
            let now = x(&scene).present;
            count += usize::from(now != before);
            before = now;
        }
        prop_assert!(count <= 96, "{count} moves");
    }
}
