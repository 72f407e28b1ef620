//! The same seed gives the same bytes; a run can be stopped.

use std::ops::ControlFlow;

use walrus_sim::simulation::{SimulationError, simulate};

use crate::{Site, run};

fn site() -> Site {
    Site {
        clusters: vec![("east", vec![("e1", 100), ("e2", 50)]), ("west", vec![("w1", 100)])],
        service: "choose = \"weighted\"\nttl = \"30s\"\nanswers = 1",
        rest: "[[area]]\nname = \"east\"\nhome = \"east\"\nclients = [\"10.0.0.0/12\"]\n\
               nameservers = [\"192.0.2.53:53\"]\n\
               [[area]]\nname = \"west\"\nhome = \"west\"\nclients = [\"10.16.0.0/12\"]\n\
               nameservers = [\"192.0.2.54:53\"]\n",
    }
}

const STUDY: &str = r#"
duration = "20m"
discard = "2m"
timeline = """
at 5m kill e1
at 6m population everybody x3 within 30s for 1m
at 7m kill nameserver west
at 8m heal e1
at 9m heal nameserver west
at 10m kill controller 1
at 12m heal controller 1
at 13m cut reports
at 14m heal reports
"""
[reports]
loss = 0.1
delay = "100ms"
requests = true
[directors]
workers = 2
plan_delay = "50ms"
plan_loss = 0.2
[controllers]
count = 2
[[population]]
name = "east"
clients = 100
domains = 12
prefix = "10.0.0.0/12"
resolver = "knot"
ttl = "at least 2m"
ttl_share = 0.5
distances = { east = "10ms", west = "80ms" }
daily = 0.3
[[population]]
name = "west"
sessions_per_second = 0.5
session = "constant 5"
domains = 30
prefix = "10.16.0.0/12"
subnet = true
domains_per_resolver = 10
client_cache = "1m"
"#;

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let study = site().study(STUDY);
    let text = |seed| serde_json::to_string(&run(&study, seed)).unwrap();
    let first = text(7);
    assert_eq!(first, text(7));
    assert_ne!(first, text(8));
    let again = site().study(STUDY);
    assert_eq!(first, serde_json::to_string(&run(&again, 7)).unwrap());
    let read: walrus_sim::simulation::RunResult = serde_json::from_str(&first).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), first);
}

#[test]
fn everything_happens_in_such_a_run() {
    let result = run(&site().study(STUDY), 1);
    let counts = result.totals;
    for (what, count) in [
        ("sessions", counts.clients.sessions),
        ("pages", counts.clients.pages),
        ("attempts at the dead", counts.clients.failed_attempts),
        ("lookups", counts.clients.lookups),
        ("upstream", counts.clients.upstream_queries),
        ("timeouts", counts.clients.upstream_timeouts),
        ("plans", counts.plans),
        ("near", counts.clients.near_pages),
    ] {
        assert!(count > 0, "{what}: {counts:?}");
    }
    assert!(
        counts.clients.near_pages <= counts.clients.placed_pages && counts.clients.pages > 3000,
        "{counts:?}"
    );
    assert!(result.counts.clients.pages < counts.clients.pages);
    let points = (20 - 2) * 60 * 1_000_000_000 / result.interval.as_nanos();
    assert_eq!(result.queries_per_second.len() as u128, points);
    assert!(result.servers.iter().all(|server| server.share.len() as u128 == points));
    assert!(result.response_seconds.count() > 0 && result.max_utilisation.max() <= 1.0);
}

#[test]
fn a_run_tells_how_far_it_is_and_stops_when_told() {
    let study = site().study(STUDY);
    let mut told = Vec::new();
    let stopped = simulate(&study, 0, 1, &mut |progress| {
        told.push(progress.simulated);
        if told.len() > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    // Few events: it is told at the beginning and at the end.
    assert!(matches!(stopped, Err(SimulationError::Stopped(_))) || told.len() <= 2);
    assert!(told.is_sorted() && !told.is_empty());
    let none = simulate(&study, 1, 1, &mut |_| ControlFlow::Continue(()));
    assert_eq!(none, Err(SimulationError::NoVariant(1)));
}
