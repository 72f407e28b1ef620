//! Whatever happens in whatever order: no panic, numbers rise, nobody alive is left out
//! entirely, and the same run twice gives the same effects.

use proptest::prelude::*;

use super::harness::*;
use crate::control::{Effect, Input, ProbeOutcome};
use crate::plan::PlanNumber;
use crate::world::{
    Life, Observation, Override, OverrideState, Report, ReportBody, ServiceCounts, Statistics,
    Target,
};

const SERVERS: [&str; 5] = ["asia1", "asia2", "europe1", "europe2", "nobody"];

fn server() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&SERVERS[..])
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..6_u64, Just(u64::MAX), any::<u64>()]
}

fn share() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![Just(None), (0.0..=1.0).prop_map(Some), any::<f64>().prop_map(Some)]
}

fn body() -> impl Strategy<Value = ReportBody> {
    let reason = || "x{0,300}";
    let statistics = (share(), share(), prop::option::of(number()), prop::option::of(number()))
        .prop_map(|(cpu_idle, memory_pressure, busy, busy_max)| {
            ReportBody::Statistics(Statistics {
                duration_ms: busy.unwrap_or(1000),
                cpu_idle,
                memory_pressure,
                busy,
                busy_max,
                blocked: busy_max,
                runnable: busy,
                hits: busy,
                ..Statistics::default()
            })
        });
    prop_oneof![
        4 => statistics,
        1 => reason().prop_map(|reason| ReportBody::TempFail { reason }),
        1 => reason().prop_map(|reason| ReportBody::Bypass { reason }),
        1 => reason().prop_map(|reason| ReportBody::Panic { reason }),
    ]
}

fn report() -> impl Strategy<Value = Input> {
    let unit = prop_oneof![4 => 1_000..5_000_u64, 1 => any::<u64>()];
    (server(), 0..3_u64, 0..200_u64, unit, number(), body()).prop_map(
        |(server, session, sequence, unit_ms, sent_unix_ms, body)| {
            let (server, version) = (name(server), Some("v".repeat(300)));
            Input::Report(Report {
                server,
                session,
                sequence,
                unit_ms,
                sent_unix_ms,
                version,
                body,
                requests: None,
            })
        },
    )
}

fn state() -> impl Strategy<Value = OverrideState> {
    prop::sample::select(&[OverrideState::None, OverrideState::Drained][..])
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        server().prop_map(|it| Target::Server(name(it))),
        Just(Target::Cluster(name("asia"))),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let probed = (0..6_u32, any::<bool>()).prop_map(|(target, up)| Input::Probed {
        target,
        outcome: if up { ProbeOutcome::Up } else { ProbeOutcome::Down("down".to_owned()) },
    });
    let observed = (number(), number(), number(), number()).prop_map(|(a, b, c, d)| {
        let services = vec![ServiceCounts {
            service: "www.example.com".to_owned(),
            areas: vec![(name("east"), a), (name("east"), b)],
            ..ServiceCounts::default()
        }];
        let observation = Observation { session: a, sequence: c, duration_ms: d, services };
        Input::Observed { director: name("ns1"), observation }
    });
    let hello = prop::option::of((number(), number())).prop_map(|plan| Input::DirectorHello {
        director: name("ns1"),
        plan: plan.map(|(epoch, sequence)| PlanNumber { epoch, controller: name("z"), sequence }),
        refused: None,
        marks: plan.map(|(sequence, epoch)| PlanNumber { epoch, controller: name("y"), sequence }),
    });
    let set = (target(), state(), any::<bool>(), any::<u64>()).prop_map(
        |(target, state, force, unix_ms)| Input::SetOverride {
            target,
            state,
            force,
            unix_ms,
            by: None,
        },
    );
    let merge = (target(), state(), number()).prop_map(|(target, state, revision)| {
        let entry = Override {
            state,
            revision,
            id: name("other"),
            set_unix_ms: 0,
            by: None,
            after: Vec::new(),
        };
        Input::MergeOverride { target, entry }
    });
    prop_oneof![
        8 => report(),
        2 => (server(), 0..3_u64)
            .prop_map(|(it, session)| Input::ReporterHello { server: name(it), session }),
        2 => (server(), 0..3_u64)
            .prop_map(|(it, session)| Input::ReporterGone { server: name(it), session }),
        2 => probed,
        1 => observed,
        1 => hello,
        2 => set,
        1 => merge,
    ]
}

/// An input, and the time that passes after it in milliseconds.
fn steps() -> impl Strategy<Value = Vec<(Input, u64)>> {
    let wait = prop_oneof![Just(0), 1..2_000_u64, 1..30_000_u64];
    prop::collection::vec((input(), wait), 1..60)
}

fn text() -> String {
    // Half with Reporters, half with probes.
    probed().replacen(
        "probe = { tcp = 80, every = \"1s\", timeout = \"500ms\", rise = 2, fall = 3 }",
        "reporter = true",
        1,
    )
}

fn run(steps: &[(Input, u64)]) -> Harness {
    let mut harness = Harness::new(&text());
    harness.deaf = true;
    for (input, wait) in steps {
        let _ = harness.input(input.clone());
        harness.pass(*wait);
        check(&harness);
    }
    harness
}

fn check(harness: &Harness) {
    let plan = harness.plan();
    plan.validate().unwrap();
    let lives = |life: Life| plan.servers.iter().any(|server| server.life == life);
    for area in &plan.services[0].areas {
        let list = &plan.lists[area.ipv4.unwrap() as usize];
        assert!(list.groups.iter().all(|group| !group.candidates.is_empty()));
        if lives(Life::Living) {
            let candidates = list.groups.iter().flat_map(|group| &group.candidates);
            let living = candidates
                .filter(|it| plan.servers[it.server as usize].life == Life::Living)
                .count();
            assert!(living > 0, "{} has nobody alive in {plan:?}", area.area);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens(steps in steps()) {
        let first = run(&steps);
        let second = run(&steps);
        prop_assert_eq!(&first.effects, &second.effects, "not deterministic");
        let mut last: Option<PlanNumber> = None;
        let mut stored = 0;
        for (_, effect) in &first.effects {
            match effect {
                Effect::StoreEpoch(epoch) => {
                    prop_assert!(*epoch > stored);
                    stored = *epoch;
                }
                Effect::Publish(plan) => {
                    prop_assert!(plan.number.epoch <= stored, "stored before use");
                    prop_assert!(last.as_ref().is_none_or(|last| *last < plan.number));
                    last = Some(plan.number.clone());
                }
                _ => {}
            }
        }
        let status = serde_json::to_string(&first.status()).unwrap();
        prop_assert!(status.len() < 20_000, "bounded whatever is sent");
    }
}
