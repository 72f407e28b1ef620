//! Whatever breaks, in whatever order: when it is over there is one master, and numbers only rose.

use super::*;
use crate::control::Controller;

/// A few of them here: `walrus sim faults` has thousands, and more that may break.
const SEEDS: u64 = 36;

/// Breaks something, by chance.
fn strike(network: &mut Network, nodes: usize) {
    let node = |network: &mut Network| network.random(nodes as u64) as usize;
    match network.random(8) {
        0 => {
            let one = node(network);
            let how = if network.random(3) == 0 { Stop::Lose } else { Stop::Crash };
            network.stop(one, how);
        }
        1 | 2 => {
            let one = node(network);
            if network.nodes[one].controller.is_none() {
                network.start(one);
            }
        }
        3 => {
            let (one, two) = (node(network), node(network));
            network.cut(one, two);
        }
        4 => {
            let at = 1 + network.random(nodes as u64 - 1) as usize;
            let all: Vec<usize> = (0..nodes).collect();
            let (left, right) = all.split_at(at);
            network.split(&[left, right]);
        }
        5 => network.heal(),
        6 => {
            let one = node(network);
            network.hide(one, &["asia1", "asia2", "europe1"]);
        }
        _ => {
            let server = ["asia1", "asia2", "europe1", "europe2"][network.random(4) as usize];
            let server = super::super::harness::name(server);
            if !network.dead.remove(&server) {
                network.dead.insert(server);
            }
        }
    }
}

#[test]
fn when_all_is_well_again_there_is_one_master_and_numbers_only_rose() {
    for seed in 0..SEEDS {
        let nodes = 2 + (seed % 3) as usize;
        let mut network = Network::new(nodes);
        network.seed(seed);
        network.faults = [0, 10, 30][(seed / 3 % 3) as usize];
        if seed % 4 == 3 {
            network.outdated.insert((seed / 4) as usize % nodes);
        }
        network.pass(8000);
        for _ in 0..12 {
            strike(&mut network, nodes);
            let pause = 100 + network.random(6000);
            network.pass(pause);
        }
        network.heal();
        network.dead.clear();
        network.faults = 0;
        for number in 0..nodes {
            if network.nodes[number].controller.is_none() {
                network.start(number);
            }
        }
        network.pass(25_000);
        assert_eq!(network.masters().len(), 1, "seed {seed}: {}", network.masters());
        let numbers: Vec<_> = (0..nodes).map(|number| network.number(number)).collect();
        assert!(network.agree(), "seed {seed}: {numbers:?}");
        let master = network.nodes[0].controller.as_ref().and_then(Controller::master).cloned();
        for node in &network.nodes {
            let controller = node.controller.as_ref().unwrap();
            assert_eq!(controller.master(), master.as_ref(), "seed {seed}: {}", node.name);
            let mut numbers = node.taken.windows(2).map(|it| (&it[0].1.number, &it[1].1.number));
            assert!(numbers.all(|(one, next)| one < next), "seed {seed}: {}", node.name);
        }
    }
}
