//! Nodes are upgraded one after the other: some name no sessions of those that they hear.

use super::*;

/// Half a minute in which nobody else takes itself for master, and no epoch begins.
fn is_calm(network: &mut Network, master: &str) {
    network.until(6000, |it| it.masters() == master && it.agree());
    let epoch = network.number(0).map(|number| number.epoch);
    for _ in 0..60 {
        network.pass(500);
        assert_eq!(network.masters(), master);
        let epochs = (0..network.nodes.len()).map(|it| network.number(it).map(|it| it.epoch));
        assert!(epochs.into_iter().all(|it| it == epoch), "there is a contest");
    }
    let doubts = |it: usize| network.group(it).peers.iter().any(|peer| peer.unproved);
    assert!(!(0..network.nodes.len()).any(doubts));
}

#[test]
fn a_group_whose_nodes_are_upgraded_one_after_the_other_has_one_master_all_the_time() {
    let mut network = Network::new(3);
    network.outdated.extend([0, 1, 2]);
    is_calm(&mut network, "a");
    // The standbys first, then the master.
    for (upgraded, master) in [(2, "a"), (1, "a"), (0, "c")] {
        network.stop(upgraded, Stop::Crash);
        network.outdated.remove(&upgraded);
        network.pass(4000);
        network.start(upgraded);
        is_calm(&mut network, master);
    }
}

#[test]
fn one_that_is_put_back_to_the_program_before_is_believed() {
    let mut network = Network::new(2);
    is_calm(&mut network, "a");
    network.stop(1, Stop::Crash);
    network.outdated.insert(1);
    network.start(1);
    is_calm(&mut network, "a");
    network.stop(0, Stop::Crash);
    network.until(4000, |it| it.masters() == "b");
    network.start(0);
    is_calm(&mut network, "b");
}
