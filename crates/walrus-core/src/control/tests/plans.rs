//! When a Plan is published, what balancing does in it, and its replay.

use super::harness::*;
use crate::control::{Demands, Input, Refusal, replay};
use crate::world::{Observation, ReportBody, ServiceCounts};

#[test]
fn a_plan_whose_content_does_not_change_keeps_its_number() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(15_000);
    let settled = harness.number();
    for load in [0.51, 0.52, 0.49] {
        harness.all_report(&busy(load));
        harness.pass(20_000);
    }
    assert_eq!(harness.number(), settled, "a hair of load is no reason");
    harness.all_report(&busy(0.7));
    harness.pass(12_000);
    assert_eq!(harness.number().sequence, settled.sequence + 1);
    assert_eq!(harness.plan().servers[0].load, Some(1.0 - (1.0 - 0.7)));
}

#[test]
fn load_waits_for_the_round_and_death_does_not() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.2));
    harness.pass(20_100);
    let before = harness.number();
    harness.reporters.insert(name("asia1"), busy(0.95));
    harness.pass(9_000);
    assert_eq!(harness.number(), before, "overload waits");
    harness.pass(1_500);
    assert_eq!(harness.candidates("east"), ["asia2"], "for the round");
}

#[test]
fn events_of_one_instant_make_one_plan_and_a_flood_of_them_few() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.5));
    harness.pass(1_500);
    let before = harness.plans().len();
    harness.all_report(&panic());
    assert_eq!(harness.plans().len(), before + 1);
    harness.pass(200);
    let before = harness.plans().len();
    for index in 0..500 {
        let body = match index % 2 {
            0 => busy(0.5),
            _ => ReportBody::Bypass { reason: "unsteady".to_owned() },
        };
        harness.report("asia1", body);
        harness.pass(1);
    }
    assert!(harness.plans().len() <= before + 7, "ten a second at most");
}

#[test]
fn a_journalled_decision_replays_to_its_plan() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.all_report(&busy(0.1 + 0.2));
    harness.pass(3_333);
    let counts = ServiceCounts {
        service: "www.example.com".to_owned(),
        areas: vec![(name("east"), 7), (name("west"), 1000), (name("nowhere"), 5)],
        ..ServiceCounts::default()
    };
    let observation =
        Observation { session: 1, sequence: 1, duration_ms: 3_000, services: vec![counts] };
    let observed = Input::Observed { director: name("ns1"), observation };
    harness.input(observed.clone()).unwrap();
    assert!(matches!(harness.input(observed), Err(Refusal::OldSequence { .. })));
    harness.reporters.insert(name("asia1"), busy(1.0 / 3.0));
    harness.reporters.insert(name("europe1"), panic());
    harness.reporters.remove(&name("asia2"));
    harness.pass(30_000);
    harness.reporters.insert(name("europe1"), busy(0.7));
    harness.pass(30_000);
    let plans = harness.plans();
    assert!(plans.len() > 10, "{}", plans.len());
    let (mut replayed, mut demands) = (0, Demands::default());
    for line in &harness.journal {
        assert!(!line.contains('\n'));
        let configuration = &harness.configuration;
        let (topology, digest) = (&configuration.topology, &configuration.digest);
        let plan = replay(line, &mut demands, topology, digest).unwrap();
        let published = line.contains("\"published\":true");
        if published {
            let original = plans.iter().find(|(_, it)| it.number == plan.number).unwrap();
            assert_eq!(*original.1, plan);
            replayed += 1;
        }
    }
    assert_eq!(replayed, plans.len());
    let other = Harness::digest("another configuration");
    let topology = &harness.configuration.topology;
    assert!(replay(&harness.journal[0], &mut demands, topology, &other).is_err());
    assert!(replay("{\"walrus\":1", &mut demands, topology, &other).is_err());
}

#[test]
fn observations_become_rates_and_age_out() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    let rate = |harness: &Harness| {
        let areas = harness.status().services.remove(0).areas;
        areas.into_iter().find(|area| area.name.as_str() == "east").unwrap().hits_per_second
    };
    for sequence in 1..=20 {
        let counts = ServiceCounts {
            service: "www.example.com".to_owned(),
            areas: vec![(name("east"), 100)],
            ..ServiceCounts::default()
        };
        let observation =
            Observation { session: 9, sequence, duration_ms: 10_000, services: vec![counts] };
        harness.input(Input::Observed { director: name("ns1"), observation }).unwrap();
        harness.pass(10_000);
    }
    assert!((rate(&harness) - 10.0).abs() < 1e-6, "{}", rate(&harness));
    harness.pass(60_000);
    assert!(rate(&harness).abs() < 1e-9, "a silent Director's rates are forgotten");
    let nothing = Observation { session: 9, sequence: 99, ..Observation::default() };
    let refused = harness.input(Input::Observed { director: name("ns1"), observation: nothing });
    assert_eq!(refused, Err(Refusal::ObservationDuration(0)));
}

#[test]
fn a23_no_area_moves_twice_within_its_ttl() {
    let text = TWO_CLUSTERS.replace("ttl = \"5s\"", "ttl = \"60s\"\nspill = \"spare\"");
    let mut harness = Harness::new(&text);
    let load = |harness: &mut Harness, asia: f64, europe: f64| {
        for (server, body) in [
            ("asia1", busy(asia)),
            ("asia2", busy(asia)),
            ("europe1", busy(europe)),
            ("europe2", busy(europe)),
        ] {
            harness.reporters.insert(name(server), body);
        }
    };
    let mut moves: Vec<(u64, String)> = Vec::new();
    for step in 0..120_u64 {
        match step % 4 {
            0 | 1 => load(&mut harness, 0.95, 0.1),
            _ => load(&mut harness, 0.1, 0.95),
        }
        harness.pass(5_000);
        let areas = harness.status().services.remove(0).areas;
        let east = areas.into_iter().find(|area| area.name.as_str() == "east").unwrap();
        let cluster = east.clusters[0].0.to_string();
        if moves.last().is_none_or(|(_, last)| *last != cluster) {
            moves.push((step * 5, cluster));
        }
    }
    assert!(moves.len() > 2, "it does move: {moves:?}");
    for pair in moves[1..].windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 60, "{moves:?}");
    }
}
