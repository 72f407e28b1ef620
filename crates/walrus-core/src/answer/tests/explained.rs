//! What `walrus explain` tells, and that it tells what then happens.

use walrus_dns::record_type::{A, AAAA, TXT};

use super::fixture::{Ask, label, list, name, plan, table};
use crate::answer::{ExplainRequest, WorkerState, explain};
use crate::world::{ChoosePolicy, Life, LocatePolicy};

fn ask(question: &str, record_type: u16) -> ExplainRequest {
    ExplainRequest {
        name: name(question),
        record_type,
        resolver: "192.0.2.77".parse().unwrap(),
        client: Some(("198.51.100.9".parse().unwrap(), 25)),
        local: "192.0.2.99:53".parse().unwrap(),
        now: crate::world::Time::ZERO,
    }
}

#[test]
fn a_family_that_comes_from_elsewhere_is_explained() {
    let mut plan = plan();
    for (index, server) in plan.servers.iter_mut().enumerate() {
        server.cluster = label(if index.is_multiple_of(2) { "far" } else { "near" });
    }
    for area in &mut plan.services[1].areas {
        area.clusters = vec![(label("near"), 1.0)];
        area.reason = "its home functions".into();
    }
    let table = table(plan);
    let worker = WorkerState::new(1, &table);
    let because = |record_type| {
        explain(&table, &worker, &ask("example", record_type)).service.unwrap().assigned_because
    };
    assert_eq!(because(A), "its home functions");
    assert_eq!(
        because(AAAA),
        "its home functions; near has no IPv6 address to give out: next in order, far"
    );
}

#[test]
fn a_service_is_explained_stage_by_stage() {
    let mut plan = plan();
    plan.lists[2].groups[0].candidates[1].weight = 0;
    plan.servers[2].load = Some(0.93);
    plan.servers[3].life = Life::Dead;
    plan.servers[3].reason = "probe refused".into();
    let cluster = |server: u8| label(if server == 3 { "far" } else { "near" });
    for index in 0..6 {
        plan.servers[usize::from(index)].cluster = cluster(index);
    }
    for area in &mut plan.services[1].areas {
        area.clusters = vec![(label("near"), 1.0)];
        area.reason = "its home functions".into();
    }
    plan.services[1].areas[1].clusters = vec![(label("far"), 1.0)];
    let table = table(plan);
    let worker = WorkerState::new(1, &table);
    let explained = explain(&table, &worker, &ask("example", A));
    assert_eq!((explained.rcode, explained.scope, explained.answer.len()), (0, Some(24), 2));
    assert_eq!(explained.plan.as_deref(), Some("1/c/1"));
    let service = explained.service.unwrap();
    assert_eq!((service.area, service.choose), (label("europe"), ChoosePolicy::Weighted));
    assert_eq!(service.locate.len(), 1);
    assert_eq!(service.locate[0].policy, LocatePolicy::Map);
    assert_eq!(service.locate[0].area, Some(label("europe")));
    assert_eq!(service.assigned_because, "its home functions");
    let shares: Vec<_> = service
        .candidates
        .iter()
        .map(|candidate| (candidate.server.as_str(), candidate.expected_share))
        .collect();
    assert_eq!((shares[0].0, shares[1].0, shares.len()), ("s4", "s1", 2));
    assert!((shares[0].1 - 0.5).abs() < 0.08 && (shares[0].1 + shares[1].1 - 1.0).abs() < 1e-9);
    let left_out: Vec<_> = service
        .left_out
        .iter()
        .map(|left_out| format!("{}: {}", left_out.server, left_out.reason))
        .collect();
    assert_eq!(
        left_out,
        [
            "s0: the round did not take it for this area (load unknown)",
            "s2: the round did not take it for this area (load 0.93)",
            "s3: dead: probe refused",
            "s5: its weight is 0",
        ]
    );
}

#[test]
fn what_candidates_are_weighed_by_is_told() {
    for (choose, other, expected) in [
        (ChoosePolicy::Mrl, Some(200.0), [Some(100.0), Some(200.0)]),
        (ChoosePolicy::Pow2, Some(200.0), [Some(100.0), Some(200.0)]),
        // Not all have one.
        (ChoosePolicy::Mrl, None, [None, None]),
        (ChoosePolicy::Weighted, Some(200.0), [None, None]),
        (ChoosePolicy::RoundRobin, Some(200.0), [None, None]),
    ] {
        let mut plan = plan();
        plan.services[2].choose = choose;
        plan.lists[0] = list(&[0, 1]);
        (plan.servers[0].capacity, plan.servers[1].capacity) = (Some(100.0), other);
        let table = table(plan);
        let request = ExplainRequest { client: None, ..ask("www.example", A) };
        let request = ExplainRequest { resolver: "8.8.8.8".parse().unwrap(), ..request };
        let explained = explain(&table, &WorkerState::new(1, &table), &request);
        let candidates = explained.service.unwrap().candidates;
        let capacities: Vec<_> = candidates.iter().map(|it| it.capacity).collect();
        assert_eq!(capacities, expected, "{choose:?}");
    }
}

#[test]
fn the_explained_answer_is_the_next_one_and_explaining_changes_nothing() {
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    for _ in 0..3 {
        let explained = explain(&table, &worker, &ask("www.example", A)).service.unwrap();
        let reply = Ask::new("www.example", A).subnet("198.51.100.0", 25);
        reply.answer(&table, &mut worker);
        let first = worker.decision().service.unwrap().first.unwrap();
        assert_eq!(explained.first, Some(label(&format!("s{first}"))));
        assert!(explained.candidates.iter().all(|one| (one.expected_share - 0.333).abs() < 0.01));
    }
}

#[test]
fn static_names_and_services_without_a_plan_have_no_stages() {
    let planned = table(plan());
    let worker = WorkerState::new(1, &planned);
    let explained = explain(&planned, &worker, &ask("www.example", TXT));
    assert_eq!(explained.service, None);
    assert_eq!((explained.scope, explained.answer.len()), (Some(0), 1));
    let unplanned = super::fixture::empty_table();
    let worker = WorkerState::new(1, &unplanned);
    let explained = explain(&unplanned, &worker, &ask("www.example", A));
    assert_eq!((explained.rcode, explained.service, explained.plan), (2, None, None));
}

#[test]
fn why_a_service_is_not_answered_for_is_told() {
    let mut plan = plan();
    plan.services.retain(|service| service.name != "example");
    let table = table(plan);
    let worker = WorkerState::new(1, &table);
    let explained = explain(&table, &worker, &ask("example", A));
    assert_eq!((explained.rcode, explained.extended_error), (2, Some(14)));
    let because = explained.because.unwrap();
    assert!(because.contains("was made without example"), "{because}");
}
