//! A Controller that is cut off from all others and from most servers.

use super::super::harness::{TWO_CLUSTERS, name};
use super::*;
use crate::plan::Plan;
use crate::world::Life;

/// Twice as many servers in `europe` as in `asia`.
fn lopsided() -> String {
    let more = "{ name = \"europe2\", addresses = [\"198.51.100.2\"] },\n  \
                { name = \"europe3\", addresses = [\"198.51.100.3\"] },\n  \
                { name = \"europe4\", addresses = [\"198.51.100.4\"] },";
    TWO_CLUSTERS.replace("{ name = \"europe2\", addresses = [\"198.51.100.2\"] },", more)
}

const EUROPE: [&str; 4] = ["europe1", "europe2", "europe3", "europe4"];
const ASIA: [&str; 2] = ["asia1", "asia2"];

fn plan(network: &Network, number: usize) -> &Plan {
    &network.nodes[number].taken.last().unwrap().1
}

fn lives(network: &Network, number: usize, servers: &[&str]) -> Vec<Life> {
    let servers = servers.iter().map(|server| {
        let plan = plan(network, number);
        plan.servers.iter().find(|it| it.name.as_str() == *server).unwrap().life
    });
    servers.collect()
}

/// Where an area's clients of a service go.
fn candidates(plan: &Plan, service: &str, area: &str) -> Vec<String> {
    let service = plan.services.iter().find(|it| it.name.starts_with(service)).unwrap();
    let area = service.areas.iter().find(|it| it.area.as_str() == area).unwrap();
    let list = &plan.lists[area.ipv4.unwrap() as usize];
    let candidates = list.groups.iter().flat_map(|group| &group.candidates);
    candidates.map(|it| plan.servers[it.server as usize].name.to_string()).collect()
}

/// `a` stands in `asia`, and loses all others; `far` is served from `europe` alone.
fn cut_off() -> Network {
    let far = "[[service]]\nname = \"far.example.com\"\nttl = \"5s\"\nclusters = [\"europe\"]\n";
    let mut network = Network::with(&(lopsided() + far), 3);
    network.pass(20_000);
    network.split(&[&[0], &[1, 2]]);
    network.hide(0, &EUROPE);
    network.hide(1, &ASIA);
    network.hide(2, &ASIA);
    network.pass(10_000);
    network
}

#[test]
fn the_unseen_are_unknown_on_the_side_that_lost_most_and_dead_on_the_other() {
    let network = cut_off();
    assert_eq!(network.masters(), "ab");
    assert!(network.group(0).cut_off && !network.group(1).cut_off);
    assert_eq!(lives(&network, 0, &EUROPE), [Life::Unknown; 4]);
    assert_eq!(lives(&network, 0, &ASIA), [Life::Living; 2]);
    assert_eq!(lives(&network, 1, &ASIA), [Life::Dead; 2]);
    // Whoever is seen and lives serves; who is unknown where nobody is seen.
    for area in ["east", "west", "world"] {
        assert_eq!(candidates(plan(&network, 0), "www", area), ASIA, "{area}");
        assert_eq!(candidates(plan(&network, 1), "www", area), EUROPE, "{area}");
        assert_eq!(candidates(plan(&network, 0), "far", area), EUROPE, "{area}");
    }
}

#[test]
fn who_died_before_stays_dead_and_who_drains_stays_drained() {
    let mut network = Network::with(&lopsided(), 2);
    network.pass(20_000);
    network.dead.insert(name("europe1"));
    network.pass(10_000);
    network.split(&[&[0], &[1]]);
    network.hide(0, &EUROPE);
    network.pass(10_000);
    // Three of six are no more than half: they are dead.
    assert!(!network.group(0).cut_off);
    assert_eq!(lives(&network, 0, &EUROPE), [Life::Dead; 4]);
    network.hide(0, &["asia2"]);
    network.pass(5000);
    assert!(network.group(0).cut_off);
    let unknown = Life::Unknown;
    assert_eq!(lives(&network, 0, &EUROPE), [Life::Dead, unknown, unknown, unknown]);
    assert_eq!(lives(&network, 0, &ASIA), [Life::Living, unknown]);
}

#[test]
fn one_that_never_had_peers_is_not_cut_off() {
    let mut network = Network::with(&lopsided(), 1);
    network.pass(20_000);
    network.hide(0, &EUROPE);
    network.pass(10_000);
    assert!(!network.group(0).cut_off);
    assert_eq!(lives(&network, 0, &EUROPE), [Life::Dead; 4]);
}

#[test]
fn one_that_restarts_while_cut_off_knows_that_it_had_peers() {
    let mut network = Network::with(&lopsided(), 2);
    network.pass(20_000);
    network.stop(0, Stop::Crash);
    network.pass(8000);
    network.start(0);
    network.pass(8000);
    assert_eq!(network.masters(), "b");
    network.split(&[&[0], &[1]]);
    network.hide(0, &EUROPE);
    network.stop(0, Stop::Crash);
    network.pass(1000);
    network.start(0);
    network.pass(40_000);
    assert!(network.group(0).cut_off);
    assert_eq!(lives(&network, 0, &EUROPE), [Life::Unknown; 4]);
}

#[test]
fn after_the_merge_who_knows_more_is_master_until_all_is_known_and_nobody_moves_for_it() {
    let mut network = cut_off();
    let before = plan(&network, 1).clone();
    network.join();
    network.until(2000, |it| it.masters() == "b");
    assert!(!network.group(0).hears && !network.group(0).cut_off);
    network.heal();
    network.until(2000, Network::agree);
    network.until(10_000, |it| it.masters() == "a");
    network.until(2000, Network::agree);
    assert!(!network.group(0).cut_off);
    for (_, plan) in network.nodes[2].taken.iter().filter(|(_, it)| it.number > before.number) {
        let west = candidates(plan, "www", "west");
        assert!(EUROPE.iter().all(|server| west.contains(&(*server).to_owned())), "{west:?}");
    }
    network.pass(30_000);
    assert_eq!(lives(&network, 2, &EUROPE), [Life::Living; 4]);
    assert_eq!(network.masters(), "a");
}

#[test]
fn who_is_not_heard_after_the_merge_is_dead_after_its_detection_time() {
    let mut network = cut_off();
    network.dead.insert(name("europe4"));
    network.heal();
    network.pass(20_000);
    assert!(network.agree());
    assert_eq!(lives(&network, 0, &["europe3", "europe4"]), [Life::Living, Life::Dead]);
}
