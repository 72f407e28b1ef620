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
        assert_eq!(result.counts.failed_pages, 0, "{}", result.variant);
        assert!(result.counts.pages > 10_000, "{}", result.variant);
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
    let constant = results[0].counts.upstream_queries as f64;
    for result in &results {
        let queries = result.counts.upstream_queries as f64;
        assert!(
            (queries / constant - 1.0).abs() < 0.15,
            "{}: {queries}, not {constant}",
            result.variant
        );
    }
}
