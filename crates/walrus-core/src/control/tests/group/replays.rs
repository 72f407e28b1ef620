//! What a dead Controller said is said again to one that has started since.

use super::*;

#[test]
fn people_are_told_of_a_dead_controller_whose_words_are_said_again() {
    let mut network = Network::new(2);
    network.taped = Some(0);
    network.pass(120_000);
    assert_eq!(network.masters(), "a");
    network.stop(0, Stop::Crash);
    network.taped = None;
    network.until(4000, |it| it.masters() == "b");
    network.stop(1, Stop::Crash);
    network.start(1);
    // Half a second with one more word of the dead, again and again.
    for _ in 0..60 {
        assert!(!network.tape.is_empty(), "the tape is long enough");
        network.replay(1);
        network.pass(500);
    }
    let group = network.group(1);
    assert!(group.peers[0].unproved, "{group:?}");
    let told =
        network.nodes[1].warnings.iter().filter(|line| line.contains("does not say that it hears"));
    assert_eq!(told.count(), 1, "{:?}", network.nodes[1].warnings);
    // It is deferred to until it ends, like one of whom only one direction works.
    network.until(10_000, |it| it.masters() == "b");
    // The living one is known by what it says of this one.
    network.start(0);
    network.until(6000, |it| it.group(1).side.len() == 2);
    network.pass(2000);
    assert!(!network.group(1).peers[0].unproved);
    assert_eq!(network.masters(), "b", "it joined anew");
}

#[test]
fn who_is_not_heard_tells_of_it_and_of_its_end() {
    let mut network = Network::new(2);
    network.pass(10_000);
    network.stop(1, Stop::Crash);
    network.cut(1, 0);
    network.start(1);
    network.pass(10_000);
    let told = |network: &Network, what: &str| {
        network.nodes[1].warnings.iter().filter(|line| line.contains(what)).count()
    };
    assert_eq!(told(&network, "a is heard, but does not say that it hears this one"), 1);
    network.heal();
    network.pass(3000);
    assert_eq!(told(&network, "a says that it hears this one"), 1);
    assert!(!network.group(1).peers[0].unproved);
}

#[test]
fn programs_that_name_no_sessions_are_taken_at_their_word() {
    let mut network = Network::new(2);
    network.forgets_sessions = true;
    network.pass(30_000);
    assert_eq!(network.masters(), "a");
    for of in 0..2 {
        assert!(!network.group(of).peers[0].unproved && network.group(of).side.len() == 2);
    }
}
