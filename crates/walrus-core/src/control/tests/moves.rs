//! How far clients have followed, as a Controller hears of it.

use super::harness::*;
use crate::control::{Input, MoveStatus, Refusal};
use crate::message::{KeptNameServer, KeptNameServers};
use crate::plan::PlanNumber;
use crate::world::{OverrideState, ReportBody, Statistics, Target};

fn hello(plan: PlanNumber) -> Input {
    Input::DirectorHello { director: name("ns1"), plan: Some(plan), refused: None, marks: None }
}

fn name_server(plan: Option<PlanNumber>) -> Input {
    let name_server = KeptNameServer {
        name: name("bind"),
        area: name("east"),
        address: "192.0.2.53:53".to_owned(),
        zone: "east.example.com".to_owned(),
        services: Vec::new(),
        ttl_seconds: Some(20),
        plan,
        problem: Some("refused".to_owned()),
    };
    let kept = KeptNameServers { answers_nothing: true, name_servers: vec![name_server] };
    Input::NameServers { node: name("updater"), kept }
}

fn drain_asia(harness: &mut Harness) {
    let (target, state) = (Target::Cluster(name("asia")), OverrideState::Drained);
    let drain = Input::SetOverride { target, state, force: false, unix_ms: 5, by: None };
    harness.input(drain).unwrap();
    assert_eq!(harness.candidates("east"), ["europe1", "europe2"]);
}

fn newest(harness: &Harness) -> MoveStatus {
    harness.status().moves.remove(0)
}

#[test]
fn the_clock_runs_from_when_a_director_or_name_server_has_the_plan() {
    let mut harness = Harness::new(TWO_CLUSTERS);
    harness.pass(200);
    let old = harness.number();
    harness.input(hello(old.clone())).unwrap();
    harness.input(name_server(Some(old.clone()))).unwrap();
    drain_asia(&mut harness);
    let new = harness.number();
    harness.pass(1_000);
    let told = newest(&harness);
    assert_eq!((told.still, told.answerers, told.expected_95_ms), (1.0, 2, None), "{told:?}");
    let behind: Vec<&str> = told.behind.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(behind, ["ns1", "bind"]);
    assert_eq!(told.behind[1].problem.as_deref(), Some("refused"));
    // A number that nobody can have reached is not believed.
    let absurd = PlanNumber { epoch: u64::MAX, ..new.clone() };
    assert_eq!(harness.input(hello(absurd.clone())), Err(Refusal::Epoch(u64::MAX)));
    assert_eq!(harness.input(name_server(Some(absurd))), Err(Refusal::Epoch(u64::MAX)));
    harness.input(hello(new.clone())).unwrap();
    let told = newest(&harness);
    assert_eq!((told.behind.len(), told.behind[0].share, told.moved_95_ms), (1, 0.5, None));
    harness.pass(1_000);
    harness.input(name_server(Some(new))).unwrap();
    let told = newest(&harness);
    assert_eq!(told.behind, []);
    assert!(told.expected_95_ms.is_some_and(|at| at > 2_000), "{told:?}");
    assert!(harness.status().moves_followed_ms >= 2_000);
}

#[test]
fn probes_of_a_drained_server_do_not_keep_a_move_open() {
    let probed = "reporter = true\nprobe = { http = \"http://{address}/\", every = \"1s\", timeout = \"500ms\", rise = 2, fall = 3 }";
    let mut harness = Harness::new(&TWO_CLUSTERS.replace("reporter = true", probed));
    harness.all_report(&busy(0.1));
    harness.pass(15_000);
    harness.input(hello(harness.number())).unwrap();
    drain_asia(&mut harness);
    harness.input(hello(harness.number())).unwrap();
    let counts = |hits| {
        let counted = Statistics { hits: Some(hits), ..Statistics::default() };
        ReportBody::Statistics(Statistics { duration_ms: 1000, cpu_idle: Some(1.0), ..counted })
    };
    for (hits, moved) in [(2, None), (1, Some("ttl"))] {
        for server in ["asia1", "asia2"] {
            harness.reporters.insert(name(server), counts(hits));
        }
        harness.pass(20_000);
        let told = newest(&harness);
        let by = told.moved_95_ms.map(|_| told.by.as_str());
        assert_eq!(by, moved, "{told:?}");
    }
}
