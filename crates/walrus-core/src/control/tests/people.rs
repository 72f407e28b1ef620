//! Who is told of what.

use super::harness::*;
use crate::control::{Input, NoticeKind};
use crate::world::{OverrideState, Target};

fn told(harness: &Harness) -> Vec<(NoticeKind, String, bool)> {
    let notices = harness.notices().into_iter();
    notices.map(|(_, it)| (it.kind, it.subject, it.recovered)).collect()
}

#[test]
fn a18_panic_is_told_once_again_after_an_hour_and_at_its_end() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(1_500);
    harness.reporters.insert(name("asia1"), panic());
    harness.pass(600_000);
    let asia1 = || (NoticeKind::Panic, "asia1".to_owned(), false);
    assert_eq!(told(&harness), [asia1()]);
    assert_eq!(harness.status().problems.len(), 1);
    harness.pass(3_600_000);
    assert_eq!(told(&harness), [asia1(), asia1()]);
    harness.reporters.insert(name("asia1"), busy(0.5));
    harness.pass(2_000);
    assert_eq!(told(&harness).last(), Some(&(NoticeKind::Panic, "asia1".to_owned(), true)));
    assert!(harness.status().problems.is_empty());
}

#[test]
fn silence_is_told_only_after_a_while() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(1_500);
    harness.reporters.remove(&name("asia1"));
    harness.pass(290_000);
    assert!(told(&harness).is_empty(), "a partition raises no storm");
    harness.pass(20_000);
    assert_eq!(told(&harness), [(NoticeKind::Dead, "asia1".to_owned(), false)]);
    harness.reporters.insert(name("asia1"), busy(0.5));
    harness.pass(2_000);
    assert_eq!(told(&harness).last(), Some(&(NoticeKind::Dead, "asia1".to_owned(), true)));
}

#[test]
fn nobody_functions_is_told_at_once_and_the_answers_go_on() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(1_500);
    harness.reporters.clear();
    harness.pass(3_000);
    let www = |recovered| (NoticeKind::NobodyFunctions, "www.example.com".to_owned(), recovered);
    assert_eq!(told(&harness), [www(false)]);
    assert!(!harness.candidates("east").is_empty());
    harness.all_report(&busy(0.5));
    harness.pass(200);
    assert_eq!(told(&harness), [www(false), www(true)]);
}

#[test]
fn a_drained_server_may_be_dead_without_anybody_being_told() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(1_500);
    let target = Target::Server(name("asia1"));
    let state = OverrideState::Drained;
    harness
        .input(Input::SetOverride { target, state, force: false, unix_ms: 0, by: None })
        .unwrap();
    harness.reporters.remove(&name("asia1"));
    harness.pass(1_000_000);
    assert!(told(&harness).is_empty());
}
