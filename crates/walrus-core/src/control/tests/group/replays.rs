//! What a dead Controller said is said again to one that has started since.

use super::*;

/// `b`, which was started anew after `a` died; all that `a` said in two minutes is on the tape.
fn survivor() -> Network {
    let mut network = Network::new(2);
    network.taped = Some(0);
    network.pass(120_000);
    assert_eq!(network.masters(), "a");
    network.stop(0, Stop::Crash);
    network.taped = None;
    network.until(4000, |it| it.masters() == "b");
    network.stop(1, Stop::Crash);
    network.start(1);
    network
}

/// Half a second with one more word of the dead; who is master after it.
fn haunt(network: &mut Network) -> String {
    assert!(!network.tape.is_empty(), "the tape is long enough");
    network.replay(1);
    network.pass(500);
    network.masters()
}

#[test]
fn a_dead_master_whose_words_are_said_again_is_deferred_to_for_no_longer_than_two_detection_times()
{
    let mut network = survivor();
    let masters: Vec<String> = (0..60).map(|_| haunt(&mut network)).collect();
    assert!(masters[13..].iter().all(|it| it == "b"), "{masters:?}");
    let group = network.group(1);
    assert!(group.peers[0].unproved && group.side.len() == 1, "{group:?}");
    let told = network.nodes[1].warnings.iter().filter(|it| it.contains("counts for nothing"));
    assert_eq!(told.count(), 1, "{:?}", network.nodes[1].warnings);
}

#[test]
fn a_master_does_not_step_down_for_one_that_is_dead() {
    let mut network = survivor();
    network.pass(8000);
    let number = network.number(1);
    assert!((0..60).all(|_| haunt(&mut network) == "b"));
    assert_eq!(network.number(1).map(|it| it.epoch), number.map(|it| it.epoch));
    // The living one is believed at once, whatever was said in its name.
    network.start(0);
    network.until(4000, |it| it.group(1).side.len() == 2);
    network.pass(2000);
    assert_eq!(network.masters(), "b", "it joined anew");
}
