//! Lists are shared, and Plans can be compared.

use super::*;

#[test]
fn areas_and_services_with_the_same_candidates_share_a_list() {
    let mut scene = Scene::new(&[("a", 2), ("b", 2)], &[("w", "a"), ("x", "a"), ("y", "b")]);
    scene.add_service("wxw.example.com");
    scene.add_service("wyw.example.com");
    // Another threshold is another class, but with nobody above either the candidates are equal.
    scene.topology.services[2].threshold = 0.7;
    scene.round();
    assert_eq!(scene.decision.lists.len(), 2);
    scene.load("a1", 0.75).round();
    assert_eq!(scene.decision.lists.len(), 3);
}

#[test]
fn a_diff_tells_what_moves_and_reads_well() {
    let mut scene = Scene::new(&[("a", 1), ("b", 1)], &[("x", "a"), ("y", "b"), ("world", "")]);
    let old = scene.round().plan();
    assert!(diff(&old, &old).is_empty());
    assert!(diff(&old, &scene.round().plan()).is_empty(), "a quiet round changes nothing");
    scene.life("a1", Life::Dead).event();
    let new = scene.plan();
    let change = diff(&old, &new);
    assert_eq!(
        change.lines(),
        [
            "server a1: living -> dead (as told)",
            "service www.example.com, area world: a -> b, +b1, -a1 (forced: its cluster takes no \
             clients; phase three: next best cluster)",
            "service www.example.com, area x: a -> b, +b1, -a1, ttl 30 s -> 15 s (forced: its \
             cluster takes no clients; phase three: next best cluster)",
        ]
    );
    let json = serde_json::to_string(&change).unwrap();
    assert_eq!(serde_json::from_str::<PlanDiff>(&json).unwrap(), change);
    assert_eq!(diff(&new, &old).areas.len(), 2);
}

#[test]
fn a_diff_tells_of_services_areas_weights_and_ttl() {
    let mut scene = Scene::new(&[("a", 2)], &[("x", "a"), ("world", "")]);
    let old = scene.round().plan();
    let mut more = Scene::new(&[("a", 2)], &[("v", "a"), ("x", "a"), ("world", "")]);
    more.add_service("wxw.example.com");
    more.service().ttl = TtlPolicy::Constant { seconds: 60 };
    more.service().digest = Digest::of([&b"anew"[..]]);
    more.topology.servers[0].weight = 7;
    let new = more.round().plan();
    assert_eq!(
        diff(&old, &new).lines(),
        [
            "service wxw.example.com: added",
            "service www.example.com: configured anew",
            "service www.example.com, area v: nowhere -> a, +a1, +a2 (phase two: home has a \
             server below the threshold)",
            "service www.example.com, area world: candidates weighted anew, ttl 30 s -> 60 s \
             (phase three: no home that functions)",
            "service www.example.com, area x: candidates weighted anew, ttl 30 s -> 60 s (phase \
             two: home has a server below the threshold)",
        ]
    );
    assert_eq!(diff(&new, &old).services_removed, ["wxw.example.com"]);
}

#[test]
fn whoever_is_left_out_is_told_of_with_the_reason() {
    let mut scene = Scene::new(&[("a", 5), ("b", 1)], &[("x", "a"), ("y", "b"), ("world", "")]);
    let a5 = scene.topology.server("a5").unwrap();
    scene.topology.servers[a5.index()].weight = 0;
    scene.load("a1", 0.9).load("a2", 0.85).load("a4", 0.05).life("a3", Life::Dead).round();
    scene.load("a2", 0.78).round();
    let told = |scene: &Scene| -> Vec<String> {
        let area = scene.topology.area("x").unwrap();
        let out = left_out(&scene.topology, &scene.plan(), crate::world::ServiceId(0), area);
        out.iter().map(|out| format!("{}: {}", out.server, out.reason)).collect()
    };
    assert_eq!(
        told(&scene),
        [
            "a1: load 0.90 is above the threshold 0.80, and the others can bear its clients",
            "a2: load 0.78 was above the threshold and is not yet down to 0.75",
            "a3: dead: as told",
            "a5: weight 0: only if nobody else is left",
        ]
    );
    scene.life("a", Life::Dead).event();
    scene.load("a4", 0.1).event();
    assert_eq!(scene.at("x"), "b");
    assert_eq!(told(&scene)[3], "a4: its cluster is not the one that the area points at");
    // A home whose servers are all above the threshold, and are not given out because the area is away.
    let mut scene = Scene::new(&[("a", 2), ("b", 2)], &[("x", "a"), ("y", "b"), ("world", "")]);
    scene.service().spill = Spill::Spare;
    scene.hits("x", 1.0).hits("world", 9.0).point("x", "a").point("world", "a");
    scene.load("a", 0.95).load("b", 0.1).round();
    scene.round();
    assert_eq!(scene.at("x"), "b");
    assert_eq!(
        told(&scene),
        [
            "a1: its cluster is not the one that the area points at",
            "a2: its cluster is not the one that the area points at",
        ]
    );
}
