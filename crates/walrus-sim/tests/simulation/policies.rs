//! Every policy runs in the simulator as it does in a Director, demand and all.

use std::ops::ControlFlow;

use walrus_sim::simulation::{RunResult, simulate};

use crate::Site;

const STUDY: &str = "duration = \"40m\"\ndiscard = \"10m\"\n[reports]\nevery = \"8s\"\n\
                     [[population]]\nclients = 200\ndomains = 20\n";

fn farm() -> Site {
    Site {
        service: "ttl = \"60s\"\nanswers = 1\nthreshold = 1.0",
        rest: "[control]\nround = \"10s\"\n",
        ..Site::of_servers(vec![("a1", 80), ("a2", 80), ("a3", 80), ("a4", 80)])
    }
}

/// A run for each value of a setting.
fn runs(setting: &str, values: &[&str]) -> Vec<RunResult> {
    let variant = |value: &&str| {
        format!("[[variant]]\nname = \"{value}\"\nset = {{ \"{setting}\" = \"{value}\" }}\n")
    };
    let variants: String = values.iter().map(variant).collect();
    let study = farm().study(&format!("{STUDY}{variants}"));
    let run = |variant| simulate(&study, variant, 3, &mut |_| ControlFlow::Continue(())).unwrap();
    (0..values.len()).map(run).collect()
}

#[test]
fn every_choose_policy_serves() {
    let policies =
        ["round-robin", "weighted", "random", "hash", "pow2", "rr2", "dal", "mrl", "crml", "prr2"];
    for result in runs("service.choose", &policies) {
        assert_eq!(result.counts.clients.failed_pages, 0, "{}", result.variant);
        assert!(result.counts.clients.pages > 10_000, "{}", result.variant);
        for server in &result.servers {
            let share = f64::from(server.share.iter().sum::<f32>()) / server.share.len() as f64;
            assert!(share > 0.05, "{}: {} has {share}", result.variant, server.name);
        }
    }
}

#[test]
fn adaptive_ttls_ask_as_often_as_the_constant_one() {
    // All domains are busy, so that each asks again as soon as its answer has ended: the normalisation of
    // papers.md 2.2 keeps the rate of queries. What is left is the wait for the next click of the lightest.
    let ttls = ["none", "TTL/1", "TTL/2", "TTL/K", "TTL/S_1", "TTL/S_2", "TTL/S_K"];
    let results = runs("service.adaptive_ttl", &ttls);
    let constant = results[0].counts.clients.upstream_queries as f64;
    for result in &results {
        let queries = result.counts.clients.upstream_queries as f64;
        assert!(
            (queries / constant - 1.0).abs() < 0.15,
            "{}: {queries}, not {constant}",
            result.variant
        );
    }
}

/// An answer of the lightest domains outlives any minute over which queries could be averaged.
#[test]
fn adaptive_ttls_ask_as_often_among_unequal_domains_whatever_is_known_of_them() {
    let mut site = farm();
    site.service = "ttl = \"240s\"\nchoose = \"prr2\"\nanswers = 1\nthreshold = 1.0";
    let run = |ttl: &str, requests: bool| {
        let study = site.study(&format!(
            "duration = \"5h\"\ndiscard = \"1h\"\n[reports]\nevery = \"16s\"\nrequests = {requests}\n\
             [[population]]\nclients = 400\ndomains = 20\nshares = \"zipf 1\"\n\
             [[variant]]\nname = \"v\"\nset = {{ \"service.adaptive_ttl\" = \"{ttl}\" }}\n"
        ));
        crate::run(&study, 2).counts.clients.upstream_queries as f64
    };
    let constant = run("none", true);
    for ttl in ["TTL/2", "TTL/K", "TTL/S_2", "TTL/S_K"] {
        for requests in [true, false] {
            let queries = run(ttl, requests);
            let times = queries / constant;
            assert!((0.9..1.15).contains(&times), "{ttl}, {requests}: {queries} of {constant}");
            // Without requests all domains are one class.
            assert!(requests || times < 1.03, "{ttl}: {queries} of {constant}");
        }
    }
}

#[test]
fn a_setting_that_changes_on_the_time_line_takes_effect_then() {
    // The TTL gets shorter, and then long.
    let mut site = farm();
    site.service = "ttl = \"10s\"\nchoose = \"random\"\nanswers = 1";
    let text = |time_line: &str| {
        format!(
            "duration = \"30m\"\ninterval = \"1m\"\ntimeline = \"\"\"\n{time_line}\n\"\"\"\n\
             [[population]]\nclients = 200\ndomains = 100\n"
        )
    };
    let queries = |time_line: &str| crate::run(&site.study(&text(time_line)), 2).queries_per_second;
    let still = queries("");
    let faster = queries("at 10m set service.ttl = 5s\nat 20m set service.ttl = 60s");
    assert_eq!(still[..9], faster[..9], "the same until then");
    let mean = |of: &[f32]| f64::from(of.iter().sum::<f32>()) / of.len() as f64;
    let (before, within, after) =
        (mean(&faster[2..9]), mean(&faster[11..19]), mean(&faster[22..30]));
    // 100 domains: each asks once in the TTL and the time until the next page of its clients.
    assert!(within > 1.3 * before, "{before} {within}");
    assert!(after < 0.5 * before, "{before} {after}");
    // A policy that wants to know who asks is told so from the beginning.
    let study = site.study(&text(
        "at 10m set service.choose = \"mrl\"\nat 12m kill controller 1\nat 14m heal controller 1",
    ));
    let result = crate::run(&study, 2);
    assert!(result.warnings.is_empty() && result.counts.clients.failed_pages == 0, "{result:?}");
}
