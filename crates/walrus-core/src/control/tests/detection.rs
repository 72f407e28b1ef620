//! What Reporters and probes say, and how soon it is in the Plan.

use super::harness::*;
use crate::control::{Input, ProbeOutcome, Refusal};
use crate::world::{Life, ReportBody, Time};

#[test]
fn a17_a_silent_reporter_is_out_of_the_plan_after_its_units() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(30_000);
    harness.reporters.remove(&name("asia1"));
    let last = harness.now;
    harness.pass(3_000);
    let (at, plan) = harness.plans().pop().unwrap();
    assert!(at.since(last).as_millis() <= 2_500, "k units and half a second: {at}");
    assert_eq!(plan.servers[0].life, Life::Dead);
    assert_eq!(harness.candidates("east"), ["asia2"]);
}

#[test]
fn a_closed_connection_is_out_of_the_plan_within_a_second_unless_it_comes_back() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(10_200);
    let gone = || Input::ReporterGone { server: name("asia1"), session: 1 };
    let hello = Input::ReporterHello { server: name("asia1"), session: 1 };
    harness.input(gone()).unwrap();
    harness.pass(300);
    harness.input(hello).unwrap();
    harness.pass(2_000);
    assert_eq!(harness.life("asia1"), Life::Living);
    harness.reporters.remove(&name("asia1"));
    harness.input(gone()).unwrap();
    let closed = harness.now;
    harness.pass(1_000);
    let (at, _) = harness.plans().pop().unwrap();
    assert!(at > closed && at.since(closed).as_millis() < 1_000);
    assert_eq!(harness.candidates("east"), ["asia2"]);
}

#[test]
fn panic_is_out_of_the_plan_at_once() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(1_500);
    harness.report("asia1", panic());
    assert_eq!(harness.candidates("east"), ["asia2"]);
    assert_eq!(harness.plans().pop().unwrap().0, harness.now);
}

#[test]
fn bypass_lasts_until_the_next_report() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(1_500);
    harness.report("asia1", ReportBody::Bypass { reason: "swapping".to_owned() });
    assert_eq!(harness.life("asia1"), Life::Bypass);
    assert_eq!(harness.candidates("east"), ["asia2"]);
    harness.pass(600);
    assert_eq!(harness.life("asia1"), Life::Living, "it reported again");
    assert_eq!(harness.candidates("east"), ["asia1", "asia2"]);
}

#[test]
fn a_server_that_comes_back_ramps_in_ten_steps() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(1_500);
    harness.reporters.insert(name("asia1"), panic());
    harness.pass(5_000);
    harness.reporters.insert(name("asia1"), busy(0.5));
    let mut ramps = Vec::new();
    for _ in 0..130 {
        harness.pass(100);
        if harness.candidates("east").contains(&"asia1".to_owned()) {
            ramps.push(harness.ramp("asia1"));
        }
    }
    ramps.dedup();
    assert!(ramps.is_sorted(), "{ramps:?}");
    assert!(ramps.len() >= 10 && ramps[0] <= 0.1, "{ramps:?}");
    assert_eq!(ramps.last(), Some(&1.0));
}

#[test]
fn a14_tempfail_goes_on_with_the_last_load() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(1_500);
    harness.reporters.insert(name("asia1"), ReportBody::TempFail { reason: "starting".to_owned() });
    harness.pass(2_000);
    assert_eq!(harness.server("asia1").condition.load, Some(0.5));
    assert_eq!(harness.life("asia1"), Life::Living);
    harness.pass(1_000);
    assert_eq!(harness.life("asia1"), Life::Dead, "a15: three in a row");
}

#[test]
fn reports_are_refused_with_reasons() {
    let mut harness = Harness::new(&TWO_CLUSTERS.replacen("reporter = true", "", 1));
    let report = |server: &str| harness.make_report(&name(server), busy(0.5));
    let (good, unknown, unasked) = (report("europe1"), report("nobody"), report("asia1"));
    assert_eq!(harness.input(Input::Report(good.clone())), Ok(()));
    assert!(matches!(harness.input(Input::Report(good)), Err(Refusal::OldSequence { .. })));
    let refused = harness.input(Input::Report(unknown)).unwrap_err();
    assert_eq!(refused, Refusal::UnknownServer(name("nobody")));
    let refused = harness.input(Input::Report(unasked)).unwrap_err();
    assert!(refused.to_string().contains("reporter = true"), "{refused}");
    let counters = harness.status().counters;
    assert_eq!((counters.reports, counters.reports_refused, counters.reports_stale), (1, 3, 1));
}

#[test]
fn a_server_without_a_source_is_up_for_ever() {
    let mut harness = Harness::new(&TWO_CLUSTERS.replace("reporter = true", ""));
    harness.pass(200_000);
    assert_eq!(harness.life("asia1"), Life::Living);
    assert!(harness.server("asia1").sources.is_empty());
}

#[test]
fn a_failing_probe_is_out_of_the_plan_in_its_time() {
    let mut harness = Harness::new(&probed());
    harness.pass(10_000);
    assert_eq!(harness.server("asia1").sources[0].says, "up");
    harness.failing.insert("192.0.2.1".parse().unwrap());
    let from = harness.now;
    harness.pass(6_000);
    let died = harness.plans().into_iter().find(|(_, plan)| plan.servers[0].life == Life::Dead);
    // fall x (interval x (1 + jitter) + timeout) + 1 s
    assert!(died.unwrap().0.since(from).as_millis() <= 3 * (1_100 + 500) + 1_000);
    assert!(harness.server("asia1").condition.reason.contains("refused"));
    harness.failing.clear();
    harness.pass(3_000);
    assert_eq!(harness.life("asia1"), Life::Living, "two successes bring it up");
}

#[test]
fn a_target_is_probed_once_and_first_probes_are_spread() {
    let mut harness = Harness::new(&probed());
    harness.pass(1_000);
    let mut first: Vec<Time> = harness.probes.iter().map(|(at, _)| *at).take(4).collect();
    first.dedup();
    assert_eq!(first.len(), 4, "no two at once");
    harness.pass(9_000);
    let of_one = harness.probes.iter().filter(|(_, it)| it.target == 0).count();
    assert!((9..=11).contains(&of_one), "{of_one}");
}

#[test]
fn probes_without_results_are_bounded_and_count_as_failures() {
    let mut harness = Harness::new(&probed());
    harness.deaf = true;
    harness.pass(10_000);
    assert_eq!(harness.life("asia1"), Life::Unknown);
    let counters = harness.status().counters;
    assert!(counters.probes_lost >= 4 * 3 && counters.probes <= 4 * 8, "{counters:?}");
    let stray = Input::Probed { target: 99, outcome: ProbeOutcome::Up };
    assert_eq!(harness.input(stray), Err(Refusal::NoSuchProbe(99)));
}

#[test]
fn all_addresses_are_probed_where_asked_and_any_that_fails_is_death() {
    let text = probed()
        .replace("fall = 3", "fall = 3, addresses = \"all\"")
        .replace("[\"192.0.2.1\"]", "[\"192.0.2.1\", \"2001:db8::1\"]");
    let mut harness = Harness::new(&text);
    harness.failing.insert("2001:db8::1".parse().unwrap());
    harness.pass(6_000);
    let sources: Vec<_> = harness.server("asia1").sources.into_iter().map(|it| it.says).collect();
    assert_eq!(sources, ["up", "down: refused"]);
    assert_eq!(harness.life("asia1"), Life::Dead);
    assert_eq!(harness.life("asia2"), Life::Living);
}

#[test]
fn a16_statistics_older_than_three_units_give_no_load() {
    let text = TWO_CLUSTERS.replace("round = \"10s\"", "round = \"10s\"\nmissed_units = 9");
    let mut harness = Harness::new(&text);
    harness.report("asia1", busy(0.5));
    harness.pass(3_000);
    assert_eq!(harness.server("asia1").condition.load, Some(0.5));
    harness.pass(1);
    assert_eq!(harness.server("asia1").condition.load, None);
    assert_eq!(harness.life("asia1"), Life::Living);
}
