//! Starts, restarts, numbers and reloads.

use std::sync::Arc;

use super::harness::*;
use crate::control::{Effect, Input, NoticeKind, Refusal, Stored};
use crate::message::RefusedPlan;
use crate::plan::{Digests, Plan, PlanNumber};
use crate::world::{Life, ReportBody, Time};

#[test]
fn the_epoch_is_stored_before_the_first_plan() {
    let harness = Harness::start(TWO_CLUSTERS, Stored { epoch: 7, ..Stored::default() });
    let effects: Vec<_> = harness.effects.iter().map(|(_, effect)| effect).collect();
    assert!(matches!(effects[0], Effect::StoreEpoch(8)), "{effects:?}");
    assert!(matches!(effects[1], Effect::Publish(plan) if plan.number.sequence == 1));
    assert_eq!(harness.number().to_string(), "8/controller/1");
}

#[test]
fn the_first_plan_sends_every_area_home_though_nobody_was_seen() {
    let harness = Harness::new(TWO_CLUSTERS);
    assert_eq!(harness.candidates("east"), ["asia1", "asia2"]);
    assert_eq!(harness.candidates("west"), ["europe1", "europe2"]);
    assert_eq!(harness.life("asia1"), Life::Living);
    assert_eq!(harness.server("asia1").condition.load, None);
}

#[test]
fn nothing_is_dead_before_one_detection_time_has_passed() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.reporters.insert(name("europe1"), busy(0.5));
    harness.pass(20_499);
    assert_eq!(harness.life("asia1"), Life::Living, "two rounds stand for unknown units");
    harness.pass(1);
    assert_eq!(harness.life("asia1"), Life::Dead);
    assert!(!harness.candidates("east").is_empty(), "the last answer goes on");
}

#[test]
fn a_stored_plan_goes_on_until_its_servers_have_spoken() {
    let mut before = Harness::new(TWO_CLUSTERS);
    before.all_report(&busy(0.5));
    before.reporters.remove(&name("asia1"));
    before.pass(5_000);
    assert_eq!(before.candidates("east"), ["asia2"]);
    let stored = Stored { epoch: 1, plan: Some(before.plan()), ..Stored::default() };
    let mut after = Harness::start(TWO_CLUSTERS, stored);
    assert_eq!(after.candidates("east"), ["asia2"], "dead stays dead");
    assert_eq!(after.number().epoch, 2);
    after.pass(200);
    after.all_report(&busy(0.5));
    assert_eq!(after.candidates("east"), ["asia1", "asia2"], "until it is heard");
    assert!(after.ramp("asia1") < 1.0, "it comes back slowly");
    assert!((after.ramp("asia2") - 1.0).abs() < 1e-9, "what went on does not ramp");
}

#[test]
fn a14_a_first_start_with_tempfail_neither_ramps_nor_wakes_anybody() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.pass(300);
    harness.all_report(&ReportBody::TempFail { reason: "just started".to_owned() });
    harness.pass(500);
    assert_eq!(harness.life("asia1"), Life::Bypass);
    assert_eq!(harness.candidates("east"), ["asia1", "asia2"], "for want of anybody else");
    harness.all_report(&busy(0.5));
    harness.pass(500);
    assert_eq!(harness.life("asia1"), Life::Living);
    assert!((harness.ramp("asia1") - 1.0).abs() < 1e-9, "it was never known to be out");
    assert_eq!(harness.notices(), []);
}

#[test]
fn a15_tempfail_from_the_first_report_on_is_told_when_it_counts_as_silence() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&ReportBody::TempFail { reason: "no status page".to_owned() });
    harness.pass(1_500);
    assert_eq!(harness.notices(), []);
    harness.pass(2_000);
    assert_eq!(harness.life("asia1"), Life::Dead);
    let (at, notice) = harness.notices().remove(0);
    assert_eq!(notice.kind, NoticeKind::NobodyFunctions);
    harness.all_report(&busy(0.5));
    harness.pass(200);
    assert!(harness.notices().iter().any(|(_, it)| it.recovered), "told at {at}");
}

#[test]
fn a_server_that_was_out_before_its_reporter_began_again_ramps() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.reporters.remove(&name("asia1"));
    harness.pass(5_000);
    assert_eq!(harness.life("asia1"), Life::Dead);
    harness.report("asia1", ReportBody::TempFail { reason: "just started".to_owned() });
    harness.pass(500);
    harness.report("asia1", busy(0.5));
    assert!(harness.ramp("asia1") < 1.0);
}

#[test]
fn the_epoch_is_above_that_of_a_stored_plan_whose_epoch_file_is_lost() {
    let mut plan = (*Harness::new(TWO_CLUSTERS).plan()).clone();
    plan.number.epoch = 40;
    let stored = Stored { epoch: 0, plan: Some(Arc::new(plan)), ..Stored::default() };
    assert_eq!(Harness::start(TWO_CLUSTERS, stored).number().epoch, 41);
}

#[test]
fn a_director_that_refuses_a_plan_is_not_shown_as_holding_it() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    let number = |epoch| PlanNumber { epoch, controller: name("controller"), sequence: 9 };
    let reason = "it is for another configuration".to_owned();
    let refused = RefusedPlan { number: number(12), reason };
    let hello = |refused: Option<&RefusedPlan>| Input::DirectorHello {
        director: name("ns1"),
        plan: Some(number(1)),
        refused: refused.cloned(),
        marks: None,
    };
    harness.pass(1_000);
    harness.input(hello(Some(&refused))).unwrap();
    let shown = harness.status().directors.remove(0);
    assert_eq!((shown.plan, shown.refused), (Some(number(1)), Some(refused)));
    assert_eq!(harness.number().epoch, 13, "what it knows of is not made again");
    harness.input(hello(None)).unwrap();
    assert_eq!(harness.status().directors[0].refused, None);
}

#[test]
fn a_directors_higher_plan_takes_the_epoch_above_it() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    let hello = |epoch| Input::DirectorHello {
        director: name("ns1"),
        plan: Some(PlanNumber { epoch, controller: name("controller"), sequence: 9 }),
        refused: None,
        marks: None,
    };
    harness.pass(1_000);
    harness.input(hello(12)).unwrap();
    assert_eq!(harness.number().to_string(), "13/controller/1", "the same content again");
    let stored = harness.effects.iter().position(|(_, it)| *it == Effect::StoreEpoch(13));
    let published = harness
        .effects
        .iter()
        .position(|(_, it)| matches!(it, Effect::Publish(plan) if plan.number.epoch == 13));
    assert!(stored.unwrap() < published.unwrap());
    let plans = harness.plans().len();
    harness.input(hello(12)).unwrap();
    harness.pass(1_000);
    assert_eq!(harness.plans().len(), plans, "a lower one changes nothing");
    assert_eq!(harness.input(hello(u64::MAX)), Err(Refusal::Epoch(u64::MAX)));
    assert_eq!(harness.status().directors[0].name, name("ns1"));
}

#[test]
fn a_reload_keeps_what_is_known_and_publishes_at_once() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.reporters.remove(&name("asia1"));
    harness.pass(5_000);
    let text = TWO_CLUSTERS.replace(
        "{ name = \"asia2\", addresses = [\"192.0.2.2\"] },",
        "{ name = \"asia2\", addresses = [\"192.0.2.2\"] }, \
         { name = \"a-new\", addresses = [\"192.0.2.3\"] },",
    );
    let next = configuration(&text);
    let old = harness.number();
    let dry = harness.controller.dry_run(harness.now, next.clone(), digests(&next));
    assert_eq!(harness.number(), old, "asking changes nothing");
    assert_eq!(dry.servers.len(), 5);
    let ahead = harness.controller.plan_ahead(harness.now, next.clone(), digests(&next));
    assert_eq!((harness.number(), &ahead.number), (old.clone(), &old));
    harness.controller.reconfigure(harness.now, next.clone(), digests(&next));
    harness.configuration = next;
    harness.drain();
    let number = harness.number();
    assert_eq!(Plan { number, ..ahead }, *harness.plan(), "as it was said");
    assert_eq!(harness.number().sequence, old.sequence + 1);
    assert_eq!(harness.life("asia1"), Life::Dead, "known before");
    assert_eq!(harness.life("a-new"), Life::Living, "its detection time begins now");
    assert_eq!(harness.candidates("east"), ["a-new", "asia2"]);
    assert!(harness.server("asia2").condition.load.is_some());
    harness.pass(21_000);
    assert_eq!(harness.life("a-new"), Life::Dead);
}

#[test]
fn a_reload_that_changes_only_a_digest_is_published() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    let digests =
        Digests { map: Harness::digest("another map"), ..digests(&harness.configuration) };
    let configuration = harness.configuration.clone();
    harness.controller.reconfigure(harness.now, configuration, digests.clone());
    harness.drain();
    assert_eq!(harness.plan().digests, digests);
}

#[test]
fn after_the_process_stood_still_nobody_is_dead_before_one_detection_time() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.reporters.remove(&name("asia1"));
    harness.pass(15_300);
    assert_eq!(harness.life("asia1"), Life::Dead);
    let before = harness.number();
    harness.now += std::time::Duration::from_secs(60);
    harness.controller.stood_still(harness.now);
    // The connections broke meanwhile, and that is what is heard of first.
    for server in ["asia2", "europe1"] {
        harness.input(Input::ReporterGone { server: name(server), session: 1 }).unwrap();
    }
    assert_eq!(harness.life("asia1"), Life::Dead, "it was before");
    assert_eq!(harness.life("asia2"), Life::Living);
    harness.report("asia2", busy(0.5));
    harness.report("europe1", busy(0.5));
    assert_eq!(harness.number(), before, "nothing has changed for anybody");
    let silent_from = harness.now;
    while harness.life("europe2") == Life::Living {
        harness.now += std::time::Duration::from_millis(100);
        harness.drain();
    }
    assert_eq!((harness.now - silent_from).as_millis(), 2_500, "two units and half a second");
}

#[test]
fn a_clock_that_jumps_makes_up_for_no_rounds() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.now = Time::from_secs(100_000);
    harness.drain();
    assert_eq!(harness.status().counters.rounds, 1);
    assert!(harness.controller.next_deadline().0 > harness.now);
}

#[test]
fn a_controller_hears_once_it_has_heard_for_a_detection_time() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    assert!(!harness.controller.hears(harness.now));
    harness.all_report(&busy(0.5));
    harness.pass(1_000);
    assert!(!harness.controller.hears(harness.now), "some may be silent, who knows");
    harness.pass(2_000);
    assert!(harness.controller.hears(harness.now));
    harness.reporters.clear();
    harness.pass(10_000);
    assert!(!harness.controller.hears(harness.now), "cut off");
    harness.all_report(&busy(0.5));
    assert!(!harness.controller.hears(harness.now), "what it knows is old");
    harness.pass(3_000);
    assert!(harness.controller.hears(harness.now));
    let probes = Harness::new(&probed());
    assert!(!probes.controller.hears(probes.now));
    let nothing = Harness::new(&TWO_CLUSTERS.replace("reporter = true", ""));
    assert!(nothing.controller.hears(nothing.now), "there is nothing to hear");
}
