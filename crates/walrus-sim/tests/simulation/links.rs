//! Delays and losses of what is under way: reports, Plans, queries.

use crate::{Site, run};

/// What is left out at the beginning, in minutes: without a Plan there is no answer.
const DISCARDED: usize = 5;

/// The first server's share of the hits by minute, if it says from minute 10 on that it wants none.
fn share_by_minute(settings: &str) -> Vec<f32> {
    let mut site = Site::of_servers(vec![("s1", 100), ("s2", 100)]);
    site.service = "ttl = \"5s\"\nanswers = 1";
    site.rest = "[control]\nround = \"10s\"\n";
    let study = site.study(&format!(
        "duration = \"20m\"\ndiscard = \"{DISCARDED}m\"\ninterval = \"1m\"\n\
         timeline = \"at 10m report s1 bypass for a test\"\n{settings}\n\
         [[population]]\nclients = 100\ndomains = 50\nshares = \"even\"\n"
    ));
    let result = run(&study, 1);
    assert_eq!(result.counts.clients.failed_pages, 0, "{settings}");
    result.servers[0].share.clone()
}

#[test]
fn reports_and_plans_take_as_long_as_they_should_and_lost_reports_tell_nothing() {
    // Until which minute the server is sent clients, or for ever.
    for (settings, until) in [
        ("", Some(10)),
        ("[reports]\ndelay = \"4m\"", Some(14)),
        ("[directors]\nplan_delay = \"3m\"", Some(13)),
        ("[reports]\ndelay = \"2m\"\n[directors]\nplan_delay = \"2m\"", Some(14)),
        ("[reports]\nloss = 0.2", Some(10)),
        ("[reports]\nloss = 1.0", None),
    ] {
        let share = share_by_minute(settings);
        let until = until.unwrap_or(20);
        // A report every 8 s, a round every 10 s and a TTL of 5 s: all within the minute between.
        for (minute, share) in (DISCARDED..).zip(&share) {
            let told = format!("{settings}, minute {minute}: {share}");
            assert!(minute >= until || *share > 0.2, "{told}");
            assert!(minute <= until || *share == 0.0, "{told}");
        }
    }
}

#[test]
fn a_lost_query_costs_a_timeout_and_a_lookup_fails_when_all_tries_are_lost() {
    let mut site = Site::of_servers(vec![("s1", 100), ("s2", 100)]);
    site.service = "ttl = \"5s\"\nanswers = 1";
    let counts = |loss: f64| {
        let study = site.study(&format!(
            "duration = \"1h\"\n[queries]\nloss = {loss}\ntries = 2\n\
             [[population]]\nclients = 100\ndomains = 50\nshares = \"even\"\n"
        ));
        run(&study, 1).totals
    };
    let none = counts(0.0);
    assert_eq!((none.clients.upstream_timeouts, none.clients.failed_lookups), (0, 0));
    let all = counts(1.0);
    assert_eq!((all.clients.upstream_queries, all.clients.pages), (0, all.clients.failed_pages));
    assert_eq!(all.clients.upstream_timeouts, 2 * all.clients.failed_lookups);
    let some = counts(0.3);
    for (what, found, of, share) in [
        (
            "queries",
            some.clients.upstream_timeouts,
            some.clients.upstream_timeouts + some.clients.upstream_queries,
            0.3,
        ),
        (
            "lookups",
            some.clients.failed_lookups,
            some.clients.failed_lookups + some.clients.upstream_queries,
            0.09,
        ),
    ] {
        let (found, of) = (found as f64, of as f64);
        let deviation = (of * share * (1.0 - share)).sqrt();
        assert!(of > 10_000.0, "{what}: {of}");
        assert!((found - of * share).abs() < 5.0 * deviation, "{what}: {found} of {of}");
    }
}
