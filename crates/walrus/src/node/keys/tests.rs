//! Keys of a node whose clock is set while they wait, and whose name server refuses them.

use std::path::Path;

use walrus_core::dnssec::CONFIRM;
use walrus_host::clock::ManualClock;

use super::*;

const DAY: i64 = 86_400;

const CONFIG: &str = r#"
zone = "walrus.example"
nameservers = ["ns1.walrus.example"]

[dns]
listen = ["127.0.0.1:5300"]

[dnssec]
sign = true

[[cluster]]
name = "here"
servers = [{ name = "server", addresses = ["192.0.2.1"] }]

[[area]]
name = "world"
home = "here"
"#;

fn open(state: &Path, clock: &Clock) -> NodeKeys {
    let checked = crate::load::check_text("test.toml", CONFIG);
    let loaded = checked.and_then(|checked| checked.load(None));
    let loaded = loaded.unwrap_or_else(|error| panic!("{error:?}"));
    let keys = NodeKeys::open(&loaded, state, clock);
    look(&keys);
    keys
}

/// What the name server is told, it serves at once.
fn look(keys: &NodeKeys) {
    for _ in 0..8 {
        for change in keys.advance() {
            keys.served(&change);
        }
    }
}

/// Until when the only key waits, if it does for time alone.
fn until(keys: &NodeKeys) -> Option<u64> {
    keys.view().zones[0].keys[0].until
}

fn is_wanted(keys: &NodeKeys) -> bool {
    keys.view().zones[0].keys[0].wanted
}

fn unix(clock: &Clock) -> u64 {
    clock.unix_ms() / 1000
}

fn pass(hand: &ManualClock, seconds: u64) {
    hand.advance_to(hand.now() + Duration::from_secs(seconds));
}

/// Lets time pass until CDS records name the key, each time to the second before its next step and
/// then to that; tells when that is since the start.
fn wait_for_cds(keys: &NodeKeys, clock: &Clock, hand: &ManualClock) -> Time {
    for _ in 0..5 {
        let left = until(keys).unwrap() - unix(clock);
        pass(hand, left - 1);
        look(keys);
        assert!(!is_wanted(keys), "not a second too early");
        pass(hand, 1);
        look(keys);
        if is_wanted(keys) {
            return hand.now();
        }
    }
    panic!("the key is never ready: {:?}", keys.view());
}

#[test]
fn a_wait_is_as_long_as_it_is_however_the_clock_is_set() {
    let took = [0, -100 * DAY, 100 * DAY].map(|ahead| {
        let state = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        let keys = open(state.path(), &clock);
        let at_first = until(&keys).unwrap();
        assert!(at_first > unix(&clock) + 3 * CONFIRM.as_secs(), "time enough for what follows");
        hand.set_wall_ahead(ahead);
        look(&keys);
        assert_eq!(until(&keys), Some(at_first), "perhaps it is a mistake");
        pass(&hand, CONFIRM.as_secs());
        look(&keys);
        assert_eq!(until(&keys), at_first.checked_add_signed(ahead));
        let took = wait_for_cds(&keys, &clock, &hand);
        let since = keys.inner().zones.values().next().unwrap().keeper.keys().wanted_since;
        assert_eq!(since, unix(&clock), "what it signs for the parent begins now");
        took
    });
    assert_eq!(took, [took[0]; 3]);
}

#[test]
fn a_wait_goes_on_after_a_restart_by_a_clock_that_was_set_back() {
    let state = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::manual();
    let keys = open(state.path(), &clock);
    pass(&hand, 600);
    look(&keys);
    let left = until(&keys).unwrap() - unix(&clock);
    drop(keys);
    hand.set_wall_ahead(-100 * DAY);
    let keys = open(state.path(), &clock);
    assert_eq!(until(&keys), Some(unix(&clock) + left));
    wait_for_cds(&keys, &clock, &hand);
}

#[test]
fn what_the_name_server_refuses_is_a_problem_until_it_is_served_or_taken_back() {
    let state = tempfile::tempdir().unwrap();
    let (clock, _hand) = Clock::manual();
    let keys = open(state.path(), &clock);
    let told = keys.inner().zones.values().next().unwrap().told.clone();
    let tell_again = |told| keys.inner().zones.values_mut().next().unwrap().told = told;
    for is_served in [true, false] {
        assert_eq!(keys.problems(), Vec::new());
        tell_again(None);
        let change = keys.advance().pop().unwrap();
        for _ in 0..2 {
            keys.refused(&change.signing.apex, "the key is gone");
        }
        let problems = keys.problems();
        let [(apex, problem)] = &problems[..] else { panic!("{problems:?}") };
        assert_eq!(*apex, change.signing.apex);
        assert!(problem.contains("goes on as it was: the key is gone"), "{problem}");
        if is_served {
            keys.served(&change);
        } else {
            tell_again(told.clone());
            assert!(keys.advance().is_empty());
        }
        assert_eq!(keys.problems(), Vec::new());
    }
}
