//! What a dead Controller said is said again to one that has started since.

use super::*;
use crate::control::Input;
use crate::message::{Message, decode_envelope};
use crate::world::{OverrideState, Target};

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

#[test]
fn nobody_tells_a_dead_one_of_drains() {
    let mut network = survivor();
    network.pass(8000);
    let target = Target::Server(super::super::harness::name("asia1"));
    let state = OverrideState::Drained;
    let input = Input::SetOverride { target, state, force: true, unix_ms: 0, by: None };
    let now = network.now;
    network.controller(1).handle(now, input).unwrap();
    network.pass(1000);
    network.taped = Some(1);
    let recorded = network.tape.len();
    (0..60).for_each(|_| drop(haunt(&mut network)));
    let said = network.tape[recorded - 60..].iter().map(|it| decode_envelope(it).unwrap().message);
    let messages: Vec<Message> = said.collect();
    assert!(messages.len() > 20, "it speaks");
    assert!(!messages.iter().any(|it| matches!(it, Message::Overrides { .. })));
}

#[test]
fn who_stood_still_while_its_first_word_was_answered_is_no_master() {
    let mut network = Network::new(2);
    network.pass(8000);
    network.stop(1, Stop::Crash);
    network.pass(4000);
    network.start(1);
    network.until(4000, |it| it.group(1).joined.is_some());
    assert_eq!(network.masters(), "a");
    // It has not heard yet that it is heard.
    let later = network.now + std::time::Duration::from_secs(4);
    let controller = network.controller(1);
    controller.stood_still(later);
    while controller.poll(later).is_some() {}
    assert!(!controller.is_master());
}
