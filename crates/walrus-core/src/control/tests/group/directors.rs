//! Name servers that fall silent.

use super::super::harness::name;
use super::*;
use crate::control::Input;
use crate::world::{OverrideState, Target};

#[test]
fn a_director_that_falls_silent_is_told_of_once_and_again_when_it_is_back() {
    let mut network = Network::new(2);
    network.pass(10_000);
    let hello = |network: &mut Network| {
        let (now, director) = (network.now, name("ns1"));
        let hello = Input::DirectorHello { director, plan: None, refused: None, marks: None };
        network.controller(0).handle(now, hello).unwrap();
    };
    let silent = |network: &Network| -> Vec<(String, bool)> {
        let controller = network.nodes[0].controller.as_ref().unwrap();
        let directors = controller.status(network.now, 0).directors.into_iter();
        directors.map(|it| (it.name.to_string(), it.is_silent)).collect()
    };
    let told = |network: &Network| {
        let lines = network.nodes[0].warnings.iter().filter(|line| line.contains("Director"));
        lines.cloned().collect::<Vec<_>>()
    };
    for _ in 0..5 {
        hello(&mut network);
        network.pass(1000);
    }
    assert_eq!(silent(&network), [("a".to_owned(), false), ("ns1".to_owned(), false)]);
    network.pass(4500);
    assert_eq!(told(&network), Vec::<String>::new());
    network.pass(3000);
    assert_eq!(silent(&network)[1], ("ns1".to_owned(), true));
    network.pass(60_000);
    hello(&mut network);
    network.pass(1100);
    assert_eq!(told(&network), ["Director ns1 is heard no longer", "Director ns1 is heard again"]);
    assert!(!silent(&network)[1].1);
}

#[test]
fn a_director_that_dies_with_its_cluster_does_not_keep_a_move_open() {
    let mut network = Network::new(2);
    network.pass(20_000);
    let (master, old) = (0, network.number(0));
    let hello = |network: &mut Network, director: &str| {
        let (now, plan) = (network.now, network.number(master));
        let hello =
            Input::DirectorHello { director: name(director), plan, refused: None, marks: None };
        network.controller(master).handle(now, hello).unwrap();
    };
    let newest = |network: &Network| {
        let controller = network.nodes[master].controller.as_ref().unwrap();
        controller.status(network.now, 0).moves.into_iter().next().unwrap()
    };
    ["ns1", "ns2"].iter().for_each(|director| hello(&mut network, director));
    let (now, target) = (network.now, Target::Cluster(name("asia")));
    let drain = Input::SetOverride {
        target,
        state: OverrideState::Drained,
        force: true,
        unix_ms: 0,
        by: None,
    };
    network.controller(master).handle(now, drain).unwrap();
    network.drain();
    network.until(3000, |it| it.number(master) != old);
    for _ in 0..3 {
        hello(&mut network, "ns1");
        network.pass(1000);
    }
    let told = newest(&network);
    assert_eq!((told.behind.len(), told.expected_95_ms), (1, None), "{told:?}");
    for _ in 0..12 {
        hello(&mut network, "ns1");
        network.pass(1000);
    }
    let told = newest(&network);
    assert_eq!((told.behind.len(), told.unheard.len()), (0, 1), "{told:?}");
    assert_eq!(told.unheard[0].name, "ns2");
    // Who is heard of has had the new answers for longer than the TTL.
    assert_eq!(told.still_by_ttl, 0.0, "{told:?}");
    assert!(told.until_ms.is_some(), "{told:?}");
}
