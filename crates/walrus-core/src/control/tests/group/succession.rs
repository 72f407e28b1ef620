//! Who is master when: start, death, return, partition, asymmetry, standstill, two of one name.

use std::collections::BTreeSet;

use super::*;
use crate::plan::Plan;

/// Clusters of every area, as clients see them.
fn pointing(plan: &Plan) -> Vec<String> {
    let areas = plan.services.iter().flat_map(|service| &service.areas);
    areas.map(|area| format!("{}: {:?} {:?}", area.area, area.clusters, area.ipv4)).collect()
}

/// Three that have run for a while: `a` is master.
fn three() -> Network {
    let mut network = Network::new(3);
    network.pass(20_000);
    assert_eq!(network.masters(), "a");
    assert!(network.agree());
    network
}

#[test]
fn the_first_to_join_is_master_and_all_others_follow_its_plans() {
    let mut network = Network::new(3);
    let mut masters = BTreeSet::new();
    for _ in 0..200 {
        network.pass(50);
        masters.insert(network.masters());
    }
    assert_eq!(masters, BTreeSet::from([String::new(), "a".to_owned()]));
    let joined = |number| network.group(number).joined;
    assert_eq!([joined(0), joined(1), joined(2)], [Some(1), Some(2), Some(3)]);
    assert!(network.agree());
    assert_eq!(network.number(2).unwrap().controller.as_str(), "a");
    let status = network.group(1);
    assert_eq!(status.master.as_ref().map(|it| it.as_str()), Some("a"));
    assert_eq!(status.side.len(), 3);
    assert_eq!(status.peers.len(), 2);
    assert!(status.peers.iter().all(|peer| peer.heard && peer.hears_this && peer.same_overrides));
    assert_eq!((status.is_master, status.cut_off, status.twin), (false, false, None));
}

#[test]
fn one_that_is_alone_joins_after_a_detection_time() {
    let mut network = Network::new(1);
    let passed = network.until(4000, |it| it.masters() == "a");
    assert!((2400..=2700).contains(&passed), "{passed}");
    network.pass(100);
    assert_eq!(network.number(0).unwrap().to_string(), "1/a/1");
}

#[test]
fn after_the_masters_death_the_next_is_master_within_detection_and_a_heartbeat() {
    for stop in [Stop::Crash, Stop::Lose] {
        let mut network = three();
        let epoch = network.number(1).unwrap().epoch;
        network.stop(0, stop);
        let passed = network.until(4000, |it| it.masters() == "b");
        assert!(passed >= 2000, "nobody is given up for a heartbeat that is late: {passed}");
        network.pass(500);
        assert_eq!(network.number(1).unwrap().epoch, epoch + 1);
        assert!(network.agree());
        network.stop(1, stop);
        network.until(4000, |it| it.masters() == "c");
        network.pass(500);
        assert_eq!(network.number(2).unwrap().to_string(), format!("{}/c/1", epoch + 2));
    }
}

#[test]
fn taking_over_moves_nobody_without_need() {
    let mut network = Network::new(3);
    network.pass(12_000);
    // The whole of `europe` dies and comes back, and its area is on its way home from `asia`.
    let europe = ["europe1", "europe2"].map(super::super::harness::name);
    network.dead.extend(europe.clone());
    network.pass(5000);
    for server in &europe {
        network.dead.remove(server);
    }
    network.pass(1500);
    let before = network.nodes[1].taken.last().unwrap().1.clone();
    let west = |plan: &Plan| {
        let areas = &plan.services[0].areas;
        areas.iter().find(|it| it.area.as_str() == "west").unwrap().clusters[0].0.clone()
    };
    assert_eq!(west(&before).as_str(), "asia", "no round has brought it home yet");
    network.stop(0, Stop::Crash);
    network.until(4000, |it| it.masters() == "b");
    network.pass(100);
    let first = network.nodes[1].taken.iter().find(|(_, it)| it.number.epoch > before.number.epoch);
    assert_eq!(pointing(&first.unwrap().1), pointing(&before));
    network.pass(20_000);
    assert_eq!(west(&network.nodes[2].taken.last().unwrap().1).as_str(), "europe", "rounds go on");
}

#[test]
fn who_returns_joins_anew_and_is_not_master() {
    for stop in [Stop::Crash, Stop::Lose] {
        let mut network = three();
        network.stop(0, stop);
        network.pass(10_000);
        network.start(0);
        let mut masters = BTreeSet::new();
        for _ in 0..200 {
            network.pass(50);
            masters.insert(network.masters());
        }
        assert_eq!(masters, BTreeSet::from(["b".to_owned()]));
        assert_eq!(network.group(0).joined, Some(4));
        assert!(network.agree());
    }
}

#[test]
fn a_restart_within_the_detection_time_leaves_one_master() {
    let mut network = three();
    network.stop(0, Stop::Crash);
    network.pass(500);
    network.start(0);
    network.pass(10_000);
    assert_eq!(network.masters(), "b");
    assert!(network.agree());
}

#[test]
fn each_side_has_a_master_and_after_the_merge_there_is_one() {
    let mut network = three();
    network.split(&[&[0], &[1, 2]]);
    network.until(4000, |it| it.masters() == "ab");
    network.pass(30_000);
    assert_eq!(network.masters(), "ab");
    assert_eq!(network.group(1).side.len(), 2);
    assert_eq!(network.number(2).unwrap().controller.as_str(), "b");
    network.heal();
    network.until(2000, |it| it.masters() == "a");
    network.until(3000, Network::agree);
    for node in &network.nodes {
        assert!(node.taken.windows(2).all(|pair| pair[0].1.number < pair[1].1.number));
    }
    network.pass(30_000);
    assert_eq!(network.masters(), "a");
}

#[test]
fn two_that_do_not_hear_each_other_have_the_master_that_a_third_hears() {
    let mut network = three();
    network.cut(0, 1);
    network.cut(1, 0);
    for _ in 0..200 {
        network.pass(100);
        assert_eq!(network.masters(), "a");
    }
    // Plans reach b all the same: c passes on what b asks for.
    network.dead.insert(super::super::harness::name("asia1"));
    network.pass(10_000);
    assert!(network.agree());
    network.stop(0, Stop::Crash);
    network.until(5000, |it| it.masters() == "b");
    network.until(1000, Network::agree);
}

#[test]
fn who_is_heard_by_nobody_is_a_standby_and_who_hears_nobody_is_still_master() {
    let mut network = three();
    network.cut(0, 1);
    network.cut(0, 2);
    network.until(8000, |it| it.masters() == "b");
    network.pass(20_000);
    assert_eq!(network.masters(), "b");
    assert!(network.agree(), "a follows the Plans that it hears");
    network.heal();
    network.until(3000, |it| it.masters() == "a");
    network.cut(1, 0);
    network.cut(2, 0);
    network.pass(20_000);
    assert_eq!(network.masters(), "a");
    assert!(network.agree());
}

#[test]
fn one_that_hears_no_server_is_not_master_while_another_does() {
    let mut network = three();
    network.hide(0, &["asia1", "asia2", "europe1", "europe2"]);
    network.until(5000, |it| it.masters() == "b");
    network.until(1000, Network::agree);
    network.heal();
    network.until(10_000, |it| it.masters() == "a");
    network.until(1000, Network::agree);
}

#[test]
fn a_process_that_stood_still_gives_nobody_up() {
    let mut network = three();
    // Nothing reaches or leaves b for a while, and then it is told that it stood still itself.
    network.split(&[&[1], &[0, 2]]);
    network.pass(2500);
    network.heal();
    let now = network.now + std::time::Duration::from_millis(600);
    network.controller(1).stood_still(now);
    for _ in 0..100 {
        network.pass(50);
        assert_eq!(network.masters(), "a");
    }
}

#[test]
fn of_two_with_one_name_the_one_that_started_last_goes_on() {
    let mut network = three();
    // The third is given the first one's name.
    network.stop(2, Stop::Lose);
    network.nodes[2].name = super::super::harness::name("a");
    network.start_as(2, 1000);
    network.pass(10_000);
    assert_eq!(network.masters(), "b", "b hears the later one only, which joined after it");
    let [one, _, two] = [0, 1, 2].map(|number| network.group(number));
    let (one, two) = (one.twin.unwrap(), two.twin.unwrap());
    assert!(one.contains("that one goes on, and this one is a standby"), "{one}");
    assert!(two.contains("this one goes on; give one of them another name"), "{two}");
    for number in [0, 2] {
        let warnings = &network.nodes[number].warnings;
        let told = warnings.iter().filter(|line| line.contains("is called a")).count();
        assert_eq!(told, 1, "{warnings:?}");
    }
    // The later one ends: the other is heard again.
    network.stop(2, Stop::Crash);
    network.pass(15_000);
    assert_eq!(network.group(0).twin, None);
    assert_eq!(network.masters(), "a");
    assert!(network.agree());
}

#[test]
fn only_the_master_tells_people_and_a_new_one_what_the_old_one_took_with_it() {
    let mut network = three();
    let dead = |network: &mut Network| {
        let all = ["asia1", "asia2", "europe1", "europe2"].map(super::super::harness::name);
        network.dead.extend(all);
    };
    dead(&mut network);
    network.pass(5000);
    let told =
        |network: &Network| network.nodes.iter().map(|it| it.notices.len()).collect::<Vec<_>>();
    assert_eq!(told(&network)[1..], [0, 0], "standbys say nothing");
    assert_eq!(told(&network)[0], 1, "nobody functions");
    let mut network = three();
    dead(&mut network);
    network.stop(0, Stop::Crash);
    network.pass(6000);
    assert_eq!(network.masters(), "b");
    assert_eq!(told(&network), [0, 1, 0]);
}

#[test]
fn a_join_number_or_epoch_beyond_all_reason_is_refused() {
    use crate::control::{Input, Refusal};
    use crate::message::{Heard, Presence};
    use crate::plan::PlanNumber;
    let mut network = three();
    let (now, peer) = (network.now, super::super::harness::name("x"));
    let sound = Presence { joined: 9, hears: true, ..Presence::default() };
    let heard =
        Heard { name: peer.clone(), session: Some(1), joined: u64::MAX, hears: true, mute: false };
    let number = PlanNumber { epoch: u64::MAX, controller: peer.clone(), sequence: 1 };
    for (presence, refusal) in [
        (Presence { joined: 1 << 62, ..sound.clone() }, Refusal::JoinNumber(1 << 62)),
        (Presence { heard: vec![heard.clone()], ..sound.clone() }, Refusal::JoinNumber(u64::MAX)),
        (
            Presence { heard: vec![Heard { joined: 1, ..heard }; 65], ..sound.clone() },
            Refusal::TooManyControllers,
        ),
        (Presence { plan: Some(number), ..sound.clone() }, Refusal::Epoch(u64::MAX)),
    ] {
        let input = Input::Presence { name: peer.clone(), session: 1, presence };
        assert_eq!(network.controller(1).handle(now, input), Err(refusal));
    }
    let mut alone = super::super::harness::Harness::new(super::super::harness::TWO_CLUSTERS);
    let input = Input::Presence { name: peer, session: 1, presence: sound };
    assert_eq!(alone.input(input), Err(Refusal::NoGroup));
}

#[test]
fn nobody_drives_join_numbers_out_of_what_is_believed() {
    use crate::control::Input;
    use crate::message::Presence;
    let mut network = three();
    let now = network.now;
    let presence = Presence { joined: (1 << 62) - 1, hears: true, ..Presence::default() };
    for node in 0..3 {
        let name = super::super::harness::name("x");
        let input = Input::Presence { name, session: 1, presence: presence.clone() };
        network.controller(node).handle(now, input).unwrap();
    }
    for node in [1, 2] {
        network.stop(node, Stop::Crash);
        network.start(node);
    }
    network.pass(20_000);
    assert_eq!((network.masters().as_str(), network.group(2).joined), ("a", Some((1 << 62) - 1)));
    // Both joined alike: the name tells them apart.
    network.stop(0, Stop::Crash);
    network.until(6000, |it| it.masters() == "b");
}

#[test]
fn a_master_that_ends_in_good_order_is_followed_at_once() {
    let mut network = three();
    let plan = network.number(1).unwrap();
    let now = network.now;
    network.controller(0).leave(now);
    network.drain();
    network.stop(0, Stop::Crash);
    let passed = network.until(1000, |it| it.masters() == "b");
    assert!(passed <= 300, "{passed}");
    let passed = network.until(1000, |it| it.number(2).is_some_and(|it| it > plan));
    assert!(passed <= 300, "{passed}");
    assert_eq!(network.masters(), "b");
    let gone = network.group(1).peers.into_iter().find(|it| it.name.as_str() == "a").unwrap();
    assert!(!gone.heard);
    network.start(0);
    network.pass(10_000);
    assert_eq!(network.masters(), "b", "it joins anew");
    assert_eq!(network.group(1).side.len(), 3);
}

#[test]
fn a_goodbye_that_one_standby_does_not_hear_makes_one_master_and_not_two() {
    for offset in 0..40 {
        let mut network = three();
        // A long way: what c says of a comes to b when b has almost forgotten that a said goodbye.
        network.delay = std::time::Duration::from_millis(300);
        network.pass(5000 + offset * 25);
        let now = network.now;
        // c does not hear the end of a.
        network.cut(0, 2);
        network.controller(0).leave(now);
        network.drain();
        network.stop(0, Stop::Crash);
        network.until(1000, |it| it.masters() == "b");
        let epoch = network.number(1).unwrap().epoch;
        network.pass(12_000);
        assert_eq!(network.number(1).unwrap().epoch, epoch, "after {offset} times 25 ms");
        assert_eq!(network.masters(), "b");
    }
}

#[test]
fn who_has_said_that_it_ends_says_and_decides_nothing_more() {
    let mut network = three();
    let (now, taken) = (network.now, network.nodes[0].taken.len());
    network.controller(0).leave(now);
    network.drain();
    network.pass(20_000);
    assert_eq!(network.masters(), "b");
    let own =
        network.nodes[0].taken[taken..].iter().map(|(_, plan)| plan.number.controller.as_str());
    assert!(own.clone().all(|controller| controller == "b"), "{:?}", own.collect::<Vec<_>>());
    let heard = |number| network.group(number).peers.iter().filter(|it| it.heard).count();
    assert_eq!((heard(1), heard(2)), (1, 1));
}

#[test]
fn two_one_way_cuts_leave_somebody_master() {
    let mut network = three();
    // a does not hear c, b does not hear a: a is heard by nobody whom it hears.
    network.cut(2, 0);
    network.cut(0, 1);
    network.until(8000, |it| it.masters() == "b");
    network.pass(20_000);
    assert_eq!(network.masters(), "b");
    assert_eq!(network.controller(2).master().unwrap().as_str(), "b");
    network.heal();
    network.pass(15_000);
    assert_eq!(network.masters(), "a");
}

#[test]
fn a_standby_is_ahead_with_the_plan_of_its_master() {
    use super::super::harness::{TWO_CLUSTERS, configuration, digests};
    let mut network = three();
    network.hide(1, &["asia1", "asia2"]);
    network.pass(10_000);
    let (now, same) = (network.now, network.configuration.clone());
    let held = network.nodes[1].taken.last().unwrap().1.clone();
    let standby = network.controller(1);
    let ahead = standby.plan_ahead(now, same.clone(), digests(&same));
    assert_eq!(ahead, *held, "one number names one Plan, whatever the standby sees");
    let other = configuration(&TWO_CLUSTERS.replace("round = \"10s\"", "round = \"11s\""));
    let ahead = standby.plan_ahead(now, other.clone(), digests(&other));
    assert_eq!((&ahead.number, &ahead.digests), (&held.number, &digests(&other)));
}
