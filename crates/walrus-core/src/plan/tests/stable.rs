//! `assign = "stable"`.

use proptest::prelude::*;

use super::*;

/// Its name, its home, milliseconds to others, and queries a second.
type KnownArea<'a> = (&'a str, &'a str, &'a [(&'a str, f64)], f64);

/// Clusters of two servers with 50 requests/s each, and areas.
fn scene(areas: &[KnownArea<'_>]) -> Scene {
    let homes: Vec<(&str, &str)> = areas.iter().map(|(area, home, ..)| (*area, *home)).collect();
    let mut scene = Scene::new(&[("a", 2), ("b", 2), ("c", 2)], &homes);
    for (area, _, times, hits) in areas {
        scene.milliseconds(area, times).hits(area, *hits);
    }
    scene.topology.servers.iter_mut().for_each(|server| server.capacity = Some(50.0));
    scene.service().assign = AssignPolicy::Stable;
    scene
}

/// The example of the policy's header.
fn example() -> Scene {
    let near_b: &[(&str, f64)] = &[("b", 10.0), ("c", 20.0)];
    scene(&[("x", "a", near_b, 60.0), ("y", "a", near_b, 60.0), ("z", "b", near_b, 70.0)])
}

#[test]
fn areas_are_as_near_as_there_is_room() {
    let mut scene = example();
    scene.round();
    assert_eq!(scene.all(), "a a 33, b 17, c 50 b");
    assert_eq!(scene.reason("x").to_string(), "stable: 60 requests/s, home");
    assert_eq!(
        scene.reason("y").to_string(),
        "stable: 60 requests/s, home; 2 of its order are full, the nearest has 100 requests/s"
    );
    assert_eq!(scene.candidates("y"), "a1 a2 b1 b2 c1 c2");
    assert_eq!(scene.memory.assign.pointing[1].present, scene.topology.cluster("a"));
}

#[test]
fn what_fits_nowhere_goes_where_servers_have_most_left() {
    let mut scene = example();
    scene.life("c", Life::Dead).round();
    assert_eq!(scene.all(), "a a 58, b 42 b");
    assert!(
        scene
            .reason("y")
            .to_string()
            .ends_with("50 % fits nowhere and goes where servers have most left"),
        "{}",
        scene.reason("y")
    );
    // A third of everything is gone, and the rest does not topple: both stand at 95 of 100.
    let used = |cluster: &str| -> f64 {
        let cluster = scene.topology.cluster(cluster).unwrap();
        let areas = scene.decision.areas.iter().zip([60.0, 60.0, 70.0]);
        let shares =
            areas.flat_map(|(area, demand)| area.clusters.iter().map(move |it| (it, demand)));
        shares
            .filter(|((of, _), _)| *of == cluster)
            .map(|((_, share), demand)| share * demand)
            .sum()
    };
    assert!((used("a") - 95.0).abs() < 1e-9 && (used("b") - 95.0).abs() < 1e-9);
}

#[test]
fn noise_moves_nothing_and_a_change_only_those_whom_it_touches() {
    let mut scene = example();
    scene.round();
    let before = scene.decision.areas.clone();
    for (x, y, z) in
        [(62.0, 57.0, 73.0), (57.0, 64.0, 66.0), (65.0, 65.0, 76.0), (0.95 * 60.0, 55.0, 64.0)]
    {
        scene.hits("x", x).hits("y", y).hits("z", z).round();
        assert_eq!(scene.decision.areas, before, "{x} {y} {z}");
    }
    // y grows by a half: its further 30 go where y's last went.
    scene.hits("x", 60.0).hits("y", 90.0).hits("z", 70.0).round();
    assert_eq!(scene.all(), "a a 22, b 11, c 67 b");
}

#[test]
fn a_death_moves_only_the_share_that_it_strikes() {
    let mut scene = example();
    scene.round();
    scene.service().ttl = TtlPolicy::Constant { seconds: 90 };
    scene.life("c", Life::Dead).event();
    assert_eq!(scene.all(), "a a 58, b 42 b");
    assert_eq!(scene.round().all(), "a a 58, b 42 b");
    // a and b are filled to 95 each. b's 25 of y go to c, and z as far as c has room; of the rest, 5
    // requests/s are left above the threshold at a, 20 at c.
    scene.load("c", 0.5).life("b", Life::Dead).event();
    let struck = "a a 58, c 42 c 96, a 4";
    assert_eq!(scene.all(), struck);
    assert_eq!(
        scene.area("x").reason.to_string(),
        "stable: 60 requests/s, home",
        "x is not struck"
    );
    scene.load("b", 0.5).event();
    assert_eq!(scene.all(), struck, "nobody comes back between rounds");
    assert_eq!(scene.round().all(), struck, "nor within a TTL");
    assert_eq!(scene.round().all(), "a a 33, b 17, c 50 b");
}

#[test]
fn it_comes_nearer_by_shares_and_goes_farther_at_once() {
    let mut scene = example();
    scene.service().ramp = Duration::from_secs(600);
    scene.hits("z", 80.0).round();
    assert_eq!(scene.all(), "a a 33, c 67 b");
    scene.hits("z", 40.0).round();
    assert_eq!(scene.at("y"), "a 33, b 3, c 63", "a twentieth of the way to b");
    scene.round();
    assert_eq!(scene.at("y"), "a 33, b 7, c 60");
    scene.life("c", Life::Dead).event();
    assert_eq!(scene.at("y"), "a 33, b 67", "the way ends where it began");
    scene.load("c", 0.5).round();
    scene.hits("z", 80.0).round();
    assert_eq!(scene.at("y"), "a 33, c 67");
}

#[test]
fn what_other_policies_send_to_a_cluster_is_taken_off_first() {
    let mut scene = example();
    scene.topology.services[0].assign = AssignPolicy::Failover;
    scene.add_service("zzz.example.com");
    scene.topology.services[1].assign = AssignPolicy::Stable;
    // x, y, world: failover of 60 and 60 at a, 70 at b; the same of the second service.
    scene.hits.resize(6, 0.0);
    scene.hits[3..].copy_from_slice(&[10.0, 10.0, 20.0]);
    scene.round();
    let of_second = |scene: &Scene, area: usize| {
        let name = |id: ClusterId| scene.topology.clusters[id.index()].name.to_string();
        let clusters = &scene.decision.areas[3 + area].clusters;
        clusters
            .iter()
            .map(|(id, share)| format!("{} {:.0}", name(*id), share * 100.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_second(&scene, 0), ["c 100"], "a is full of others, and b of z");
    assert_eq!(of_second(&scene, 1), ["c 100"]);
    assert_eq!(of_second(&scene, 2), ["b 50", "c 50"], "b has 10 left");
    scene.topology.services[0].assign = AssignPolicy::All;
    scene.memory = Memory::default();
    scene.round();
    assert_eq!(of_second(&scene, 0), ["a 100"], "63 of 80 everywhere");
    assert_eq!(of_second(&scene, 1), ["a 67", "c 33"]);
}

#[test]
fn queries_stand_for_as_many_requests_as_servers_count() {
    let mut scene = example();
    for (area, hits) in [("x", 6.0), ("y", 6.0), ("z", 7.0)] {
        scene.hits(area, hits);
    }
    assert_eq!(scene.round().all(), "a a b");
    // 190 requests/s for 19 queries/s.
    for (server, requests) in [("a1", 60.0), ("a2", 60.0), ("b1", 35.0), ("b2", 35.0)] {
        scene.condition(server).hits_per_second = requests;
    }
    assert_eq!(scene.round().all(), "a a 33, b 17, c 50 b");
    assert_eq!(scene.memory.assign.requests_a_query, Some(10.0));
    for (servers, requests) in [(["a1", "a2"], 40.0), (["b1", "b2"], 40.0), (["c1", "c2"], 17.0)] {
        servers.into_iter().for_each(|it| scene.condition(it).hits_per_second = requests);
    }
    assert_eq!(scene.round().memory.assign.requests_a_query, Some(10.0), "as good as the same");
    // A cluster dies: its requests are missed before its clients show elsewhere.
    scene.life("b", Life::Dead).round();
    assert_eq!(scene.memory.assign.requests_a_query, Some(9.0), "not 6");
}

/// Of b one server is counted, of c none.
#[test]
fn servers_that_are_counted_stand_for_the_others() {
    let mut scene = example();
    for (area, hits) in [("x", 6.0), ("y", 6.0), ("z", 7.0)] {
        scene.hits(area, hits);
    }
    scene.topology.servers[3].capacity = Some(150.0);
    // b2, c1, c2.
    scene.topology.servers[3..].iter_mut().for_each(|server| server.reporter = false);
    assert_eq!(scene.round().all(), "a a b");
    for (server, requests) in [("a1", 60.0), ("a2", 60.0), ("b1", 17.5)] {
        scene.condition(server).hits_per_second = requests;
    }
    scene.round();
    assert_eq!(scene.memory.assign.requests_a_query, Some(10.0));
}

/// Another service has a cluster in common with the stable one, and most of its clients elsewhere.
#[test]
fn of_other_services_only_what_is_sent_there_counts() {
    for others in [AssignPolicy::Failover, AssignPolicy::Walrus, AssignPolicy::All] {
        let mut scene = example();
        scene.add_service("zzz.example.com");
        let cluster = |scene: &Scene, name| scene.topology.cluster(name).unwrap();
        let (a, b, c) = (cluster(&scene, "a"), cluster(&scene, "b"), cluster(&scene, "c"));
        scene.topology.services[0].clusters = vec![a, c];
        scene.topology.services[0].homes = vec![Some(a), Some(a), None];
        scene.topology.services[1].clusters = vec![a, b];
        scene.topology.services[1].homes = vec![Some(b), Some(b), Some(b)];
        scene.topology.services[1].assign = others;
        scene.hits = vec![2.0, 2.0, 0.0, 10.0, 20.0, 30.0];
        scene.round();
        // Half of the other's 60 where all clusters are given, else none.
        let at_a = if others == AssignPolicy::All { 34.0 } else { 4.0 };
        for server in ["a1", "a2"] {
            scene.condition(server).hits_per_second = at_a * 5.0;
        }
        scene.condition("b1").hits_per_second = 300.0;
        scene.round();
        assert_eq!(scene.memory.assign.requests_a_query, Some(10.0), "{others:?}");
    }
}

#[test]
fn after_a_restart_it_waits_for_all_reporters() {
    let mut scene = example();
    scene.topology.areas.push(Area { name: name("world"), ..scene.topology.areas[0].clone() });
    scene.service().homes.push(None);
    scene.round();
    assert_eq!(scene.at("y"), "a 33, b 17, c 50");
    scene.memory = Memory::from_plan(&scene.topology, &scene.plan(), scene.now);
    scene.load("a1", None).hits("y", 6.0);
    assert_eq!(scene.round().round().at("y"), "a 33, b 17, c 50");
    scene.load("a1", 0.5);
    assert_eq!(scene.round().at("y"), "a");
}

#[test]
fn a_server_that_comes_back_counts_by_its_ramp() {
    let mut scene = example();
    scene.life("a2", Life::Dead).round();
    assert_eq!(scene.at("x"), "a 67, b 17, c 17", "a holds 40");
    scene.load("a2", 0.1).condition("a2").ramp = 0.25;
    assert_eq!(scene.round().at("x"), "a 83, b 17", "a holds 50");
    scene.condition("a2").ramp = 1.0;
    assert_eq!(scene.round().at("x"), "a");
}

#[test]
fn while_no_demand_is_known_nothing_moves_but_what_must() {
    let areas: &[KnownArea<'_>] =
        &[("world", "", &[], 0.0), ("x", "a", &[("b", 10.0), ("c", 20.0)], 120.0)];
    let mut scene = scene(areas);
    scene.round();
    assert_eq!(scene.at("x"), "a 67, b 33");
    let plan = scene.plan();
    scene.memory = Memory::from_plan(&scene.topology, &plan, scene.now);
    scene.memory = scene.memory.carry(&scene.topology, &scene.topology);
    scene.hits("x", 0.0);
    assert_eq!(scene.round().round().at("x"), "a 67, b 33");
    scene.life("b", Life::Dead).event();
    assert_eq!(scene.at("x"), "a", "nobody asks, so all fits");
    scene.load("b", 0.5).hits("x", 120.0).round();
    assert_eq!(scene.at("x"), "a 67, b 33");
    // Everybody dies: the last usable answer.
    scene.life("a", Life::Dead).life("b", Life::Dead).life("c", Life::Dead).event();
    assert_eq!((scene.at("x").as_str(), scene.reason("x")), ("a 67, b 33", Reason::LastUsable));
    scene.life("c", Life::Drained).event();
    assert_eq!((scene.at("x").as_str(), scene.reason("x")), ("c", Reason::LastResort));
    scene.load("a", 0.5).event();
    assert_eq!(scene.at("x"), "a");
}

#[test]
fn a_cluster_that_is_gone_after_a_reload_leaves_its_share_to_the_others() {
    let mut scene = example();
    scene.round();
    let mut without = scene.topology.clone();
    without.services[0].clusters.retain(|cluster| cluster.index() != 2);
    scene.memory = scene.memory.carry(&scene.topology, &without);
    scene.topology = without;
    scene.event();
    assert_eq!(scene.at("y"), "a 67, b 33");
    assert_eq!(scene.round().at("y"), "a 58, b 42");
}

#[test]
fn another_policy_after_a_reload_takes_over_where_most_liked_it_was() {
    let mut scene = example();
    scene.service().ramp = Duration::from_secs(600);
    scene.hits("z", 80.0).round();
    scene.hits("z", 40.0).round();
    assert_eq!(scene.at("y"), "a 33, b 3, c 63");
    scene.service().assign = AssignPolicy::Walrus;
    scene.event();
    assert_eq!(scene.at("y"), "a");
    assert_eq!(scene.memory.assign.pointing[1].shares, []);
    scene.service().assign = AssignPolicy::Stable;
    scene.service().ramp = Duration::ZERO;
    assert_eq!(scene.event().at("y"), "a");
    assert_eq!(scene.hits("z", 70.0).round().at("y"), "a 33, b 17, c 50");
}

#[test]
fn a_memory_that_makes_no_sense_does_no_harm() {
    let mut scene = example();
    scene.round();
    let pointing = &mut scene.memory.assign.pointing[1];
    pointing.shares = vec![(ClusterId(9), 0.5), (ClusterId(1), f64::NAN), (ClusterId(0), -1.0)];
    pointing.demand = f64::NAN;
    scene.memory.assign.pointing[0].shares = vec![(ClusterId(1), 0.5), (ClusterId(0), 0.25)];
    scene.event();
    assert_eq!(scene.at("x"), "b 67, a 33");
    scene.round().round();
    assert_eq!(scene.all(), "a a 33, b 17, c 50 b");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn small_noise_in_demand_moves_nothing(
        demands in prop::collection::vec(0..120_u32, 5),
        times in prop::collection::vec(0..30_u32, 15),
        noise in prop::collection::vec(prop::collection::vec(-0.09..0.09_f64, 5), 1..5),
    ) {
        let mut scene = scene(&[
            ("p", "", &[], 0.0), ("q", "a", &[], 0.0), ("r", "", &[], 0.0), ("s", "b", &[], 0.0), ("t", "", &[], 0.0),
        ]);
        let areas = ["p", "q", "r", "s", "t"];
        for (index, area) in areas.into_iter().enumerate() {
            let times = ["a", "b", "c"].into_iter().zip(&times[index * 3..]);
            let times: Vec<(&str, f64)> = times.map(|(name, time)| (name, f64::from(*time))).collect();
            scene.milliseconds(area, &times).hits(area, f64::from(demands[index]));
        }
        scene.round();
        let before = scene.decision.areas.clone();
        for noise in noise {
            for (index, area) in areas.into_iter().enumerate() {
                scene.hits(area, f64::from(demands[index]) * (1.0 + noise[index]));
            }
            scene.round();
            prop_assert_eq!(&scene.decision.areas, &before);
        }
    }
}
