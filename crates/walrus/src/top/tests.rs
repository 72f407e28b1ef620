//! Two looks a second apart at a system that was made up, and what is made of them.

use serde_json::{Value, json};

use super::TopView;
use super::sheet::Pane;
use crate::api::status::StatusView;
use crate::api::traffic::TrafficView;

/// After so many seconds of 900 queries a second for `www` and 100 for others.
fn traffic_value(seconds: u64) -> Value {
    let replies = |transport: &str, record_type: &str, rcode: &str, per_second: u64| {
        json!({ "transport": transport, "type": record_type, "rcode": rcode,
                "count": 5_000 + per_second * seconds })
    };
    let counts = |counts: &[(&str, u64)]| -> Value {
        let count = |(name, per_second): &(&str, u64)| json!({ "name": name, "count": 100 + per_second * seconds });
        counts.iter().map(count).collect()
    };
    let heavy = |heavy: &[(&str, f64)]| -> Value {
        let heavy = heavy.iter();
        heavy
            .map(|(what, queries)| json!({ "what": what, "queries": queries, "error": 0.0 }))
            .collect()
    };
    json!({
        "node": "one",
        "plan": { "epoch": 3, "controller": "one", "sequence": 17 },
        "at_ms": 60_000 + seconds * 1000,
        "replies": [
            replies("udp", "A", "NOERROR", 700),
            replies("udp", "AAAA", "NOERROR", 190),
            replies("udp", "HTTPS", "NXDOMAIN", 100),
            replies("tcp", "A", "NOERROR", 10),
        ],
        "counters": { "udp_queries": 0, "tcp_queries": 0, "dropped": 2 * seconds,
            "complete_path": 5 * seconds, "truncated": 0, "client_subnet": 0,
            "dnssec_ok": 250 * seconds, "service_answers": 0, "send_failures": 0, "panics": 0 },
        "latency": { "count": 990 * seconds, "sum_us": 17_000.0 * seconds as f64, "buckets": [
            { "most_us": 10, "count": 300 * seconds },
            { "most_us": 20, "count": 600 * seconds },
            { "most_us": 50, "count": 89 * seconds },
            { "most_us": 2000, "count": 0 },
            { "most_us": null, "count": seconds },
        ] },
        "services": [
            { "service": "api.example.com",
              "areas": counts(&[("world", 50)]), "servers": counts(&[("ams1", 50)]) },
            { "service": "www.example.com",
              "areas": counts(&[("asia", 250), ("europe", 600)]),
              "servers": counts(&[("fra1", 400), ("fra2", 200), ("tokyo-with-a-long-name", 250)]) },
        ],
        "recent": {
            "duration_ms": 15_000, "answers": 15_000, "sampled": 5_120,
            "names": heavy(&[("www.example.com", 12_750.0), ("api.example.com", 750.0),
                ("a-name-that-is-longer-than-any-column-of-a-terminal-has-room-for.walrus.example.com", 30.0),
                ("", 15.0)]),
            "resolvers": heavy(&[("198.51.100.53", 9_000.0), ("2001:db8:ffff:ffff:ffff:ffff:ffff:53", 4_500.0)]),
            "domains_duration_ms": 20_000, "domains_queries": 15_000,
            "domains": heavy(&[("203.0.113.0/24", 9_000.0), ("2001:db8::/32", 3_000.0)]),
            "decisions": [
                { "time_unix_ms": 1_767_229_323_000_u64, "name": "www.example.com", "type": "A",
                  "transport": "udp", "resolver": "198.51.100.53", "subnet": "203.0.113.0/24", "do": true,
                  "rcode": "NOERROR", "area": "europe", "cluster": "frankfurt", "server": "fra1",
                  "ttl": 30, "plan": "3/one/17" },
                { "time_unix_ms": 1_767_229_322_000_u64, "name": "nobody.example.com", "type": "HTTPS",
                  "transport": "udp", "resolver": "192.0.2.7", "subnet": null, "do": false,
                  "rcode": "NXDOMAIN", "area": null, "cluster": null, "server": null,
                  "ttl": null, "plan": "3/one/17" },
            ],
        },
    })
}

fn traffic(seconds: u64) -> TrafficView {
    serde_json::from_value(traffic_value(seconds)).unwrap()
}

fn status() -> StatusView {
    let server = |name: &str, cluster: &str, life: &str, load: Option<f64>| {
        json!({ "name": name, "cluster": cluster, "life": life, "load": load, "ramp": 1.0,
                "hits_per_second": 0.0, "reason": "", "life_ms": 1, "sources": [] })
    };
    let area = |service: &str, area: &str, clusters: Value, degraded: bool| {
        json!({ "service": service, "area": area, "clusters": clusters, "degraded": degraded,
                "reason": "home", "queries_per_second": 0.0 })
    };
    let at = |cluster: &str| json!([{ "cluster": cluster, "share": 1.0 }]);
    let both =
        json!([{ "cluster": "tokyo", "share": 0.7 }, { "cluster": "frankfurt", "share": 0.3 }]);
    let status = json!({
        "node": "one", "master": "one",
        "plan": { "epoch": 3, "controller": "one", "sequence": 17 },
        "configuration": "0123456789", "next_round_ms": 100,
        "servers": [
            server("fra1", "frankfurt", "living", Some(0.42)),
            server("fra2", "frankfurt", "drained", None),
            server("ams1", "amsterdam", "living", Some(0.05)),
            server("tokyo-with-a-long-name", "tokyo", "living", Some(0.95)),
        ],
        "clusters": [
            { "name": "amsterdam", "functioning": 1, "servers": 1, "load": 0.05 },
            { "name": "frankfurt", "functioning": 2, "servers": 2, "load": 0.42 },
            { "name": "tokyo", "functioning": 1, "servers": 3, "load": 0.95 },
        ],
        "areas": [
            area("www.example.com", "europe", at("frankfurt"), false),
            area("www.example.com", "asia", both, true),
            area("www.example.com", "world", at("amsterdam"), false),
            area("api.example.com", "world", at("amsterdam"), false),
        ],
        "directors": [], "drained": [], "problems": [], "counters": {
            "reports": 0, "reports_refused": 0, "reports_stale": 0, "probes": 0, "probes_failed": 0,
            "probes_lost": 0, "observations": 0, "observations_refused": 0, "rounds": 0, "events": 0,
            "plans": 0, "notices": 0 },
    });
    serde_json::from_value(status).unwrap()
}

/// The second look of two.
pub(super) fn view() -> TopView {
    TopView::between(Some(&traffic(1)), &traffic(2), Some(&status()))
}

/// The same on a node that is no Controller.
pub(super) fn view_without_status() -> TopView {
    TopView::between(Some(&traffic(1)), &traffic(2), None)
}

#[test]
fn rates_are_the_difference_of_two_looks() {
    let view = view();
    assert_eq!((view.over_ms, view.replies_per_second), (1_000, 1_000.0));
    let rates: Vec<_> =
        view.types.iter().map(|it| (it.what.as_str(), it.per_second, it.share)).collect();
    assert_eq!(rates, [("A", 710.0, 0.71), ("AAAA", 190.0, 0.19), ("HTTPS", 100.0, 0.1)]);
    assert_eq!((view.dnssec_ok.share, view.dropped_per_second), (0.25, 2.0));
    let services: Vec<_> =
        view.services.iter().map(|it| (it.what.as_str(), it.per_second)).collect();
    assert_eq!(services, [("www.example.com", 850.0), ("api.example.com", 50.0)]);
    let first = &view.servers[0];
    assert_eq!((first.server.as_str(), first.per_second), ("fra1", 400.0));
    assert!((first.share - 400.0 / 850.0).abs() < 1e-9, "of its service");
    assert_eq!((first.cluster.as_deref(), first.load), (Some("frankfurt"), Some(0.42)));
    assert_eq!(view.names[0].per_second, 850.0, "of late, not of the last second");
    let idle = view.areas.iter().find(|it| it.service == "www.example.com" && it.area == "world");
    assert_eq!(idle.unwrap().per_second, 0.0, "it is there though nobody asks");
}

#[test]
fn times_are_bounded_by_their_buckets() {
    let latency = view().latency.unwrap();
    assert_eq!((latency.half_us, latency.most_us), (Some(20), Some(50)));
    assert!((latency.mean_us - 17_000.0 / 990.0).abs() < 1e-9);
}

#[test]
fn a_system_that_began_anew_has_no_rates_yet() {
    for earlier in [None, Some(traffic(9))] {
        let view = TopView::between(earlier.as_ref(), &traffic(2), None);
        assert_eq!((view.over_ms, view.replies_per_second), (0, 0.0));
        assert_eq!((view.latency, view.types[0].share), (None, 0.0));
        assert!(!view.names.is_empty(), "what is told of late needs no earlier look");
    }
    let mut other = traffic(1);
    other.node = "two".to_owned();
    assert_eq!(TopView::between(Some(&other), &traffic(2), None).over_ms, 0);
}

#[test]
fn the_view_loses_nothing_on_its_way() {
    let value = serde_json::to_value(view()).unwrap();
    let read: TopView = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), value);
    assert_eq!(serde_json::to_value(traffic(3)).unwrap(), traffic_value(3));
}

#[test]
fn notes_say_what_is_an_estimate() {
    let mut view = view();
    assert_eq!(Pane::Names.note(&view), "estimated from 5120 of 15000 answers in the last 15 s");
    assert_eq!(Pane::Decisions.note(&view), "the last of a sample of about one answer in 3");
    view.sample.sampled = view.sample.answers;
    assert_eq!(Pane::Names.note(&view), "all 15000 answers in the last 15 s");
    assert!(Pane::Clusters.note(&view_without_status()).contains("no Controller"));
}

#[test]
fn once_is_text_with_all_tables() {
    let text = super::text(&view());
    for line in [
        "node one  Plan 3/one/17  1000 replies/s  udp 99.0 %  tcp 1.0 %",
        "functioning  amsterdam 1/1  frankfurt 2/2  tokyo 1/3",
        "Names: estimated from 5120 of 15000 answers in the last 15 s",
        "tokyo      1 of 3       95 %  250",
        "01:02:03    203.0.113.0/24 by 198.51.100.53  www.example.com     A      NOERROR   europe  fra1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
}
