//! Candidates, and the order of last resort when nobody lives.

use std::time::Duration;

use super::*;

fn scene() -> Scene {
    let mut scene = Scene::new(&[("a", 3), ("b", 2)], &[("x", "a"), ("y", "b"), ("world", "")]);
    scene.round();
    scene
}

#[test]
fn a12_functioning_servers_below_the_threshold_else_all_that_function_least_loaded_first() {
    let mut scene = scene();
    assert_eq!(scene.candidates("x"), "a1 a2 a3", "in the order of the configuration");
    scene.load("a1", 0.9).load("a2", 0.25).life("a3", Life::Dead);
    assert_eq!(scene.round().candidates("x"), "a2");
    assert!(!scene.area("x").degraded);
    scene.load("a1", 0.99).load("a2", 0.95).load("a3", 0.97).load("b", 0.9).round();
    assert_eq!(scene.round().candidates("x"), "a2 a3 a1");
    assert!(scene.area("x").degraded);
    let list = &scene.decision.lists[scene.area("x").ipv4.unwrap() as usize];
    assert!(list.groups[0].candidates.iter().all(|candidate| candidate.over_threshold));
}

#[test]
fn a12_a_server_above_the_threshold_is_left_out_only_if_the_others_can_bear_its_clients() {
    let mut scene = scene();
    scene.load("a1", 0.9).load("a2", 0.55).load("a3", 0.52);
    assert_eq!(scene.round().candidates("x"), "a1 a2 a3", "three halves of 0.535 are above 0.75");
    assert!(!scene.area("x").degraded, "there is room");
    let list = &scene.decision.lists[scene.area("x").ipv4.unwrap() as usize];
    let over: Vec<bool> = list.groups[0].candidates.iter().map(|it| it.over_threshold).collect();
    assert_eq!(over, [true, false, false]);
    scene.load("a2", 0.45);
    assert_eq!(scene.round().candidates("x"), "a2 a3");
    // Its clients are with the others now. What keeps it busy is something else: it stays out.
    scene.load("a2", 0.82).load("a3", 0.77);
    assert_eq!(scene.round().candidates("x"), "a2 a3", "a2 could be spared by a1 only");
    scene.load("a2", 0.84);
    assert_eq!(scene.round().candidates("x"), "a1 a2 a3", "the others are above, taken together");
    assert_eq!(scene.round().candidates("x"), "a1 a2 a3");
}

/// What is decided a second later, with the same loads, knows that nobody's clients have followed yet.
#[test]
fn a12_the_same_loads_leave_out_no_more_until_clients_have_followed() {
    let mut scene = Scene::new(&[("a", 4)], &[("x", "a"), ("world", "")]);
    scene.load("a1", 0.95).load("a2", 0.82).load("a3", 0.3).load("a4", 0.56);
    assert_eq!(scene.round().candidates("x"), "a2 a3 a4");
    assert_eq!(scene.event().event().candidates("x"), "a2 a3 a4");
    // Its clients have followed, and loads are as before: so they can bear the next one's, too.
    assert_eq!(scene.round().candidates("x"), "a3 a4");
    // One of those that have all clients dies: the other would have twice as many.
    scene.load("a3", 0.5).load("a4", 0.5).round();
    assert_eq!(scene.life("a3", Life::Dead).event().candidates("x"), "a2 a4");
}

#[test]
fn memory_of_before_does_not_say_who_was_left_out() {
    let mut scene = scene();
    scene.load("a1", 0.9).round();
    let mut json = serde_json::to_value(&scene.memory).unwrap();
    let over = json["assign"]["over"][0].as_object_mut().unwrap();
    assert!(over.remove("left_out").is_some() && !over.contains_key("everywhere"));
    scene.memory = serde_json::from_value(json).unwrap();
    assert_eq!(scene.load("a1", 0.78).round().candidates("x"), "a1 a2 a3", "it is below, and back");
    assert_eq!(scene.load("a1", 0.9).round().candidates("x"), "a2 a3");
}

#[test]
fn after_a_restart_the_plan_tells_who_was_left_out() {
    let mut scene = scene();
    scene.load("a1", 0.9).round();
    scene.memory = Memory::from_plan(&scene.topology, &scene.plan(), scene.now);
    scene.load("a2", 0.7).load("a3", 0.7);
    assert_eq!(scene.round().candidates("x"), "a2 a3", "they have its clients already");
}

#[test]
fn a13_a_server_comes_back_when_it_is_below_by_the_hysteresis() {
    let mut scene = scene();
    for (load, candidates) in [
        (0.8, "a1 a2 a3"),
        (0.81, "a2 a3"),
        (0.78, "a2 a3"),
        (0.75, "a1 a2 a3"),
        (0.79, "a1 a2 a3"),
    ] {
        assert_eq!(scene.load("a1", load).round().candidates("x"), candidates, "at {load}");
    }
    // Events tell it apart as well.
    assert_eq!(scene.load("a1", 0.81).event().candidates("x"), "a2 a3");
}

#[test]
fn a9_with_nobody_functioning_the_last_assignment_stays_and_an_alert_is_raised_once() {
    let mut scene = scene();
    scene.load("a1", 0.9).round();
    assert_eq!(scene.candidates("x"), "a2 a3");
    scene.life("a", Life::Dead).life("b", Life::Dead).event();
    assert_eq!(scene.all(), "a b");
    assert_eq!(scene.candidates("x"), "a2 a3", "the last usable answer");
    assert_eq!(scene.reason("x"), Reason::LastUsable);
    assert!(scene.area("x").degraded);
    let service = crate::world::ServiceId(0);
    assert_eq!(scene.decision.alerts, [Alert { service, recovered: false }]);
    assert!(scene.round().decision.alerts.is_empty());
    assert_eq!(scene.candidates("x"), "a2 a3", "still");
    scene.load("b", 0.1).event();
    assert_eq!(scene.decision.alerts, [Alert { service, recovered: true }]);
    assert_eq!(scene.all(), "b b");
}

#[test]
fn all_servers_bypass() {
    let mut scene = scene();
    scene.life("a", Life::Bypass).life("b", Life::Bypass);
    assert_eq!(scene.round().candidates("x"), "a1 a2 a3");
    assert_eq!(scene.candidates("y"), "b1 b2");
    assert_eq!(scene.decision.alerts.len(), 1);
}

#[test]
fn a9_in_the_first_round_with_nobody_functioning_homes_are_published() {
    let mut scene = Scene::new(&[("a", 2), ("b", 1)], &[("x", "a"), ("y", "b"), ("world", "")]);
    scene.life("a", Life::Dead).life("b", Life::Dead).round();
    assert_eq!(scene.candidates("x"), "a1 a2");
    assert_eq!(scene.candidates("y"), "b1");
    assert_eq!(scene.candidates("world"), "a1 a2 b1", "no home: everybody");
    assert_eq!(scene.at("world"), "a 50, b 50");
    assert_eq!(scene.reason("x"), Reason::Configured);
    assert_eq!(scene.decision.alerts.len(), 1);
    assert_eq!(scene.round().reason("x"), Reason::Configured);
    // Nothing was pointed at, so the first cluster that functions is no move.
    scene.load("b", 0.1).event();
    assert_eq!(scene.all(), "b b");
    assert_eq!(scene.reason("x"), Reason::First);
}

#[test]
fn exactly_one_server_functions_in_the_whole_world() {
    let mut scene = scene();
    scene.life("a", Life::Dead).life("b1", Life::Dead).load("b2", 1.0);
    assert_eq!(scene.event().all(), "b b");
    assert_eq!((scene.candidates("x"), scene.candidates("world")), ("b2".into(), "b2".into()));
}

#[test]
fn the_order_of_last_resort() {
    let mut scene = scene();
    // Drained is better than nothing, unseen better than drained, weight 0 better than unseen.
    scene.life("a", Life::Dead).life("b", Life::Dead).life("a1", Life::Drained);
    assert_eq!(scene.event().candidates("x"), "a1");
    assert_eq!(scene.candidates("y"), "a1");
    assert_eq!(scene.reason("y"), Reason::LastResort);
    assert_eq!(scene.life("b1", Life::Unknown).event().candidates("x"), "b1");
    let b2 = scene.topology.server("b2").unwrap();
    scene.topology.servers[b2.index()].weight = 0;
    assert_eq!(scene.load("b2", 0.99).event().candidates("x"), "b2");
    assert_eq!(scene.reason("x"), Reason::LastResort);
    let list = &scene.decision.lists[scene.area("x").ipv4.unwrap() as usize];
    assert_eq!(list.groups[0].candidates[0].weight, 1, "somebody must be drawn");
    assert_eq!(scene.load("a2", 0.99).event().candidates("x"), "a2");
    assert_eq!(scene.load("a3", 0.1).event().candidates("x"), "a2 a3", "a3 has its clients still");
    scene.now += Duration::from_secs(60);
    assert_eq!(scene.event().candidates("x"), "a3");
}

#[test]
fn drained_servers_do_not_raise_the_alert() {
    let mut scene = scene();
    scene.life("a", Life::Drained).life("b", Life::Drained).event();
    assert!(scene.decision.alerts.is_empty());
    assert_eq!(scene.all(), "a b", "as good here as there");
    scene.life("a", Life::Unknown).life("b", Life::Unknown).event();
    assert_eq!(scene.decision.alerts.len(), 1, "nobody is known to function");
}

#[test]
fn ramps_count_against_each_other() {
    let mut scene = scene();
    scene.condition("a1").ramp = 0.2;
    let ramps = |scene: &Scene| -> Vec<f64> {
        let list = &scene.decision.lists[scene.area("x").ipv4.unwrap() as usize];
        list.groups[0].candidates.iter().map(|candidate| candidate.ramp).collect()
    };
    assert_eq!(ramps(scene.round()), [0.2, 1.0, 1.0]);
    scene.life("a2", Life::Dead).life("a3", Life::Dead);
    assert_eq!(ramps(scene.event()), [1.0], "alone it takes everybody");
}

#[test]
fn a_family_comes_from_elsewhere_only_if_the_assigned_cluster_lacks_it() {
    let mut scene = scene();
    assert_eq!(scene.area("x").ipv6, None, "no server of the service has IPv6");
    scene.ipv6_only("a3").ipv6_only("b2").round();
    // One list for both families: whoever compiles it draws each from those that have it.
    assert_eq!(scene.area("x").ipv4, scene.area("x").ipv6);
    assert_eq!(scene.candidates("x"), "a1 a2 a3");
    scene.life("a3", Life::Dead).event();
    assert_eq!(scene.candidates("x"), "a1 a2");
    assert_eq!(scene.candidates_ipv6("x"), "b2");
    assert_eq!(scene.at("x"), "a");
    scene.life("b2", Life::Dead).event();
    assert_eq!(scene.candidates_ipv6("x"), "b2", "the last usable answer of that family");
    assert_eq!(scene.candidates("x"), "a1 a2");
}

/// Home `a` has IPv4 alone; `b`, `c` and `d` have one server of each family.
fn scene_with_a_lacking_ipv6() -> Scene {
    let mut scene = Scene::new(
        &[("a", 2), ("b", 2), ("c", 2), ("d", 2)],
        &[("x", "a"), ("y", "b"), ("world", "")],
    );
    scene.ipv6_only("b2").ipv6_only("c2").ipv6_only("d2");
    scene.load("a", 0.1).load("b", 0.5).load("c", 0.3).load("d", 0.4);
    scene
}

#[test]
fn walrus_answers_a_lacking_family_from_the_next_in_its_ranking_and_stays_there() {
    let mut scene = scene_with_a_lacking_ipv6();
    scene.round();
    assert_eq!((scene.at("x"), scene.candidates("x")), ("a".into(), "a1 a2".into()));
    assert_eq!(scene.candidates_ipv6("x"), "c2", "most to spare");
    assert_eq!(scene.candidates_ipv6("y"), "b1 b2", "home has it");
    let lists = scene.decision.lists.len();
    scene.load("c", 0.7);
    assert_eq!(scene.round().candidates_ipv6("x"), "c2", "d is better now, not by enough");
    assert_eq!(scene.decision.lists.len(), lists);
    scene.load("c2", 0.9);
    assert_eq!(scene.event().candidates_ipv6("x"), "d2", "above the threshold");
    scene.life("d2", Life::Dead);
    assert_eq!(scene.event().candidates_ipv6("x"), "b2");
    scene.life("b2", Life::Drained);
    assert_eq!(scene.event().candidates_ipv6("x"), "c2", "rather too busy than drained");
    assert_eq!(scene.at("x"), "a", "none of this moves the area");
    scene.ipv6_only("a2").load("b2", 0.1);
    assert_eq!(scene.round().candidates_ipv6("x"), "a1 a2", "home has it");
}

#[test]
fn failover_answers_a_lacking_family_from_the_next_in_its_order_however_busy() {
    let mut scene = scene_with_a_lacking_ipv6();
    scene.service().assign = AssignPolicy::Failover;
    scene.load("b2", 0.95);
    assert_eq!(scene.round().candidates_ipv6("x"), "b2");
    scene.life("b2", Life::Dead);
    assert_eq!(scene.event().candidates_ipv6("x"), "c2");
    scene.load("b2", 0.1);
    assert_eq!(scene.event().candidates_ipv6("x"), "b2", "back to the first in order");
}

#[test]
fn all_answers_a_lacking_family_from_every_cluster() {
    let mut scene = scene_with_a_lacking_ipv6();
    scene.service().assign = AssignPolicy::All;
    for server in ["b2", "c2", "d2"] {
        scene.life(server, Life::Drained);
    }
    assert_eq!(scene.round().candidates_ipv6("x"), "b2 c2 d2");
}

#[test]
fn who_answers_for_a_lacking_family_is_told_from_the_plan() {
    let mut scene = scene_with_a_lacking_ipv6();
    let plan = scene.round().plan();
    let of = |area: &str| plan.services[0].areas.iter().find(|it| it.area.as_str() == area);
    let why = |area: &str| {
        let area = of(area).unwrap();
        why_elsewhere(&plan, area, area.ipv6.unwrap(), "IPv6 address")
    };
    assert_eq!(why("x").unwrap(), "a has no IPv6 address to give out: next in order, c");
    assert_eq!(why("y"), None);
}

#[test]
fn a_family_that_nobody_ever_had_alive_is_answered_from_the_configuration() {
    let mut scene = Scene::new(&[("a", 2), ("b", 2)], &[("x", "a"), ("world", "")]);
    scene.ipv6_only("a2").ipv6_only("b2").life("a2", Life::Dead).life("b2", Life::Dead);
    assert_eq!(scene.round().candidates_ipv6("x"), "a2");
    assert_eq!(scene.candidates_ipv6("world"), "a2 b2");
}
